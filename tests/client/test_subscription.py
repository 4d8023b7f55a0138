"""ticker/client/subscription.py: the symbols that a subscription covers, and the work that finding them takes."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.client.work import calls_during
from ticker.client.replica import Fields, Replica
from ticker.client.subscription import Subscription

MARKET = [f"S{number}" for number in range(2000)]


def subscription(*names: str) -> Subscription:
    return Subscription(names, lambda _: None, Replica())


def changes(*symbols: str) -> dict[str, Fields]:
    return {symbol: {"last": 1} for symbol in symbols}


@pytest.mark.parametrize(
    "names", [["A"], ["A", "BB", "A"], ["A*"], ["?", "BB"], ["[!A]*", "a"], ["a*", "A"], [], ["[A"]]
)
def test_a_subscription_covers_the_symbols_that_one_of_its_names_matches(names: list[str]) -> None:
    symbols = ["A", "AA", "B", "BB", "a", "ab", "[A"]
    covered = [symbol for symbol in symbols if any(fnmatchcase(symbol, name) for name in names)]
    assert list(subscription(*names).select(dict.fromkeys(symbols))) == covered
    more_names = subscription(*names, *MARKET[:20])
    assert list(more_names.select(dict.fromkeys(symbols))) == covered
    assert [symbol for symbol in symbols if subscription(*names).matches(symbol)] == covered


def test_a_change_of_many_symbols_costs_a_subscription_to_one_no_more_than_a_look_up() -> None:
    one, change = subscription("S7"), changes(*MARKET)
    assert calls_during(lambda: one.merge(1, 1, change, ())) < 20


@pytest.mark.parametrize(
    "names", [MARKET[:1000], [f"{symbol}*" for symbol in MARKET[1000:]], [*MARKET[:500], "S1[5-9]*"]]
)
def test_a_change_of_many_symbols_costs_a_few_calls_for_each_however_many_names_there_are(names: list[str]) -> None:
    many, change = subscription(*names), changes(*MARKET)
    first = calls_during(lambda: many.merge(1, 1, change, ()))
    assert first < 12 * len(MARKET)
    assert calls_during(lambda: many.merge(2, 2, change, ())) < 8 * len(MARKET)

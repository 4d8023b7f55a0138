"""ticker_feeds/simulation/faults.py: the schedule of each fault symbol."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import takewhile

import pytest

from tests.support import market
from ticker.core.last_value import LastValueCache
from ticker.market import (
    Instrument,
    Publication,
    Trade,
    Update,
    WireValue,
    Withdrawal,
    field_key,
    field_name,
    shown_value,
)
from ticker.numbers import decimal_text
from ticker_feeds.simulation.faults import GOOD, PERIOD, SYMBOLS, Step, schedule

FULL = {
    *("bid", "bid_size", "ask", "ask_size", "last", "last_size"),
    *("volume", "trade_count", "status"),
}


class Schedule:
    """The schedule of seed 1, which is made once for all tests of this process."""

    def __init__(self) -> None:
        self._made: list[Step] = []
        self._coming = schedule(1)

    def __iter__(self) -> Iterator[Step]:
        for number in itertools.count():
            if number == len(self._made):
                self._made.append(next(self._coming))
            yield self._made[number]


SCHEDULE = Schedule()


def steps(symbol: str, until: float) -> list[tuple[float, Sequence[Publication]]]:
    """Return the publications of one symbol before this second."""
    return [
        (step.at, step.batch)
        for step in takewhile(lambda step: step.at < until, SCHEDULE)
        if step.batch[0].symbol == symbol
    ]


def passing(symbol: str, *seconds: float) -> Iterator[LastValueCache]:
    """The market of one symbol as it is just after each of these seconds, which rise."""
    cache, coming = market(), (step for step in SCHEDULE if step.batch[0].symbol == symbol)
    step = next(coming)
    for second in seconds:
        while step.at <= second:
            for publication in step.batch:
                cache.publish(publication)
            step = next(coming)
        yield cache


def at(second: float, symbol: str) -> LastValueCache:
    """The market of one symbol as it is just after this second."""
    return next(passing(symbol, second))


def values_of(cache: LastValueCache, symbol: str) -> dict[str, WireValue]:
    record = cache.instrument(symbol)
    assert record is not None
    names = {name: field_key(name) for name in (*FULL, "reason")}
    return {name: record.values.get(key) for name, key in names.items() if record.values.get(key) is not None}


def values(symbol: str, second: float) -> dict[str, WireValue]:
    return values_of(at(second, symbol), symbol)


def number(values: dict[str, WireValue], name: str) -> int:
    found = values[name]
    assert isinstance(found, int)
    return found


def test_the_seed_determines_everything() -> None:
    def taken(seed: int) -> list[Step]:
        return list(takewhile(lambda step: step.at < 100, schedule(seed)))

    assert taken(1) == taken(1)
    assert taken(1) != taken(2)


def test_steps_come_in_order_and_each_symbol_is_declared_first() -> None:
    taken = list(takewhile(lambda step: step.at < 100, schedule(1)))
    assert [step.at for step in taken] == sorted(step.at for step in taken)
    for symbol in SYMBOLS:
        first = next(step for step in taken if step.batch[0].symbol == symbol)
        assert first.at == 0
        assert isinstance(first.batch[0], Instrument)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("period", [0, 1, 5])
def test_every_period_begins_with_ten_good_seconds(symbol: str, period: int) -> None:
    for cache in passing(symbol, *range(period * PERIOD, period * PERIOD + GOOD)):
        now = values_of(cache, symbol)
        assert now.keys() == FULL
        assert now["status"] == "live"
        assert number(now, "bid") < number(now, "last") < number(now, "ask")
    publications = [
        at for at, _ in steps(symbol, (period + 1) * PERIOD) if period * PERIOD < at < period * PERIOD + GOOD
    ]
    assert publications == list(range(period * PERIOD + 1, period * PERIOD + GOOD))


@pytest.mark.parametrize(
    ("symbol", "status", "reason"),
    [("TEST.HALT", "halted", "exchange_halt"), ("TEST.STALE", "stale", "feed_silent")],
)
def test_what_stands_still_says_so_and_why(symbol: str, status: str, reason: str) -> None:
    before, after = values(symbol, 9), values(symbol, 19)
    assert after == before | {"status": status, "reason": reason}
    assert [at for at, _ in steps(symbol, PERIOD) if at >= GOOD] == [GOOD]


def decimals(symbol: str, second: float) -> dict[str, Decimal]:
    """The numbers of an instrument just after this second, as clients have them."""
    record = at(second, symbol).instrument(symbol)
    assert record is not None
    shown = {
        field_name(key): shown_value(key, value, record.price_scale, record.size_scale)
        for key, value in record.values.items()
        if value is not None and key not in {field_key("status"), field_key("reason")}
    }
    return {name: Decimal(str(value)) for name, value in shown.items()}


def test_what_comes_back_with_less_shows_nothing_that_it_has_not_said_again() -> None:
    before, lost, back = (values("TEST.LESS", second) for second in (9, 10, 15))
    assert lost == before | {"status": "stale", "reason": "reconnecting"}
    assert back.keys() == {"last", "status"}
    assert back["status"] == "live"
    assert values("TEST.LESS", 20).keys() == FULL


def test_a_value_that_cannot_be_read_costs_itself_alone() -> None:
    lost = [FULL - values("TEST.UNREADABLE", second).keys() for second in range(GOOD, 15)]
    assert lost == [{"bid"}, {"ask"}, {"last"}, {"bid_size"}, {"last_size"}]
    assert all(values("TEST.UNREADABLE", second)["status"] == "live" for second in range(GOOD, 15))
    later = values("TEST.UNREADABLE", 15)
    assert (later["status"], later["reason"]) == ("stale", "bad_data")


def test_numbers_of_any_size_are_exact_and_cost_no_other_anything() -> None:
    for second, places in ((GOOD, 13), (14, 13), (15, 38), (19, 38)):
        now = decimals("TEST.DECIMALS", second)
        last = now["last"].as_tuple()
        assert (last.exponent, last.digits[-1]) == (-places, 1)
        assert now["bid"] < now["last"] < now["ask"]
        assert (now["bid_size"], now["ask_size"]) == (Decimal("1E-10"), Decimal("2000000.5"))
        assert (now["last_size"], now["volume"]) == (Decimal("1.5E12"), Decimal("1127313210.00855204"))
        assert now["funding_rate"] == Decimal("-0.0000123456789012345678")


def test_a_halted_market_reopens_elsewhere() -> None:
    closed, opened = (number(values("TEST.HALT", second), "last") for second in (19, 20))
    assert 100 <= abs(opened - closed) <= 500


def test_a_burst_is_a_thousand_trades_within_a_second() -> None:
    burst = [(at, batch) for at, batch in steps("TEST.BURST", PERIOD) if GOOD <= at < GOOD + 1]
    assert [sum(isinstance(each, Trade) for each in batch) for _, batch in burst] == [20] * 50
    assert number(values("TEST.BURST", 10.99), "trade_count") == number(values("TEST.BURST", 9), "trade_count") + 1_000
    assert [at for at, _ in steps("TEST.BURST", PERIOD) if at >= GOOD + 1] == list(range(11, PERIOD))


def test_quotes_cross_and_then_lock() -> None:
    for second in range(GOOD, PERIOD):
        now = values("TEST.CROSSED", second)
        bid, ask = number(now, "bid"), number(now, "ask")
        assert bid > ask if second < 15 else bid == ask
        assert now["status"] == "live"


@pytest.mark.parametrize(("period", "places"), [(0, 3), (1, 4), (7, 10), (8, 10), (30, 10)])
def test_prices_become_finer_by_a_place_in_every_period(period: int, places: int) -> None:
    start = period * PERIOD
    good, bad = (at(start + second, "TEST.PRECISION").instrument("TEST.PRECISION") for second in (9, 19))
    assert good is not None
    assert bad is not None
    assert (bad.price_scale, bad.size_scale) == (places, places - 2)
    assert good.price_scale == max(2, min(places - 1, 10) if period < 8 else 10)
    last = bad.values[field_key("last")]
    assert isinstance(last, int)
    assert last % 10
    exact = next(
        each.fields["last"]
        for _, batch in reversed(steps("TEST.PRECISION", start + PERIOD))
        for each in batch
        if isinstance(each, Update)
    )
    assert Decimal(decimal_text(last, bad.price_scale)) == exact


def book(symbol: str, second: float) -> tuple[list[int | str | None], list[int | str | None], str | None]:
    """The bids and asks of a symbol's book just after this second, and the cause why it is not current."""
    found = at(second, symbol).book_of(symbol)
    assert found is not None
    return *found.top(100), found.reason


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("second", [0, GOOD - 1, 5 * PERIOD + 3])
def test_in_good_seconds_the_quote_is_the_top_of_the_book(symbol: str, second: int) -> None:
    cache = at(second, symbol)
    record, found = cache.instrument(symbol), cache.book_of(symbol)
    assert record is not None
    assert found is not None
    bids, asks = found.top(100)
    assert (len(bids), len(asks), found.reason) == (20, 20, None)
    factor = 10 ** (record.price_scale - found.price_scale)
    for name, price in (("bid", bids[0]), ("ask", asks[0])):
        assert isinstance(price, int)
        assert price * factor == record.values[field_key(name)]


@pytest.mark.parametrize(
    ("symbol", "reasons"),
    [
        ("TEST.GAP", {9: None, 10: "gap", 14: "gap", 15: None, 17: None, 18: "checksum", 20: None}),
        ("TEST.STALE", {9: None, 10: "feed_silent", 20: None}),
        ("TEST.LESS", {10: "reconnecting", 19: "reconnecting", 20: None}),
        ("TEST.UNREADABLE", {13: None, 14: "bad_data", 20: None}),
        ("TEST.WITHDRAWN", {14: None, 15: "no_data", 20: None}),
        ("TEST.HALT", {19: None}),
    ],
)
def test_a_book_breaks_and_is_repaired(symbol: str, reasons: dict[int, str | None]) -> None:
    assert {second: book(symbol, second)[2] for second in reasons} == reasons


def test_while_the_book_alone_is_stale_quotes_and_trades_go_on() -> None:
    assert values("TEST.GAP", 12)["status"] == "live"
    assert number(values("TEST.GAP", 12), "trade_count") == number(values("TEST.GAP", 9), "trade_count") + 3


def test_a_crossed_market_is_crossed_in_its_book_too_and_one_without_asks_has_none() -> None:
    bids, asks, _ = book("TEST.CROSSED", 12)
    assert bids[0] > asks[0]  # type: ignore[operator]  # prices are integers here
    bids, asks, _ = book("TEST.CROSSED", 17)
    assert bids[0] == asks[0]
    assert book("TEST.WITHDRAWN", 12)[1] == []


def test_one_side_is_withdrawn_and_then_everything() -> None:
    assert FULL - values("TEST.WITHDRAWN", 10).keys() == {"ask", "ask_size"}
    assert values("TEST.WITHDRAWN", 15) == {}
    assert values("TEST.WITHDRAWN", 20).keys() == FULL
    assert [batch for at, batch in steps("TEST.WITHDRAWN", PERIOD) if at == 15] == [[Withdrawal("TEST.WITHDRAWN")]]


@pytest.mark.untraced
def test_nothing_is_ever_refused_in_an_hour_and_nothing_touches_the_limits() -> None:
    cache = market()
    for step in takewhile(lambda step: step.at <= 3_600, schedule(1)):
        for publication in step.batch:
            cache.publish(publication)
    assert {record.symbol for record in cache.instruments} == set(SYMBOLS)
    for record in cache.instruments:
        volume = record.values.get(field_key("volume"))
        assert isinstance(volume, int)
        assert volume < 10**15

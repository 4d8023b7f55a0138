"""ticker/core/text_search.py: instruments are found by words of their symbols and names, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.talk import Talk
from tests.support import cut
from ticker.bounds import COMPARISONS_PER_STEP
from ticker.core.audience_index import AudienceIndex
from ticker.core.last_value import LastValueCache
from ticker.core.text_search import TEXT_WEIGHT
from ticker.market import MAX_SYMBOL, Instrument


def market() -> LastValueCache:
    cache = LastValueCache("epoch")
    named = {
        "AAPL": {"name": "Apple Inc.", "venue": "XNAS", "currency": "USD"},
        "BTC-USD": {"name": "Bitcoin", "other": "apple"},
        "DSY.PA": {"name": "Dassault Systèmes", "venue": "XPAR", "currency": "EUR"},
        "PLAIN": {},
    }
    cut(cache, *(Instrument(symbol, 0, 0, metadata) for symbol, metadata in named.items()))
    return cache


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("apple", ["AAPL"]),
        ("APPL", ["AAPL"]),
        ("btcusd", ["BTC-USD"]),
        ("btc/usd", ["BTC-USD"]),
        ("systemes", ["DSY.PA"]),
        ("SYSTÈMES dassault", ["DSY.PA"]),
        ("usd", ["AAPL", "BTC-USD"]),
        ("usd xnas", ["AAPL"]),
        ("plain", ["PLAIN"]),
        ("-", ["BTC-USD"]),
        ("apple bitcoin", []),
        ("  ", ["AAPL", "BTC-USD", "DSY.PA", "PLAIN"]),
    ],
)
def test_words_are_found_in_any_case_without_accents_and_separators(text: str, symbols: list[str]) -> None:
    found = Talk(market()).ask("instruments", text=text)
    assert [item[1] for item in found["instruments"]] == symbols
    assert not found["more"]


def test_a_pattern_narrows_what_words_find_and_a_new_name_is_found_at_once() -> None:
    cache = market()
    talk = Talk(cache)
    assert [item[1] for item in talk.ask("instruments", match="B*", text="usd")["instruments"]] == ["BTC-USD"]
    assert talk.ask("instruments", match="PLAIN", text="usd")["instruments"] == []
    assert talk.ask("instruments", text="renamed")["instruments"] == []
    cut(cache, Instrument("PLAIN", 0, 0, {"name": "Renamed"}))
    assert [item[1] for item in talk.ask("instruments", text="renamed")["instruments"]] == ["PLAIN"]
    assert talk.fail("instruments", text="x" * (MAX_SYMBOL + 1))


def test_the_last_of_very_many_is_found_in_steps_of_bounded_work_that_count() -> None:
    cache = LastValueCache("epoch")
    cut(cache, *(Instrument(f"S{number:05}", 0, 0, {"name": f"No {number}"}) for number in range(12_000)))
    talk = Talk(cache)
    index = talk.hub.index
    list(index.search("*", "", 1, _all))  # the index of symbols is there
    seen: list[str] = []

    def sees(symbol: str) -> bool:
        seen.append(symbol)
        return True

    pieces = watched(index, seen, index.search("*", "", 501, sees, "no 11999"))
    assert [symbol for piece, _ in pieces for symbol in piece] == ["S11999"]
    assert sum(count for _, count in pieces) == 12_000
    assert max(count for _, count in pieces) * TEXT_WEIGHT <= COMPARISONS_PER_STEP


def watched(index: AudienceIndex, seen: list[str], steps: Iterator[list[str]]) -> list[tuple[list[str], int]]:
    """The pieces of a search, each with the number of instruments compared; they are charged at their weight."""
    pieces, compared, charged = [], len(seen), index.comparisons
    for piece in steps:
        pieces.append((piece, len(seen) - compared))
        assert index.comparisons - charged == TEXT_WEIGHT * pieces[-1][1]
        compared, charged = len(seen), index.comparisons
    return pieces


def _all(_: str) -> bool:
    return True

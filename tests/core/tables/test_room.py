"""ticker/core/tables/stores.py: only so many instruments have tables; the others' quotes and last prices are served."""

from __future__ import annotations

import pytest

from tests.core.talk import Talk
from tests.support import cut, update
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.errors import BadPublication, Code
from ticker.market import Candle, Instrument, Levels, Trade

LAST, LAST_SIZE = 5, 6


def full() -> LastValueCache:
    """A market in which A has all the tables that there may be."""
    cache = LastValueCache("epoch", tables=Tables(max_instruments=1))
    cut(cache, Instrument("A"), Instrument("B"), Levels("A", [("1.00", 5)], [], complete=True))
    return cache


@pytest.mark.parametrize(
    "publication", [Levels("B", [("1", 1)], [], complete=True), Candle("B", "1m", 60, "1", "1", "1", "1")]
)
def test_a_book_or_bar_without_room_is_refused_with_its_cause(publication: Levels | Candle) -> None:
    cache = full()
    with pytest.raises(BadPublication, match="1 instruments have tables") as caught:
        cache.publish(publication)
    assert caught.value.cause == "too many instruments with tables"
    assert cache.tables.left_out == 1


def test_prints_without_room_still_bring_the_last_price() -> None:
    cache = full()
    cut(cache, Trade("B", "1.25", "3", id=7), Trade("B", "0", "0", id=7))
    record = cache.instrument("B")
    assert record is not None
    assert (record.values[LAST], record.values[LAST_SIZE]) == (125, 3)
    assert cache.trades_of("B") is None
    assert cache.tables.left_out == 2


def test_quotes_without_room_make_no_bars_and_go_on() -> None:
    cache = full()
    cache.keep_changed_bars(lambda _: None)
    for number in range(3):
        cut(cache, update("B", bid=f"1.0{number}"))
    record = cache.instrument("B")
    assert record is not None
    assert record.values[1] == 102
    assert cache.candles_of("B", "1m") is None
    assert list(cache.take_changed_bars(10)) == [[]]
    assert cache.tables.left_out == 1


def test_a_table_without_room_has_an_outcome_of_its_own() -> None:
    talk = Talk(full())
    names = ["A candles:1m:300", "B candles:1m:300", "B book:10"]
    outcomes = talk.ask("subscribe", symbols=names)["outcomes"]
    assert [code for _, code, _ in outcomes] == [Code.OK, Code.TOO_MANY_TABLES, Code.TOO_MANY_TABLES]
    assert talk.cache.find("B book:10") is None


def test_bars_of_an_earlier_run_are_restored_only_as_far_as_there_is_room() -> None:
    cache = LastValueCache("epoch", tables=Tables(max_instruments=1))
    for symbol in "AB":
        cache.restore_bars(symbol, "1m", 2, 0, [[60, 100, 100, 100, 100, 5, 1]])
    cut(cache, Instrument("B"), Instrument("A"))
    assert cache.candles_of("B", "1m") is None
    candles = cache.candles_of("A", "1m")
    assert candles is not None
    assert candles.latest(5) == [[60, 100, 100, 100, 100, 5, 1]]

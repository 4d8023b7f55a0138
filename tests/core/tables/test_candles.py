"""ticker/core/tables/bars.py and candles.py, rule by rule, and bars against a naive reading of all prints."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.tables.books import CANDLES, STATUS, TableCopy, number, opened, watched
from tests.support import CLOCK, cut, update
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.core.tables.instrument_tables import ChangedBar
from ticker.core.tables.table_record import TableRecord
from ticker.errors import BadPublication
from ticker.market import Candle, Cell, Field, Instrument, Publication, Stale, Trade
from ticker.numbers import MAX_INTEGER

LAST = int(Field.LAST)
START = 1_699_999_980
"""The beginning of a minute, in seconds."""


def a_market(*, bars: int = 1000, periods: tuple[str, ...] = ("1m", "5m"), places: int = 2) -> LastValueCache:
    cache = LastValueCache("epoch", tables=Tables(bars=(3, bars), periods=periods))
    cache.time = CLOCK
    cut(cache, Instrument("A", places, 0))
    return cache


def at(second: float, price: str = "1", size: str = "1", venue_id: int | None = None) -> Trade:
    """A print so many seconds after `START`."""
    return Trade("A", price, size, None, START * 1_000_000 + int(second * 1_000_000), venue_id)


def rows(record: TableRecord) -> list[list[Cell]]:
    """The bars of a table; their starts are seconds after `START`."""
    flat = record.present().get(CANDLES, [])
    assert isinstance(flat, list)
    found = [flat[place : place + 7] for place in range(0, len(flat), 7)]
    return [[int(str(row[0])) - START, *row[1:]] for row in found]


def bar(second: int, *prices: int, volume: int | None = 1, count: int | None = 1) -> list[Cell]:
    return [second, *prices, volume, count]


# Prints


def test_a_bar_has_the_first_highest_lowest_and_last_price_and_the_sums_of_its_prints() -> None:
    cache = a_market()
    record = opened(cache, at(0, "2", "3"), "candles:1m:3")
    assert record.metadata == {"period": "1m", "from": "trades"}
    now = cut(cache, at(10, "5"), at(10, "1", "4"), at(59.999999, "3"))
    assert rows(record) == [bar(0, 200, 500, 100, 300, volume=9, count=4)]
    assert record.changes_since(now - 1)[1] == 1
    now = cut(cache, at(60, "4"))
    assert record.changes_since(now - 1) == ({CANDLES: [START + 60, 400, 400, 400, 400, 1, 1]}, 1)
    assert STATUS not in record.present()


def test_empty_bars_are_not_there() -> None:
    cache = a_market()
    record = opened(cache, at(0), "candles:1m:3")
    cut(cache, at(600))
    assert [row[0] for row in rows(record)] == [0, 600]


def test_a_late_print_amends_all_but_the_close_of_its_bar() -> None:
    cache = a_market()
    record = opened(cache, at(0, "2"), "candles:1m:3")
    larger = watched(cache, "candles:5m:3")
    cut(cache, at(61, "3"))
    now = cut(cache, at(59, "9", "5"))
    assert rows(record) == [bar(0, 200, 900, 200, 200, volume=6, count=2), bar(60, 300, 300, 300, 300)]
    assert record.changes_since(now - 1)[1] == 1
    assert rows(larger)[0][1:] == [200, 900, 200, 300, 7, 3]
    cut(cache, at(-30, "7"))
    assert rows(record)[0] == bar(-60, 700, 700, 700, 700)


def test_a_bar_that_was_amended_while_nobody_looked_is_owed_to_who_has_seen_the_next_one_begin() -> None:
    cache = a_market()
    record = opened(cache, at(0), "candles:1m:3")
    record.unwatch()
    seen = cut(cache, at(61, "3"))
    cut(cache, at(59, "9"))
    record.watch()
    assert record.changes_since(seen) == ({CANDLES: [START, 100, 900, 100, 100, 2, 2]}, 1)


def test_a_bar_and_the_last_price_agree_at_every_cut() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:3")
    for second in (0, 5, 3, 70, 65, 50, 130, 121, 119):
        cut(cache, at(second, str(second + 1)))
        instrument = cache.instrument("A")
        assert instrument is not None
        assert rows(record)[-1][4] == instrument.values[LAST]


def test_a_window_holds_the_last_bars_and_the_ring_as_many_as_the_largest() -> None:
    cache = a_market(bars=8)
    record = opened(cache, at(0), "candles:1m:3")
    cut(cache, *[at(60 * minute) for minute in range(1, 40)])
    assert [row[0] for row in rows(record)] == [60 * 37, 60 * 38, 60 * 39]
    candles = cache.candles_of("A", "1m")
    assert candles is not None
    assert 8 <= len(candles.latest(1000)) <= 10
    assert [row[0] for row in candles.latest(2, START + 60 * 38)] == [START + 60 * 36, START + 60 * 37]
    before = cache.cut
    cut(cache, at(60, "9"))
    assert record.last_change == before


def test_the_rows_that_a_copy_of_any_age_lacks_are_those_that_changed() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:3")
    copies: list[TableCopy] = []
    for second in (0, 60, 0, 120, 121, 30, 61, 180, 90, 125, 240):
        cut(cache, at(second, str(second + 1)))
        copies.append(TableCopy())
        for copy in copies[:: 1 + len(copies) % 3]:
            copy.update(record, cache.cut, keep=3)
            assert copy.flat(CANDLES) == record.present()[CANDLES]


@pytest.mark.parametrize("size", ["9007199254740991", str(2**60), "1e29"])
def test_a_volume_beyond_53_bits_is_a_plain_text(size: str) -> None:
    cache = a_market()
    record = opened(cache, at(0, "1", size), "candles:1m:3")
    cut(cache, at(1, "1", "1"))
    volume = int(Decimal(size)) + 1
    assert rows(record)[0][5] == str(volume)
    cut(cache, at(61, "1", "1"), at(30, "1", "1"))
    assert rows(record)[0][5] == str(volume + 1)
    assert volume > MAX_INTEGER


def test_a_finer_print_raises_the_scale_of_all_bars_and_the_whole_table_is_owed() -> None:
    cache = a_market()
    record = opened(cache, at(0, "1"), "candles:1m:3")
    now = cut(cache, at(60, "1.125", "0.5"))
    assert (record.price_scale, record.size_scale) == (3, 1)
    assert record.whole_at == record.defined_at == now
    assert rows(record) == [
        bar(0, 1000, 1000, 1000, 1000, volume=10),
        bar(60, 1125, 1125, 1125, 1125, volume=5),
    ]


def test_a_price_without_an_integer_is_compared_exactly() -> None:
    fine = "1." + "0" * 19 + "1"
    cache = a_market()
    record = opened(cache, at(0, "1"), "candles:1m:3")
    cut(cache, at(1, fine), at(2, "1"))
    assert rows(record) == [bar(0, 100, fine, 100, 100, volume=3, count=3)]  # type: ignore[arg-type]
    cut(cache, at(61, "2"), at(3, "0.99"))
    assert rows(record)[0] == bar(0, 100, fine, 99, 100, volume=4, count=4)  # type: ignore[arg-type]


def test_a_correction_changes_volume_and_count_and_no_price() -> None:
    cache = a_market()
    record = opened(cache, at(0, "2", "3", 1), "candles:1m:3")
    cut(cache, at(1, "1", "1", 2), at(61, "5"))
    cut(cache, at(0, "9", "5", 1))
    assert rows(record)[0] == bar(0, 200, 200, 100, 100, volume=6, count=2)
    cut(cache, at(0, "9", "0", 2))
    assert rows(record)[0] == bar(0, 200, 200, 100, 100, volume=5, count=1)
    cut(cache, at(0, "9", "2", 2))
    assert rows(record)[0] == bar(0, 200, 200, 100, 100, volume=7, count=2)


def test_bars_of_a_second_can_be_had() -> None:
    cache = a_market(periods=("1m", "1s"))
    record = opened(cache, at(0.5), "candles:1s:3")
    cut(cache, at(1.25), at(1.75), at(0.9, "7"))
    assert rows(record) == [
        bar(0, 100, 700, 100, 100, volume=2, count=2),
        bar(1, 100, 100, 100, 100, volume=2, count=2),
    ]


def test_a_print_without_a_time_is_in_the_bar_of_its_cut() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:3")
    cache.publish(Trade("A", "2", 1))
    cache.close_cut((START + 125) * 1_000_000)
    assert rows(record) == [bar(120, 200, 200, 200, 200)]


def test_nothing_is_built_without_a_period() -> None:
    cache = a_market(periods=())
    cut(cache, at(0), update("A", bid=1))
    assert cache.candles_of("A", "1m") is None
    with pytest.raises(BadPublication, match="bars are kept of none"):
        cache.publish(Candle("A", "1m", 0, 1, 1, 1, 1))


def close(cache: LastValueCache, second: float, *publications: Publication) -> None:
    """Publish these in a cut that is closed so many seconds after `START`."""
    for publication in publications:
        cache.publish(publication)
    cache.close_cut(int((START + second) * 1_000_000))


FAR = 1_000 * 3_600
"""So many seconds ahead, no time can be true."""


def test_a_print_from_far_ahead_is_in_the_bar_of_its_cut_and_holds_up_nothing() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:10")
    close(cache, 0, at(0, "1"))
    close(cache, 5, at(FAR, "9"))
    assert rows(record) == [bar(0, 100, 900, 100, 900, volume=2, count=2)]
    close(cache, 10, at(10, "2"))
    close(cache, 60, at(60, "3"))
    assert rows(record) == [bar(0, 100, 900, 100, 200, volume=3, count=3), bar(60, 300, 300, 300, 300)]
    instrument = cache.instrument("A")
    assert instrument is not None
    assert instrument.values[LAST] == 300


def test_a_print_from_far_ahead_is_in_the_bar_of_its_cut_also_where_a_bar_comes_behind_it() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:10")
    close(cache, 5, at(FAR, "9"), Candle("A", "1m", START - 60, 3, 3, 3, 3))
    assert rows(record) == [
        bar(-60, 300, 300, 300, 300, volume=None, count=None),
        bar(0, 900, 900, 900, 900),
    ]


def test_prints_before_a_bar_are_in_it_already_and_those_behind_it_continue_it() -> None:
    cache = a_market(periods=("1m",))
    record = watched(cache, "candles:1m:10")
    bars = Candle("A", "1m", START, "4", 9, "0.25", 5)
    close(cache, 5, at(1, "8"), bars, at(2, "1"))
    assert rows(record) == [bar(0, 400, 900, 25, 100, volume=None, count=None)]
    close(cache, 6, at(3, "7"), bars)
    assert rows(record) == [bar(0, 400, 900, 25, 500, volume=None, count=None)]


def test_a_print_up_to_an_hour_ahead_is_taken_at_its_word() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:10")
    close(cache, 0, at(3_600, "1"))
    assert rows(record) == [bar(3_600, 100, 100, 100, 100)]


def test_a_quote_from_far_ahead_is_in_the_bar_of_its_cut_and_holds_up_nothing() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:10")
    close(cache, 0, update("A", last="1", time=START * 1_000_000))
    close(cache, 5, update("A", last="9", time=(START + FAR) * 1_000_000))
    close(cache, 10, update("A", last="2", time=(START + 10) * 1_000_000))
    assert rows(record) == [bar(0, 100, 900, 100, 200, volume=None, count=None)]


def test_a_bar_from_far_ahead_is_dropped_and_the_others_stay() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:10")
    ahead, past = START + FAR // 60 * 60, START - 60
    close(cache, 0, at(0, "1"), Candle("A", "1m", ahead, 9, 9, 9, 9), Candle("A", "1m", past, 3, 3, 3, 3))
    close(cache, 10, at(10, "2"))
    assert rows(record) == [
        bar(-60, 300, 300, 300, 300, volume=None, count=None),
        bar(0, 100, 200, 100, 200, volume=2, count=2),
    ]


# Quotes


def quoted(cache: LastValueCache, second: float, **fields: str | None) -> None:
    """Publish each value of these fields in the same cut: `bid="1 2"`."""
    for name, values in fields.items():
        for value in [None] if values is None else values.split():
            cache.publish(update("A", **{name: value}))
    cache.close_cut(int((START + second) * 1_000_000))


def test_without_prints_bars_are_made_of_every_bid_and_of_every_last_once_there_is_one() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:3")
    quoted(cache, 0, bid="2 9 1 3")
    assert record.metadata["from"] == "bid"
    assert rows(record) == [bar(0, 200, 900, 100, 300, volume=None, count=None)]
    quoted(cache, 30, bid="3 0.5")
    quoted(cache, 61, bid="4", ask="5")
    assert rows(record) == [
        bar(0, 200, 900, 50, 50, volume=None, count=None),
        bar(60, 400, 400, 400, 400, volume=None, count=None),
    ]
    quoted(cache, 62, bid="6", last="5.5")
    assert record.metadata["from"] == "last"
    assert rows(record) == [bar(60, 550, 550, 550, 550, volume=None, count=None)]
    assert record.whole_at == record.defined_at == cache.last_definition == cache.cut
    quoted(cache, 63, bid="7", last=None)
    assert rows(record) == [bar(60, 550, 550, 550, 550, volume=None, count=None)]
    cut(cache, at(64, "8"))
    assert record.metadata["from"] == "trades"
    assert rows(record) == [bar(60, 800, 800, 800, 800)]
    quoted(cache, 65, last="9", bid="9")
    assert rows(record) == [bar(60, 800, 800, 800, 800)]


def test_quotes_that_wait_are_in_the_bars_when_somebody_needs_them() -> None:
    cache = a_market()
    quoted(cache, 0, bid="2")
    quoted(cache, 1, bid="9 1")
    quoted(cache, 2, bid="1.125 " + "1." + "0" * 19 + "1")
    quoted(cache, 3, bid=None)
    quoted(cache, 70, bid="3")
    candles = cache.candles_of("A", "1m")
    assert candles is not None
    found = candles.latest(3)
    assert [row[0] for row in found] == [START, START + 60]
    assert [number(cell, candles.price_scale) for cell in found[0][1:5]] == [2, 9, 1, Decimal("1." + "0" * 19 + "1")]
    record = watched(cache, "candles:5m:3")
    quoted(cache, 71, bid="4")
    assert rows(record)[0][4] == 4 * 10**record.price_scale


def test_a_quote_has_its_own_time_where_it_says_one() -> None:
    cache = a_market()
    record = watched(cache, "candles:1m:3")
    cache.publish(update("A", bid="2", time=(START + 30) * 1_000_000))
    cache.close_cut((START + 61) * 1_000_000)
    assert [row[0] for row in rows(record)] == [0]


# Bars of the past


def test_a_bar_that_a_feed_publishes_is_taken_as_it_is_and_prints_continue_it() -> None:
    cache = a_market()
    record = opened(cache, Candle("A", "1m", START, "1", "4", "0.5", "2", "7", 3), "candles:1m:3")
    assert rows(record) == [bar(0, 100, 400, 50, 200, volume=7, count=3)]
    cut(cache, at(30, "5"))
    assert rows(record) == [bar(0, 100, 500, 50, 500, volume=8, count=4)]
    cut(cache, Candle("A", "1m", START - 60, "1.125", "2", "1", "1"), Candle("A", "1m", START, "1", "1", "1", "1", 1))
    assert rows(record) == [
        bar(-60, "1.125", 200, 100, 100, volume=None, count=None),  # type: ignore[arg-type]
        bar(0, 100, 100, 100, 100, volume=1, count=None),
    ]
    assert watched(cache, "candles:5m:3").present() != {}


def test_within_a_cut_a_bar_replaces_the_prints_before_it_and_is_continued_by_those_behind() -> None:
    cache = a_market()
    record = opened(cache, at(0), "candles:1m:3")
    cut(cache, at(1, "2"), Candle("A", "1m", START, "1", "3", "1", "2", "7", 3), at(2, "4", "2"))
    assert rows(record) == [bar(0, 100, 400, 100, 400, volume=9, count=4)]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (Candle("A", "2m", START, 1, 1, 1, 1), "period: '2m': bars are kept of 1m, 5m"),
        (Candle("A", 1, START, 1, 1, 1, 1), "period: 1: "),  # type: ignore[arg-type]
        (
            Candle("A", "1m", START + 1, 1, 1, 1, 1),
            f"start: {START + 1}: the bar of 1m with this time begins at {START}",
        ),
        (Candle("A", "1m", 1.0, 1, 1, 1, 1), "start: 1.0"),  # type: ignore[arg-type]
        (Candle("A", "1m", 2**60, 1, 1, 1, 1), "start: "),
        (Candle("A", "1m", START, "x", 1, 1, 1), "open: 'x' is not a decimal"),
        (Candle("A", "1m", START, 1, 1, 1, 1.5), "close: 1.5 is a float"),  # type: ignore[arg-type]
        (Candle("A", "1m", START, 1, "0.9", 1, 1), "high: open and close have to lie between low and high"),
        (Candle("A", "1m", START, 1, 2, "1.1", 1), "high: "),
        (Candle("A", "1m", START, 1, 1, 1, 1, -1), "volume: -1: give 0 or more"),
        (Candle("A", "1m", START, 1, 1, 1, 1, 10**30), "volume: 1000000000000000000000000000000: it is too large"),
        (Candle("A", "1m", START, 1, 1, 1, 1, 1, -1), "trades: -1"),
        (Candle("A", "1m", START, 1, 1, 1, 1, 1, 10**15 + 1), "trades: 1000000000000001: give their number, 10"),
        (Candle("A", "1m", START, 1, 1, 1, 1, 1, 1.5), "trades: 1.5"),  # type: ignore[arg-type]
    ],
)
def test_a_bar_that_cannot_be_is_refused_whole(bad: Candle, text: str) -> None:
    cache = a_market()
    with pytest.raises(BadPublication) as caught:
        cache.publish(bad)
    assert str(caught.value).startswith(f"A: a candle's {text}")
    assert caught.value.cause == f"candle with an unusable {text.split(':', 1)[0]}"
    assert not cache.close_cut(9)


@pytest.mark.parametrize("declared", [True, False])
def test_bars_of_an_earlier_run_are_there_before_the_first_print_and_go_on(*, declared: bool) -> None:
    cache = LastValueCache("epoch", tables=Tables(periods=("1m",)))
    cache.time = CLOCK
    instrument = Instrument("A", 2, 0)
    if declared:
        cut(cache, instrument)
    kept: list[list[Cell]] = [[START - 60, 10, 20, 10, 15, 70, 7], [START, 10, 30, 5, 20, 15, 2]]
    cache.restore_bars("A", "1m", 1, 1, kept)
    cache.restore_bars("A", "9m", 1, 1, kept)
    if not declared:
        cut(cache, instrument)
    record = watched(cache, "candles:1m:10")
    cut(cache)
    assert (record.price_scale, record.size_scale) == (2, 1)
    assert rows(record) == [
        bar(-60, 100, 200, 100, 150, volume=70, count=7),
        bar(0, 100, 300, 50, 200, volume=15, count=2),
    ]
    cut(cache, at(40, "4"))
    assert rows(record)[1] == bar(0, 100, 400, 50, 400, volume=25, count=3)


def test_a_bar_of_an_earlier_run_is_merged_with_what_this_run_has_seen_of_it() -> None:
    cache = a_market(periods=("1m",))
    record = opened(cache, at(40, "4"), "candles:1m:10")
    cache.restore_bars("A", "1m", 0, 0, [[START - 60, 1, 1, 1, 1, 1, 1], [START, 1, 9, 1, 2, 3, 2]])
    cut(cache)
    assert rows(record) == [bar(-60, 100, 100, 100, 100), bar(0, 100, 900, 100, 400, volume=4, count=3)]


def test_quotes_do_not_touch_a_bar_of_an_earlier_run_that_has_a_volume() -> None:
    cache = a_market(periods=("1m",))
    cache.restore_bars("A", "1m", 2, 0, [[START, 100, 100, 100, 100, 1, 1]])
    record = watched(cache, "candles:1m:10")
    quoted(cache, 30, bid="7")
    assert rows(record) == [bar(0, 100, 100, 100, 100)]
    quoted(cache, 90, bid="8")
    assert rows(record)[1] == bar(60, 800, 800, 800, 800, volume=None, count=None)


def test_the_history_is_told_which_bars_have_changed() -> None:
    cache = a_market(periods=("1m",))
    cut(cache, at(0, "2"))
    cache.keep_changed_bars(lambda _: None)
    cut(cache, at(61, "3"))
    assert [bar for part in cache.take_changed_bars(9) for bar in part] == [
        ("A", "1m", 2, 0, [START + 60, 300, 300, 300, 300, 1, 1])
    ]
    assert list(cache.take_changed_bars(9)) == [[]]
    cut(cache, at(1, "2"))
    assert [bar[4][0] for part in cache.take_changed_bars(9) for bar in part] == [START]


def bars_of(first: int, end: int) -> list[Publication]:
    """Bars of these minutes, as a feed has them."""
    return [Candle("A", "1m", START + 60 * each, "1", "1", "1", "1", 1, 1) for each in range(first, end)]


@pytest.mark.parametrize("bars", [4, 10])
@pytest.mark.parametrize("per_cut", [1, 7, 100])
def test_bars_of_a_burst_that_there_is_no_room_for_are_handed_on_to_the_history(bars: int, per_cut: int) -> None:
    cache = a_market(bars=bars, periods=("1m",))
    taken: list[ChangedBar] = []
    cache.keep_changed_bars(taken.extend)
    for first in range(0, 100, per_cut):
        cut(cache, *bars_of(first, min(first + per_cut, 100)))
    assert taken
    taken += [bar for part in cache.take_changed_bars(9) for bar in part]
    assert [bar[4][0] for bar in taken] == [START + 60 * minute for minute in range(100)]
    before = len(taken)
    cut(cache, *bars_of(98, 112))
    # What it has taken is not handed on again, unless it has changed.
    taken += [bar for part in cache.take_changed_bars(9) for bar in part]
    assert [bar[4][0] for bar in taken[before:]] == [START + 60 * minute for minute in range(98, 112)]


def test_prints_of_a_burst_are_in_bars_of_the_history_although_there_is_no_room_for_them() -> None:
    cache = a_market(bars=4, periods=("1m",))
    taken: list[ChangedBar] = []
    cache.keep_changed_bars(taken.extend)
    cut(cache, *(at(60 * minute + second, str(minute + 1)) for minute in range(20) for second in range(2)))
    taken += [bar for part in cache.take_changed_bars(9) for bar in part]
    expected = [bar(60 * minute, *[100 * minute + 100] * 4, volume=2, count=2) for minute in range(20)]
    assert [[int(str(row[0])) - START, *row[1:]] for *_, row in taken] == expected


def test_a_bar_of_a_feed_from_before_all_that_are_kept_is_for_the_history_and_a_late_print_is_not() -> None:
    cache = a_market(bars=4, periods=("1m",))
    cut(cache, *bars_of(10, 20))
    taken: list[ChangedBar] = []
    cache.keep_changed_bars(taken.extend)
    cut(cache, at(60 * 2, "5"), *bars_of(5, 7))
    cut(cache, Candle("A", "1m", START + 60, "1", "1", "1", "1", 1, 1, estimate=True))
    assert [bar[4][0] for bar in taken] == [START + 60 * minute for minute in (5, 6)]


def test_bars_without_room_have_the_scale_that_they_had_when_there_was_none() -> None:
    cache = a_market(bars=4, periods=("1m",))
    taken: list[ChangedBar] = []
    cache.keep_changed_bars(taken.extend)
    cut(cache, *bars_of(0, 10), update("A", last="1.2345"))
    assert [(price_scale, row[1]) for _, _, price_scale, _, row in taken] == [(2, 100)] * len(taken)
    assert taken


def test_bars_from_far_ahead_are_not_handed_on_to_the_history() -> None:
    cache = a_market(bars=4, periods=("1m",))
    taken: list[ChangedBar] = []
    cache.keep_changed_bars(taken.extend)
    ahead = (CLOCK // 1_000_000 - START) // 60 + 600
    cut(cache, *bars_of(0, 2), *bars_of(ahead, ahead + 20))
    taken += [bar for part in cache.take_changed_bars(9) for bar in part]
    assert [bar[4][0] for bar in taken] == [START, START + 60]


def test_the_history_is_told_of_bars_of_quotes_that_wait_and_each_only_when_it_changed() -> None:
    cache = a_market(periods=("1m",))
    cache.keep_changed_bars(lambda _: None)
    for minute in range(3):
        quoted(cache, 60 * minute, bid=str(minute + 1))
        quoted(cache, 60 * minute + 1, ask="9")
        taken = [bar[4][0] for part in cache.take_changed_bars(9) for bar in part]
        assert taken[-1] == START + 60 * minute
        assert len(taken) <= 2
    cut(cache)
    assert list(cache.take_changed_bars(9)) == [[]]


def test_the_table_shows_the_status_of_its_instrument() -> None:
    cache = a_market()
    record = opened(cache, at(0), "candles:1m:3")
    cut(cache, Stale("A", "gap"))
    assert record.present()[STATUS] == "stale"


# Against a naive reading


class NaiveBar(NamedTuple):
    start: int
    prices: list[int]
    late: list[int]
    volume: int


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9), st.integers(1, 5), st.booleans()), max_size=40))
def test_bars_equal_a_naive_reading_of_all_prints(prints: list[tuple[int, int, int, bool]]) -> None:
    cache = a_market(periods=("1m", "5m"), places=0)
    records = {60: watched(cache, "candles:1m:1000"), 300: watched(cache, "candles:5m:1000")}
    cut(cache)
    naive: dict[int, dict[int, NaiveBar]] = {60: {}, 300: {}}
    newest = -1
    for second, price, size, closes in prints:
        late = (START + second) // 60 < (START + newest) // 60 and newest >= 0
        newest = max(newest, second)
        for length, bars in naive.items():
            start = (START + second) // length * length
            found = bars.get(start, NaiveBar(start, [], [], 0))
            on_time, amended = [*found.prices, *([] if late else [price])], [*found.late, *([price] if late else [])]
            bars[start] = NaiveBar(start, on_time, amended, found.volume + size)
        cache.publish(at(second, str(price), str(size)))
        if closes:
            cache.close_cut(CLOCK)
    cache.close_cut(CLOCK)
    for length, bars in naive.items():
        expected = []
        for _, each in sorted(bars.items()):
            everything = each.prices + each.late
            first, last = (each.prices or each.late)[0], (each.prices or each.late[:1])[-1]
            cells = [first, max(everything), min(everything), last, each.volume, len(everything)]
            expected.append([each.start - START, *cells])
        assert rows(records[length]) == expected

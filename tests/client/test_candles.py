"""ticker/client/candles.py and bar_times.py: bars, the empty ones among them, and each closed one once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.client.tables import CANDLES, STATUS, Talk, bar, ready
from ticker import Bar, Candles
from ticker.client.bar_times import bar_end, filled, period_seconds
from ticker.errors import ConfigError
from ticker.market import Rows
from ticker.protocol.messages import Definition, Heartbeat

D = Decimal
SECOND = 1_000_000
BARS = Definition(-9, "A candles:1m:5", 2, 1, {"period": "1m", "from": "trades"})


def opened(talk: Talk, rows: Rows, now: float, *, count: int = 5, fill: bool = False) -> Candles:
    """Bars of A, complete at so many seconds; the service has five of them."""
    reader = talk.client.candles("A", "1m", count, fill=fill)
    talk.define(BARS)
    talk.record(-9, {CANDLES: rows, STATUS: "live"}, int(now * SECOND))
    talk.answer()
    return reader


def at(start: int) -> datetime:
    return datetime.fromtimestamp(start, UTC)


def closes(bars: list[Bar]) -> list[tuple[int, int, bool]]:
    """Start, close in hundredths and correction of each."""
    return [(int(each.start.timestamp()), int(each.close * 100), each.correction) for each in bars]


async def test_bars_have_exact_numbers_and_the_last_one_is_that_of_now() -> None:
    talk = Talk()
    row: Rows = [60, 100, 130, 90, 120, 25, 7]
    reader = opened(talk, [*row, *bar(120, 121, volume=None, count=None)], 125)
    first, last = reader.bars
    assert first == Bar(at(60), D("1.00"), D("1.30"), D("0.90"), D("1.20"), D("2.5"), 7)
    assert (last.start, last.close, last.volume, last.trades) == (at(120), D("1.21"), None, None)
    talk.change(-9, {CANDLES: bar(120, 122)}, 126 * SECOND)
    assert [each.close for each in reader.bars] == [D("1.20"), D("1.22")]


async def test_fewer_bars_than_the_service_offers_are_shown() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60), *bar(120), *bar(180)], 185, count=2)
    assert reader.name == "A candles:1m:5"
    assert [each.start for each in reader.bars] == [at(120), at(180)]
    assert closes(await ready(reader, 9)) == [(120, 100, False)]


async def test_with_one_bar_asked_for_a_loop_begins_with_the_next_that_closes() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60), *bar(120)], 125, count=1)
    assert await ready(reader, 9) == []
    talk.change(-9, {CANDLES: [*bar(180), *bar(240)]}, 245 * SECOND)
    assert closes(await ready(reader, 9)) == [(120, 100, False), (180, 100, False)]


# Closed bars


async def test_a_loop_has_each_closed_bar_once_by_the_clock_of_the_service() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60), *bar(120, 101)], 125)
    assert closes(await ready(reader, 9)) == [(60, 100, False)]
    talk.change(-9, {CANDLES: bar(120, 102)}, 179 * SECOND)
    assert await ready(reader, 9) == []
    talk.says(Heartbeat(3, 180 * SECOND))  # without a trade
    assert closes(await ready(reader, 9)) == [(120, 102, False)]
    talk.change(-9, {CANDLES: bar(240, 103)}, 241 * SECOND)
    talk.change(-9, {CANDLES: [*bar(240, 104), *bar(300, 105)]}, 301 * SECOND)
    assert closes(await ready(reader, 9)) == [(240, 104, False)]


async def test_changes_of_other_records_move_the_clock_too() -> None:
    talk = Talk()
    reader = opened(talk, bar(60), 65)
    talk.define(Definition(1, "B", 2, 0, {}))
    talk.record(1, {1: 5}, 121 * SECOND)
    assert closes(await ready(reader, 9)) == [(60, 100, False)]


async def test_a_late_trade_brings_a_closed_bar_again() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60), *bar(180), *bar(240)], 245)
    await ready(reader, 9)
    talk.change(-9, {CANDLES: [*bar(60, 99), *bar(120, 98)]}, 246 * SECOND)
    assert closes(await ready(reader, 9)) == [(60, 99, True), (120, 98, True)]


async def test_bars_from_before_1970_are_bars() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(-120), *bar(-60), *bar(0)], 30)
    assert [each.start for each in reader.bars] == [at(-120), at(-60), at(0)]
    assert [each.start for each in await ready(reader, 9)] == [at(-120), at(-60)]
    talk.change(-9, {CANDLES: bar(-60, 98)}, 31 * SECOND)
    assert closes(await ready(reader, 9)) == [(-60, 98, True)]


async def test_a_service_that_starts_anew_brings_no_bar_again_that_is_the_same() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60), *bar(120)], 125)
    assert len(await ready(reader, 9)) == 1
    talk.connect("e2", 1)
    talk.define(Definition(-4, "A candles:1m:5", 4, 1, {}))
    rows = [*bar(60, 10_000), *bar(120, 10_100), *bar(180, 10_200)]
    talk.record(-4, {CANDLES: rows, STATUS: "live"}, 185 * SECOND)
    talk.answer()
    assert closes(await ready(reader, 9)) == [(120, 101, False)]


# Empty bars


async def test_empty_bars_have_the_last_close_and_no_volume() -> None:
    talk = Talk()
    reader = opened(talk, [*bar(60, 101), *bar(240, 105)], 309, fill=True)
    assert closes(reader.bars) == [
        (60, 101, False),
        *[(start, 101, False) for start in (120, 180)],
        (240, 105, False),
        (300, 105, False),
    ]
    assert reader.bars[1] == Bar(at(120), D("1.01"), D("1.01"), D("1.01"), D("1.01"), D(0), 0)
    talk.says(Heartbeat(9, 361 * SECOND))
    assert reader.bars[-1].start == at(360)
    assert len(reader.bars) == 5


async def test_an_empty_day_is_there_as_it_begins_also_where_that_is_not_midnight_utc() -> None:
    talk = Talk()
    start = 20_000 * DAY + 22 * 3600  # 17:00 in New York, in winter
    reader = talk.client.candles("A", "1d", 5, fill=True)
    talk.define(Definition(-9, "A candles:1d:5", 2, 1, {"period": "1d", "from": "trades"}))
    talk.record(-9, {CANDLES: bar(start), STATUS: "live"}, (start + DAY - 1) * SECOND)
    talk.answer()
    assert [each.start for each in reader.bars] == [at(start)]
    talk.says(Heartbeat(9, (start + DAY) * SECOND))
    assert [each.start for each in reader.bars] == [at(start), at(start + DAY)]


async def test_a_loop_has_empty_bars_as_their_time_is_over_and_again_if_a_trade_comes_late() -> None:
    talk = Talk()
    reader = opened(talk, bar(60, 101), 65, fill=True)
    assert await ready(reader, 9) == []
    talk.says(Heartbeat(2, 245 * SECOND))
    assert closes(await ready(reader, 9)) == [(60, 101, False), (120, 101, False), (180, 101, False)]
    talk.cut = 2
    talk.change(-9, {CANDLES: bar(120, 99)}, 246 * SECOND)
    assert closes(await ready(reader, 9)) == [(120, 99, True), (180, 99, True)]


async def test_bars_of_quotes_are_filled_without_a_volume() -> None:
    talk = Talk()
    reader = opened(talk, bar(60, volume=None, count=None), 125, fill=True)
    assert [(each.volume, each.trades) for each in reader.bars] == [(None, None)] * 2


def starts(rows: list[Any]) -> list[int]:
    return [row[0] for row in rows]


def rows_at(*times: int) -> list[Any]:
    return [tuple(bar(time)) for time in times]


@pytest.mark.parametrize(
    ("times", "now", "found"),
    [
        ([], 100, []),
        ([60], 60, [60]),
        ([60], 119, [60]),
        ([60], 120, [60, 120]),
        ([60, 240], 250, [60, 120, 180, 240]),
        ([60, 120], 0, [60, 120]),
        ([60], 10**11, [10**11 - 10**11 % 60 - 60 * number for number in (4, 3, 2, 1, 0)]),
        ([0, 10**10 * 60], 10**10 * 60, [(10**10 - number) * 60 for number in (4, 3, 2, 1, 0)]),
        ([0, 60, 120, 180, 240, 300], 300, [60, 120, 180, 240, 300]),
    ],
)
def test_at_most_the_latest_bars_are_filled(times: list[int], now: int, found: list[int]) -> None:
    assert starts(filled(rows_at(*times), 60, now, 5)) == found


DAY, HOUR = 86_400, 3_600


def test_days_of_23_and_25_hours_are_no_gaps() -> None:
    begin = 20_000 * DAY + 21 * HOUR
    days = [begin, begin + DAY - HOUR, begin + 2 * DAY, begin + 3 * DAY]
    assert starts(filled(rows_at(*days), DAY, days[-1], 9)) == days
    over = [begin, begin + 3 * DAY - HOUR, begin + 5 * DAY]
    assert len(filled(rows_at(*over), DAY, over[-1], 9)) == 6


@pytest.mark.parametrize(("change", "where"), [(HOUR, 1), (HOUR, 2), (HOUR, 3), (-HOUR, 1), (-HOUR, 2), (-HOUR, 3)])
def test_empty_days_are_filled_across_one_of_23_or_25_hours(change: int, where: int) -> None:
    begin = 20_000 * DAY + 4 * HOUR
    true = [begin + number * DAY + (change if number >= where else 0) for number in range(5)]
    found = starts(filled(rows_at(true[0], true[-1]), DAY, true[-1], 9))
    assert len(found) == 5
    assert all(abs(start - its) <= HOUR for start, its in zip(found, true, strict=True)), "at most an hour off"
    assert starts(filled(rows_at(*true), DAY, true[-1], 9)) == true, "a day that is there is where it is"


def test_a_day_that_may_have_25_hours_is_over_when_they_are() -> None:
    assert bar_end(60, 60) == 120
    assert bar_end(5 * DAY, DAY) == 6 * DAY
    assert bar_end(5 * DAY + HOUR, DAY) == 6 * DAY + 2 * HOUR
    assert [period_seconds(period) for period in ("15s", "5m", "4h", "1d")] == [15, 300, 4 * HOUR, DAY]


# Data frames


async def test_bars_are_a_table_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    talk = Talk()
    reader = opened(talk, [*bar(60, 101, volume=None, count=None), *bar(120, 102)], 125)
    frame = reader.to_pandas()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume", "trades"]
    assert list(frame.index) == [pandas.Timestamp(start, unit="s", tz="UTC") for start in (60, 120)]
    assert list(frame["close"]) == [1.01, 1.02]
    assert frame["volume"].isna().tolist() == [True, False]
    assert frame["trades"].sum() == 2
    assert str(frame["close"].dtype) == "float64"
    assert len(opened(Talk(), [], 125).to_pandas()) == 0


async def test_bars_are_a_table_of_polars() -> None:
    polars = pytest.importorskip("polars")
    talk = Talk()
    reader = opened(talk, [*bar(60, 101, volume=None, count=None), *bar(120, 102)], 125)
    frame = reader.to_polars()
    assert frame.columns == ["start", "open", "high", "low", "close", "volume", "trades"]
    assert frame["start"].to_list() == [at(60), at(120)]
    assert frame["volume"].to_list() == [None, 0.3]
    assert frame.schema["trades"] == polars.Int64
    assert opened(Talk(), [], 125).to_polars().schema == frame.schema


# Periods that cannot be


@pytest.mark.parametrize(
    ("period", "count", "text"),
    [
        ("2m", 5, "period: '2m'; the service's candles: 1m, 1d"),
        ("1m", 301, "count: 301; the service's candles: 5, 300"),
        (60, 5, "period: 60;"),
    ],
)
async def test_bars_that_cannot_be_are_refused_with_what_there_is(period: str, count: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Talk().client.candles("A", period, count)

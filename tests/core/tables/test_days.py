"""ticker/core/tables/days.py and periods.py: where bars begin."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.core.tables.books import CANDLES, watched
from tests.support import CLOCK, cut
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.core.tables.days import Days
from ticker.core.tables.periods import Period
from ticker.errors import ConfigError
from ticker.market import Instrument, Trade


def second(text: str) -> int:
    """A time in UTC, in seconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("day", "time", "start", "end"),
    [
        ("UTC", "2026-11-29T12:00", "2026-11-29T00:00", "2026-11-30T00:00"),
        ("UTC", "2026-11-29T00:00", "2026-11-29T00:00", "2026-11-30T00:00"),
        ("UTC 22:00", "2026-11-29T21:59:59", "2026-11-28T22:00", "2026-11-29T22:00"),
        ("America/New_York 17:00", "2026-11-29T21:59", "2026-11-28T22:00", "2026-11-29T22:00"),
        ("America/New_York 17:00", "2026-11-29T22:00", "2026-11-29T22:00", "2026-11-30T22:00"),
        # 23 hours: the clocks go forward on 8 March 2026 in New York, and back on 1 November
        ("America/New_York", "2026-03-08T12:00", "2026-03-08T05:00", "2026-03-09T04:00"),
        ("America/New_York", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("Europe/Berlin 09:00", "2026-03-29T06:59", "2026-03-28T08:00", "2026-03-29T07:00"),
        # 02:30 does not exist on that day, and exists twice in autumn
        ("Europe/Berlin 02:30", "2026-03-29T12:00", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("Europe/Berlin 02:30", "2026-10-25T01:00", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("Asia/Tokyo", "1969-12-31T20:00", "1969-12-31T15:00", "1970-01-01T15:00"),
    ],
)
def test_a_day_begins_at_its_time_of_its_zone(day: str, time: str, start: str, end: str) -> None:
    assert Days(day).bounds(second(time)) == (second(start), second(end))


@pytest.mark.parametrize("zone", ["America/New_York 17:00", "Europe/Berlin 02:30", "Australia/Lord_Howe", "UTC"])
def test_days_follow_each_other_without_a_gap(zone: str) -> None:
    days, hours = Days(zone), set()
    start, end = days.bounds(second("2026-01-01T12:00"))
    for _ in range(366):
        assert days.bounds(start) == days.bounds(end - 1) == (start, end)
        hours.add((end - start) / 3600)
        start, following = days.bounds(end)
        assert start == end
        end = following
    assert hours == {"UTC": {24}, "Australia/Lord_Howe": {23.5, 24, 24.5}}.get(zone, {23, 24, 25})


@pytest.mark.parametrize(
    "text", ["", "Nowhere/At_All", "UTC 24:00", "UTC 1:00", "UTC 12:00 x", "../UTC", "America", " UTC"]
)
def test_a_day_that_cannot_be_is_refused_with_its_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match=r"tables\.day = .*give a zone of the IANA database"):
        Days(text)


@pytest.mark.parametrize(
    ("name", "time", "start", "end"),
    [("1s", 61, 61, 62), ("5m", 299, 0, 300), ("4h", 14_400, 14_400, 28_800), ("1m", -1, -60, 0), ("1d", 5, 0, 86_400)],
)
def test_bars_begin_at_multiples_of_their_period(name: str, time: int, start: int, end: int) -> None:
    assert Period(name, Days("UTC")).bounds(time) == (start, end)


@pytest.mark.parametrize(
    ("day", "start"),
    [
        ("UTC", "2026-03-02T00:00"),
        ("Europe/Berlin 08:00", "2026-03-02T07:00"),
        ("America/New_York 17:00", "2026-03-01T22:00"),
    ],
)
def test_a_week_begins_with_the_monday_that_is_traded(day: str, start: str) -> None:
    """2 March 2026 is a Monday; a day that begins at 17:00 is called by the next date."""
    week = Period("7d", Days(day))
    assert week.bounds(second("2026-03-05T00:00"))[0] == second(start)
    assert week.bounds(second(start))[0] == second(start)
    assert week.bounds(second(start) - 1)[1] == second(start)


def test_bars_of_several_days_follow_each_other() -> None:
    week = Period("7d", Days("America/New_York 17:00"))
    assert week.seconds == 7 * 86_400
    start, end = week.bounds(second("2026-03-05T00:00"))
    assert week.bounds(end - 1) == (start, end)
    assert week.bounds(end)[0] == end
    assert end - start == 7 * 86_400 - 3600


@pytest.mark.parametrize(
    ("begin", "last", "following", "hours"),
    [
        ("2026-03-08T05:00", "2026-03-09T03:59:59", "2026-03-09T04:00", 23),
        ("2026-11-01T04:00", "2026-11-02T04:59:59", "2026-11-02T05:00", 25),
    ],
)
def test_a_bar_of_a_day_may_have_23_or_25_hours(begin: str, last: str, following: str, hours: int) -> None:
    assert second(following) - second(begin) == hours * 3600
    cache = LastValueCache("epoch", tables=Tables(periods=("1d", "1h"), day="America/New_York"))
    cache.time = CLOCK
    cut(cache, Instrument("A", 0, 0))
    days, hourly = watched(cache, "candles:1d:10"), watched(cache, "candles:1h:50")
    times = [second(begin) + 3600 * number for number in range(hours)]
    cut(cache, *[Trade("A", 1, 1, time=time * 1_000_000) for time in (*times, second(last), second(following))])
    assert days.present()[CANDLES] == [
        *(second(begin), 1, 1, 1, 1, hours + 1, hours + 1),
        *(second(following), 1, 1, 1, 1, 1, 1),
    ]
    rows = hourly.present()[CANDLES]
    assert isinstance(rows, list)
    assert rows[::7] == [*times, second(following)], "each hour has its bar, also the one that the clocks show twice"

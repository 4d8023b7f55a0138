"""The times of bars: when one ends, and the bars of periods in which nothing was traded. Pure.

The start of a bar is its true one. Hours and shorter periods all have one length; a day, in a zone with daylight-saving
time, may have 23 or 25 hours, and which zone the service has is not known here.
"""

from __future__ import annotations

from typing import cast

from ticker.client.rows import Row
from ticker.market import Cell

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DAY, _HOUR = 86_400, 3600


def period_seconds(period: str) -> int:
    """Return the length of a period such as `1m`, in seconds."""
    return int(period[:-1]) * _UNITS[period[-1]]


def bar_end(start: int, seconds: int) -> int:
    """Return the time at which a bar is over for certain, if no later one says so before.

    A day that does not begin at midnight UTC may have 25 hours.
    """
    return start + seconds + (_HOUR if seconds % _DAY == 0 and start % _DAY else 0)


def filled(rows: list[Row], seconds: int, now: int, most: int) -> list[Row]:
    """Return the latest rows, at most `most`, with one for each period up to `now` in which there is none.

    Days are taken as 24 hours long between two rows: the start of a filled one may be an hour off.
    """
    found: list[Row] = []
    later = now + seconds
    """Start of the next row; at first, the earliest end of a bar that has not begun yet."""
    for row in reversed(rows):
        start = cast("int", row[0])
        # A gap of less than half a period is a longer day.
        empty = max(0, (later - start - (seconds + 1) // 2) // seconds) if found else max(0, (now - start) // seconds)
        numbers = range(empty, max(0, empty - (most - len(found))), -1)
        found += [_empty(row, start + number * seconds) for number in numbers]
        if len(found) >= most:
            break
        found.append(row)
        later = start
    return found[:most][::-1]


def _empty(row: Row, start: int) -> Row:
    """Return the row of a period without trades behind this one."""
    close, volume, count = row[4:]
    nothing: list[Cell] = [None if known is None else 0 for known in (volume, count)]
    return (start, close, close, close, close, *nothing)

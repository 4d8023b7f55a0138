"""Bars that others than the writer read: older ones for a request, and all of them for a table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ticker.history.bar_store import COLUMNS, Bars, Series, StoredBar, find_series, is_usable, latest_bars
from ticker.history.database import faults, open_to_read

NO_BARS = Bars(0, 0, [])


def read_bars(path: Path, name: tuple[str, str, str], before: int, most: int) -> Bars:
    """Return the latest bars that start before a time in seconds. `name` is symbol, period and the beginning of a day.

    Blocks. Raises `HistoryFault`.
    """
    connection = open_to_read(path)
    try:
        with faults(path):
            series = find_series(connection, *name)
            return NO_BARS if series is None else latest_bars(connection, series.number, most, before)
    finally:
        connection.close()


class Span(NamedTuple):
    """A time from `start` to before `end`, in seconds since 1970 UTC."""

    start: int
    end: int


class Widths(NamedTuple):
    """The finest scales of some bars, and whether numbers without a scaled integer are among them."""

    price_scale: int
    size_scale: int
    texts: bool


_NAMED = "SELECT number FROM series WHERE symbol = ? AND period = ? AND day = ?"
_WHERE = "WHERE series = ?1 AND start >= ?2 AND start < ?3"
_CHUNK = f"SELECT {COLUMNS} FROM bars {_WHERE} UNION ALL SELECT {COLUMNS} FROM open_bars {_WHERE}"  # noqa: S608
_TEXTS = " OR ".join(f"typeof({name}) = 'text'" for name in ("open", "high", "low", "close", "volume"))
_WIDTHS = f"SELECT max(price_scale), max(size_scale), max({_TEXTS}) FROM ({_CHUNK})"  # noqa: S608


def bars_in(connection: sqlite3.Connection, series: Series, span: Span, most: int) -> Iterator[list[StoredBar]]:
    """Yield the bars of a series, ascending, in lists of at most so many.

    Each list is a moment of its own: while one is open for reading, the writer's log cannot get shorter.
    """
    start = span.start
    while (number := _number(connection, series)) is not None:
        rows = connection.execute(f"{_CHUNK} ORDER BY start LIMIT ?4", (number, start, span.end, most)).fetchall()
        yield [row for row in rows if is_usable(row)]
        if len(rows) < most:
            return
        start = rows[-1][0] + 1


def widths_of(connection: sqlite3.Connection, series: Series, span: Span) -> Widths:
    """Return what the numbers of these bars need."""
    found = connection.execute(_WIDTHS, (_number(connection, series), *span)).fetchone()
    return Widths(found[0] or 0, found[1] or 0, bool(found[2]))


def _number(connection: sqlite3.Connection, series: Series) -> int | None:
    """Return its number, which may be another's once all of its bars were deleted."""
    found = connection.execute(_NAMED, (series.symbol, series.period, series.day)).fetchone()
    return None if found is None else int(found[0])

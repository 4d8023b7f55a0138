"""Bars in the database: written as they change, read by symbol and period, and deleted when they are too old."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from ticker.history.database import number, transaction
from ticker.market import MAX_TRADES, Cell
from ticker.numbers import MAX_INTEGER, MAX_SCALE, is_plain_decimal, rescaled_number

ChangedBar: TypeAlias = tuple[str, str, int, int, Sequence[Cell]]
"""A bar as the cache hands it out: symbol, period, price scale, size scale, and the row of a candle on the wire
(`ticker.protocol.tables.COLUMNS`): start in seconds, open, high, low, close, volume, count."""

_Stored: TypeAlias = tuple[int, int, int, int, Cell, Cell, Cell, Cell, Cell, Cell]
"""A row of the database: series, start, price scale, size scale, open, high, low, close, volume, count."""

StoredBar: TypeAlias = tuple[int, int, int, Cell, Cell, Cell, Cell, Cell, Cell]
"""The same without the series."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PERIOD = re.compile(r"[1-9][0-9]{0,3}[smhd]")

COLUMNS = "start, price_scale, size_scale, open, high, low, close, volume, count"
"""Those of a `StoredBar`."""

_PLACES = ", ".join("?" * 10)
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, in seconds since 1970 UTC."""
_INTEGERS = {int}
_SERIES_PER_PRUNE = 100
_FULL_AT = 0.9
"""Bars are deleted when so much of the file's limit is used."""
_SHORTER = 0.8
_VACUUMED_PAGES = 10_000
"""Free pages that are given back to the disk at once: 40 MB."""


class Bars(NamedTuple):
    """Bars of a symbol and period, ascending, as rows of a candle table at these scales."""

    price_scale: int
    size_scale: int
    rows: list[list[Cell]]


class Series(NamedTuple):
    """A symbol and period in the file. `day` is empty, or for days the beginning of a day (`Tables.day`)."""

    number: int
    symbol: str
    period: str
    day: str


def seconds_of(period: str) -> int:
    """Return the length of a period such as `5m`; of a day that has 24 hours."""
    return int(period[:-1]) * _SECONDS[period[-1]]


def all_series(connection: sqlite3.Connection) -> list[Series]:
    """Return the symbols and periods in the file, by symbol. Raises `sqlite3.DatabaseError` for one that cannot be."""
    found = connection.execute("SELECT number, symbol, period, day FROM series ORDER BY symbol, period, day")
    series = [Series(*each) for each in found.fetchall()]
    for each in series:
        if not all(type(text) is str for text in each[1:]) or _PERIOD.fullmatch(each.period) is None:
            raise sqlite3.DatabaseError(f"series {each.number}: its symbol, period or day cannot be one")
    return series


def find_series(connection: sqlite3.Connection, symbol: str, period: str, day: str) -> Series | None:
    """Return the series with this name, if there is one."""
    name = (symbol, period, day_of(period, day))
    found = connection.execute(
        "SELECT number, symbol, period, day FROM series WHERE symbol = ? AND period = ? AND day = ?", name
    ).fetchone()
    return None if found is None else Series(*found)


def latest_bars(connection: sqlite3.Connection, series: int, most: int, before: int = MAX_INTEGER) -> Bars:
    """Return the latest bars of a series that start before this time, in seconds since 1970 UTC."""
    # One statement, because it sees one moment: a bar moves from one table to the other as it closes.
    columns = f"SELECT {COLUMNS} FROM"
    where = "WHERE series = ?1 AND start < ?2"
    statement = f"{columns} bars {where} UNION ALL {columns} open_bars {where} ORDER BY start DESC LIMIT ?3"
    return _at_one_scale(connection.execute(statement, (series, before, most)).fetchall()[::-1])


def day_of(period: str, day: str) -> str:
    """Return the beginning of a day as far as a period depends on it."""
    return day if period.endswith("d") else ""


class BarStore:
    """The writing side of the database. `day` is the beginning of a day (`Tables.day`)."""

    def __init__(self, connection: sqlite3.Connection, day: str) -> None:
        self._connection = connection
        self._day = day
        self._read_series()

    def __repr__(self) -> str:
        return f"<BarStore: {len(self._numbers)} series>"

    def write(self, bars: Iterable[ChangedBar]) -> int:
        """Write these bars in one transaction, each instead of that with the same start; return their number."""
        try:
            with transaction(self._connection):
                return self._write(bars)
        except BaseException:
            self._read_series()  # what was added to it is not in the file
            raise

    def prune(self, now: int, keep_bars: float) -> int:
        """Delete bars that began so many periods before `now` (in seconds), and series without any; return the number
        of bars."""
        series = all_series(self._connection)
        deleted = 0
        for at in range(0, len(series), _SERIES_PER_PRUNE):
            with transaction(self._connection):
                for each in series[at : at + _SERIES_PER_PRUNE]:
                    oldest = now - int(seconds_of(each.period) * keep_bars)
                    for table in ("bars", "open_bars"):
                        statement = f"DELETE FROM {table} WHERE series = ? AND start < ?"  # noqa: S608
                        deleted += self._connection.execute(statement, (each.number, oldest)).rowcount
        if deleted:
            with transaction(self._connection):
                self._connection.execute(
                    "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM bars WHERE series = number)"
                    " AND NOT EXISTS (SELECT 1 FROM open_bars WHERE series = number)"
                )
            self._read_series()
        return deleted

    def make_room(self, now: int, keep_bars: int, max_bytes: int) -> int:
        """Delete the oldest bars of all series until the file has room again; return their number."""
        deleted, keep = 0, float(keep_bars)
        while self.used_bytes > max_bytes * _FULL_AT and keep > 1:
            keep = max(1.0, keep * _SHORTER)
            deleted += self.prune(now, keep)
        return deleted

    def vacuum(self) -> None:
        """Give free pages back to the disk, where they are many."""
        if number(self._connection, "PRAGMA freelist_count") * 4 > number(self._connection, "PRAGMA page_count"):
            # Each step of the statement frees a page, and only a script is run to its end.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUMED_PAGES})")

    def is_full(self, max_bytes: int) -> bool:
        """Return whether the file is near its limit."""
        return self.used_bytes > max_bytes * _FULL_AT

    @property
    def used_bytes(self) -> int:
        """Bytes of the file that are in use."""
        pages = number(self._connection, "PRAGMA page_count") - number(self._connection, "PRAGMA freelist_count")
        return pages * number(self._connection, "PRAGMA page_size")

    def _read_series(self) -> None:
        series = all_series(self._connection)
        self._numbers = {(each.symbol, each.period, each.day): each.number for each in series}
        self._open = dict[int, int](self._connection.execute("SELECT series, start FROM open_bars").fetchall())
        if not all(type(start) is int for start in self._open.values()):
            raise sqlite3.DatabaseError("an open bar without a start")

    def _write(self, bars: Iterable[ChangedBar]) -> int:
        by_series: dict[int, list[_Stored]] = {}
        count = 0
        for symbol, period, price_scale, size_scale, (start, *values) in bars:
            series = self._number(symbol, period)
            row: _Stored = (series, start, price_scale, size_scale, *values)  # type: ignore[assignment]
            by_series.setdefault(series, []).append(row)
            count += 1
        closed: list[_Stored] = []
        opened: list[_Stored] = []
        replaced: list[tuple[int]] = []
        for series, rows in by_series.items():
            rows.sort(key=_start)
            newest = self._open.get(series)
            if newest is None or rows[-1][1] >= newest:
                if newest is not None and rows[-1][1] > newest:
                    replaced.append((series,))
                opened.append(rows.pop())
            closed += rows
        execute = self._connection.executemany
        # First those that close: what has changed of them is in `closed`.
        execute("INSERT OR REPLACE INTO bars SELECT * FROM open_bars WHERE series = ?", replaced)
        execute(f"INSERT OR REPLACE INTO open_bars VALUES ({_PLACES})", opened)  # noqa: S608
        execute(f"INSERT OR REPLACE INTO bars VALUES ({_PLACES})", closed)  # noqa: S608
        self._open.update((row[0], row[1]) for row in opened)
        return count

    def _number(self, symbol: str, period: str) -> int:
        name = (symbol, period, day_of(period, self._day))
        found = self._numbers.get(name)
        if found is None:
            made = self._connection.execute("INSERT INTO series (symbol, period, day) VALUES (?, ?, ?)", name)
            found = self._numbers[name] = made.lastrowid or 0
        return found


def _start(row: _Stored) -> int:
    return row[1]


def _at_one_scale(rows: Sequence[StoredBar]) -> Bars:
    """Return stored rows as bars; those that no table can have are left out."""
    usable = [row for row in rows if is_usable(row)]
    price_scale = max((row[1] for row in usable), default=0)
    size_scale = max((row[2] for row in usable), default=0)
    at_scale = [
        [row[0], *row[3:]] if row[1:3] == (price_scale, size_scale) else list(_rescaled(row, price_scale, size_scale))
        for row in usable
    ]
    return Bars(price_scale, size_scale, at_scale)


def is_usable(row: Sequence[Any]) -> bool:
    """Return whether the values of a row have the types of a bar: a file may have been edited."""
    start, price_scale, size_scale, *prices, volume, count = row
    if set(map(type, row)) == _INTEGERS:
        return bool(
            _FIRST <= start <= _LAST
            and 0 <= price_scale <= MAX_SCALE
            and 0 <= size_scale <= MAX_SCALE
            and min(row) >= -MAX_INTEGER
            and max(row) <= MAX_INTEGER
            and volume >= 0
            and 0 <= count <= MAX_TRADES
        )
    return (
        type(start) is int
        and _FIRST <= start <= _LAST
        and type(price_scale) is int
        and type(size_scale) is int
        and 0 <= price_scale <= MAX_SCALE
        and 0 <= size_scale <= MAX_SCALE
        and all(_is_number(price) for price in prices)
        and (volume is None or _is_number(volume))
        and (count is None or (type(count) is int and 0 <= count <= MAX_TRADES))
    )


def _is_number(value: object) -> bool:
    return (type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER) or (
        type(value) is str and is_plain_decimal(value)
    )


def _rescaled(row: StoredBar, price_scale: int, size_scale: int) -> Iterator[Cell]:
    start, own_price_scale, own_size_scale, *prices, volume, count = row
    yield start
    for price in prices:
        yield price if price is None else rescaled_number(price, own_price_scale, price_scale)
    yield volume if volume is None else rescaled_number(volume, own_size_scale, size_scale)
    yield count

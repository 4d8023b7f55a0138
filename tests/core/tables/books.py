"""Helpers of the tests of tables: an independent model of a book, and a client's copy of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeAlias

from tests.support import cut
from ticker.core.last_value import LastValueCache
from ticker.core.tables.table_record import TableRecord
from ticker.market import Cell, Field, FieldKey, Level, Levels, Publication, RecordValue
from ticker.numbers import decimal_text
from ticker.protocol.tables import COLUMNS, parse_table

BIDS, ASKS, STATUS, REASON = int(Field.BIDS), int(Field.ASKS), int(Field.STATUS), int(Field.REASON)
TRADES, CANDLES = int(Field.TRADES), int(Field.CANDLES)

Ladder: TypeAlias = list[tuple[Decimal, Decimal]]
"""Prices and sizes of a side, the best first."""


def levels(bids: Iterable[Level] = (), asks: Iterable[Level] = (), *, symbol: str = "A") -> Levels:
    """Changed levels."""
    return Levels(symbol, list(bids), list(asks))


def whole(
    bids: Iterable[Level] = (), asks: Iterable[Level] = (), *, depth: int | None = None, symbol: str = "A"
) -> Levels:
    """A complete book."""
    return Levels(symbol, list(bids), list(asks), complete=True, depth=depth)


def watched(cache: LastValueCache, table: str = "book:3", symbol: str = "A") -> TableRecord:
    """The record of a table that is watched from now on; it is up to date after the next cut."""
    name = parse_table(table)
    assert name is not None
    record = cache.open_table(symbol, name)
    record.watch()
    return record


def opened(cache: LastValueCache, first: Publication, table: str = "book:3") -> TableRecord:
    """The same, after the cut in which it was opened and this was published."""
    record = watched(cache, table)
    cut(cache, first)
    return record


def number(cell: object, scale: int) -> Decimal:
    """A price or size of the wire."""
    return Decimal(decimal_text(cell, scale)) if isinstance(cell, int) else Decimal(str(cell))


def sides(record: TableRecord, fields: Mapping[FieldKey, RecordValue]) -> tuple[Ladder, Ladder]:
    """Rows of a book as decimals, the best first."""
    found = []
    for field, sign in ((BIDS, -1), (ASKS, 1)):
        flat = fields.get(field, [])
        assert isinstance(flat, list)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        read = [(number(price, record.price_scale), number(size, record.size_scale)) for price, size in pairs]
        found.append(sorted(read, key=lambda level: sign * level[0]))
    return found[0], found[1]


class TableCopy:
    """What a client holds of one table: rows by their keys, each side for itself, and the marks."""

    def __init__(self) -> None:
        self.cursor = 0
        self.marks: dict[FieldKey, RecordValue] = {}
        self.rows: dict[FieldKey, dict[Cell, list[Cell]]] = {}

    def update(self, record: TableRecord, now: int, keep: int | None = None) -> None:
        """Take what this copy is owed at the cut `now`; of logs, keep the last rows."""
        fields: Mapping[FieldKey, RecordValue] = {}
        if self.cursor < record.whole_at:
            self.marks, self.rows = {}, {}
            fields = record.present()
        elif self.cursor < record.last_change:
            fields, _ = record.changes_since(self.cursor)
        self.cursor = now
        for key, value in fields.items():
            if isinstance(value, list):
                self._merge(int(key), value)
            else:
                self.marks[key] = value
        for key, rows in self.rows.items():
            if keep is not None:
                self.rows[key] = {first: rows[first] for first in sorted(rows, key=_integer)[-keep:]}

    def _merge(self, field: int, flat: list[Cell]) -> None:
        width = len(COLUMNS[field])
        rows = self.rows.setdefault(field, {})
        for at in range(0, len(flat), width):
            row = flat[at : at + width]
            if width == 2 and row[1] is None:
                rows.pop(row[0], None)
            else:
                rows[row[0]] = row

    def flat(self, field: int) -> list[Cell]:
        """The rows of a field, one behind the other."""
        return [cell for row in self.rows.get(field, {}).values() for cell in row]

    def ladder(self, record: TableRecord) -> tuple[Ladder, Ladder]:
        """Bids and asks as decimals, the best first."""
        return sides(record, {field: self.flat(field) for field in (BIDS, ASKS)})


def _integer(key: Cell) -> int:
    assert isinstance(key, int)
    return key


class NaiveSide:
    """One side of a book, in the plainest way: all that is known, sorted each time."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[Decimal, Decimal] = {}
        self.worst: Decimal | None = None
        """Beyond this price nothing is known."""

    def take(self, changes: Iterable[Level], *, complete: bool, depth: int | None) -> None:
        if complete:
            self.levels, self.worst = {}, None
        for given_price, given_size in changes:
            price, size = Decimal(given_price), Decimal(given_size)
            if self.worst is not None and self.sign * price < self.sign * self.worst:
                continue
            self.levels.pop(price, None)
            if size:
                self.levels[price] = size
        if complete and depth is not None and len(self.levels) >= depth:
            self.worst = self.best(len(self.levels))[-1][0]

    def best(self, count: int) -> Ladder:
        return sorted(self.levels.items(), key=lambda level: -self.sign * level[0])[:count]


class NaiveBook:
    """A book that forgets nothing that it should know."""

    def __init__(self) -> None:
        self.bids, self.asks = NaiveSide(1), NaiveSide(-1)

    def take(self, publication: Levels) -> None:
        for side, changes in ((self.bids, publication.bids), (self.asks, publication.asks)):
            side.take(changes, complete=publication.complete, depth=publication.depth)

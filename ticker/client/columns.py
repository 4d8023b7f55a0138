"""Columns of tables for pandas and polars: of bars, of trades and of present values.

A column has one type whatever its cells are, so that a table without rows has the columns and types of any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from ticker.client.fields import Fields, by_name
from ticker.client.reader import moment
from ticker.market import Field, Status
from ticker.protocol.symbols import is_table
from ticker.protocol.tables import BOOK, TRADES, TableName

if TYPE_CHECKING:
    from ticker.client.candles import Bar
    from ticker.client.rows import CandleRow, Level, TradeRow
    from ticker.client.trades import Print


class Kind(Enum):
    """What the cells of a column are; each may be None."""

    NUMBER = auto()
    """Prices and sizes: `Decimal` or `int`."""
    COUNT = auto()
    """`int`."""
    TIME = auto()
    """`datetime` in UTC."""
    STATUS = auto()
    SIDE = auto()
    TEXT = auto()


CATEGORIES: Mapping[Kind, list[str]] = {Kind.STATUS: [each.value for each in Status], Kind.SIDE: ["buy", "sell"]}
"""The texts that a column of such a kind may have."""


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: Kind
    cells: list[Any]


_KINDS: Mapping[Field, Kind] = {
    **dict.fromkeys([each for each in Field if each <= Field.VOLUME], Kind.NUMBER),
    Field.TRADE_COUNT: Kind.COUNT,
    Field.TIME: Kind.TIME,
    Field.STATUS: Kind.STATUS,
    Field.REASON: Kind.TEXT,
}
"""The standard fields of an instrument."""

_SECOND = 1_000_000
"""In microseconds."""


def bar_columns(bars: Sequence[Bar | CandleRow]) -> list[Column]:
    """Return the columns of bars, the first of which is their start."""
    numbers = ("open", "high", "low", "close", "volume")
    return [
        Column("start", Kind.TIME, [_moment(bar.start, _SECOND) for bar in bars]),
        *(Column(name, Kind.NUMBER, [getattr(bar, name) for bar in bars]) for name in numbers),
        Column("trades", Kind.COUNT, [bar.trades for bar in bars]),
    ]


def trade_columns(prints: Sequence[Print | TradeRow]) -> list[Column]:
    """Return the columns of trades, the first of which is the exchange's time."""
    return [
        Column("time", Kind.TIME, [_moment(each.time) for each in prints]),
        Column("number", Kind.COUNT, [each.number for each in prints]),
        Column("price", Kind.NUMBER, [each.price for each in prints]),
        Column("size", Kind.NUMBER, [each.size for each in prints]),
        Column("side", Kind.SIDE, [each.side for each in prints]),
        Column("id", Kind.TEXT, [None if each.id is None else str(each.id) for each in prints]),
    ]


def book_columns(bids: Sequence[Level], asks: Sequence[Level]) -> list[Column]:
    """Return the columns of a book, a row for each level from the best one on; the shorter side ends with None."""
    count = max(len(bids), len(asks))
    (bid, bid_size), (ask, ask_size) = (
        ([*(each.price for each in levels), *missing], [*(each.size for each in levels), *missing])
        for levels in (bids, asks)
        for missing in [[None] * (count - len(levels))]
    )
    return [
        Column("level", Kind.COUNT, list(range(1, count + 1))),
        Column("bid_size", Kind.NUMBER, bid_size),
        Column("bid", Kind.NUMBER, bid),
        Column("ask", Kind.NUMBER, ask),
        Column("ask_size", Kind.NUMBER, ask_size),
    ]


def _moment(time: datetime | int, unit: int = 1) -> datetime:
    """Return a time that may be a number, of units of so many microseconds."""
    return moment(time * unit) if isinstance(time, int) else time


def table_columns(table: TableName, fields: Fields) -> list[Column]:
    """Return the columns of the rows of a table, as those of a `Book`, of `Trades` or of `Candles` are."""
    if table.kind == BOOK:
        return book_columns(fields.get("bids", []), fields.get("asks", []))
    return trade_columns(fields.get("trades", [])) if table.kind == TRADES else bar_columns(fields.get("candles", []))


def value_columns(values: Mapping[str, Fields], fields: Collection[str] | None = None) -> list[Column]:
    """Return the columns of present values by symbol, without those of tables: the symbol and all standard fields.

    After these come the feed's own fields. With `fields`, only these, the status and the reason are there.
    """
    rows = {name: by_name(values[name]) for name in sorted(values) if not is_table(name)}
    columns = [Column("symbol", Kind.TEXT, list(rows))]
    standard = {field.name.lower(): kind for field, kind in _KINDS.items()}
    for name, kind in standard.items():
        if fields is None or name in fields or name in {"status", "reason"}:
            cells: list[Any] = [row.get(name) for row in rows.values()]
            if kind is Kind.TIME:
                cells = [moment(cell) if isinstance(cell, int) else None for cell in cells]
            columns.append(Column(name, kind, cells))
    own = dict.fromkeys(name for row in rows.values() for name in row if name not in standard)
    columns += [_own_column(name, list(rows.values())) for name in own if fields is None or name in fields]
    return columns


def _own_column(name: str, rows: list[Mapping[str, Decimal | int | str | None]]) -> Column:
    cells = [row.get(name) for row in rows]
    there = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, int) for cell in there):
        return Column(name, Kind.COUNT, cells)
    if any(isinstance(cell, str) for cell in there):
        return Column(name, Kind.TEXT, [None if cell is None else str(cell) for cell in cells])
    return Column(name, Kind.NUMBER, cells)

"""One table of a client's copy: its rows by key, still scaled. Pure.

The rules (PROTOCOL.md, section 4):

1. Rows merge by their key: the price of a level, the number of a print, the start of a bar.
2. Prints and bars are logs: the last N keys are kept, N being the number in the table's name.
3. A book is never trimmed: the server says which levels leave it, as levels without a size. So more than N levels on a
   side break the protocol.
4. When a scale rises, numbers are converted and no value changes; the server sends the whole record next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest
from typing import Any, TypeAlias

from ticker.client.bounds import MAX_START
from ticker.client.rows import Row, TableValues, present_fields
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_TEXT, Cell, Field, FieldKey, RecordValue, Rows, WireValue
from ticker.numbers import MAX_DIGITS, MAX_INTEGER, is_plain_decimal, parse_decimal, rescaled_number
from ticker.protocol.messages import Definition
from ticker.protocol.tables import BOOK, BUY, CANDLES, COLUMNS, SELL, TRADES, TableName, parse_table, split_name

RowsByKey: TypeAlias = dict[Cell, Row]

TableFields: TypeAlias = dict[FieldKey, WireValue | RowsByKey]
"""Fields of a table after the check: rows by their key, other fields as of an instrument."""

FIELDS_OF: dict[str, tuple[int, ...]] = {
    BOOK: (Field.BIDS, Field.ASKS),
    TRADES: (Field.TRADES,),
    CANDLES: (Field.CANDLES,),
}
"""By kind of table, the fields that have its rows."""

_PRICES = {Field.BIDS: (0,), Field.ASKS: (0,), Field.TRADES: (1,), Field.CANDLES: (1, 2, 3, 4)}
_SIZES = {Field.BIDS: (1,), Field.ASKS: (1,), Field.TRADES: (2,), Field.CANDLES: (5,)}
"""By field of rows, the columns with prices and with sizes."""


class TableState:
    """A table of the copy: its definition, its rows and its other fields."""

    __slots__ = ("definition", "rows", "table", "values", "version")

    def __init__(self, definition: Definition, table: TableName) -> None:
        self.definition = definition
        self.table = table
        self.values: dict[FieldKey, WireValue] = {}
        """Fields without rows: `status` and `reason`."""
        self.rows: dict[int, RowsByKey] = {field: {} for field in FIELDS_OF[table.kind]}
        self.version = 0
        """Grows with each change, so that readers need not compare what has not changed."""

    def __repr__(self) -> str:
        count = sum(map(len, self.rows.values()))
        return f"<TableState {self.definition.symbol!r} id={self.definition.id} rows={count}>"

    def redefine(self, definition: Definition) -> None:
        """Replace the definition, and convert the numbers to its scales."""
        self.rows = {field: rescaled(field, rows, self.definition, definition) for field, rows in self.rows.items()}
        self.definition = definition
        self.version += 1

    def merge(self, fields: TableFields) -> None:
        """Apply checked changes."""
        self.version += 1
        for key, value in fields.items():
            if isinstance(key, int) and key in COLUMNS:
                self._merge_rows(key, value if isinstance(value, dict) else None)
            elif value is None:
                self.values.pop(key, None)
            elif not isinstance(value, dict):
                self.values[key] = value

    def replace(self, fields: TableFields) -> None:
        """Take over a checked complete record."""
        self.values.clear()
        for rows in self.rows.values():
            rows.clear()
        self.merge(fields)

    def _merge_rows(self, field: int, changes: RowsByKey | None) -> None:
        rows = self.rows[field]
        if changes is None:
            rows.clear()
            return
        if self.table.kind == BOOK:
            for key, row in changes.items():
                if row[1] is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
            return
        rows |= changes
        for key in nsmallest(len(rows) - self.table.rows, rows):  # type: ignore[type-var]  # integers
            del rows[key]

    def check_merge(self, fields: TableFields) -> None:
        """Check that a book has no more levels after these changes than it may. Raises `ProtocolError`."""
        for field in self.rows if self.table.kind == BOOK else ():
            changes = fields.get(field)
            if isinstance(changes, dict):
                held = self.rows[field]
                gained = sum(row[1] is not None for key, row in changes.items() if key not in held)
                lost = sum(row[1] is None for key, row in changes.items() if key in held)
                check_levels(self.definition, self.table, len(held) + gained - lost)

    def ordered(self, field: int) -> list[Row]:
        """Return the rows of a field in their order: bids from the highest price, all others from the lowest key."""
        return ordered(field, self.rows[field], self.definition.price_scale)

    def present(self) -> dict[str, Any]:
        """Return the present fields by name, as `ticker.Fields` of a table."""
        values: TableValues = dict(self.values)
        values |= {field: self.ordered(field) for field in self.rows}
        return present_fields(values, self.definition)

    def wire(self) -> dict[FieldKey, RecordValue]:
        """Return the present fields as on the wire."""
        fields: dict[FieldKey, RecordValue] = dict(self.values)
        for field in self.rows:
            flat: Rows = [cell for row in self.ordered(field) for cell in row]
            fields[field] = flat
        return fields


def table_name(symbol: str) -> TableName | None:
    """Return the table that a record's name has; None for an instrument's."""
    text = split_name(symbol)[1]
    return parse_table(text) if text else None


def check_levels(definition: Definition, table: TableName, count: int) -> None:
    """Check the number of levels of a side of a book. Raises `ProtocolError`."""
    if count > table.rows:
        text = f"{definition.symbol}: {count} levels on a side of a book of {table.rows}"
        raise ProtocolError(Code.MALFORMED, text)


def ordered(field: int, rows: RowsByKey, price_scale: int) -> list[Row]:
    """Return rows in their order."""
    if field not in {Field.BIDS, Field.ASKS} or all(type(key) is int for key in rows):
        keys = sorted(rows, reverse=field == Field.BIDS)  # type: ignore[type-var]  # keys of one kind
    else:
        keys = sorted(rows, key=lambda key: _exact(key, price_scale), reverse=field == Field.BIDS)
    return [rows[key] for key in keys]


def rescaled(field: int, rows: RowsByKey, old: Definition, new: Definition) -> RowsByKey:
    """Return rows with their numbers at the scales of another definition."""
    if (old.price_scale, old.size_scale) == (new.price_scale, new.size_scale):
        return rows
    converted: RowsByKey = {}
    for row in rows.values():
        cells = list(row)
        for columns, before, after in (
            (_PRICES[Field(field)], old.price_scale, new.price_scale),
            (_SIZES[Field(field)], old.size_scale, new.size_scale),
        ):
            for column in columns:
                cell = cells[column]
                if isinstance(cell, int):
                    cells[column] = rescaled_number(cell, before, after)
        converted[cells[0]] = tuple(cells)
    return converted


def check_side(definition: Definition, table: TableName, rows: RowsByKey) -> None:
    """Check a side of a complete book. Raises `ProtocolError`."""
    check_levels(definition, table, len(rows))
    if any(row[1] is None for row in rows.values()):
        raise ProtocolError(Code.MALFORMED, f"{definition.symbol}: a level without a size in a complete book")


def checked_rows(definition: Definition, field: int, flat: object) -> RowsByKey | None:
    """Return rows of the wire by their key; None if the field was withdrawn. Raises `ProtocolError`."""
    if flat is None:
        return None
    width = len(COLUMNS[field])
    if not isinstance(flat, list | tuple) or len(flat) % width:
        raise ProtocolError(Code.MALFORMED, f"{definition.symbol}: rows are an array of {width} columns each")
    columns = [flat[column::width] for column in range(width)]
    if not all(all(map(test, column)) for test, column in zip(_TESTS[field], columns, strict=True)):
        raise ProtocolError(Code.MALFORMED, f"{definition.symbol}: a row has a value that it cannot have")
    rows: RowsByKey = dict(zip(columns[0], zip(*columns, strict=True), strict=True))
    if len(rows) < len(columns[0]):
        raise ProtocolError(Code.MALFORMED, f"{definition.symbol}: two rows with one key")
    return rows


def _exact(key: Cell, scale: int) -> int:
    """Return a price of either form as an integer that compares exactly."""
    digits, places = (key, scale) if isinstance(key, int) else parse_decimal(key)
    return int(digits * 10 ** (MAX_DIGITS - places))


def _is_integer(cell: Any) -> bool:  # noqa: ANN401  # anything that a server sends
    return type(cell) is int and -MAX_INTEGER <= cell <= MAX_INTEGER


def _is_natural(cell: Any) -> bool:  # noqa: ANN401
    return type(cell) is int and 0 <= cell <= MAX_INTEGER


def _is_number(cell: Any) -> bool:  # noqa: ANN401
    return _is_integer(cell) or (type(cell) is str and is_plain_decimal(cell))


def _is_number_or_nil(cell: Any) -> bool:  # noqa: ANN401
    return cell is None or _is_number(cell)


def _is_natural_or_nil(cell: Any) -> bool:  # noqa: ANN401
    return cell is None or _is_natural(cell)


def _is_start(cell: Any) -> bool:  # noqa: ANN401
    return type(cell) is int and -MAX_START <= cell <= MAX_START


def _is_side(cell: Any) -> bool:  # noqa: ANN401
    return cell is None or (type(cell) is int and cell in {BUY, SELL})


def _is_trade_id(cell: Any) -> bool:  # noqa: ANN401
    return cell is None or _is_integer(cell) or (type(cell) is str and len(cell) <= MAX_TEXT)


_TESTS: Mapping[int, tuple[Callable[[Any], bool], ...]] = {
    Field.BIDS: (_is_number, _is_number_or_nil),
    Field.ASKS: (_is_number, _is_number_or_nil),
    Field.TRADES: (_is_natural, _is_number, _is_number, _is_integer, _is_side, _is_trade_id),
    Field.CANDLES: (_is_start, *[_is_number] * 4, _is_number_or_nil, _is_natural_or_nil),
}
"""By field of rows and column, whether a cell can have that value."""

"""Values as `ticker watch` shows them: as texts on a screen, and in lines of JSON.

In JSON prices and sizes are exact decimal texts, times are microseconds and starts of bars seconds since 1970 UTC, and
null is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

from ticker.market import Field
from ticker.protocol.tables import COLUMNS, ROW_FIELDS, parse_table, split_name
from ticker.texts import printable

Cell: TypeAlias = Decimal | int | str | None
Row: TypeAlias = tuple[Cell, ...]
"""The columns of a row, in the order of `COLUMNS`."""


def shown(value: Cell) -> str:
    """Return a value as text, never with an exponent, and printable whatever the feed sent."""
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else printable(str(value))


def rows_in(field: str, value: Any) -> list[Row]:  # noqa: ANN401  # whatever the client gives for this field
    """Return the rows of a field, those of a side of a book with the best level first."""
    rows = [tuple(row) for row in value]
    return sorted(rows, key=lambda row: row[0], reverse=field == "bids")


def json_values(name: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Return the changed fields of an instrument or a table for a line of JSON."""
    table = parse_table(split_name(name)[1])
    values: dict[str, object] = {}
    for field in ROW_FIELDS[table.kind] if table is not None else ():
        rows = rows_in(field, fields[field]) if fields.get(field) is not None else []
        values[field] = [_json_row(field, row) for row in rows]
    for field, value in fields.items():
        if field not in values:
            values[field] = _json_cell(cast("Cell", value))
    return values


def _json_row(field: str, row: Row) -> object:
    """Return a level as a pair, and any other row by the names of its columns; an id only if there is one."""
    cells = [_json_cell(cell) for cell in row]
    if field in {"bids", "asks"}:
        return cells
    named = dict(zip(COLUMNS[Field[field.upper()]], cells, strict=True))
    if named.get("id", "") is None:
        del named["id"]
    return named


def _json_cell(value: Cell) -> Cell:
    return shown(value) if isinstance(value, Decimal) else value

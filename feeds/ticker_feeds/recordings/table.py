"""The table that `ticker export` makes of a recording and `replay` plays: its columns, and texts in its cells.

A row is an update; rows with the same time are one moment. The columns:

- `time`: when it was recorded, in microseconds since 1970 UTC. The field `time` is `exchange_time`.
- `symbol`.
- A column for each field. A feed's own fields say their kind behind a dot where they are no texts, as in
  `mark_price.decimal` and `trades.integer`; one that changes its kind has a column for each. An own field that has the
  name of a column of the table itself has `_field` behind its name.
- `withdrawn`: the names of the fields that were withdrawn, separated by spaces. An empty cell elsewhere is "no change".

In CSV, texts that a spreadsheet would take for a formula or a reader for no text (`=1+1`, `-`, an empty one) have an
apostrophe before them, which is not part of the text.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ticker.market import Kind, Value, field_key, field_kind

TIME, SYMBOL, EXCHANGE_TIME, WITHDRAWN = "time", "symbol", "exchange_time", "withdrawn"

_TAKEN = re.compile(rf"(?:{SYMBOL}|{EXCHANGE_TIME}|{WITHDRAWN})(?:_field)*")
_SUFFIX = "_field"

KINDS = {"integer": int, "decimal": Decimal, "text": str}
"""Kinds of a feed's own fields, as they stand behind the dot, and the types of their values."""

NO_VALUE = frozenset(
    form
    for word in ("nan", "none", "null", "na", "n/a", "nat", "#n/a")
    for form in (word, word.upper(), word.capitalize())
) | {"NaN", "NaT", "-", "--", ""}
"""Cells that say that there is no value."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def column_of(name: str, value: Value) -> str:
    """Return the column of a field's value."""
    if name == TIME:
        return EXCHANGE_TIME
    column = name + _SUFFIX if _TAKEN.fullmatch(name) else name
    if field_kind(field_key(name)) is None and not isinstance(value, str):
        column += ".decimal" if isinstance(value, Decimal) else ".integer"
    return column


def field_of(column: str) -> tuple[str, Kind | str | None]:
    """Return the field of a column, and its kind: of an own field the one behind the dot, None if there is none."""
    if column == EXCHANGE_TIME:
        return TIME, Kind.INTEGER
    name, _, kind = column.partition(".")
    name = name.removesuffix(_SUFFIX) if _TAKEN.fullmatch(name) else name
    return name, field_kind(field_key(name)) or kind or None


def escaped(text: str) -> str:
    """Return a text as a CSV cell that is taken for this text only."""
    marked = text in NO_VALUE or text.startswith((*_FORMULA, _MARK)) or text != text.strip()
    return _MARK + text if marked else text


def unescaped(cell: str) -> str:
    """Return the text in a cell that `escaped` made."""
    return cell.removeprefix(_MARK)

"""Values, rows and records as section 4 of PROTOCOL.md has them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

LIMIT = 2**53 - 1
PRICES = {1: "bid", 3: "ask", 5: "last", 7: "open", 8: "high", 9: "low", 10: "prev_close"}
SIZES = {2: "bid_size", 4: "ask_size", 6: "last_size", 11: "volume"}
INTEGERS = {12: "trade_count", 13: "time"}
TEXTS = {14: "status", 15: "reason"}
ROWS = {16: "bids", 17: "asks", 18: "trades", 19: "candles"}
NAMES = PRICES | SIZES | INTEGERS | TEXTS | ROWS
COLUMNS = {
    16: ["price", "size?"],
    17: ["price", "size?"],
    18: ["natural", "price", "size", "integer", "side?", "id?"],
    19: ["natural", "price", "price", "price", "price", "size?", "natural?"],
}
"""The columns of a row, the key first; those with ? may be nil (section 4.2)."""
PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?")

Message = list[Any]
Cell: TypeAlias = int | str | None
Held: TypeAlias = int | str | list[str] | dict[Cell, list[Cell]]
"""A value that is present: a list of one text is a decimal of the feed's own, a map has rows by their keys."""
Fields = dict[int | str, Held | None]
Record = dict[int | str, Held]


class Refused(Exception):
    """A message that breaks the protocol. Nothing of it was applied."""


def check(condition: object, what: object) -> None:
    if not condition:
        raise Refused(what)


def integer(value: object, low: int = -LIMIT, high: int = LIMIT) -> bool:
    return type(value) is int and low <= value <= high


def text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 256


def number(value: object) -> bool:
    return integer(value) or (isinstance(value, str) and PLAIN.fullmatch(value) is not None)


CELLS: dict[str, Callable[[object], bool]] = {
    "price": number,
    "size": number,
    "integer": integer,
    "natural": lambda value: integer(value, 0),
    "side": lambda value: integer(value) and value in {1, -1},
    "id": lambda value: integer(value) or text(value),
}


@dataclass(frozen=True)
class Definition:
    name: str
    price_scale: int
    size_scale: int

    def scale(self, kind: str) -> int:
        return {"price": self.price_scale, "size": self.size_scale}.get(kind.rstrip("?"), 0)

    def decimal(self, value: Cell, kind: str) -> Cell:
        """A price or size as a decimal text, anything else as it is."""
        if isinstance(value, int) and kind.rstrip("?") in {"price", "size"}:
            return f"{Decimal(value).scaleb(-self.scale(kind)):f}"
        return value

    @property
    def is_table(self) -> bool:
        return " " in self.name

    @property
    def rows(self) -> int:
        return int(self.name.rpartition(":")[2])


def kind_of(key: int | str) -> str:
    return "price" if key in PRICES else "size" if key in SIZES else ""


def read_rows(key: int, flat: object) -> dict[Cell, list[Cell]]:
    columns = COLUMNS[key]
    check(isinstance(flat, list) and len(flat) % len(columns) == 0, (key, flat))
    assert isinstance(flat, list)
    rows = [flat[at : at + len(columns)] for at in range(0, len(flat), len(columns))]
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            check((cell is None and column.endswith("?")) or CELLS[column.rstrip("?")](cell), row)
    by_key = {row[0]: row for row in rows}
    check(len(by_key) == len(rows), f"a key twice in {flat}")
    return by_key


def read_field(key: int | str, value: object) -> Held | None:
    if value is None:
        return None
    if isinstance(key, int) and key in ROWS:
        return read_rows(key, value)
    if isinstance(key, str):
        decimal = isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
        good = integer(value) or text(value) or (decimal and PLAIN.fullmatch(value[0]) is not None)  # type: ignore[index]
    else:
        good = number(value) if kind_of(key) else integer(value) if key in INTEGERS else text(value)
    check(good, (key, value))
    return value  # type: ignore[return-value]  # it was checked


def read_fields(definition: Definition, fields: dict[Any, Any]) -> Fields:
    found: Fields = {}
    for name, value in fields.items():
        key = int(name) if isinstance(name, str) and name.isdecimal() else name  # JSON has only texts as keys
        if key in NAMES or isinstance(key, str):
            check(definition.is_table or key not in ROWS, "rows of an instrument")
            found[key] = read_field(key, value)
    return found


def merged(definition: Definition, record: Record, fields: Fields) -> Record:
    """Section 4.2: values replace values, rows replace the rows with their keys."""
    result = dict(record)
    for key, value in fields.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            held = result.get(key, {})
            assert isinstance(held, dict)
            result[key] = merged_rows(definition, key, held | value)
        else:
            result[key] = value
    return result


def merged_rows(definition: Definition, key: int | str, rows: dict[Cell, list[Cell]]) -> dict[Cell, list[Cell]]:
    if key in {16, 17}:
        kept = {price: row for price, row in rows.items() if row[1] is not None}
        check(len(kept) <= definition.rows, f"{len(kept)} levels in {definition.name}")
        return kept
    return {each: rows[each] for each in sorted(rows)[-definition.rows :]}  # type: ignore[type-var]  # integers


def in_order(definition: Definition, key: int | str, rows: dict[Cell, list[Cell]]) -> list[list[Cell]]:
    def value(row: list[Cell]) -> Decimal:
        return Decimal(str(definition.decimal(row[0], COLUMNS[int(key)][0])))

    return sorted(rows.values(), key=value, reverse=key == 16)


def rescaled(record: Record, old: Definition, new: Definition) -> Record:
    def moved(value: Cell, kind: str) -> Cell:
        return value * 10 ** (new.scale(kind) - old.scale(kind)) if isinstance(value, int) else value

    def moved_rows(key: int | str, rows: dict[Cell, list[Cell]]) -> dict[Cell, list[Cell]]:
        columns = COLUMNS[int(key)]
        cells = [[moved(cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows.values()]
        return {row[0]: row for row in cells}

    result: Record = {}
    for key, value in record.items():
        if isinstance(value, dict):
            result[key] = moved_rows(key, value)
        elif isinstance(value, int):
            result[key] = value * 10 ** (new.scale(kind_of(key)) - old.scale(kind_of(key)))
        else:
            result[key] = value
    return result

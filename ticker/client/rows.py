"""Levels, trades and bars as users get them with a `Change`, and how they are made of the rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from ticker.client.statuses import known_status
from ticker.market import Cell, Field, FieldKey, WireValue, field_name
from ticker.numbers import decimal_text
from ticker.protocol.messages import Definition
from ticker.protocol.tables import BUY, SELL

Row: TypeAlias = tuple[Cell, ...]
"""The columns of one row as on the wire, the key first."""

TableValues: TypeAlias = dict[FieldKey, WireValue | list[Row]]
"""Fields of a table: its rows in their order, and its other fields."""


class Level(NamedTuple):
    """Price and size of a level of a book."""

    price: Decimal
    size: Decimal


class LevelChange(NamedTuple):
    """A level of a book that has changed; `size` is None for one that is gone."""

    price: Decimal
    size: Decimal | None


class TradeRow(NamedTuple):
    """A trade as `Fields` and `ChangedFields` have it."""

    number: int
    price: Decimal
    size: Decimal
    """0 if the venue has declared the trade void."""
    time: int
    """In microseconds since 1970 UTC."""
    side: Literal["buy", "sell"] | None
    id: int | str | None


class CandleRow(NamedTuple):
    """A bar as `Fields` and `ChangedFields` have it."""

    start: int
    """In seconds since 1970 UTC."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    """None if it is not known, as of bars made of quotes."""
    trades: int | None
    """The number of trades, None if it is not known."""


def exact(cell: Cell, scale: int) -> Decimal:
    """Return a price or size as a number."""
    return Decimal(decimal_text(cell, scale) if isinstance(cell, int) else cast("str", cell))


def exact_or_none(cell: Cell, scale: int) -> Decimal | None:
    """Return a number that may be unknown."""
    return None if cell is None else exact(cell, scale)


def levels(rows: Iterable[Row], definition: Definition) -> list[Level]:
    """Return the levels of these rows."""
    price_scale, size_scale = definition.price_scale, definition.size_scale
    return [Level(exact(price, price_scale), exact(size, size_scale)) for price, size in rows]


def level_changes(rows: Iterable[Row], definition: Definition) -> list[LevelChange]:
    """Return the changed levels of these rows."""
    price_scale, size_scale = definition.price_scale, definition.size_scale
    return [LevelChange(exact(price, price_scale), exact_or_none(size, size_scale)) for price, size in rows]


def trade_row(row: Row, definition: Definition) -> TradeRow:
    """Return a row of `trades`."""
    number, price, size, time, side, venue_id = row
    return TradeRow(
        cast("int", number),
        exact(price, definition.price_scale),
        exact(size, definition.size_scale),
        cast("int", time),
        _SIDES.get(side),
        venue_id,
    )


_SIDES: Mapping[Cell, Literal["buy", "sell"]] = {BUY: "buy", SELL: "sell"}


def candle_row(row: Row, definition: Definition) -> CandleRow:
    """Return a row of `candles`."""
    start, first, high, low, last, volume, count = row
    scale = definition.price_scale
    return CandleRow(
        cast("int", start),
        exact(first, scale),
        exact(high, scale),
        exact(low, scale),
        exact(last, scale),
        exact_or_none(volume, definition.size_scale),
        cast("int | None", count),
    )


def changed_fields(values: TableValues, definition: Definition) -> dict[str, Any]:
    """Return what has changed of a table by field name, as `ChangedFields`."""
    return {field_name(key): _shown(key, value, definition, level_changes) for key, value in values.items()}


def present_fields(values: TableValues, definition: Definition) -> dict[str, Any]:
    """Return what a table has by field name, as `Fields`."""
    return {field_name(key): _shown(key, value, definition, levels) for key, value in values.items()}


def _shown(
    key: FieldKey,
    value: WireValue | list[Row],
    definition: Definition,
    make_levels: Callable[[list[Row], Definition], object],
) -> object:
    if not isinstance(value, list):
        return known_status(value) if key == Field.STATUS and value is not None else value
    if key == Field.TRADES:
        return [trade_row(row, definition) for row in value]
    if key == Field.CANDLES:
        return [candle_row(row, definition) for row in value]
    return make_levels(value, definition)

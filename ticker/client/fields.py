"""The types of values by field name, as users get them: for editors and type checkers; at run time they are dicts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypedDict, cast

from ticker.client.rows import CandleRow, Level, LevelChange, TradeRow


class Fields(TypedDict, total=False):
    """Present values of an instrument, or of a table, by field name: prices and sizes are exact.

    A table has `status` and `reason`, and either `bids` and `asks` (the best level first), or `trades`, or `candles`
    (the latest last). A feed's own fields stand beside these under their own names, as `int`, `str` or `Decimal`:
    `fields.get("mine")`. `by_name` gives all fields of an instrument the type of a value, for loops.
    """

    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    last: Decimal
    last_size: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    prev_close: Decimal
    volume: Decimal
    trade_count: int
    time: int
    """Exchange time in microseconds since 1970 UTC."""
    status: str
    """`live`, `stale`, `halted` or `closed`; any other word of a later service is shown as `stale`."""
    reason: str
    """The cause in a word, unless the status is `live`."""
    bids: list[Level]
    asks: list[Level]
    trades: list[TradeRow]
    candles: list[CandleRow]


class ChangedFields(TypedDict, total=False):
    """Changed values by field name, None for a withdrawn one; otherwise as `Fields`.

    Of a table these are the rows that changed. A level without a size is gone. Trades and bars are never withdrawn: a
    copy made of changes keeps the latest, as many as the table has.
    """

    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    last: Decimal | None
    last_size: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    prev_close: Decimal | None
    volume: Decimal | None
    trade_count: int | None
    time: int | None
    status: str | None
    reason: str | None
    bids: list[LevelChange]
    asks: list[LevelChange]
    trades: list[TradeRow]
    candles: list[CandleRow]


def by_name(fields: Fields | ChangedFields) -> Mapping[str, Decimal | int | str | None]:
    """Return the fields of an instrument as a map, for code that treats all of them alike."""
    return cast("Mapping[str, Decimal | int | str | None]", fields)

"""The types of values by field name, as users get them: for editors and type checkers; at run time they are dicts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypedDict, cast


class Fields(TypedDict, total=False):
    """Present values of an instrument by field name: prices and sizes are exact.

    A feed's own fields stand beside these under their own names, as `int`, `str` or `Decimal`: `fields.get("mine")`.
    `by_name` gives all of them the type of a value, for loops.
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
    """`live`, `stale`, `halted` or `closed`."""
    reason: str
    """The cause in a word, unless the status is `live`."""


class ChangedFields(TypedDict, total=False):
    """Changed values of an instrument by field name, None for a withdrawn one; otherwise as `Fields`."""

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


def by_name(fields: Fields | ChangedFields) -> Mapping[str, Decimal | int | str | None]:
    """Return the same fields as a map, for code that treats all of them alike."""
    return cast("Mapping[str, Decimal | int | str | None]", fields)

"""Rows of tables for people and programs: exact decimal texts under the names of their columns.

The names are those of `ticker watch --json`: `{"bids": [["61659.70", "1.486"], …], "asks": […]}`, `{"trades":
[{"number": 7, "price": "1.08514", …}]}`, `{"candles": [{"start": 1795877700, "open": "1.08500", …}]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ticker.market import Cell, Field, Side
from ticker.numbers import decimal_text
from ticker.protocol.tables import BUY, COLUMNS, SELL

_TRADE, _CANDLE = COLUMNS[Field.TRADES], COLUMNS[Field.CANDLES]
_SIDES = {BUY: str(Side.BUY), SELL: str(Side.SELL)}


def level_texts(rows: Sequence[Cell], price_scale: int, size_scale: int) -> list[list[str | None]]:
    """Return price and size of the levels in a flat array."""
    return [
        [number_text(price, price_scale), number_text(size, size_scale)]
        for price, size in zip(rows[::2], rows[1::2], strict=True)
    ]


def trade_texts(row: Sequence[Cell], price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return a print; the venue's id only if there is one."""
    number, price, size, time, side, venue_id = row
    shown = (number, number_text(price, price_scale), number_text(size, size_scale), time, _side_text(side), venue_id)
    columns = dict(zip(_TRADE, shown, strict=True))
    if venue_id is None:
        del columns["id"]
    return columns


def candle_texts(row: Sequence[Cell], price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return a bar; volume and count are None where they are not known."""
    start, *prices, volume, count = row
    texts = [number_text(price, price_scale) for price in prices]
    return dict(zip(_CANDLE, (start, *texts, number_text(volume, size_scale), count), strict=True))


def number_text(value: Cell, scale: int) -> str | None:
    """Return a number of the wire as its decimal text."""
    return decimal_text(value, scale) if isinstance(value, int) else value


def _side_text(side: Cell) -> str | None:
    return _SIDES.get(side) if isinstance(side, int) else None

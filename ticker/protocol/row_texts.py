"""Rows of tables for people and programs: exact decimal texts under the names of their columns.

The names are those of `ticker watch --json`: `{"bids": [["61659.70", "1.486"], …], "asks": […]}`, `{"trades":
[{"number": 7, "price": "1.08514", …}]}`, `{"candles": [{"start": 1795877700, "open": "1.08500", …}]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ticker.market import Cell, Field, Rows, Side
from ticker.numbers import decimal_text
from ticker.protocol.tables import BUY, CANDLES, COLUMNS, SELL, TRADES

_CANDLE = COLUMNS[Field.CANDLES]
_SIDES: dict[Cell, str] = {BUY: str(Side.BUY), SELL: str(Side.SELL)}


def row_texts(field: str, rows: Sequence[Rows], price_scale: int, size_scale: int) -> list[Any]:
    """Return the rows of a field (`bids`, `asks`, `trades` or `candles`), each a list of the cells on the wire."""
    text = {TRADES: _trade_texts, CANDLES: _candle_texts}.get(field, _level_texts)
    return [text(row, price_scale, size_scale) for row in rows]


def _level_texts(row: Rows, price_scale: int, size_scale: int) -> list[str | None]:
    """Return a level; its size is None where the level is gone."""
    price, size = row
    return [_number_text(price, price_scale), _number_text(size, size_scale)]


def _trade_texts(row: Rows, price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return a print; the venue's id only if there is one."""
    number, price, size, time, side, venue_id = row
    columns: dict[str, Any] = {
        "number": number,
        "price": _number_text(price, price_scale),
        "size": _number_text(size, size_scale),
        "time": time,
        "side": _SIDES.get(side),
    }
    if venue_id is not None:
        columns["id"] = venue_id
    return columns


def _candle_texts(row: Rows, price_scale: int, size_scale: int) -> dict[str, Any]:
    """Return a bar; volume and count are None where they are not known."""
    start, *prices, volume, count = row
    texts = [_number_text(price, price_scale) for price in prices]
    return dict(zip(_CANDLE, (start, *texts, _number_text(volume, size_scale), count), strict=True))


def _number_text(value: Cell, scale: int) -> str | None:
    return decimal_text(value, scale) if isinstance(value, int) else value

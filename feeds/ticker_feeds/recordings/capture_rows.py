"""Levels, trades and candles in the blocks of a capture (`ticker_feeds.recordings.capture`)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

import msgspec

from ticker.market import Candle, Level, Levels, Trade
from ticker.numbers import MAX_INTEGER, decimal_text, is_plain_decimal, parse_decimal
from ticker_feeds.rows import check_candle, check_levels, check_trade

Number: TypeAlias = str | int
"""A price or a size: the text of the source, or an integer."""


class RecordedLevels(msgspec.Struct, array_like=True, tag=4):
    """Levels of an order book."""

    symbol: str
    bids: list[tuple[Number, Number]]
    asks: list[tuple[Number, Number]]
    complete: bool
    depth: int | None


class RecordedTrade(msgspec.Struct, array_like=True, tag=5):
    """A print."""

    symbol: str
    price: Number
    size: Number
    side: str | None
    time: int | None
    id: int | str | None


class RecordedCandle(msgspec.Struct, array_like=True, tag=6):
    """A bar of the past."""

    symbol: str
    period: str
    start: int
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number | None
    trades: int | None
    estimate: bool = False


RecordedRows: TypeAlias = RecordedLevels | RecordedTrade | RecordedCandle


def packed_rows(publication: Levels | Trade | Candle) -> RecordedRows:
    """Return a publication in its written form. Raises `BadPublication` for one that the service cannot read."""
    if isinstance(publication, Levels):
        check_levels(publication)
        bids, asks = _packed_levels(publication.bids), _packed_levels(publication.asks)
        return RecordedLevels(publication.symbol, bids, asks, publication.complete, publication.depth)
    if isinstance(publication, Trade):
        check_trade(publication)
        symbol, price, size, side, time, name = publication
        price, size, side = recorded_number(price), recorded_number(size), None if side is None else str(side)
        # As in the service: a larger integer is a text.
        name = str(name) if isinstance(name, int) and abs(name) > MAX_INTEGER else name
        return RecordedTrade(symbol, price, size, side, time, name)
    check_candle(publication)
    symbol, period, start, first, high, low, last, volume, trades, estimate = publication
    first, high, low, last = (recorded_number(price) for price in (first, high, low, last))
    volume = None if volume is None else recorded_number(volume)
    return RecordedCandle(symbol, period, start, first, high, low, last, volume, trades, estimate)


def unpacked_rows(recorded: RecordedRows) -> Levels | Trade | Candle:
    """Return the publication of its written form."""
    told = msgspec.structs.astuple(recorded)
    if isinstance(recorded, RecordedLevels):
        return Levels(*told)
    return Trade(*told) if isinstance(recorded, RecordedTrade) else Candle(*told)


def recorded_number(value: object) -> Number:
    """Return a price or size as it is written. Raises `BadPublication`."""
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return value
    # Its own zeros are kept: they tell the decimal places that the source has.
    text = value if isinstance(value, str) else format(value, "f") if isinstance(value, Decimal) else ""
    return text if is_plain_decimal(text) else decimal_text(*parse_decimal(value))


def _packed_levels(levels: Sequence[Level]) -> list[tuple[Number, Number]]:
    return [(recorded_number(price), recorded_number(size)) for price, size in levels]

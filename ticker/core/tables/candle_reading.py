"""Bars as feeds publish them, checked and as rows of the wire."""

from __future__ import annotations

from typing import NamedTuple

from ticker.core.tables.periods import Period
from ticker.core.tables.trade_log import too_large
from ticker.errors import BadPublication
from ticker.market import MAX_TRADES, Candle, Rows
from ticker.numbers import MAX_INTEGER, MAX_SCALE, parse_decimal, scaled_number
from ticker.texts import shown

_PRICES = ("open", "high", "low", "close")


class ReadCandle(NamedTuple):
    """A bar as it was read: a row of the wire at these scales."""

    row: Rows
    price_scale: int
    size_scale: int


def read_candle(candle: Candle, period: Period) -> ReadCandle:
    """Return a bar as a row. Raises `BadPublication` for one that cannot be."""
    prices = [_number(candle, name) for name in _PRICES]
    volume = None if candle.volume is None else _number(candle, "volume")
    if volume is not None and volume[0] < 0:
        raise refused(candle, "volume", f"{shown(candle.volume)}: give 0 or more, or None")
    if volume is not None and too_large(*volume):
        raise refused(candle, "volume", f"{shown(candle.volume)}: it is too large")
    count = candle.trades
    if count is not None and (type(count) is not int or not 0 <= count <= MAX_TRADES):
        raise refused(candle, "trades", f"{shown(count)}: give their number, {MAX_TRADES} at most, or None")
    if type(candle.estimate) is not bool:
        raise refused(candle, "estimate", f"{shown(candle.estimate)}: give True or False")
    start = candle.start
    if type(start) is not int or abs(start) > MAX_INTEGER // 1_000_000:
        raise refused(candle, "start", f"{shown(start)}: give an int of seconds since 1970 UTC")
    begin, _ = period.bounds(start)
    if begin != start:
        raise refused(candle, "start", f"{start}: the bar of {period.name} with this time begins at {begin}")
    at = max(places for _, places in prices)
    first, high, low, close = (digits * 10 ** (at - places) for digits, places in prices)
    if not low <= min(first, close) <= max(first, close) <= high:
        raise refused(candle, "high", "open and close have to lie between low and high")
    scale, its = min(at, MAX_SCALE), 0 if volume is None else min(volume[1], MAX_SCALE)
    cells = [scaled_number(*price, scale) for price in prices]
    amount = None if volume is None else scaled_number(*volume, its)
    return ReadCandle([start, *cells, amount, count], scale, its)


def refused(candle: Candle, name: str, detail: str) -> BadPublication:
    """Return the error for a bar that cannot be used."""
    return BadPublication(f"{candle.symbol}: a candle's {name}: {detail}", f"candle with an unusable {name}")


def _number(candle: Candle, name: str) -> tuple[int, int]:
    try:
        return parse_decimal(getattr(candle, name))
    except BadPublication as error:
        raise refused(candle, name, str(error)) from None

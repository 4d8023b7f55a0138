"""Checks of levels, trades and candles, as the service reads them: for feeds whose input others write, and for the kit.

Each raises `BadPublication`, whose text names the field, the value and the remedy.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ticker.errors import BadPublication
from ticker.market import MAX_TRADES, Candle, Levels, Side, Trade, is_text
from ticker.numbers import MAX_INTEGER, parse_decimal
from ticker.texts import shown

SIDES: frozenset[str | None] = frozenset({None, *map(str, Side)})

_PERIOD = re.compile(r"([1-9][0-9]{0,3})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DAY_STEP = 900
"""A day begins at a midnight of some zone: all of them lie on a quarter of an hour of UTC."""

_LATEST_START = 10**11
"""Seconds since 1970 from here on are in the year 5138: such a number is in milliseconds or microseconds."""


def check_levels(levels: Levels) -> None:
    """Raise `BadPublication` for levels that the service cannot read."""
    for name, side in (("bids", levels.bids), ("asks", levels.asks)):
        if not isinstance(side, list | tuple):
            raise BadPublication(f"{name} {shown(side)}: give a list of levels, each [price, size]")
        for at, level in enumerate(side):
            _check_level(f"{name}[{at}]", level)
    if type(levels.complete) is not bool:
        raise BadPublication(f"complete {shown(levels.complete)}: give true for a whole book, false for changes of it")
    depth: object = levels.depth
    if depth is not None and not (type(depth) is int and 0 < depth <= MAX_INTEGER and levels.complete):
        raise BadPublication(
            f"depth {shown(depth)}: give the number of levels that the source has of each side,"
            " and only with complete levels"
        )


def check_trade(trade: Trade) -> None:
    """Raise `BadPublication` for a trade that the service cannot read."""
    _number("price", trade.price)
    _size("size", trade.size, "0 says that the trade was busted")
    side: object = trade.side
    if side is not None and (not isinstance(side, str) or side not in SIDES):
        raise BadPublication(f"side {shown(side)}: give buy or sell, the side that took; or leave it out")
    time: object = trade.time
    if time is not None and (type(time) is not int or abs(time) > MAX_INTEGER):
        raise BadPublication(f"time {shown(time)}: give whole microseconds since 1970 UTC, or leave it out")
    if trade.id is not None and type(trade.id) is not int and not is_text(trade.id):
        raise BadPublication(f"id {shown(trade.id)}: give the venue's, a whole number or a short text")


def check_candle(candle: Candle) -> None:
    """Raise `BadPublication` for a bar that the service cannot read."""
    step = start_step(candle.period)
    start: object = candle.start
    if type(start) is not int or abs(start) >= _LATEST_START:
        raise BadPublication(f"start {shown(start)}: give whole seconds since 1970 UTC")
    if start % step:
        raise BadPublication(f"start {start}: a bar of {candle.period} begins at a multiple of {step} seconds")
    for name in ("open", "high", "low", "close"):
        _number(name, getattr(candle, name))
    first, high, low, last = (Decimal(str(price)) for price in candle[3:7])
    if not low <= min(first, last) <= max(first, last) <= high:
        raise BadPublication(f"high {high} and low {low}: open {first} and close {last} lie between them")
    if candle.volume is not None:
        _size("volume", candle.volume, "leave it out if it is not known")
    trades: object = candle.trades
    if trades is not None and (type(trades) is not int or not 0 <= trades <= MAX_TRADES):
        raise BadPublication(f"trades {shown(trades)}: give a whole number, 0 to {MAX_TRADES}, or leave it out")


def start_step(period: object) -> int:
    """Return the seconds that divide the start of every bar of a period. Raises `BadPublication` for no period."""
    found = _PERIOD.fullmatch(period) if isinstance(period, str) else None
    if found is None:
        raise BadPublication(f"period {shown(period)}: give a number and s, m, h or d, as 1m, 5m, 1h or 1d")
    return _DAY_STEP if found[2] == "d" else int(found[1]) * _SECONDS[found[2]]


def _check_level(where: str, level: object) -> None:
    if not isinstance(level, list | tuple) or len(level) != 2:
        raise BadPublication(f"{where} {shown(level)}: give [price, size]")
    price, size = level
    _number(f"{where} price", price)
    _size(f"{where} size", size, "0 says that the level is gone")


def _number(name: str, value: object) -> int:
    try:
        return parse_decimal(value)[0]
    except BadPublication as error:
        raise BadPublication(f"{name}: {error}") from None


def _size(name: str, value: object, remedy: str) -> None:
    if _number(name, value) < 0:
        raise BadPublication(f"{name} {shown(value)}: a size is not negative; {remedy}")

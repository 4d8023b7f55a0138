"""Levels, trades and candles as objects of other programs: `{"symbol": "A", "bids": [["1.00", 5]], "asks": []}`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ticker.errors import BadPublication
from ticker.market import Candle, Levels, Publication, Reason, Stale, Trade, Update
from ticker.numbers import MAX_INTEGER
from ticker.texts import shown
from ticker_feeds.parsing import BadInput
from ticker_feeds.rows import check_candle, check_levels, check_trade

TABLE_KEYS = frozenset({"bids", "asks", "trade", "candle"})
"""An object with one of these keys is about a table."""

_LEVELS = frozenset({"symbol", "bids", "asks", "complete", "depth"})
_TRADE = ("price", "size", "side", "time", "id")
_CANDLE = ("period", "start", "open", "high", "low", "close", "volume", "trades", "estimate")


def read_table(symbol: str, item: Mapping[str, object]) -> Levels | Trade | Candle:
    """Return the levels, the trade or the candle in an object. Raises `BadInput`, naming the field and the remedy."""
    try:
        if "trade" in item:
            return _trade(symbol, item)
        return _candle(symbol, item) if "candle" in item else _levels(symbol, item)
    except BadPublication as error:
        raise BadInput(_cause(item), f"{symbol}: {error}") from None


def unknown_after(symbol: str, item: Mapping[str, object]) -> Publication | None:
    """Return the publication that follows from an unusable object about a table; None if nothing is unknown now.

    Levels that are lost cost the book, a trade that is lost the last price, a bar of the past nothing else.
    """
    if "trade" in item:
        return Update(symbol, {"last": None, "last_size": None})
    return None if "candle" in item else Stale(symbol, Reason.BAD_DATA, book_only=True)


def _levels(symbol: str, item: Mapping[str, Any]) -> Levels:
    _check_keys(item, _LEVELS, "levels have")
    levels = Levels(symbol, item.get("bids", ()), item.get("asks", ()), item.get("complete", False), item.get("depth"))
    check_levels(levels)
    return levels


def _trade(symbol: str, item: Mapping[str, Any]) -> Trade:
    _check_keys(item, {"symbol", "trade"}, "beside trade stands")
    told = _columns("trade", item["trade"], _TRADE, 2)
    trade = Trade(symbol, **_with_integers(told, "time"))
    check_trade(trade)
    return trade


def _candle(symbol: str, item: Mapping[str, Any]) -> Candle:
    _check_keys(item, {"symbol", "candle"}, "beside candle stands")
    told = _columns("candle", item["candle"], _CANDLE, 6)
    candle = Candle(symbol, **_with_integers(told, "start", "trades"))
    check_candle(candle)
    return candle


def _columns(name: str, value: object, columns: tuple[str, ...], needed: int) -> dict[str, Any]:
    """Check the object of a trade or a candle: of its columns, the first `needed` ones have to be there."""
    if not isinstance(value, dict):
        raise BadPublication(f"{name} {shown(value)}: give an object with {', '.join(columns)}")
    _check_keys(value, columns, f"a {name} has")
    missing = [column for column in columns[:needed] if value.get(column) is None]
    if missing:
        raise BadPublication(f"{name}: {missing[0]} is missing")
    return value


def _with_integers(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the columns with these as integers: JSON may have 1.7e15, or the 60.0 of a program that uses floats."""
    whole = {
        name: int(value)
        for name in names
        if isinstance(value := told.get(name), Decimal) and abs(value) <= MAX_INTEGER and value == int(value)
    }
    return {**told, **whole}


def _check_keys(item: Mapping[str, object], known: frozenset[str] | set[str] | tuple[str, ...], have: str) -> None:
    unknown = [key for key in item if key not in known]
    if unknown:
        raise BadPublication(
            f"unknown key {shown(unknown[0])}: {have} {', '.join(sorted(known))}; other things go into an object of"
            " their own, in one array for one moment"
        )


def _cause(item: Mapping[str, object]) -> str:
    return "bad trade" if "trade" in item else "bad candle" if "candle" in item else "bad levels"

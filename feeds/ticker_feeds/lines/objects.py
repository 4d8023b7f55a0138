"""Publications of other programs, as JSON or msgpack objects.

    {"symbol": "A", "bid": "1.00", "ask": 1.01}                             new values; null withdraws one
    {"symbol": "A", "bids": [["1.00", 5]], "asks": [], "complete": true}    its whole order book
    {"symbol": "A", "bids": [["1.00", 0], ["0.99", 7]]}                     changed levels of it; a size of 0: gone
    {"symbol": "A", "trade": {"price": "1.01", "size": 3, "side": "buy", "time": 1700000000000000, "id": 4}}
    {"symbol": "A", "candle": {"period": "1m", "start": 1700000040, "open": 1, "high": 2, "low": 1, "close": 2}}
    {"instrument": "A", "price_scale": 2, "size_scale": 0, "metadata": {}}  a declaration; the name alone is enough
    {"withdraw": "A"}                                                       nothing that was known of A holds any longer
    [{...}, {...}]                                                          one moment; [] is a sign of life

A whole book may have `depth`, the number of levels that its source has of each side. A trade needs price and size; a
candle may also have `volume` and `trades`. Times are in microseconds, starts of candles in seconds.

Numbers are read exactly, whether they are written as JSON numbers or as texts; msgpack's floats are rounded, and so no
values. The service withdraws the fields of values that cannot be read. Data without a declaration make an instrument
with the scales of their first values.

An unusable object or array is counted by its cause, logged once for each cause, and skipped whole; its instruments are
`stale`, with the reason `bad_data`, until their next good update. One about a table costs less: lost levels make the
book `stale` until the next complete one, a lost trade withdraws `last`, a lost candle is only missing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ticker.errors import BadPublication, count_cause
from ticker.market import Candle, Instrument, Levels, Publication, Reason, Stale, Trade, Update, Withdrawal, is_symbol
from ticker.texts import shown
from ticker_feeds.lines.tables import TABLE_KEYS, read_table, unknown_after
from ticker_feeds.parsing import BadInput, encode_symbol, guessed_instrument

MAX_ARRAY = 3_000
"""The most objects in one array: with their declarations they fit into one batch."""

MAX_SYMBOLS = 200_000
"""The most instruments of one run, whether the service has taken them or not; further ones are skipped and counted."""

_CAUSES = 50
"""Number of causes that are told apart."""

_read_json = msgspec.json.Decoder(float_hook=Decimal).decode
_read_msgpack = msgspec.msgpack.Decoder().decode


def decode_json(data: bytes) -> object:
    """Return the decoded value, with every number as it is written. Raises `BadInput`."""
    try:
        return _read_json(data)
    except (msgspec.DecodeError, ArithmeticError, RecursionError, UnicodeError) as error:
        raise BadInput("not JSON", f"{error}: {data[:40]!r}") from None


def decode_msgpack(data: bytes) -> object:
    """Return the decoded value. Raises `BadInput`."""
    try:
        return _read_msgpack(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError) as error:
        raise BadInput("not msgpack", f"{error}: {data[:40]!r}") from None


class ObjectReader:
    """Makes publications of objects; keeps the declared instruments of one run."""

    def __init__(self, name: str, counters: Counter[str], log: logging.Logger) -> None:
        """`name` is the source's, for the log; `counters` counts unusable objects."""
        self._name = name
        self._counters = counters
        self._log = log
        self._announced: dict[str, None] = {}
        self._books: set[str] = set()
        """Symbols with a complete book, since they were stale."""

    def take(self, item: object, where: str) -> list[Publication]:
        """Return the publications in an object or an array; `where` is its place, for the log."""
        try:
            return self._complete(_publications(item), where)
        except BadInput as error:
            self.reject(error, where)
            return [self._noted(each) for each in _unknown_after(item) if each.symbol in self._announced]

    def reject(self, error: BadInput, where: str, consequence: str = "skipped") -> None:
        """Count an unusable object, or another fault of its source."""
        if count_cause(self._counters, error.cause, _CAUSES):
            self._log.warning("%s, %s: %s; %s, and from now on only counted", self._name, where, error, consequence)

    def mark_all_stale(self, reason: str) -> list[Publication]:
        """Mark every declared instrument as `Stale`."""
        self._books.clear()
        return [Stale(symbol, reason) for symbol in self._announced]

    def _complete(self, publications: list[Publication], where: str) -> list[Publication]:
        """Add missing declarations, and leave out publications about no instrument of this run."""
        complete: list[Publication] = []
        for each in publications:
            if each.symbol not in self._announced:
                if isinstance(each, Withdrawal):
                    continue  # nothing is known of it
                if len(self._announced) >= MAX_SYMBOLS:
                    self.reject(BadInput("too many symbols", f"at most {MAX_SYMBOLS}"), where)
                    continue
                self._announced[each.symbol] = None
                if isinstance(each, Update | Levels | Trade | Candle):
                    complete.append(guessed_instrument(each))
            if type(each) is Levels and not each.complete and each.symbol not in self._books:
                remedy = 'begin with all its levels and "complete": true'
                self.reject(BadInput("levels of an unknown book", f"{each.symbol}: {remedy}"), where)
                continue
            complete.append(self._noted(each))
        return complete

    def _noted(self, publication: Publication) -> Publication:
        """Note whether the instrument's book is known after this publication, which is returned."""
        if type(publication) is Levels:
            self._books.add(publication.symbol)
        elif isinstance(publication, Stale | Withdrawal):
            self._books.discard(publication.symbol)
        return publication


def _publications(item: object) -> list[Publication]:
    """Raises `BadInput`."""
    if isinstance(item, dict):
        return [_publication(item)]
    if not isinstance(item, list):
        raise BadInput("neither an object nor an array", shown(item))
    if len(item) > MAX_ARRAY:
        raise BadInput("too long an array", f"{len(item)} objects; at most {MAX_ARRAY}")
    return [_publication(each) for each in item]


def _unknown_after(item: object) -> list[Publication]:
    """Return the publications that follow from an unusable object or array, each once."""
    follow: dict[tuple[str, str], Publication] = {}
    for each in item[:MAX_ARRAY] if isinstance(item, list) else [item]:
        named = each.get("symbol") if isinstance(each, dict) else None
        symbol = encode_symbol(named) if isinstance(named, str) else ""
        if isinstance(each, dict) and is_symbol(symbol):
            table = next((key for key in each if key in TABLE_KEYS), "")
            unknown = unknown_after(symbol, each) if table else Stale(symbol, Reason.BAD_DATA)
            if unknown is not None:
                follow.setdefault((symbol, type(unknown).__name__ if table else table), unknown)
    return list(follow.values())


def _publication(item: object) -> Publication:
    if not isinstance(item, dict):
        raise BadInput("no object in an array", shown(item))
    try:
        if "symbol" in item:
            return read_table(_symbol(item["symbol"]), item) if item.keys() & TABLE_KEYS else _update(item)
        if "instrument" in item:
            return _instrument(item)
        if item.keys() == {"withdraw"}:
            return Withdrawal(_symbol(item["withdraw"]))
    except BadPublication as error:
        raise BadInput("bad value", str(error)) from None
    raise BadInput("no symbol", f"an object has symbol, instrument or withdraw: {shown(item)}")


def _symbol(value: object) -> str:
    symbol = encode_symbol(value) if isinstance(value, str) else value
    if not isinstance(symbol, str) or not is_symbol(symbol):
        raise BadInput("bad symbol", shown(value))
    return symbol


def _instrument(item: Mapping[str, object]) -> Instrument:
    unknown = item.keys() - {"instrument", "price_scale", "size_scale", "metadata"}
    if unknown:
        raise BadInput("unknown key", f"{shown(min(unknown, key=str))} beside instrument")
    described = {key: value for key, value in item.items() if key != "instrument"}
    return Instrument(_symbol(item["instrument"]), **described)  # type: ignore[arg-type]  # Instrument checks its arguments


def _update(item: Mapping[str, object]) -> Update:
    symbol = _symbol(item["symbol"])
    # The publisher reads the values, and withdraws the fields of those that it cannot read.
    fields: dict[str, Any] = {name: value for name, value in item.items() if name != "symbol"}
    return Update(symbol, fields)

"""Publications of other programs, as JSON or msgpack objects.

    {"symbol": "A", "bid": "1.00", "ask": 1.01}                             new values; null withdraws one
    {"instrument": "A", "price_scale": 2, "size_scale": 0, "metadata": {}}  a declaration; the name alone is enough
    {"withdraw": "A"}                                                       nothing that was known of A holds any longer
    [{...}, {...}]                                                          one moment; [] is a sign of life

Numbers are read exactly, whether they are written as JSON numbers or as texts; msgpack's floats are rounded, and so no
values. The service withdraws the fields of values that cannot be read. An update without a declaration makes an
instrument with the scales of its first values.

An unusable object or array is counted by its cause, logged once for each cause, and skipped whole; its instruments are
`stale`, with the reason `bad_data`, until their next good update.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ticker.errors import BadPublication, count_cause
from ticker.market import Instrument, Publication, Reason, Stale, Update, Withdrawal, is_symbol
from ticker.texts import shown
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

    def take(self, item: object, where: str) -> list[Publication]:
        """Return the publications in an object or an array; `where` is its place, for the log."""
        try:
            return self._complete(_publications(item), where)
        except BadInput as error:
            self.reject(error, where)
            return self.mark_stale(_symbols(item), Reason.BAD_DATA)

    def reject(self, error: BadInput, where: str, consequence: str = "skipped") -> None:
        """Count an unusable object, or another fault of its source."""
        if count_cause(self._counters, error.cause, _CAUSES):
            self._log.warning("%s, %s: %s; %s, and from now on only counted", self._name, where, error, consequence)

    def mark_stale(self, symbols: Iterable[str], reason: str) -> list[Publication]:
        """Mark those of these symbols that are declared as `Stale`."""
        return [Stale(symbol, reason) for symbol in dict.fromkeys(symbols) if symbol in self._announced]

    def mark_all_stale(self, reason: str) -> list[Publication]:
        """Mark every declared instrument as `Stale`."""
        return self.mark_stale(self._announced, reason)

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
                if isinstance(each, Update):
                    complete.append(guessed_instrument(each))
            complete.append(each)
        return complete


def _publications(item: object) -> list[Publication]:
    """Raises `BadInput`."""
    if isinstance(item, dict):
        return [_publication(item)]
    if not isinstance(item, list):
        raise BadInput("neither an object nor an array", shown(item))
    if len(item) > MAX_ARRAY:
        raise BadInput("too long an array", f"{len(item)} objects; at most {MAX_ARRAY}")
    return [_publication(each) for each in item]


def _symbols(item: object) -> list[str]:
    """Return the symbols in an unusable object."""
    items = item[:MAX_ARRAY] if isinstance(item, list) else [item]
    named = [each["symbol"] for each in items if isinstance(each, dict) and isinstance(each.get("symbol"), str)]
    return [symbol for symbol in map(encode_symbol, named) if is_symbol(symbol)]


def _publication(item: object) -> Publication:
    if not isinstance(item, dict):
        raise BadInput("no object in an array", shown(item))
    try:
        if "symbol" in item:
            return _update(item)
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

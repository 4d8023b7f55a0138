"""Publications of other programs, as JSON or msgpack objects.

    {"symbol": "A", "bid": "1.00", "ask": 1.01}                             new values; null withdraws one
    {"instrument": "A", "price_scale": 2, "size_scale": 0, "metadata": {}}  a declaration; the name alone is enough
    {"withdraw": "A"}                                                       nothing that was known of A holds any longer
    [{...}, {...}]                                                          one moment; [] is a sign of life

Numbers are read exactly, whether they are written as JSON numbers or as texts; msgpack's floats are refused, for they
are rounded. An update without a declaration makes an instrument with the scales of its first values.

An unusable object or array is counted by its cause, logged once for each cause, and skipped whole; its instruments are
`stale`, with the reason `bad_data`, until their next good update.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from ticker.errors import BadPublication, count_cause
from ticker.market import (
    MAX_INTEGER,
    MAX_SCALE,
    MAX_TEXT,
    Instrument,
    Kind,
    Publication,
    Reason,
    Status,
    Update,
    Value,
    Withdrawal,
    field_key,
    field_kind,
    is_symbol,
    is_text,
    parse_decimal,
    scale_up,
    shown,
)
from ticker_feeds.parsing import BadInput, encode_symbol, guessed_instrument

MAX_ARRAY = 3_000
"""The most objects in one array: with declarations and statuses they fit into one batch."""

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
    """Makes publications of objects; keeps the declared and the stale instruments of one run."""

    def __init__(self, name: str, counters: Counter[str], log: logging.Logger) -> None:
        """`name` is the source's, for the log; `counters` counts unusable objects."""
        self._name = name
        self._counters = counters
        self._log = log
        self._announced: set[str] = set()
        self._stale: set[str] = set()

    def take(self, item: object, where: str) -> list[Publication]:
        """Return the publications in an object or an array; `where` is its place, for the log."""
        try:
            return self._complete(_publications(item))
        except BadInput as error:
            self.reject(error, where)
            return self.mark_stale(_symbols(item), Reason.BAD_DATA)

    def reject(self, error: BadInput, where: str, consequence: str = "skipped") -> None:
        """Count an unusable object, or another fault of its source."""
        if count_cause(self._counters, error.cause, _CAUSES):
            self._log.warning("%s, %s: %s; %s, and from now on only counted", self._name, where, error, consequence)

    def mark_stale(self, symbols: Iterable[str], reason: str) -> list[Publication]:
        """Mark those of these symbols that are declared as `stale`, until their next update."""
        stale = [symbol for symbol in dict.fromkeys(symbols) if symbol in self._announced]
        self._stale.update(stale)
        return [Update(symbol, {"status": Status.STALE, "reason": reason}) for symbol in stale]

    def mark_all_stale(self, reason: str) -> list[Publication]:
        """Mark every live instrument as `stale`, until its next update."""
        return self.mark_stale(sorted(self._announced - self._stale), reason)

    def _complete(self, publications: list[Publication]) -> list[Publication]:
        """Add missing declarations, and the status of instruments that are live again."""
        complete: list[Publication] = []
        for each in publications:
            if isinstance(each, Update) and each.symbol not in self._announced:
                complete.append(guessed_instrument(each))
            elif isinstance(each, Withdrawal) and each.symbol not in self._announced:
                continue  # nothing is known of it
            self._announced.add(each.symbol)
            complete.append(each)
            if isinstance(each, Update) and each.symbol in self._stale:
                self._stale.discard(each.symbol)
                marks: dict[str, Value] = {"status": Status.LIVE, "reason": None}
                complete.append(Update(each.symbol, {key: marks[key] for key in marks if key not in each.fields}))
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
    return Update(symbol, {name: _value(name, value) for name, value in item.items() if name != "symbol"})


def _value(name: str, value: object) -> Value:
    """A field's value. Raises `BadPublication`."""
    kind = field_kind(field_key(name))
    if value is None:
        return None
    if kind in {Kind.PRICE, Kind.SIZE}:
        digits, places = parse_decimal(value)
        scale_up(digits, places, min(places, MAX_SCALE + 1))
        return format(value, "f") if isinstance(value, Decimal) else value  # type: ignore[return-value]  # str or int
    if isinstance(value, Decimal) and abs(value.adjusted()) <= MAX_TEXT:
        # A time may be written as 1.7e15; a feed's own field keeps its digits.
        value = int(value) if kind is Kind.INTEGER and value % 1 == 0 else format(value, "f")
    if (kind is not Kind.TEXT and type(value) is int and abs(value) <= MAX_INTEGER) or (
        kind is not Kind.INTEGER and is_text(value)
    ):
        return value
    raise BadPublication(f"{name}: {shown(value)} cannot be its value")

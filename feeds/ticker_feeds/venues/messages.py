"""Messages of a venue: decoding frames, and reading typed values from them. No I/O and no clock.

Frames come from a stranger. Numbers stay exact: a JSON number becomes an `int` or a `Decimal`, never a `float`. There
are two kinds of readers:

- A value that decides about the message (its kind, symbol, sequence number) has the documented type, or raises
  `BadMessage`.
- A value to be published (a price, size, time) is handed over. One that is missing is None, which withdraws its field;
  one that cannot be read is the service's to refuse: it withdraws that field, counts it, and applies the others.

Readers take the message and a key: a name in a JSON object (`read_text(message, "symbol")`) or an index in an array
(`read_text(message, 0)`). `symbol` is the venue's symbol that the message is about, for the `BadMessage`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from ticker.errors import BadPublication, TickerError
from ticker.market import Level, Value
from ticker.numbers import parse_decimal
from ticker.texts import shown

Message: TypeAlias = dict[str, Any]
"""A JSON object."""

Frame: TypeAlias = str | bytes
"""The payload of a WebSocket message: `str` of a text frame, `bytes` of a binary one."""

MAX_MESSAGE_BYTES = 2**25
"""Largest message, before and after decompression."""

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_INTEGER_LIMIT = 2**53
_FIRST_MICROSECONDS = 10**14
"""From here on, a time since 1970 is in microseconds: as such it is in 1973, in milliseconds it would be in 5138."""
_WORD = re.compile(r"""[^\s,;:'"`()\[\]{}<>]+""")
_WINDOW_BITS = {"gzip": 31, "zlib": 15, "deflate": -15}


class BadMessage(TickerError):
    """A message that differs from the venue's documentation. `symbol` is the venue's symbol in it, if known."""

    def __init__(self, text: str, symbol: str | None = None) -> None:
        super().__init__(text)
        self.symbol = symbol


def decode_json(raw: Frame) -> Any:  # noqa: ANN401  # any JSON value
    """Return the JSON value of a frame: an object, an array, or a single value. Raises `BadMessage`."""
    try:
        return _JSON.decode(raw)
    except (msgspec.DecodeError, UnicodeError, ArithmeticError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None


def decode_object(raw: Frame) -> Message:
    """Return the JSON object of a frame. Raises `BadMessage`."""
    message = decode_json(raw)
    if type(message) is not dict:
        raise BadMessage("not a JSON object")
    return message


def decompress(raw: Frame, coding: Literal["gzip", "zlib", "deflate"]) -> bytes:
    """Return the decompressed payload of a binary frame.

    `gzip` is RFC 1952, `zlib` RFC 1950, `deflate` the bare stream of RFC 1951. Raises `BadMessage` for a text frame,
    for damaged or incomplete data, and for more than `MAX_MESSAGE_BYTES` of output.
    """
    if isinstance(raw, str):
        raise BadMessage(f"a text frame instead of {coding} data")
    stream = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        data = stream.decompress(raw, MAX_MESSAGE_BYTES)
    except zlib.error as error:
        raise BadMessage(f"not {coding} data: {error}") from None
    if stream.unconsumed_tail:
        raise BadMessage(f"more than {MAX_MESSAGE_BYTES} bytes of {coding} data")
    if not stream.eof:
        raise BadMessage(f"{coding} data that breaks off")
    return data


def read_text(message: Message | Sequence[Any], key: str | int, symbol: str | None = None) -> str:
    """Return a text. Raises `BadMessage` if there is none."""
    value = _element(message, key)
    if type(value) is not str:
        raise BadMessage(f"{key}: no text", symbol)
    return value


def read_kind(message: Message | Sequence[Any], key: str | int) -> str:
    """Return the text that tells the kind of a message, or an empty one if there is none."""
    value = _element(message, key)
    return value if type(value) is str else ""


def read_integer(message: Message | Sequence[Any], key: str | int, symbol: str | None = None) -> int:
    """Return an integer from 0 to 2**53 - 1, the range of every client. Raises `BadMessage`."""
    value = _element(message, key)
    if type(value) is not int or not 0 <= value < _INTEGER_LIMIT:
        raise BadMessage(f"{key}: no whole number", symbol)
    return value


def read_sequence(message: Message | Sequence[Any], key: str | int, symbol: str | None = None) -> int | None:
    """Return a sequence number as `read_integer`; None where it is missing or null."""
    return None if _element(message, key) is None else read_integer(message, key, symbol)


def read_value(message: Message | Sequence[Any], key: str | int) -> Value:
    """Return a price, size or own field as it came; None where it is missing."""
    value: Value = _element(message, key)
    return value


def read_positive(message: Message, key: str, symbol: str | None = None) -> str | Decimal | int:
    """Return the price or size of a trade as it came. Raises `BadMessage` unless it is a number above 0.

    A trade is all of one piece: without one of them there is no print to publish.
    """
    value: str | Decimal | int = message.get(key, "")
    try:
        if parse_decimal(value)[0] > 0:
            return value
    except BadPublication as error:
        raise BadMessage(f"{key}: {error}", symbol) from None
    raise BadMessage(f"{key}: {shown(value)} is not above 0", symbol)


def read_values(message: Message, fields: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of these keys as they came, by field; `fields` maps keys to fields. None for one not there."""
    return {field: message.get(key) for key, field in fields.items()}


def read_levels(message: Message, key: str, symbol: str | None = None) -> list[Level]:
    """Return levels of an order book, each an array that begins with price and size, as they came.

    Raises `BadMessage` if there are none; whether they are numbers is for `OrderBook` to check.
    """
    levels = message.get(key)
    try:
        return [(each[0], each[1]) for each in levels]  # type: ignore[union-attr]  # anything else is caught below
    except (TypeError, LookupError):
        raise BadMessage(f"{key}: no list of levels", symbol) from None


def read_utc(message: Message | Sequence[Any], key: str | int) -> Value:
    """Return an RFC 3339 time in UTC as microseconds since 1970, finer digits cut off, for the field `time`.

    None where it is missing; a value that cannot be read is returned as a text that is no time.
    """
    value = _element(message, key)
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        try:
            seconds = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        except ValueError:
            return shown(value)
        return int(seconds.timestamp()) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])
    return None if value is None else shown(value)


def read_unix_time(message: Message | Sequence[Any], key: str | int) -> Value:
    """Return a time of milliseconds or microseconds since 1970 as microseconds, for the field `time`.

    Which of them it is shows in its size. None where it is missing; a value that cannot be read is returned as a text
    that is no time.
    """
    value = _element(message, key)
    if type(value) is int and 0 <= value < _INTEGER_LIMIT:
        return value if value >= _FIRST_MICROSECONDS else 1_000 * value
    return None if value is None else shown(value)


def named_symbols(text: str, symbols: Iterable[str]) -> list[str]:
    """Return those of these symbols that a text names: as whole words, for one symbol can be a part of another."""
    words = {form for word in _WORD.findall(text) for form in (word, word.rstrip(".!?"))}
    return [symbol for symbol in symbols if symbol in words]


def without_empty_sides(fields: dict[str, Value]) -> dict[str, Value]:
    """Withdraw a bid or ask of zero, and its size: that is how venues write an empty side of the book."""
    for side in ("bid", "ask"):
        if side in fields and _is_zero(fields[side]):
            fields[side] = fields[f"{side}_size"] = None
    return fields


def without_zero_prices(fields: dict[str, Value]) -> dict[str, Value]:
    """Withdraw every price of zero, and its size.

    For venues whose instruments cannot have that price: they write it where there is none, as before the first trade.
    """
    for name in ("last", "open", "high", "low"):
        if name in fields and _is_zero(fields[name]):
            fields[name] = None
            if name == "last":
                fields["last_size"] = None
    return without_empty_sides(fields)


def _is_zero(value: Value) -> bool:
    if isinstance(value, str):
        return value != "" and not value.strip("0.")
    return isinstance(value, int | Decimal) and not value


def _element(message: Message | Sequence[Any], key: str | int) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(message, dict):
        return message.get(str(key))
    return message[key] if isinstance(key, int) and -len(message) <= key < len(message) else None

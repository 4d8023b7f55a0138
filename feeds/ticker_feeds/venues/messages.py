"""Messages of a venue: decoding frames, and reading typed values from them. No I/O and no clock.

Frames come from a stranger. Every function here returns a value of the documented type or raises `BadMessage`. Numbers
stay exact: a JSON number becomes an `int` or a `Decimal`, never a `float`.

Readers take the message and a key: a name in a JSON object (`read_text(message, "symbol")`) or an index in an array
(`read_text(message, 0)`). `symbol` is the venue's symbol that the message is about, for the `BadMessage`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from ticker.errors import TickerError
from ticker.market import Value

Message: TypeAlias = dict[str, Any]
"""A JSON object."""

Frame: TypeAlias = str | bytes
"""The payload of a WebSocket message: `str` of a text frame, `bytes` of a binary one."""

MAX_MESSAGE_BYTES = 2**25
"""Largest message, before and after decompression."""

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_INTEGER_LIMIT = 2**53
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


def read_decimal(message: Message | Sequence[Any], key: str | int, symbol: str) -> str | Decimal | int:
    """Return a price or size: a decimal text unchanged, or a JSON number. Raises `BadMessage`."""
    value = _element(message, key)
    if isinstance(value, str) and _DECIMAL.fullmatch(value) is not None:
        return value
    if type(value) is int or (isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= 40):
        return value
    raise BadMessage(f"{key}: no decimal number", symbol)


def read_decimals(message: Message, fields: Mapping[str, str], symbol: str) -> dict[str, Value]:
    """Return the prices and sizes present in a message, by field; `fields` maps its keys to fields."""
    return {field: read_decimal(message, key, symbol) for key, field in fields.items() if message.get(key) is not None}


def read_microseconds(message: Message | Sequence[Any], key: str | int, symbol: str) -> int:
    """Return an RFC 3339 time in UTC as microseconds since 1970, finer digits cut off. Raises `BadMessage`."""
    found = _TIME.fullmatch(read_text(message, key, symbol))
    try:
        seconds = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found is not None else None
    except ValueError:
        seconds = None
    if found is None or seconds is None:
        raise BadMessage(f"{key}: no time in UTC", symbol)
    return int(seconds.timestamp()) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])


def without_empty_sides(fields: dict[str, Value]) -> dict[str, Value]:
    """Withdraw a bid or ask of zero, and its size: that is how venues write an empty side of the book."""
    for side in ("bid", "ask"):
        price = fields.get(side)
        if price is not None and not Decimal(price):
            fields[side] = fields[f"{side}_size"] = None
    return fields


def _element(message: Message | Sequence[Any], key: str | int) -> object:
    if isinstance(message, dict):
        return message.get(str(key))
    return message[key] if isinstance(key, int) and -len(message) <= key < len(message) else None

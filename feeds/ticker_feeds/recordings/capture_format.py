"""The blocks of a capture, which `ticker_feeds.recordings.capture` describes: from moments to bytes, and back."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec

from ticker.errors import BadPublication
from ticker.market import (
    Candle,
    Instrument,
    Kind,
    Levels,
    Publication,
    Reason,
    Stale,
    Trade,
    Update,
    Value,
    Withdrawal,
    field_key,
    field_kind,
    is_symbol,
    is_text,
    plain,
    read_value,
)
from ticker.texts import shown
from ticker_feeds.recordings.capture_rows import (
    RecordedCandle,
    RecordedLevels,
    RecordedTrade,
    packed_rows,
    recorded_number,
    unpacked_rows,
)

MAGIC = b"ticker\x00\x02"
"""The beginning of a file: `ticker`, 0 and the format's version."""

BEFORE = b"ticker\x00\x01"
"""That of version 1, which has the same blocks, but no levels, trades and candles."""

MAX_BLOCK = 2**24
"""The most bytes of a payload. A moment of more, some 80,000 full updates, is written as several with the same time."""

HEAD = struct.Struct(">II")
"""The head of a payload: its length and its checksum."""

Refuse: TypeAlias = Callable[[BadPublication], None]
"""Takes the error of a publication or a value that cannot be recorded."""


class Moment(NamedTuple):
    """Publications of one moment; `time` is in microseconds since 1970 UTC."""

    time: int
    publications: Sequence[Publication]


_Value: TypeAlias = str | int | tuple[str] | None

_UNREADABLE = ("NaN",)
"""Stands for a value that could not be read; no field can have it."""


class _Declared(msgspec.Struct, array_like=True, tag=0):
    symbol: str
    price_scale: int
    size_scale: int
    metadata: dict[str, str]


class _Updated(msgspec.Struct, array_like=True, tag=1):
    symbol: str
    fields: dict[str, _Value]


class _Withdrawn(msgspec.Struct, array_like=True, tag=2):
    symbol: str


class _Outdated(msgspec.Struct, array_like=True, tag=3):
    symbol: str
    reason: str
    book_only: bool = False


_Published: TypeAlias = _Declared | _Updated | _Withdrawn | _Outdated | RecordedLevels | RecordedTrade | RecordedCandle


class _Header(msgspec.Struct):
    segment: int
    instruments: list[_Declared]


_encode = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(_Header).decode
_decode_moment = msgspec.msgpack.Decoder(tuple[int, list[_Published]]).decode


def block(payload: bytes) -> bytes:
    """Return the block of a payload."""
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def encode_header(number: int, instruments: Iterable[Instrument]) -> bytes:
    """Return the payload of a segment's first block."""
    return _encode(_Header(number, [_declared(each) for each in instruments]))


def decode_header(payload: bytes) -> list[Instrument]:
    """Return the instruments of a segment's first block. Raises `msgspec.DecodeError` or `BadPublication`."""
    return [_instrument(each) for each in _decode_header(payload).instruments]


def encode_moment(moment: Moment, refuse: Refuse) -> list[bytes]:
    """Return the payloads of a moment, one if it is not too large; anything that cannot be recorded is left out."""
    published: list[_Published] = []
    for publication in moment.publications:
        try:
            published.append(_packed(publication, refuse))
        except Exception as error:  # noqa: BLE001  # a publication is a feed's own object and can fail in any way
            cause = f"{type(error).__name__} while it was read"
            refuse(error if isinstance(error, BadPublication) else BadPublication(f"{cause}: {shown(error)}"))
            # As in the service: whatever it was to say, nothing said before can be taken for current.
            if type(publication) is Update and is_symbol(publication.symbol):
                published.append(_Outdated(publication.symbol, Reason.BAD_DATA))
            elif type(publication) is Levels and is_symbol(publication.symbol):
                published.append(_Outdated(publication.symbol, Reason.BAD_DATA, book_only=True))
    return _encode_parts(moment.time, published, refuse)


def decode_moment(payload: bytes) -> Moment:
    """Return the moment of a payload. Raises `msgspec.DecodeError` or `BadPublication`."""
    time, published = _decode_moment(payload)
    return Moment(time, [_unpacked(each) for each in published])


def _encode_parts(time: int, published: Sequence[_Published], refuse: Refuse) -> list[bytes]:
    payload = _encode((time, published))
    if len(payload) <= MAX_BLOCK:
        return [payload]
    if len(published) == 1:
        refuse(BadPublication(f"a publication of {len(payload)} bytes; at most {MAX_BLOCK} can be recorded"))
        return []
    middle = len(published) // 2
    return _encode_parts(time, published[:middle], refuse) + _encode_parts(time, published[middle:], refuse)


def _declared(instrument: Instrument) -> _Declared:
    return _Declared(instrument.symbol, instrument.price_scale, instrument.size_scale, dict(instrument.metadata))


def _packed(publication: object, refuse: Refuse) -> _Published:
    """Return a publication in its written form. Raises `BadPublication` for anything else."""
    if type(publication) is Instrument:
        return _declared(publication)
    if type(publication) is Update and is_symbol(publication.symbol) and isinstance(publication.fields, Mapping):
        return _Updated(publication.symbol, _packed_fields(publication.fields, refuse))
    if type(publication) is Withdrawal and is_symbol(publication.symbol):
        return _Withdrawn(publication.symbol)
    if type(publication) is Stale and is_symbol(publication.symbol):
        reason = plain(publication.reason)
        reason = reason if is_text(reason) else Reason.BAD_DATA
        return _Outdated(publication.symbol, reason, publication.book_only is True)
    if isinstance(publication, Levels | Trade | Candle) and is_symbol(publication.symbol):
        return packed_rows(publication)
    raise BadPublication(f"{shown(publication)} is no publication")


def _packed_fields(fields: Mapping[str, Value], refuse: Refuse) -> dict[str, _Value]:
    """The fields as they are written, without those that cannot be."""
    packed: dict[str, _Value] = {}
    for name, value in fields.items():
        try:
            kind = field_kind(field_key(name))
        except BadPublication as error:
            refuse(error)
            continue
        try:
            number = value is not None and (kind is Kind.PRICE or kind is Kind.SIZE)
            packed[name] = recorded_number(value) if number else read_value(kind, value)
        except BadPublication as error:
            packed[name] = _UNREADABLE
            refuse(BadPublication(f"{name}: {error}"))
    return packed


def _unpacked(published: _Published) -> Publication:
    """Return the publication of its written form. Raises `BadPublication`."""
    if isinstance(published, _Updated):
        return Update(published.symbol, {name: _value(value) for name, value in published.fields.items()})
    if isinstance(published, _Declared):
        return _instrument(published)
    if isinstance(published, _Outdated):
        return Stale(published.symbol, published.reason, published.book_only)
    return Withdrawal(published.symbol) if isinstance(published, _Withdrawn) else unpacked_rows(published)


def _instrument(declared: _Declared) -> Instrument:
    return Instrument(declared.symbol, declared.price_scale, declared.size_scale, declared.metadata)


def _value(value: _Value) -> Value:
    return Decimal(value[0]) if isinstance(value, tuple) else value

"""Bytes on the wire: WebSocket frames, and messages in their two encodings, msgpack (binary) and JSON (text).

Data messages are built from parts that many clients share. An *entry* (`id, fields` of a DELTA or SNAPSHOT) and a
*definition* (of INSTRUMENTS) are encoded once and joined into as many messages as need them, so both encodings are made
of pieces whose concatenation is the message. Server frames are not masked (RFC 6455, section 5.1): the bytes of a frame
are the same for every receiver.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgpack
import msgspec

from ticker.bounds import MAX_REQUEST_ITEMS
from ticker.errors import Code, ProtocolError
from ticker.market import FieldKey, RecordValue
from ticker.protocol.messages import Definition, Heartbeat, MessageKind, Removed, ServerMessage

_TEXT, _BINARY, _CLOSE = 0x81, 0x82, 0x88  # the FIN bit and the opcode (RFC 6455, section 5.2)

_DELTA = bytes((0x95, MessageKind.DELTA))
_FIXARRAY = [bytes((0x90 | length,)) for length in range(16)]
_BINARY_HEADERS = [bytes((_BINARY, length)) for length in range(126)]

_MAX_SERVER_ITEMS = 1_000_000
"""Elements of an array or a map in a server's message: a false length is an error before memory is allocated for it."""


class Described(Protocol):
    """An instrument or a table, as far as entries need it."""

    @property
    def number(self) -> int:
        """Its id."""
        ...

    @property
    def symbol(self) -> str:
        """The instrument's symbol, or the table's name."""
        ...

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices."""
        ...

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes."""
        ...


class Joined(NamedTuple):
    """Entries, some of them joined already."""

    entries: int
    """The number of entries."""
    parts: Sequence[bytes]


class Encoding(Protocol):
    """An encoding of messages as frames: `MSGPACK` or `JSON`."""

    subprotocol: str
    """The WebSocket subprotocol that names this encoding."""
    text: bool
    """Whether its messages travel in text frames."""

    def frame(self, message: ServerMessage) -> bytes:
        """Return a whole WebSocket frame with one message."""
        ...

    def definition(self, definition: Definition) -> bytes:
        """Return one element of INSTRUMENTS."""
        ...

    def entry(self, number: int, fields: Mapping[FieldKey, RecordValue]) -> bytes:
        """Return one `id, fields` pair of a DELTA or SNAPSHOT."""
        ...

    def entry_of(self, record: Described, fields: Mapping[FieldKey, RecordValue], *, complete: bool) -> bytes:
        """Return the entry of a record: its changes, or the complete record."""
        ...

    def removed(self, cursor: int, records: Iterable[Described]) -> bytes:
        """Return the frame that takes these records out of a copy at this cursor."""
        ...

    def instruments(self, definitions: Sequence[bytes]) -> bytes:
        """Return the frame of an INSTRUMENTS message, made of encoded definitions."""
        ...

    def reached(self, cut: int, time: int) -> bytes:
        """Return the cut to which messages take a copy, with its time: the end of `step`."""
        ...

    def step(self, since: int, reached: bytes) -> bytes:
        """Return the common part of DELTA and SNAPSHOT: the cuts from and to which they take a copy."""
        ...

    def delta(self, step: bytes, changes: Sequence[bytes]) -> bytes:
        """Return the frame of a DELTA, made of encoded entries."""
        ...

    def snapshot(self, step: bytes, changes: Sequence[bytes], records: Sequence[bytes]) -> bytes:
        """Return the frame of a SNAPSHOT, made of encoded entries."""
        ...

    def join(self, entries: Sequence[bytes]) -> bytes:
        """Return several entries as one part of `large`."""
        ...

    def large(self, step: bytes, changes: Joined, records: Joined) -> bytes:
        """Return the frame of a SNAPSHOT, or of a DELTA if there are no records, made of parts with several entries."""
        ...

    def decode_request(self, payload: bytes | str) -> object:
        """Decode a client's payload to plain objects. Raises `ProtocolError` if it is not in this encoding."""
        ...

    def decode_message(self, payload: bytes | str) -> object:
        """Decode a server's payload to plain objects. Raises `ProtocolError` if it is not in this encoding."""
        ...

    def encode_request(self, request: Mapping[str, Any]) -> bytes | str:
        """Return the payload of a client's request."""
        ...


class _Msgpack:
    subprotocol = "ticker.v1.msgpack"
    text = False

    def __init__(self) -> None:
        self._pack = msgpack.Packer().pack

    def frame(self, message: ServerMessage) -> bytes:
        payload = self._pack(msgspec.to_builtins(message))
        return frame_header(_BINARY, len(payload)) + payload

    def definition(self, definition: Definition) -> bytes:
        return self._pack(msgspec.to_builtins(definition))

    def entry(self, number: int, fields: Mapping[FieldKey, RecordValue]) -> bytes:
        return self._pack(number) + self._pack(fields)

    def entry_of(self, record: Described, fields: Mapping[FieldKey, RecordValue], *, complete: bool) -> bytes:  # noqa: ARG002
        return self.entry(record.number, fields)

    def removed(self, cursor: int, records: Iterable[Described]) -> bytes:
        return self.frame(Removed(cursor, cursor, [record.number for record in records]))

    def instruments(self, definitions: Sequence[bytes]) -> bytes:
        return _join(_BINARY, b"\x92%c%b" % (MessageKind.INSTRUMENTS, _array(len(definitions))), b"".join(definitions))

    def reached(self, cut: int, time: int) -> bytes:
        return self._pack(cut) + self._pack(time)

    def step(self, since: int, reached: bytes) -> bytes:
        return self._pack(since) + reached

    def delta(self, step: bytes, changes: Sequence[bytes]) -> bytes:
        # Built for each audience of each cut: no helpers, one join.
        count = 2 * len(changes)
        body = b"".join((_DELTA, step, _FIXARRAY[count] if count < 16 else _array(count), *changes))
        length = len(body)
        return (_BINARY_HEADERS[length] if length < 126 else frame_header(_BINARY, length)) + body

    def snapshot(self, step: bytes, changes: Sequence[bytes], records: Sequence[bytes]) -> bytes:
        head = b"\x96%c%b%b" % (MessageKind.SNAPSHOT, step, _array(2 * len(changes)))
        return _join(_BINARY, head, b"".join((*changes, _array(2 * len(records)), *records)))

    def join(self, entries: Sequence[bytes]) -> bytes:
        return b"".join(entries)

    def large(self, step: bytes, changes: Joined, records: Joined) -> bytes:
        kind, end = (0x96, MessageKind.SNAPSHOT), (_array(2 * records.entries), *records.parts)
        if not records.entries:
            kind, end = (0x95, MessageKind.DELTA), ()
        return _join(
            _BINARY, b"%c%c%b%b" % (*kind, step, _array(2 * changes.entries)), b"".join((*changes.parts, *end))
        )

    def decode_request(self, payload: bytes | str) -> object:
        return _unpack(payload, MAX_REQUEST_ITEMS, len(payload))

    def decode_message(self, payload: bytes | str) -> object:
        return _unpack(payload, _MAX_SERVER_ITEMS, len(payload))

    def encode_request(self, request: Mapping[str, Any]) -> bytes:
        return msgpack.packb(request)


class _Json:
    subprotocol = "ticker.v1.json"
    text = True

    def frame(self, message: ServerMessage) -> bytes:
        payload = msgspec.json.encode(message)
        return frame_header(_TEXT, len(payload)) + payload

    def definition(self, definition: Definition) -> bytes:
        return msgspec.json.encode(definition)

    def entry(self, number: int, fields: Mapping[FieldKey, RecordValue]) -> bytes:
        return b"%d,%b" % (number, msgspec.json.encode(fields))

    def entry_of(self, record: Described, fields: Mapping[FieldKey, RecordValue], *, complete: bool) -> bytes:  # noqa: ARG002
        return self.entry(record.number, fields)

    def removed(self, cursor: int, records: Iterable[Described]) -> bytes:
        return self.frame(Removed(cursor, cursor, [record.number for record in records]))

    def instruments(self, definitions: Sequence[bytes]) -> bytes:
        return _join(_TEXT, b"[%d,[" % MessageKind.INSTRUMENTS, b",".join(definitions) + b"]]")

    def reached(self, cut: int, time: int) -> bytes:
        return b"%d,%d" % (cut, time)

    def step(self, since: int, reached: bytes) -> bytes:
        return b"%d,%b" % (since, reached)

    def delta(self, step: bytes, changes: Sequence[bytes]) -> bytes:
        return _join(_TEXT, b"[%d,%b,[" % (MessageKind.DELTA, step), b",".join(changes) + b"]]")

    def snapshot(self, step: bytes, changes: Sequence[bytes], records: Sequence[bytes]) -> bytes:
        body = b"%b],[%b]]" % (b",".join(changes), b",".join(records))
        return _join(_TEXT, b"[%d,%b,[" % (MessageKind.SNAPSHOT, step), body)

    def join(self, entries: Sequence[bytes]) -> bytes:
        return b",".join(entries)

    def large(self, step: bytes, changes: Joined, records: Joined) -> bytes:
        return self.snapshot(step, changes.parts, records.parts) if records.entries else self.delta(step, changes.parts)

    def decode_request(self, payload: bytes | str) -> object:
        if not isinstance(payload, str):
            raise ProtocolError(Code.WRONG_ENCODING, "this connection speaks JSON in text messages, not binary ones")
        try:
            return msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ProtocolError(Code.MALFORMED, f"not JSON: {error}") from None

    def decode_message(self, payload: bytes | str) -> object:
        message = self.decode_request(payload)
        # JSON has no integer keys: the ids of standard fields come as "1", "2", ...
        if isinstance(message, list) and message and message[0] in (MessageKind.SNAPSHOT, MessageKind.DELTA):
            for entries in message[4:6]:
                if isinstance(entries, list):
                    entries[1::2] = [_integer_keys(fields) for fields in entries[1::2]]
        return message

    def encode_request(self, request: Mapping[str, Any]) -> str:
        return msgspec.json.encode(request).decode()


class Events(_Json):
    """The JSON messages as an event stream (the HTML standard, section 9.2), each an event, instead of in frames.

    An event that moves the cursor has the id `EPOCH:CUT`, which a client gives back as `Last-Event-ID`.
    """

    subprotocol = ""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch.encode()

    def frame(self, message: ServerMessage) -> bytes:
        """Return an event with one message."""
        event = b"data: %b\n\n" % msgspec.json.encode(message)
        return self.id(message.cut) + event if isinstance(message, Heartbeat) else event

    def instruments(self, definitions: Sequence[bytes]) -> bytes:
        """Return the event of an INSTRUMENTS message."""
        return b"data: [%d,[%b]]\n\n" % (MessageKind.INSTRUMENTS, b",".join(definitions))

    def delta(self, step: bytes, changes: Sequence[bytes]) -> bytes:
        """Return the event of a DELTA, with its id."""
        return b"%bdata: [%d,%b,[%b]]\n\n" % (self._moved(step), MessageKind.DELTA, step, b",".join(changes))

    def snapshot(self, step: bytes, changes: Sequence[bytes], records: Sequence[bytes]) -> bytes:
        """Return the event of a SNAPSHOT, with its id."""
        entries = b"%b],[%b" % (b",".join(changes), b",".join(records))
        return b"%bdata: [%d,%b,[%b]]\n\n" % (self._moved(step), MessageKind.SNAPSHOT, step, entries)

    def id(self, cut: int) -> bytes:
        """Return the line with the client's cursor, as of this event."""
        return b"id: %b:%d\n" % (self._epoch, cut)

    def _moved(self, step: bytes) -> bytes:
        return self.id(int(step.split(b",")[1]))


MSGPACK: Encoding = _Msgpack()
JSON: Encoding = _Json()

ENCODINGS: Mapping[str, Encoding] = {encoding.subprotocol: encoding for encoding in (MSGPACK, JSON)}
"""By subprotocol, the default first."""

FOLLOWING = "ticker-bus.1"
"""The subprotocol with which another server follows this one (`ticker.bus.frames`)."""


def frame_header(first_byte: int, length: int) -> bytes:
    """Return the header of an unmasked frame (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((first_byte, length))
    if length < 65_536:
        return struct.pack("!BBH", first_byte, 126, length)
    return struct.pack("!BBQ", first_byte, 127, length)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame (RFC 6455, section 5.5.1); a reason has at most 123 bytes."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123]
    return frame_header(_CLOSE, len(payload)) + payload


def close_code(frame: bytes) -> int | None:
    """Return the code of a server's close frame (RFC 6455, section 5.5.1): 1005 without one, None for other frames."""
    if frame[:1] != bytes((_CLOSE,)):
        return None
    return int.from_bytes(frame[2:4], "big") if len(frame) >= 4 else 1005


def _join(first_byte: int, head: bytes, body: bytes) -> bytes:
    return frame_header(first_byte, len(head) + len(body)) + head + body


def _array(length: int) -> bytes:
    """Return the header of a msgpack array."""
    if length < 16:
        return _FIXARRAY[length]
    if length < 65_536:
        return struct.pack("!BH", 0xDC, length)
    return struct.pack("!BI", 0xDD, length)


def _unpack(payload: bytes | str, items: int, size: int) -> object:
    if not isinstance(payload, bytes):
        raise ProtocolError(Code.WRONG_ENCODING, "this connection speaks msgpack in binary messages, not text ones")
    try:
        return msgpack.unpackb(
            payload,
            strict_map_key=False,
            max_array_len=items,
            max_map_len=items,
            max_str_len=size,
            max_bin_len=size,
            max_ext_len=0,
            ext_hook=_no_extension,
        )
    except (ValueError, TypeError) as error:  # TypeError: the key of a map is an array or a map
        raise ProtocolError(Code.MALFORMED, f"not msgpack: {str(error) or type(error).__name__}"[:200]) from None


def _no_extension(number: int, _data: bytes) -> object:
    raise ValueError(f"extension type {number}")


def _integer_keys(fields: object) -> object:
    if not isinstance(fields, dict):
        return fields
    return {
        int(key) if key.isascii() and key.isdigit() and len(key) < 6 else key: value for key, value in fields.items()
    }

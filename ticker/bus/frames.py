"""The messages between the engine of one machine and its connections, and their frames on a stream.

A frame is the length of its message, four bytes with the highest first, and the message in msgpack. The engine begins
with a `Hello`; then each request gets one `Answer`, in order. After that to a `Follow` come entries, each in a frame of
its own as soon as it is there, until the next request.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from typing import Final, Generic, TypeVar

import msgspec
import trio

from ticker.bus.engine import Entry, Keyframe, Position
from ticker.bus_bounds import BUS_PART_SECONDS, MAX_BUS_DATA_BYTES
from ticker.errors import TickerError

PROTOCOL = "ticker-bus-1"
"""Changes with these messages: after an update, processes of two versions may meet on one machine."""

_LENGTH = struct.Struct(">I")
MAX_MESSAGE = 2 * MAX_BUS_DATA_BYTES
"""A read brings whole entries: the last one begins before `BUS_BYTES_PER_READ`."""
_CHUNK = 65_536
_PUSHED: Final = b"\x92"
"""The first byte of an entry, an array of two; an answer is one of three."""

_T = TypeVar("_T")


class BadFrame(TickerError):
    """The peer sent what is no frame or no message, or took too long for a frame that it had begun."""


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """The first message, from the engine."""

    protocol: str
    run: str
    delay_seconds: int = 0
    """By how much its entries are later than their source, on purpose."""
    unavailable: str | None = None
    """Why it cannot be used now: nothing follows."""
    pushes: bool = False
    """It knows `Follow`."""


class Last(msgspec.Struct, array_like=True, frozen=True, tag="last"):
    """Asks for the last position."""


class Append(msgspec.Struct, array_like=True, frozen=True, tag="append"):
    """Asks to append an entry or a beat."""

    position: Position
    data: bytes


class Read(msgspec.Struct, array_like=True, frozen=True, tag="read"):
    """Asks for the next entries."""

    after: Position
    seconds: float


class Follow(msgspec.Struct, array_like=True, frozen=True, tag="follow"):
    """Asks for all entries after a position, those that are there and those that come. The next request ends it."""

    after: Position


class Find(msgspec.Struct, array_like=True, frozen=True, tag="find"):
    """Asks for the entry at a position."""

    position: Position


class PutPart(msgspec.Struct, array_like=True, frozen=True, tag="put-part"):
    """Asks to keep a part of a keyframe."""

    cut: int
    number: int
    data: bytes


class FinishKeyframe(msgspec.Struct, array_like=True, frozen=True, tag="finish-keyframe"):
    """Asks to make a keyframe the latest."""

    keyframe: Keyframe


class LatestKeyframe(msgspec.Struct, array_like=True, frozen=True, tag="keyframe"):
    """Asks for the latest keyframe."""


class Part(msgspec.Struct, array_like=True, frozen=True, tag="part"):
    """Asks for a part of a keyframe."""

    cut: int
    number: int


class Parts(msgspec.Struct, array_like=True, frozen=True, tag="parts"):
    """Asks another ticker for the parts of a keyframe from this one on, as many as there are in one answer."""

    cut: int
    number: int


Request = Last | Append | Read | Follow | Find | PutPart | FinishKeyframe | LatestKeyframe | Part | Parts


class Answer(msgspec.Struct, Generic[_T], array_like=True, frozen=True):
    """The answer to a request: its value, or the text of `Refused` or `Unavailable`."""

    value: _T
    refused: str | None = None
    unavailable: str | None = None


encode = msgspec.msgpack.Encoder().encode
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def decode_request(message: bytes) -> Request:
    """Decode a request. Raises `BadFrame`."""
    return decode(_requests, message)


def decode(decoder: msgspec.msgpack.Decoder[_T], message: bytes) -> _T:
    """Decode a message. Raises `BadFrame`."""
    try:
        return decoder.decode(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"a message of {len(message)} bytes that is none of ours: {error}") from None


def framed(message: bytes) -> bytes:
    """Return a message as a frame."""
    return _LENGTH.pack(len(message)) + message


def pushed(entry: Entry) -> bytes:
    """Return the frame of an entry for one that follows."""
    return framed(encode(entry))


def is_pushed(message: bytes) -> bool:
    """Whether a message of the engine is an entry, and no answer."""
    return message[:1] == _PUSHED


class FrameStream:
    """Frames over a Unix socket that does not block, for one task. Its methods raise `BadFrame`, and
    `trio.BrokenResourceError` once the peer has gone.

    The socket is used directly: Trio's streams cost several times as much.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = bytearray()

    async def send(self, message: bytes) -> None:
        """Send a message. `BadFrame` if the peer does not take it in time."""
        if len(message) > MAX_MESSAGE:
            raise BadFrame(f"a message of {len(message)} bytes, {MAX_MESSAGE} are allowed")
        await self.send_rest(framed(message))

    async def send_rest(self, data: bytes | memoryview) -> None:
        """Send what is left of some frames. `BadFrame` if the peer does not take it in time."""
        sent = self.send_now(data)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        with trio.move_on_after(BUS_PART_SECONDS):
            while rest:
                await trio.lowlevel.wait_writable(self._socket)
                rest = rest[self.send_now(rest) :]
            return
        raise BadFrame(f"the peer took no more for {BUS_PART_SECONDS:g} s")

    def send_now(self, data: bytes | memoryview) -> int:
        """Send as much as the peer takes at once; return how much that was."""
        try:
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def receive(self, seconds: float = math.inf) -> bytes | None:
        """Return the next message, None at the end of the stream. `BadFrame` if none begins in so many seconds.

        One that has begun has to come whole.
        """
        if not await self.begins(seconds):
            raise BadFrame(f"nothing came for {seconds:g} s")
        if not self._received:
            return None
        message = self.next_received()
        return message if message is not None else await self._rest()

    async def begins(self, seconds: float) -> bool:
        """Wait until a message begins, or the stream ends; False if neither is so in so many seconds."""
        if self._received:
            return True
        if seconds == math.inf:
            await self._more()
            return True
        with trio.move_on_after(seconds):
            await self._more()
            return True
        return False

    def next_received(self) -> bytes | None:
        """Return the next message, if all of it is there."""
        received = self._received
        if len(received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(received)
        if length > MAX_MESSAGE:
            raise BadFrame(f"a message of {length} bytes, {MAX_MESSAGE} are allowed")
        end = _LENGTH.size + length
        if len(received) < end:
            return None
        message = bytes(memoryview(received)[_LENGTH.size : end])
        del received[:end]
        return message

    async def _rest(self) -> bytes:
        with trio.move_on_after(BUS_PART_SECONDS):
            while await self._more():
                message = self.next_received()
                if message is not None:
                    return message
            raise BadFrame("the stream ended in the middle of a message")
        raise BadFrame(f"a message was not whole after {BUS_PART_SECONDS:g} s")

    async def _more(self) -> bool:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            with contextlib.suppress(BlockingIOError):
                try:
                    chunk = self._socket.recv(_CHUNK)
                except ConnectionError as error:
                    raise trio.BrokenResourceError from error
                self._received += chunk
                return bool(chunk)

"""The messages between the engine of one machine and its connections, and their frames on a stream.

A frame is the length of its message, four bytes with the highest first, and the message in msgpack. The engine begins
with a `Hello`; then each request gets one `Answer`, in order.
"""

from __future__ import annotations

import struct
from typing import Generic, TypeVar

import msgspec
import trio

from ticker.bus.engine import Keyframe, Position
from ticker.bus_bounds import BUS_PART_SECONDS, MAX_BUS_DATA_BYTES
from ticker.errors import TickerError

PROTOCOL = "ticker-bus-1"
"""Changes with these messages: after an update, processes of two versions may meet on one machine."""

_LENGTH = struct.Struct(">I")
MAX_MESSAGE = 2 * MAX_BUS_DATA_BYTES
"""A read brings whole entries: the last one begins before `BUS_BYTES_PER_READ`."""
_CHUNK = 262_144

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


Request = Last | Append | Read | Find | PutPart | FinishKeyframe | LatestKeyframe | Part | Parts


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


class FrameStream:
    """Frames over a stream, for one task. All methods raise `trio.BrokenResourceError` and `BadFrame`."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._received = bytearray()

    async def send(self, message: bytes) -> None:
        """Send a message. `BadFrame` if the peer does not take it in time."""
        if len(message) > MAX_MESSAGE:
            raise BadFrame(f"a message of {len(message)} bytes, {MAX_MESSAGE} are allowed")
        with trio.move_on_after(BUS_PART_SECONDS):
            await self._stream.send_all(_LENGTH.pack(len(message)) + message)
            return
        raise BadFrame(f"the peer took no more for {BUS_PART_SECONDS:g} s")

    async def receive(self, seconds: float = float("inf")) -> bytes | None:
        """Return the next message, None at the end of the stream. `BadFrame` if none begins in so many seconds.

        One that has begun has to come whole.
        """
        if not self._received:
            with trio.move_on_after(seconds) as wait:
                if not await self._more():
                    return None
            if wait.cancelled_caught:
                raise BadFrame(f"nothing came for {seconds:g} s")
        with trio.move_on_after(BUS_PART_SECONDS):
            return await self._rest()
        raise BadFrame(f"a message was not whole after {BUS_PART_SECONDS:g} s")

    async def _rest(self) -> bytes:
        await self._until(_LENGTH.size)
        (length,) = _LENGTH.unpack_from(self._received)
        if length > MAX_MESSAGE:
            raise BadFrame(f"a message of {length} bytes, {MAX_MESSAGE} are allowed")
        end = _LENGTH.size + length
        await self._until(end)
        message = bytes(memoryview(self._received)[_LENGTH.size : end])
        del self._received[:end]
        return message

    async def _until(self, count: int) -> None:
        while len(self._received) < count:
            if not await self._more():
                raise BadFrame("the stream ended in the middle of a message")

    async def _more(self) -> bool:
        chunk = await self._stream.receive_some(_CHUNK)
        self._received += chunk
        return bool(chunk)

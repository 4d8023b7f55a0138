"""A connection to an engine elsewhere, which is asked for everything by the messages of `ticker.bus.frames`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec
import trio

from ticker.bus import frames
from ticker.bus.engine import Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.frames import Answer, BadFrame, Hello
from ticker.bus_bounds import BUS_ANSWER_SECONDS, MAX_TOTAL_DELAY_SECONDS
from ticker.net.failures import cause_of

_T = TypeVar("_T")

FAILURES = (BadFrame, trio.BrokenResourceError, trio.ClosedResourceError)
"""Of what carries messages."""

_hello = msgspec.msgpack.Decoder(Hello)
_nothing = msgspec.msgpack.Decoder(Answer[None])
_position = msgspec.msgpack.Decoder(Answer[Position | None])
_entries = msgspec.msgpack.Decoder(Answer[list[Entry] | None])
_keyframe = msgspec.msgpack.Decoder(Answer[Keyframe | None])
_parts = msgspec.msgpack.Decoder(Answer[list[bytes] | None])
_data = msgspec.msgpack.Decoder(Answer[bytes | None])


class Messages(Protocol):
    """What carries messages to the engine and back. Raises `BadFrame`, and Trio's errors of a broken stream."""

    async def send(self, message: bytes) -> None:
        """Send a message."""

    async def receive(self, seconds: float) -> bytes | None:
        """Return the next message, None at the end. `BadFrame` if none begins in so many seconds."""
        ...


class AskedConnection:
    """A connection to an engine elsewhere."""

    def __init__(self, messages: Messages, kind: str, name: str, remedy: str) -> None:
        """`kind` is what the engine is to people, and `remedy` helps if it has other messages than these."""
        self._messages = messages
        self._name = name
        self._who = f"the {kind} at {name}"
        self._remedy = remedy
        self._hello = Hello("", "")
        self._usable = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._name}{'' if self._usable else ', ended'}>"

    @property
    def run(self) -> str:
        """Names the life of the log."""
        return self._hello.run

    @property
    def delay_seconds(self) -> int:
        """By how much the engine is later than its source."""
        return self._hello.delay_seconds

    @property
    def pushes(self) -> bool:
        """Whether entries come by themselves once `follow` was asked."""
        return self._hello.pushes

    async def begin(self) -> None:
        """Receive the engine's first message. Raises `Unavailable`."""
        hello = await self._command(None, _hello)
        if hello.protocol != frames.PROTOCOL:
            known = repr(frames.PROTOCOL)
            raise Unavailable(f"{self._who} speaks {hello.protocol!r}, this process {known}: {self._remedy}")
        if hello.unavailable is not None:
            raise Unavailable(f"{self._name}: {hello.unavailable}")
        if not 0 <= hello.delay_seconds <= MAX_TOTAL_DELAY_SECONDS:
            raise Unavailable(
                f"{self._who} says that it is {hello.delay_seconds} s late, which has to be 0 to"
                f" {MAX_TOTAL_DELAY_SECONDS}: {self._remedy}"
            )
        self._hello = hello

    async def last(self) -> Position:
        """Return the last position, `(0, 0)` if there is none."""
        return await self._ask(frames.Last(), _position) or Position(0)

    async def append(self, position: Position, data: bytes) -> None:
        """Append an entry or a beat. Raises `Refused`."""
        await self._ask(frames.Append(position, data), _nothing)

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        return await self._ask(frames.Read(after, seconds), _entries, seconds + BUS_ANSWER_SECONDS) or []

    async def follow(self, after: Position) -> None:
        """Ask for all entries after a position."""
        await self._ask(frames.Follow(after), _nothing)

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        return await self._ask(frames.Find(position), _data)

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        """Write a part, counted from 0, of the keyframe that was begun after this cut."""
        await self._ask(frames.PutPart(cut, number, data), _nothing)

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        """Make this keyframe the latest, and trim the log to the one before. Raises `Refused`."""
        await self._ask(frames.FinishKeyframe(keyframe), _nothing)

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe."""
        return await self._ask(frames.LatestKeyframe(), _keyframe)

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        return await self._ask(frames.Part(cut, number), _data)

    async def parts(self, cut: int, number: int) -> Sequence[bytes]:
        """Return some parts of a keyframe from this one on; nothing if there are none (any more)."""
        return await self._ask(frames.Parts(cut, number), _parts) or []

    async def _ask(
        self, request: frames.Request, decoder: msgspec.msgpack.Decoder[Answer[_T]], seconds: float = BUS_ANSWER_SECONDS
    ) -> _T:
        answer = await self._command(request, decoder, seconds)
        if answer.refused is not None:
            raise Refused(f"{self._name}: {answer.refused}")
        if answer.unavailable is not None:
            raise Unavailable(f"{self._name}: {answer.unavailable}")
        return answer.value

    async def _command(
        self,
        request: frames.Request | None,
        decoder: msgspec.msgpack.Decoder[_T],
        seconds: float = BUS_ANSWER_SECONDS,
    ) -> _T:
        """Send a request and receive the next message."""
        self.begin_command()
        try:
            received = frames.decode(decoder, await self._exchange(request, seconds))
        except FAILURES as error:
            raise self.failed(error) from None
        self._usable = True
        return received

    def begin_command(self) -> None:
        """Cancelled or failed from here on, the connection has ended."""
        if not self._usable:
            raise Unavailable(f"the connection to {self._who} has ended")
        self._usable = False

    def failed(self, error: Exception) -> Unavailable:
        """Return what to raise when a command fails."""
        return Unavailable(f"{self._who} does not answer: {cause_of(error)}")

    async def _exchange(self, request: frames.Request | None, seconds: float) -> bytes:
        if request is not None:
            await self._messages.send(frames.encode(request))
        return await self._next(seconds)

    async def _next(self, seconds: float = BUS_ANSWER_SECONDS) -> bytes:
        message = await self._messages.receive(seconds)
        if message is None:
            raise BadFrame("its process has ended")
        return message

"""The engine of one machine: a connection to the log of another process (`ticker.bus.log`) over a Unix socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import trio

from ticker.bus import frames
from ticker.bus.asking import FAILURES, AskedConnection
from ticker.bus.engine import MOST_READ, Entry, Position, Unavailable
from ticker.bus.frames import FrameStream
from ticker.bus_bounds import BUS_ANSWER_SECONDS
from ticker.net.failures import cause_of

_entry = msgspec.msgpack.Decoder(Entry)


class LocalEngine:
    """The engine at the path of a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.delay_seconds = 0
        """By how much it is later than its source, as the latest connection said."""

    def __repr__(self) -> str:
        return f"<LocalEngine at {self._path}>"

    @property
    def name(self) -> str:
        """Its address for logs."""
        return f"unix:{self._path}"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LocalConnection]:
        """Connect. Raises `Unavailable`."""
        try:
            with trio.fail_after(BUS_ANSWER_SECONDS):
                stream = await trio.open_unix_socket(self._path)
        except (OSError, trio.TooSlowError) as error:
            raise Unavailable(f"the bus at {self.name} cannot be reached: {cause_of(error)}") from None
        with socket.socket(fileno=stream.socket.detach()) as sock:
            connection = LocalConnection(FrameStream(sock), self.name)
            await connection.begin()
            self.delay_seconds = connection.delay_seconds
            yield connection


class LocalConnection(AskedConnection):
    """A connection to it. Of reads one after another the first asks for all that comes, and the others only wait."""

    def __init__(self, stream: FrameStream, name: str) -> None:
        super().__init__(stream, "bus", name, "after an update restart the whole service")
        self._stream = stream
        self._followed: Position | None = None
        """The latest entry that was read, where those after it come by themselves."""

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        if seconds <= 0 or not self.pushes:
            return await super().read(after, seconds)
        if self._followed != after:
            await self.follow(after)
            self._followed = after
        self.begin_command()
        try:
            found = await self._pushed(seconds)
        except FAILURES as error:
            raise self.failed(error) from None
        self._usable = True
        if found:
            self._followed = found[-1].position
        return found

    async def _pushed(self, seconds: float) -> list[Entry]:
        message = self._stream.next_received()
        if message is None:
            if not await self._stream.begins(seconds):
                return []
            message = await self._next()
        found = [frames.decode(_entry, message)]
        while len(found) < MOST_READ and (message := self._stream.next_received()) is not None:
            found.append(frames.decode(_entry, message))
        return found

    async def _exchange(self, request: frames.Request | None, seconds: float) -> bytes:
        self._followed = None
        message = await super()._exchange(request, seconds)
        while frames.is_pushed(message):  # on its way before the engine had the request
            message = await self._next(seconds)
        return message

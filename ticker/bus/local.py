"""The engine of one machine: a connection to the log of another process (`ticker.bus.log`) over a Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ticker.bus.asking import AskedConnection
from ticker.bus.engine import Unavailable
from ticker.bus.frames import FrameStream
from ticker.bus_bounds import BUS_ANSWER_SECONDS
from ticker.net.failures import cause_of


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
        async with stream:
            connection = LocalConnection(stream, self.name)
            await connection.begin()
            self.delay_seconds = connection.delay_seconds
            yield connection


class LocalConnection(AskedConnection):
    """A connection to it."""

    def __init__(self, stream: trio.abc.Stream, name: str) -> None:
        super().__init__(FrameStream(stream), "bus", name, "after an update restart the whole service")

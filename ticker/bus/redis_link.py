"""One connection to a Redis, a Valkey or a sentinel: one command at a time, and every failure is a line.

Of coredis it uses the single connection below the client: no pool, no retries, nothing that is sent twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
import trio
from coredis.connection import BaseConnection, TCPLocation
from coredis.exceptions import ResponseError

from ticker.bus.addresses import RedisAddress
from ticker.bus.engine import Unavailable
from ticker.bus.redis_failures import describe
from ticker.bus_bounds import BUS_ANSWER_SECONDS
from ticker.errors import ConfigError

if TYPE_CHECKING:
    from coredis.connection._request import Request

Reply = bytes | int | None | list["Reply"] | dict[bytes, "Reply"]
"""What a server answers, in RESP3; we ask for nothing that brings other types."""


class Link:
    """A connection that has been made."""

    def __init__(self, connection: _Connection, address: RedisAddress, *, sentinel: bool) -> None:
        self._connection = connection
        self._address = address
        self._sentinel = sentinel
        self._usable = True

    async def command(self, name: bytes, *arguments: bytes | int, seconds: float = BUS_ANSWER_SECONDS) -> Reply:
        """Send a command and return its answer. Raises `Unavailable`, also for an error that the server answers.

        Failed or cancelled, it ends the connection.
        """
        try:
            return await self.try_command(name, *arguments, seconds=seconds)
        except ResponseError as error:
            raise self.fail(error) from None

    async def try_command(self, name: bytes, *arguments: bytes | int, seconds: float = BUS_ANSWER_SECONDS) -> Reply:
        """Do the same, but raise an error that the server answers as `ResponseError`; the connection goes on."""
        if not self._usable:
            raise Unavailable(f"the connection to the bus at {self._address.text} has ended")
        self._usable = False
        try:
            answer = await self._connection.create_request(
                name, *arguments, timeout=seconds, disconnect_on_cancellation=True
            )
        except ResponseError:
            self._usable = True
            raise
        except Exception as error:  # noqa: BLE001  # whatever ended the library's tasks comes from here
            raise self.fail(error) from None
        self._usable = True
        return cast("Reply", answer)

    def fail(self, error: BaseException) -> Unavailable:
        """End the connection for this failure, and return the error that says it."""
        self._usable = False
        return _failure(error, self._address, sentinel=self._sentinel)


@asynccontextmanager
async def connect(server: tuple[str, int], address: RedisAddress, *, sentinel: bool = False) -> AsyncIterator[Link]:
    """Connect to a host and port with the settings of an address. Raises `Unavailable`."""
    try:
        stream = await _open(server, address)
    except (ConfigError, OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise _failure(error, address, connecting=True, sentinel=sentinel) from None
    connection = _Connection(stream, server, address, sentinel=sentinel)
    failure: Exception | None = None
    # The library's tasks need a nursery; the error of the block must not leave in a group.
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(connection.run)
        except Exception as error:  # noqa: BLE001  # whatever ended the library's tasks comes from here
            failure = _failure(await connection.failed() or error, address, connecting=True, sentinel=sentinel)
        else:
            try:
                yield Link(connection, address, sentinel=sentinel)
            except Exception as error:  # noqa: BLE001  # it is raised below
                failure = error
            finally:
                connection.invalidate()
    if failure is not None:
        await trio.lowlevel.checkpoint_if_cancelled()  # a library may have ended because of that
        raise failure


async def _open(server: tuple[str, int], address: RedisAddress) -> anyio.abc.ByteStream:
    context, (host, port) = address.context(), server
    with anyio.fail_after(BUS_ANSWER_SECONDS):
        if context is None:
            return await anyio.connect_tcp(host, port)
        return await anyio.connect_tcp(host, port, ssl_context=context, tls_standard_compatible=False)


class _Connection(BaseConnection):
    """The library's connection over an open stream."""

    def __init__(
        self, stream: anyio.abc.ByteStream, server: tuple[str, int], address: RedisAddress, *, sentinel: bool
    ) -> None:
        super().__init__(
            TCPLocation(*server),
            stream_timeout=BUS_ANSWER_SECONDS,
            username=address.sentinel_user if sentinel else address.user,
            password=address.sentinel_password if sentinel else address.password,
            db=None if sentinel else address.db,
        )
        self._open_stream = stream
        self._last: Request | None = None

    def describe(self) -> str:
        """Return its text for logs of the library."""
        return f"<connection to {self.location}>"

    async def _connect(self) -> anyio.abc.ByteStream:
        return self._open_stream

    def create_request(self, command: bytes, *args: bytes | float | str, **options: Any) -> Request:  # noqa: ANN401
        """Queue a command."""
        self._last = super().create_request(command, *args, **options)
        return self._last

    async def failed(self) -> Exception | None:
        """Return the error of the last request, if that is over.

        Of a server that refuses and leaves, the library may tell only that it left.
        """
        if self._last is not None and self._last.complete:
            try:
                await self._last
            except Exception as error:  # noqa: BLE001  # it is returned
                return error
        return None


def _failure(error: BaseException, address: RedisAddress, *, connecting: bool = False, sentinel: bool) -> Unavailable:
    text = describe(error, address, connecting=connecting, sentinel=sentinel)
    return Unavailable(f"the bus at {address.text}: {text}")

"""One connection to a Redis, a Valkey or a sentinel: one command at a time, and every failure is a line.

Of coredis it uses the single connection below the client: no pool, no retries, nothing that is sent twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import trio
from coredis.connection import TCPConnection, TCPLocation
from coredis.exceptions import ResponseError

from ticker.bounds import BUS_ANSWER_SECONDS
from ticker.bus.addresses import RedisAddress
from ticker.bus.engine import Unavailable
from ticker.bus.redis_failures import describe
from ticker.errors import ConfigError

Reply = bytes | int | None | list["Reply"] | dict[bytes, "Reply"]
"""What a server answers, in RESP3; we ask for nothing that brings other types."""


class Link:
    """A connection that has been made."""

    def __init__(self, connection: TCPConnection, address: RedisAddress) -> None:
        self._connection = connection
        self._address = address
        self._usable = True

    async def command(self, name: bytes, *arguments: bytes | int, seconds: float = BUS_ANSWER_SECONDS) -> Reply:
        """Send a command and return its answer. Raises `Unavailable`, also for an error that the server answers.

        Failed or cancelled, it ends the connection.
        """
        try:
            return await self.try_command(name, *arguments, seconds=seconds)
        except ResponseError as error:
            self._usable = False
            raise self.failure(error) from None

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
            raise self.failure(error) from None
        self._usable = True
        return cast("Reply", answer)

    def failure(self, error: BaseException) -> Unavailable:
        """Return the error for a failure."""
        return _failure(error, self._address)


@asynccontextmanager
async def connect(server: tuple[str, int], address: RedisAddress, *, sentinel: bool = False) -> AsyncIterator[Link]:
    """Connect to a host and port with the settings of an address. Raises `Unavailable`."""
    failure: Exception | None = None
    # The library's tasks need a nursery; the error of the block must not leave in a group.
    async with trio.open_nursery() as nursery:
        connection = _connection(server, address, sentinel=sentinel)
        try:
            await nursery.start(connection.run)
        except Exception as error:  # noqa: BLE001  # likewise
            failure = _failure(error, address)
        else:
            try:
                yield Link(connection, address)
            except Exception as error:  # noqa: BLE001  # it is raised below
                failure = error
            finally:
                connection.invalidate()
    if failure is not None:
        raise failure


def _connection(server: tuple[str, int], address: RedisAddress, *, sentinel: bool) -> TCPConnection:
    try:
        context = address.context()
    except ConfigError as error:
        raise Unavailable(f"the bus at {address.text}: {error}") from None
    location = TCPLocation(*server)
    timeout = BUS_ANSWER_SECONDS
    if sentinel:
        return TCPConnection(location, connect_timeout=timeout, stream_timeout=timeout, ssl_context=context)
    return TCPConnection(
        location,
        connect_timeout=timeout,
        stream_timeout=timeout,
        ssl_context=context,
        username=address.user,
        password=address.password,
        db=address.db,
        socket_keepalive=True,
    )


def _failure(error: BaseException, address: RedisAddress) -> Unavailable:
    return Unavailable(f"the bus at {address.text}: {describe(error, f'ticker:{address.name}:', address.user)}")

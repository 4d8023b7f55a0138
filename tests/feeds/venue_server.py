"""A venue on this machine: a WebSocket server over TLS that a test scripts.

async with followed("ticker_feeds.venues.coinbase:Coinbase?symbols=A-B", "A-B") as (venue, watcher):
    connection = await venue.accept()
    assert await connection.request() == {...}
    await connection.send({...})
    await watcher.until("A-B", bid="1.00")
"""

from __future__ import annotations

import json
import math
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from tests.conftest import serving
from tests.proxy import Proxy
from ticker import Change, Client, connect
from ticker.net.devcert import AUTHORITY_FILE, development_certificate
from ticker.net.tls import server_context


class Dripping(trio.abc.Stream):
    """A stream that can send byte by byte, each in a TLS record of its own, and can break within a message."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self.drips = False
        self.breaks = False

    async def handshake(self) -> None:
        await self._stream.do_handshake()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.breaks:
            await self._stream.send_all(data[: len(data) // 2])
            await self.aclose()
        elif not self.drips:
            await self._stream.send_all(data)
        else:
            for at in range(len(data)):
                await self._stream.send_all(data[at : at + 1])

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


class ServedConnection:
    """The venue's end of one connection."""

    def __init__(self, connection: WebSocketConnection, stream: Dripping) -> None:
        self.path = connection.path
        self.stream = stream
        self._connection = connection
        self._received, self._requests = trio.open_memory_channel[Any](math.inf)
        self.closed = trio.Event()
        """Set when the client has disconnected."""

    async def listen(self) -> None:
        try:
            while True:
                self._received.send_nowait(_request(await self._connection.get_message()))
        except ConnectionClosed:
            self.closed.set()

    async def request(self) -> Any:  # noqa: ANN401  # any JSON value
        """Return the client's next message: the JSON value in it, or else the payload."""
        return await self._requests.receive()

    @property
    def idle(self) -> bool:
        """Whether the client has sent nothing more."""
        return not self._requests.statistics().current_buffer_used

    async def send(self, *messages: object) -> None:
        """Send messages: `str` and `bytes` unchanged, anything else as JSON."""
        for message in messages:
            await self._connection.send_message(message if isinstance(message, str | bytes) else json.dumps(message))

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a WebSocket close frame."""
        await self._connection.aclose(code, reason)

    async def drop(self) -> None:
        """Drop the TCP connection."""
        await self.stream.aclose()


def _request(payload: str | bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


class VenueServer:
    """The server that feeds connect to."""

    def __init__(self) -> None:
        self.url = ""
        self.proxy = Proxy("wss://127.0.0.1:0")
        """Network between feed and venue, in tests that need one."""
        self._new, self._accepted = trio.open_memory_channel[ServedConnection](math.inf)

    async def accept(self) -> ServedConnection:
        """Return the next connection."""
        return await self._accepted.receive()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        made = development_certificate(Path(os.environ["TICKER_HOME"]))
        context = server_context(made.cert, made.key)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"wss://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(partial(self._serve, context), listeners)

    async def _serve(self, context: ssl.SSLContext, stream: trio.SocketStream) -> None:
        dripping = Dripping(trio.SSLStream(stream, context, server_side=True, https_compatible=True))
        try:
            await dripping.handshake()
        except trio.BrokenResourceError:
            return  # the client does not trust the certificate
        try:
            async with trio.open_nursery() as nursery:
                request = await wrap_server_stream(nursery, dripping)
                connection = ServedConnection(await request.accept(), dripping)
                self._new.send_nowait(connection)
                await connection.listen()
        finally:
            await dripping.aclose()


class Watcher:
    """A client of the service, and the statuses of each symbol that it has seen."""

    def __init__(self, client: Client, changes: AsyncIterator[Change]) -> None:
        self.client = client
        self.statuses: dict[str, list[tuple[object, object]]] = {}
        self._changes = changes

    async def until(self, symbol: str, **fields: str | int | None) -> None:
        """Follow the changes until the fields have these values."""
        while not all(_same(self.client.values(symbol).get(name), value) for name, value in fields.items()):
            change = await anext(self._changes)
            for each in change.changes:
                values, seen = self.client.values(each), self.statuses.setdefault(each, [])
                now = values.get("status"), values.get("reason")
                if now != (seen[-1] if seen else (None, None)):
                    seen.append(now)

    def value(self, symbol: str, name: str) -> object:
        """Return the present value of a field."""
        return self.client.values(symbol).get(name)


def _same(value: object, wanted: str | int | None) -> bool:
    return value == (Decimal(wanted) if isinstance(value, Decimal) and wanted is not None else wanted)


def option_ca() -> str:
    """Return the option that makes a feed trust the venue of these tests."""
    return f"ca={Path(os.environ['TICKER_HOME']) / AUTHORITY_FILE}"


@asynccontextmanager
async def venue() -> AsyncIterator[VenueServer]:
    """A venue that runs until the block is left."""
    server = VenueServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def venue_that_talks(talk: Callable[[ServedConnection], Awaitable[None]]) -> AsyncIterator[VenueServer]:
    """A venue that holds this talk on every connection, until the block is left or the feed closes it."""

    async def hold(connection: ServedConnection) -> None:
        with suppress(ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            await talk(connection)

    async with venue() as server, trio.open_nursery() as nursery:

        async def accept() -> None:
            while True:
                nursery.start_soon(hold, await server.accept())

        nursery.start_soon(accept)
        yield server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def followed(spec: str, *symbols: str) -> AsyncIterator[tuple[VenueServer, Watcher]]:
    """A venue, the service with the feed of this spec, and a client that is subscribed to these symbols."""
    async with venue() as server, trio.open_nursery() as nursery:
        server.proxy = Proxy(server.url)
        await nursery.start(server.proxy.run)
        feed = f"{spec}&url={server.proxy.url}&{option_ca()}"
        async with (
            serving(more_feeds=[feed]) as service,
            connect(service.url) as client,
            client.subscribe(*symbols) as subscription,
        ):
            yield server, Watcher(client, subscription)
        nursery.cancel_scope.cancel()

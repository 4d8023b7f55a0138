"""A service in front of an engine, without a market of its own: what follows it is given the engine's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ticker.bus.engine import Connection, Engine, Entry, Keyframe, Position
from ticker.bus.relayed import RelayedEngine
from ticker.config import Config, Limits
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.door.auth import Auth
from ticker.server.connection import ServerContext
from ticker.server.exposure import check_addresses
from ticker.server.files import Files
from ticker.server.housekeeping import check_connections
from ticker.server.listener import Connections
from ticker.server.metrics import Metrics
from ticker.server.opening import open_certificate, open_listeners
from ticker.server.operator_pages import OperatorPages
from ticker.server.pages import Pages
from ticker.server.publisher import Publisher
from ticker.server.readiness import Readiness


class Relay:
    """Such a service."""

    def __init__(self, context: ServerContext, url: str) -> None:
        self.context = context
        self.url = url


@asynccontextmanager
async def relay_of(engine: Engine, limits: Limits | None = None) -> AsyncIterator[Relay]:
    config = Config("127.0.0.1:0", limits=limits or Limits())
    auth = Auth(config)
    context = ServerContext(Hub(LastValueCache("relay")), config.limits, 0, auth, relay=engine)
    operator_pages = OperatorPages(
        auth, [], Readiness([], 0), Metrics(context, Publisher(context.hub, config.limits), []).page
    )
    pages = Pages(context, Files(Path(__file__).parent), operator_pages, metrics_open=False)
    (listener,) = (await open_listeners(config, check_addresses(config))).clients
    async with trio.open_nursery() as nursery:
        nursery.start_soon(context.fair_queue.hand_out)
        nursery.start_soon(check_connections, context)
        await nursery.start(Connections(open_certificate(config), context, pages).serve, listener, nursery)
        try:
            yield Relay(context, listener.url("/v1/stream"))
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await listener.aclose()


class ReadElsewhere:
    """An engine that is written directly, and read through a relay."""

    def __init__(self, written: Engine, read: RelayedEngine) -> None:
        self._written = written
        self._read = read

    @property
    def name(self) -> str:
        return self._read.name

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        async with self._written.connect() as written, self._read.connect() as read:
            yield _Both(written, read)


class _Both:
    def __init__(self, written: Connection, read: Connection) -> None:
        self._written = written
        self._read = read

    @property
    def run(self) -> str:
        return self._read.run

    async def last(self) -> Position:
        return await self._read.last()

    async def append(self, position: Position, data: bytes) -> None:
        await self._written.append(position, data)

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        return await self._read.read(after, seconds)

    async def entry(self, position: Position) -> bytes | None:
        return await self._read.entry(position)

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        await self._written.put_part(cut, number, data)

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        await self._written.finish_keyframe(keyframe)

    async def keyframe(self) -> Keyframe | None:
        return await self._read.keyframe()

    async def part(self, cut: int, number: int) -> bytes | None:
        return await self._read.part(cut, number)

"""The processes of a service on a bus, with their real roles: what `ticker.server.service` does around these, without
sockets."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import trio
from trio_websocket import ConnectionClosed

from tests.storm.seeded.engine import Way
from tests.storm.seeded.past import TABLES
from tests.storm.seeded.socket import Requests, Socket
from ticker.bus.engine import Position
from ticker.bus_bounds import BUS_RETRY_SECONDS
from ticker.config import Config, Limits
from ticker.core.hub import Hub
from ticker.door.auth import Auth
from ticker.door.sender import Sender
from ticker.market import FeedItem, Reason
from ticker.protocol.wire import MSGPACK
from ticker.server.connection import ServerContext
from ticker.server.feed_channel import FeedMessage, FeedState, MarkStale
from ticker.server.leader import Leader
from ticker.server.roles import AsEdge, AsSource, Role
from ticker.server.source_state import SourceState
from ticker.server.websocket import WebSocketClientConnection

if TYPE_CHECKING:
    from tests.storm.seeded.user import User
    from tests.storm.seeded.world import World

CONFIG = Config(
    feeds=["none"],
    keep_state=False,
    tables=TABLES,
    limits=Limits(heartbeat_seconds=2, snapshot_part=2, feed_queue=1000),
)

_UNHINDERED_SECONDS = 3.0
"""A source that nothing has kept from the engine for so long leads on."""

_LOST = (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError)


class Process(ABC):
    """One process, as often as it is started."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.lives = 0
        """How often it has begun anew."""
        self.role: Role | None = None
        self._scope: trio.CancelScope | None = None
        self.way = Way(world.engine, world.chance, self._note_accepted)

    def __repr__(self) -> str:
        state = "dead" if not self.alive else "stopped" if self.way.stopped else repr(self.role)
        return f"<{self.name}: {state}>"

    @property
    def alive(self) -> bool:
        return self._scope is not None

    def start(self) -> None:
        if not self.alive:
            self.way.wake()
            self._scope = trio.CancelScope()
            self.world.nursery.start_soon(self._run, self._scope)

    def kill(self) -> None:
        """As SIGKILL does."""
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.cancel()
        self.way.wake()

    def wake(self) -> None:
        """As SIGCONT does."""
        self.way.wake()

    async def _run(self, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                self.lives += 1
                role = self.role = self.new_role()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(role.run)
                    nursery.start_soon(_cancel_at_the_end, role, nursery)
                    await role.begun.wait()
                    await self.serve(role)
                self.world.note(f"{self.name} begins anew: {role.cause}")
                self.check_end(role)
                await trio.sleep(random.uniform(BUS_RETRY_SECONDS / 2, BUS_RETRY_SECONDS))  # noqa: S311

    @abstractmethod
    def new_role(self) -> Role:
        """Return its role for the next life."""

    @abstractmethod
    async def serve(self, role: Role) -> None:
        """Do its work, until cancelled."""

    def check_end(self, role: Role) -> None:
        """It begins anew."""
        if role.cause not in {"lost", "deposed"}:
            self.world.blame(f"{self.name} begins anew: {role.cause}")

    def _note_accepted(self, position: Position, data: bytes, before: Position) -> None:
        """An entry of this process was accepted."""
        raise AssertionError(f"{self.name} writes at {position}, behind {before}: {len(data)} bytes")


async def _cancel_at_the_end(role: Role, nursery: trio.Nursery) -> None:
    await role.over.wait()
    nursery.cancel_scope.cancel()


class Source(Process):
    """A source that leads or stands by."""

    feed: trio.MemorySendChannel[FeedMessage] | None = None
    feed_state = FeedState("venue")
    led_at = 0.0
    """The time since when it leads."""

    def new_role(self) -> AsSource:
        return AsSource(CONFIG, self.way, keep=False)

    @property
    def leader(self) -> Leader:
        assert isinstance(self.role, AsSource)
        return self.role._leader

    @property
    def leads(self) -> bool:
        """Whether it says that it does."""
        return self.alive and self.role is not None and self.role.begun.is_set() and not self.role.over.is_set()

    async def serve(self, role: Role) -> None:
        self.world.note(f"{self.name} leads {role.cache.epoch} from cut {role.cache.cut}")
        self.led_at = trio.current_time()
        hub = Hub(role.cache)
        publisher = role.publisher(hub, CONFIG.limits, SourceState())
        assert publisher is not None
        self.feed, received = trio.open_memory_channel[FeedMessage](CONFIG.limits.feed_queue)
        self.feed_state = FeedState(self.name)
        self.tell(self.world.venue.present())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(role.publish, received)
        finally:
            self.feed = None

    def check_replaced(self) -> None:
        """Another one leads now: something must have kept this one from the engine."""
        seconds = trio.current_time() - max(self.led_at, self.way.hindered_at)
        if self.leads and not self.way.hindered and seconds > _UNHINDERED_SECONDS:
            self.world.blame(f"{self.name} is replaced, although nothing has kept it from the engine")

    def tell(self, news: FeedItem) -> None:
        """Its feed hears this."""
        if self.feed is not None:
            self.feed.send_nowait((self.feed_state, news))

    def fail(self) -> None:
        """Its feed fails, and begins anew."""
        if self.feed is not None:
            self.feed.send_nowait((self.feed_state, MarkStale(Reason.FEED_DOWN)))
            self.tell(self.world.venue.present())

    def _note_accepted(self, position: Position, data: bytes, before: Position) -> None:
        self.world.note_accepted(self, position, data, before)


class Edge(Process):
    """An edge with its clients."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.hub: Hub | None = None
        self._context: ServerContext | None = None
        self._clients: trio.Nursery | None = None

    def new_role(self) -> AsEdge:
        return AsEdge(self.way)

    def wake(self) -> None:
        super().wake()
        for user in self.users():
            if user.socket is not None:
                user.socket.flush()

    def users(self) -> Sequence[User]:
        """Its clients."""
        return [user for user in self.world.users if user.edge is self]

    def admit(self, user: User, socket: Socket, requests: Requests) -> None:
        """A client has connected; it is turned away if there is no market."""
        if self._clients is None or self._context is None:
            user.lost(socket)
        else:
            self._clients.start_soon(self._serve_client, user, socket, requests)

    async def serve(self, role: Role) -> None:
        self.world.note(f"{self.name} serves {role.cache.epoch} from cut {role.cache.wire_cut(role.cache.cut)}")
        hub = self.hub = Hub(role.cache, snapshot_part=CONFIG.limits.snapshot_part, burst=2)
        context = ServerContext(hub, CONFIG.limits, 0, Auth(CONFIG))
        context.source.on_change = self._tell_of_silence
        publisher = role.publisher(hub, CONFIG.limits, context.source)
        assert publisher is not None
        _, received = trio.open_memory_channel[FeedMessage](1)
        try:
            async with trio.open_nursery() as nursery:
                self._context, self._clients = context, nursery
                nursery.start_soon(role.publish, received)
                nursery.start_soon(context.fair_queue.hand_out)
        finally:
            self._context = self._clients = self.hub = None
            for user in self.users():
                user.leave()

    def _tell_of_silence(self) -> None:
        assert self._context is not None
        for connection in list(self._context.connections):
            connection.tell_of_source()

    async def _serve_client(self, user: User, socket: Socket, requests: Requests) -> None:
        context = self._context
        assert context is not None
        async with trio.open_nursery() as nursery:
            await self.way.awake()
            connection = WebSocketClientConnection(
                socket, cast("Any", requests), MSGPACK, Sender(user.name), context, nursery
            )
            context.connections.add(connection)
            try:
                await connection.run()
            except _LOST:
                pass
            finally:
                context.connections.remove(connection)
                connection.end()
                user.lost(socket)
            nursery.cancel_scope.cancel()

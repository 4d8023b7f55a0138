"""A bus in the memory of the test: the log and the protocol of `ticker.bus.log`, with faults that the test orders."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec
import trio

from tests.bounds import HANG_SECONDS
from tests.core.test_following import check_same
from ticker.bus.engine import Engine, Entry, Position, Unavailable
from ticker.bus.fan_out import FanOut
from ticker.bus.frames import Answer, FrameStream, Request
from ticker.bus.local import LocalConnection
from ticker.bus.log import Log
from ticker.bus.served_log import serve_log
from ticker.bus.shared import serve_engine
from ticker.bus_bounds import BUS_ANSWER_SECONDS, MAX_BUS_ENTRIES
from ticker.config import Config
from ticker.core.last_value import LastValueCache
from ticker.market import Publication
from ticker.server.follower import Follower, Lost
from ticker.server.leader import Deposed, Leader

_T = TypeVar("_T")

CONFIG = Config(feeds=["none"])


class Bus:
    """The log of all, which can be lost in part."""

    def __init__(self, nursery: trio.Nursery, *, max_entries: int = MAX_BUS_ENTRIES) -> None:
        self.nursery = nursery
        self.log = Log(max_entries=max_entries)
        self._max_entries = max_entries
        self._sockets: list[socket.socket] = []

    def open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.settimeout(0)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least: who follows is soon behind
        self._sockets.append(ours)
        self.nursery.start_soon(self.serve, theirs)
        return ours

    async def serve(self, sock: socket.socket) -> None:
        await serve_log(self.log, sock)

    async def restart(self, last_cut: int = 0, *, keyframes: bool = True) -> None:
        """All connections end, and the log begins another life, with what it had up to this cut."""
        before, self.log = self.log, Log(max_entries=self._max_entries)
        position = Position(0)
        while found := [entry for entry in await before.read(position, 0) if entry.position.cut <= last_cut]:
            for entry in found:
                self.log.append(*entry)
            position = found[-1].position
        if keyframes:
            self.log.keyframes = before.keyframes
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Relay(Bus):
    """What a copy that is followed gives those that follow it."""

    def __init__(self, nursery: trio.Nursery, middle: Middle) -> None:
        super().__init__(nursery)
        self.middle = middle
        """The one that is reached now."""

    async def serve(self, sock: socket.socket) -> None:
        with sock:
            await serve_engine(self.middle.fan_out.others, sock)


class Reach:
    """The engine, as one process reaches it."""

    name = "memory"

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.away = False
        """It cannot connect."""
        self.lost_answers = 0
        """The answers to so many appends get lost."""
        self.delays: dict[str, float] = {}
        """By kind of request, seconds that it takes."""
        self.asked = defaultdict[str, int](int)
        """By kind, how many requests there were."""
        self._held: dict[str, trio.Event] = {}
        self._held_at = "", 0

    def hold(self, *kinds: str) -> None:
        """Requests of these kinds (all, if none is named) wait, as of a process that is stopped."""
        for kind in kinds or ("Last", "Append", "Read", "Find", "PutPart", "FinishKeyframe", "LatestKeyframe", "Part"):
            self._held[kind] = trio.Event()

    def hold_at(self, kind: str, number: int) -> None:
        """The request of this kind and number waits."""
        self._held_at = kind, number

    def go_on(self) -> None:
        held, self._held = self._held, {}
        for event in held.values():
            event.set()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LocalConnection]:
        if self.away:
            raise Unavailable("the bus is away")
        with self.bus.open() as sock:
            connection = _Connection(FrameStream(sock), self)
            await connection.begin()
            yield connection

    async def before(self, kind: str) -> None:
        self.asked[kind] += 1
        if (kind, self.asked[kind]) == self._held_at:
            self.hold(kind)
        if kind in self._held:
            await self._held[kind].wait()
        await trio.sleep(self.delays.get(kind, 0))

    def after(self, kind: str) -> None:
        if kind == "Append" and self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("the answer was lost")


class _Connection(LocalConnection):
    def __init__(self, stream: FrameStream, reach: Reach) -> None:
        super().__init__(stream, reach.name)
        self._reach = reach

    async def _pushed(self, seconds: float) -> list[Entry]:
        await self._reach.before("Read")
        return await super()._pushed(seconds)

    async def _ask(
        self, request: Request, decoder: msgspec.msgpack.Decoder[Answer[_T]], seconds: float = BUS_ANSWER_SECONDS
    ) -> _T:
        kind = type(request).__name__
        await self._reach.before(kind)
        answer = await super()._ask(request, decoder, seconds)
        self._reach.after(kind)
        return answer


class Source:
    """A source that runs, or stands by."""

    def __init__(self, bus: Bus, epoch: str = "first") -> None:
        self.reach = Reach(bus)
        limits = CONFIG.limits
        self.leader = Leader(
            self.reach,
            CONFIG,
            lambda: LastValueCache(epoch, max_instruments=limits.max_instruments, tables=CONFIG.tables),
        )
        self.deposed = False
        self._scope = trio.CancelScope()
        bus.nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self._scope:
            try:
                await self.leader.run()
            except Deposed:
                self.deposed = True

    @property
    def leads(self) -> bool:
        return self.leader.committed > 0 and not self.deposed

    @property
    def cache(self) -> LastValueCache:
        return self.leader.cache

    async def begun(self) -> Source:
        await until(lambda: self.leads)
        return self

    def kill(self) -> None:
        self._scope.cancel()

    def say(self, *publications: Publication) -> None:
        """Apply these to the open cut."""
        for publication in publications:
            self.cache.publish(publication)
        self.leader.note_changes()

    async def publish(self, *publications: Publication) -> int:
        """Publish these; return the cut, which was accepted."""
        before = self.leader.committed
        self.say(*publications)
        await until(lambda: self.leader.committed > before)
        return self.cache.cut


class Copy:
    """An edge without clients."""

    def __init__(self, bus: Bus) -> None:
        self.reach = Reach(bus)
        self.follower = Follower(self.engine(), has_clients=True)
        self.cause = ""
        """Why it is lost."""
        self._scope = trio.CancelScope()
        bus.nursery.start_soon(self._run)

    def engine(self) -> Engine:
        return self.reach

    async def _run(self) -> None:
        with self._scope:
            try:
                await self.follower.run()
            except Lost as error:
                self.cause = str(error)

    def kill(self) -> None:
        self._scope.cancel()

    async def at(self, cut: int) -> None:
        """Wait until it has this cut."""
        follower = self.follower
        await until(lambda: follower.is_there and follower.cache.wire_cut(follower.cache.cut) >= cut)

    async def equals(self, source: Source) -> None:
        """Wait until it has the cut of the source, and compare all that both hold."""
        await self.at(source.cache.cut)
        assert not self.cause
        assert self.follower.cache.epoch == source.cache.epoch
        check_same(source.cache, self.follower.cache)

    async def lost(self) -> str:
        await until(lambda: bool(self.cause))
        return self.cause


class Middle(Copy):
    """An edge that others follow."""

    fan_out: FanOut

    def engine(self) -> Engine:
        self.fan_out = FanOut(self.reach)
        return self.fan_out


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, a minute of the test's clock at most."""
    with trio.fail_after(HANG_SECONDS):
        while not condition():
            await trio.sleep(0.01)

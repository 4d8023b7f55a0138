"""The place of a process in its service: alone, the source of a bus, or an edge of it.

A role has the cache and the one task that writes to it. When it is `over`, the process begins anew: its clients leave,
and resume wherever they are taken.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog
import trio

from ticker.bus.delayed import DelayedEngine
from ticker.bus.engine import Engine, delay_of
from ticker.bus_bounds import BEHIND_SECONDS, BUS_LOST_SECONDS, CUT_SECONDS, SILENT_GOODBYE_SECONDS
from ticker.config import Config, Limits
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.net.clocks import wall_clock
from ticker.server.bus_entries import Cut
from ticker.server.bus_metrics import BusState
from ticker.server.feed_channel import FeedMessage, MarkStale, RestoredBars
from ticker.server.followed import FollowedCuts
from ticker.server.follower import Follower, Lost
from ticker.server.kept_state import KeptState, release_later
from ticker.server.leader import Deposed, Leader
from ticker.server.own_log import OwnLog
from ticker.server.publisher import Publisher, SourcePublisher
from ticker.server.source_state import SourceState

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.roles")


class Role(ABC):
    """What a process does with its cache."""

    has_feeds = True
    has_clients = True
    idle: str | None = None
    """Why it has no clients, where it has none."""
    waits = False
    """Whether it may have to wait for others before it has a cache."""

    def __init__(self) -> None:
        self.cache = LastValueCache("")
        """There once it has `begun`."""
        self.begun = trio.Event()
        self.over = trio.Event()
        """The process has to begin anew."""
        self.cause = ""
        """Why, in a word: deposed, lost or silent."""

    def __repr__(self) -> str:
        state = "over" if self.over.is_set() else "begun" if self.begun.is_set() else "waiting"
        return f"<{type(self).__name__}, {state}>"

    @property
    def delay(self) -> int:
        """The seconds by which its market is late."""
        return 0

    @abstractmethod
    async def run(self) -> None:
        """Get a cache, set `begun`, and do what there is to do beside writing to the cache."""

    @abstractmethod
    def publisher(self, hub: Hub, limits: Limits, source: SourceState) -> Publisher | FollowedCuts:
        """Return that which writes to the cache, for `publish`."""

    @abstractmethod
    async def publish(self, received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Write to the cache, until cancelled or over."""

    @property
    def relay(self) -> Engine | None:
        """What others that follow this process are given, if they can."""
        return None

    def missing(self) -> Sequence[str]:
        """Return what keeps the process from being ready, besides its feeds."""
        return ()

    def bus_state(self) -> BusState | None:
        """Return the state on the bus, if there is one."""
        return None

    def end(self, cause: str) -> None:
        """Have the process begin anew."""
        self.cause = cause
        self.over.set()

    async def finish(self, *, last: bool) -> None:  # noqa: ARG002
        """Keep the cache; nothing is published any more. `last` is the end of the service, as far as this one knows."""
        await trio.lowlevel.checkpoint()


class Alone(Role):
    """One process does everything."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._kept = KeptState(config)
        self._own_log = OwnLog(config)
        self._publisher: Publisher | None = None

    @property
    def relay(self) -> OwnLog:
        """Its own log, which is there while others follow."""
        return self._own_log

    async def run(self) -> None:
        """Go on from an earlier run, if there is one, and release its tables later; keep the log for others."""
        self.cache, held = self._kept.begin(self._own_log.go_on)
        self._own_log.keep(self.cache)
        self.begun.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(release_later, held)
            nursery.start_soon(self._own_log.run)

    def publisher(self, hub: Hub, limits: Limits, source: SourceState) -> Publisher:  # noqa: ARG002
        """Return the publisher."""
        self._publisher = Publisher(hub, limits)
        return self._publisher

    async def publish(self, received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Publish what the feeds bring."""
        assert self._publisher is not None  # noqa: S101  # for the type checker
        await self._publisher.run(received)

    async def finish(self, *, last: bool) -> None:
        """Keep the cache for the next start."""
        if last:
            await self._kept.save(self.cache, self._own_log.term)


class AsSource(Role):
    """The source of a bus, or one that stands by."""

    has_clients = False
    idle = "this process has the feeds and serves no clients: connect to an edge"
    waits = True

    def __init__(self, config: Config, engine: Engine, *, keep: bool) -> None:
        """`keep` where the engine ends with the service: then the state is kept in a file."""
        super().__init__()
        self._kept = KeptState(config if keep else replace(config, keep_state=False))
        self._first = LastValueCache("")
        self._leader = Leader(engine, config, lambda: self._first)
        self._publisher: SourcePublisher | None = None
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Lead, as soon as no other source does."""

        def begin() -> None:
            self.cache = self._leader.cache
            self.begun.set()

        self._first, held = self._kept.begin()  # which takes the file away in any case: it is of no use later
        for table in held:
            table.unwatch()
        self._leader.on_lead = begin
        with self._scope:
            await _until_over(self._leader.run, self)

    def publisher(self, hub: Hub, limits: Limits, source: SourceState) -> Publisher:  # noqa: ARG002
        """Return the publisher."""
        self._publisher = SourcePublisher(hub, limits, self._leader)
        return self._publisher

    async def publish(self, received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Apply what the feeds bring."""
        assert self._publisher is not None  # noqa: S101  # for the type checker
        await self._publisher.run(received)

    def missing(self) -> Sequence[str]:
        """Return the trouble with the bus, or that another source leads."""
        if self._leader.trouble is not None:
            return (f"the bus cannot be used: {self._leader.trouble}",)
        if self.begun.is_set():
            return ()
        cause = "" if self._leader.lost is None else f", and cannot be followed: {self._leader.lost}"
        return (f"it stands by: another source leads, or may come back{cause}",)

    def bus_state(self) -> BusState:
        """Return the state on the bus."""
        leader, leads = self._leader, self.begun.is_set() and not self.over.is_set()
        return BusState(
            part="source" if leads else "standby",
            trouble=leader.trouble,
            term=leader.term,
            committed=leader.committed,
            followed=leader.followed,
            keyframes=leader.keyframes,
            silent_seconds=0.0,
        )

    async def finish(self, *, last: bool) -> None:
        """Keep the cache for the next start, if the engine ends with this service."""
        if self.begun.is_set() and not self.over.is_set():
            await self._leader.resign()
        self._scope.cancel()
        if last and self.begun.is_set() and not self.over.is_set():
            self.cache.close_cut(wall_clock())
            await self._kept.save(self.cache)


class AsEdge(Role):
    """An edge: it follows a source, and has clients."""

    has_feeds = False
    waits = True

    def __init__(self, engine: Engine, what: str = "the bus", relay: Engine | None = None) -> None:
        """`what` is the engine to people; those that follow this edge are given `relay`, or else the engine itself."""
        super().__init__()
        self._engine = engine
        self._relay = engine if relay is None else relay
        self._what = what
        self._follower = Follower(engine, has_clients=True, what=what)
        self._lost: str | None = None
        """Why there is no copy yet, although the bus can be used."""
        self._made_at = wall_clock()
        self._source = SourceState()
        self._cuts: FollowedCuts | None = None
        self._send, self._received = trio.open_memory_channel[Cut](0)

    @property
    def relay(self) -> Engine:
        """The cuts that this one follows itself."""
        return self._relay

    @property
    def delay(self) -> int:
        """The seconds by which its market is late."""
        return delay_of(self._engine)

    async def run(self) -> None:
        """Follow; there is a cache once all of it is there, and its source was heard."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_silence)
            await _until_over(self._follow, self)
            nursery.cancel_scope.cancel()

    async def _follow(self) -> None:
        """Follow until `Lost`, which it raises once there was a copy: before, it tries again."""

        def begin() -> None:
            self.cache = self._follower.cache
            self._follower.deliver = self._send.send
            self._lost = None
            self.begun.set()

        while True:
            self._follower.on_there = begin
            self._follower.on_sign = self._note_sign
            try:
                await self._follower.run()
            except Lost as error:
                if self.begun.is_set():
                    raise
                if self._lost != (text := str(error)):
                    _log.warning(f"what {self._what} has cannot be used", cause=text)
                self._lost, trouble = text, self._follower.trouble
                self._follower = Follower(self._engine, has_clients=True, what=self._what)
                self._follower.trouble = trouble  # the engine is well: that is not to be said anew
                await trio.sleep(BUS_LOST_SECONDS)

    def publisher(self, hub: Hub, limits: Limits, source: SourceState) -> FollowedCuts:
        """Return that which applies the cuts."""
        self._source = source
        if isinstance(self._engine, DelayedEngine):
            source.follows_soon = self._engine.shows_soon
        elif self.delay:
            source.follows_soon = self._perhaps_soon
        self._cuts = FollowedCuts(hub, limits, self._follower, source)
        return self._cuts

    def _perhaps_soon(self, cut: int) -> bool:
        """Whether a cut of a delayed engine is so near that another follower may have it already; clients of the market
        in real time are far ahead."""
        return cut <= self._follower.end.cut + BEHIND_SECONDS / CUT_SECONDS

    async def publish(self, received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Apply the cuts and have them sent."""
        assert self._cuts is not None  # noqa: S101  # for the type checker
        cuts = self._cuts
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_give_turns, received)
            await _until_over(lambda: cuts.run(self._received), self)

    def missing(self) -> Sequence[str]:
        """Return the trouble with the bus, or that the source is silent."""
        if self._follower.trouble is not None:
            return (f"{self._what} cannot be used: {self._follower.trouble}",)
        if self._lost is not None:
            return (f"what {self._what} has cannot be used: {self._lost}",)
        if self._follower.silent or not self.begun.is_set():
            return ("nothing is heard of the source",)
        return ()

    def bus_state(self) -> BusState:
        """Return the state on the bus."""
        follower = self._follower
        silent = 0.0
        if follower.silent or not self.begun.is_set():
            silent = max(0, wall_clock() - (follower.heard_at or self._made_at)) / 1e6
        return BusState(
            part="edge",
            trouble=follower.trouble,
            term=follower.stamp.term if follower.stamp is not None else 0,
            committed=0,
            followed=follower.cuts,
            keyframes=0,
            silent_seconds=silent,
        )

    def _note_sign(self) -> None:
        self._source.note(self._follower.heard_at if self._follower.silent else None)

    async def _watch_silence(self) -> None:
        """Begin anew, without clients, once the source was silent for too long."""
        heard = math.inf
        while trio.current_time() - heard < SILENT_GOODBYE_SECONDS:
            if self.begun.is_set() and (math.isinf(heard) or not self.missing()):
                heard = trio.current_time()
            await trio.sleep(1)
        _log.warning("nothing is heard of the source: clients leave", seconds=SILENT_GOODBYE_SECONDS)
        self.end("silent")


class Waiting(Role):
    """Another role that has no cache yet: only the pages for operators are there."""

    has_feeds = has_clients = False
    idle = "there are no data yet: nothing is heard of the source"

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role

    async def run(self) -> None:
        """Nothing to do."""

    def publisher(self, hub: Hub, limits: Limits, source: SourceState) -> Publisher:  # noqa: ARG002
        """Return one that publishes nothing."""
        return Publisher(hub, limits)

    async def publish(self, received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Nothing to publish."""
        await _give_turns(received)

    def missing(self) -> Sequence[str]:
        """Return the reasons of the other role."""
        return self._role.missing()

    def bus_state(self) -> BusState | None:
        """Return that of the other role."""
        return self._role.bus_state()


async def _until_over(run: Callable[[], Awaitable[None]], role: Role) -> None:
    try:
        await run()
    except (Lost, Deposed) as error:
        _log.warning("begins anew", cause=str(error))
        role.end("lost" if isinstance(error, Lost) else "deposed")


async def _give_turns(received: trio.MemoryReceiveChannel[FeedMessage]) -> None:
    """Answer those that ask the publisher for a turn, where nothing is published from feeds."""
    async for _, message in received:
        if isinstance(message, MarkStale | RestoredBars):
            message.done.set()

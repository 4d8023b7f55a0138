"""An engine in memory, its losses, and the way from each process to it.

Processes call the log directly: streams and frames between them would cost half of a run, and `tests/bus` has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import TypeVar

import trio

from ticker.bus.engine import Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.log import Log
from ticker.bus_bounds import BUS_ANSWER_SECONDS

T = TypeVar("T")

MAX_ENTRIES = 12
"""Of the log: it drops entries that a process still needs which was stopped for some seconds."""

_REMEMBERED = 12
"""Writes that an engine or its replica may lose: the latest ones."""


class Engine:
    """The log of all processes, as each life of the engine has it."""

    def __init__(self) -> None:
        self.log = Log(max_entries=MAX_ENTRIES)
        self.up = True
        self.full = False
        """It refuses to take anything, as one without memory."""
        self.connections: set[Connection] = set()
        self._before: deque[Log] = deque(maxlen=_REMEMBERED)
        """The log before each of the latest writes."""

    def wrote(self) -> None:
        """A write is about to be done."""
        self._before.append(_copy(self.log))

    def stop(self) -> None:
        """It is killed: all connections end, with or without the outcome of what they asked for."""
        self.up = False
        for connection in list(self.connections):
            connection.ended = True

    def start(self, lost: int | None) -> None:
        """It begins another life, without its latest so many writes; None: without any data."""
        self.stop()
        self.up = True
        if lost is None:
            self.log = Log(max_entries=MAX_ENTRIES)
        elif lost and self._before:
            self.log = self._before[-min(lost, len(self._before))]
        else:
            self.log = _copy(self.log)
        self._before.clear()


def _copy(log: Log) -> Log:
    """The same log in another life."""
    copy = Log(max_entries=MAX_ENTRIES)
    copy.last, copy.bytes, copy._entries = log.last, log.bytes, list(log._entries)
    copy.keyframes._parts = {cut: dict(parts) for cut, parts in log.keyframes._parts.items()}
    copy.keyframes._finished = dict(log.keyframes._finished)
    return copy


class Way:
    """The way of one process to the engine, and the process itself as far as it is stopped."""

    name = "memory"

    def __init__(self, engine: Engine, chance: Random, accepted: Callable[[Position, bytes, Position], None]) -> None:
        """`accepted` is called with each entry that the engine takes, and with the position before it."""
        self.engine = engine
        self.cut_off = False
        """Nothing gets through, and neither end hears of it."""
        self.delay = 0.0
        """Seconds that a request takes, and its answer too."""
        self.lost_answers = 0
        """The connection ends after so many further appends, before their answers are there."""
        self.hindered_at = 0.0
        """The latest time at which the process was kept from the engine."""
        self._chance = chance
        self._accepted = accepted
        self._awake = trio.Event()
        self._awake.set()

    @property
    def stopped(self) -> bool:
        """Whether the process is stopped, as by SIGSTOP."""
        return not self._awake.is_set()

    def stop(self) -> None:
        if not self.stopped:
            self._awake = trio.Event()

    def wake(self) -> None:
        self._awake.set()

    async def awake(self) -> None:
        """Wait until the process is not stopped."""
        await self._awake.wait()

    @property
    def hindered(self) -> bool:
        """Whether the process is kept from the engine, so that it may count as silent."""
        kept = self.stopped or self.cut_off or self.delay > 0 or self.lost_answers > 0
        return kept or not self.engine.up or self.engine.full

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        await self.pass_through(None)
        connection = Connection(self)
        self.engine.connections.add(connection)
        try:
            yield connection
        finally:
            self.engine.connections.discard(connection)

    async def pass_through(self, connection: Connection | None) -> None:
        """A request goes to the engine, or its answer comes back. Raises `Unavailable`."""
        if self.delay or self.cut_off or self.stopped:
            await self._hold()
        if not self.engine.up or (connection is not None and connection.ended):
            raise Unavailable("the connection has ended")

    async def _hold(self) -> None:
        if self.delay:
            await trio.sleep(self._chance.uniform(0, self.delay))
        if self.cut_off:
            with trio.move_on_after(BUS_ANSWER_SECONDS):
                while self.cut_off:
                    await trio.sleep(0.1)
        await self.awake()
        if self.cut_off:
            raise Unavailable("nothing came back")

    def append(self, connection: Connection, position: Position, data: bytes) -> None:
        engine = self.engine
        if engine.full:
            raise Unavailable("the engine has no memory")
        before = engine.log.last
        engine.wrote()
        engine.log.append(position, data)
        self._accepted(position, data, before)
        if self.lost_answers:
            self.lost_answers -= 1
            connection.ended = True

    def finish_keyframe(self, keyframe: Keyframe) -> None:
        self.engine.wrote()
        self.engine.log.finish_keyframe(keyframe)


class Connection:
    """A connection, as `ticker.bus.engine` has it."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._log = way.engine.log
        self.run = self._log.run
        self.ended = False

    async def last(self) -> Position:
        return await self._ask(lambda: self._log.last)

    async def append(self, position: Position, data: bytes) -> None:
        await self._ask(lambda: self._way.append(self, position, data))

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        await self._way.pass_through(self)
        entries = await self._log.read(after, seconds)
        await self._way.pass_through(self)
        return entries

    async def entry(self, position: Position) -> bytes | None:
        return await self._ask(lambda: self._log.entry(position))

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        await self._ask(lambda: self._log.keyframes.put_part(cut, number, data))

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        await self._ask(lambda: self._way.finish_keyframe(keyframe))

    async def keyframe(self) -> Keyframe | None:
        return await self._ask(self._log.keyframes.latest)

    async def part(self, cut: int, number: int) -> bytes | None:
        return await self._ask(lambda: self._log.keyframes.part(cut, number))

    async def _ask(self, request: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        await self._way.pass_through(self)
        try:
            answer = request()
        except Refused:
            await self._way.pass_through(self)
            raise
        await self._way.pass_through(self)
        return answer

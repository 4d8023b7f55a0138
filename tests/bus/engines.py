"""Engines for tests: the log of this process behind a Unix socket, and an engine that shows another one later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from ticker.bus.delayed import DelayedConnection, DelayedEngine
from ticker.bus.engine import Connection, Engine, Entry, Keyframe, Position
from ticker.bus.local import LocalEngine
from ticker.bus.log import Log
from ticker.bus.served_log import serve_log_at


@asynccontextmanager
async def local_engine(folder: Path, log: Log | None = None) -> AsyncIterator[LocalEngine]:
    path = str(folder / "bus.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_log_at, Log() if log is None else log, path))
        yield LocalEngine(path)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def spooled_engine(engine: Engine, folder: Path) -> AsyncIterator[SpooledEngine]:
    """An engine that is written directly, and read through a spool that shows all at once."""
    spooled = DelayedEngine(engine, 0, folder, keyframe_seconds=0)
    await spooled.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(spooled.run)
        yield SpooledEngine(engine, spooled)
        nursery.cancel_scope.cancel()
    spooled.close()


class SpooledEngine:
    def __init__(self, engine: Engine, spooled: DelayedEngine) -> None:
        self._engine = engine
        self._spooled = spooled
        self.name = engine.name

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[SpooledConnection]:
        async with self._engine.connect() as real, self._spooled.connect() as shown:
            yield SpooledConnection(real, shown, self._spooled)


class SpooledConnection:
    """What is read is what was written before: each read waits until the spool has it."""

    def __init__(self, real: Connection, shown: DelayedConnection, spooled: DelayedEngine) -> None:
        self._real, self._shown, self._spooled = real, shown, spooled
        self.run = shown.run

    async def _has_all(self) -> DelayedConnection:
        index = self._spooled.spool.index
        last, keyframe = await self._real.last(), await self._real.keyframe()
        while index.end < last or index.latest_keyframe != keyframe:  # it has no event for tests
            await trio.sleep(0.005)
        return self._shown

    async def last(self) -> Position:
        return await (await self._has_all()).last()

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        return await (await self._has_all()).read(after, seconds)

    async def entry(self, position: Position) -> bytes | None:
        return await (await self._has_all()).entry(position)

    async def keyframe(self) -> Keyframe | None:
        return await (await self._has_all()).keyframe()

    async def part(self, cut: int, number: int) -> bytes | None:
        return await (await self._has_all()).part(cut, number)

    async def append(self, position: Position, data: bytes) -> None:
        await self._real.append(position, data)

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        await self._real.put_part(cut, number, data)

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        await self._real.finish_keyframe(keyframe)
        await self._has_all()  # or it might see only the next one

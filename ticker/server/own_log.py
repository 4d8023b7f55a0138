"""The log of a process without a bus, for those that follow it. It costs nothing while nobody does.

The rules:

1. It is begun for the first follower: the cache tells each cut from the next one on, and a keyframe is made. It ends
   once nobody has followed for a minute. Each time it has another name (`run`). Where a process goes on from the state
   of an earlier run that others followed, it is begun before the first cut: they need not begin anew.
2. A cut is in the log as soon as it is closed, so before any client hears of it.
3. Where a cut cannot be written, because it is too large, the log ends: those that follow are told why, and the next
   one begins with a keyframe.
4. Where a keyframe is too large, the market is: it only grows. Until the process ends, nobody can follow any more, and
   each that tries is told why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
import trio

from ticker.bus.engine import Entry, Keyframe, Position, Unavailable
from ticker.bus.log import Log
from ticker.bus.reading import ReadOnly
from ticker.bus_bounds import BUS_BEAT_SECONDS, FOLLOWERS_GONE_SECONDS, OWN_PIECE_SECONDS
from ticker.config import Config
from ticker.core.last_value import LastValueCache
from ticker.server.bus_entries import new_stamp
from ticker.server.cut_writer import CutWriter

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.own_log")


class OwnLog:
    """An engine that has a log while there are connections to it."""

    name = "this process"

    def __init__(self, config: Config, cache: LastValueCache | None = None) -> None:
        self._config = config
        self.cache = LastValueCache("") if cache is None else cache
        self.log: Log | None = None
        """There while it is kept."""
        self._writer: CutWriter | None = None
        self._term = 1
        self._cut = 0
        """The last one that is in the log, or in its first keyframe."""
        self._too_large: str | None = None
        """Why nobody can follow."""
        self._connections = 0
        self._wanted = trio.Event()
        self._left_at = 0.0

    def __repr__(self) -> str:
        return f"<OwnLog of {self._connections} connections: {self.log!r}>"

    @property
    def term(self) -> int:
        """The term of the log, 0 if there is none."""
        return 0 if self._writer is None else self._writer.stamp.term

    def go_on(self, cache: LastValueCache, term: int) -> None:
        """Others followed the earlier run of this cache, in a log of this term: each cut from the next one is told."""
        self.cache = cache
        self._term = term + 1
        self._begin()

    def keep(self, cache: LastValueCache) -> None:
        """This is the cache of the process, before anybody connects: perhaps not the one to go on from after all."""
        if self.log is not None and cache is not self.cache:
            self._end("the process does not go on from the earlier run")
        self.cache = cache

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[OwnConnection]:
        """Connect; the log is begun if there is none. Raises `Unavailable`."""
        await trio.lowlevel.checkpoint()
        self.check()
        log = self._begin() if self.log is None else self.log
        self._connections += 1
        try:
            yield OwnConnection(self, log)
        finally:
            self._connections -= 1
            self._left_at = trio.current_time()

    def check(self) -> None:
        """Raise `Unavailable` if nobody can follow."""
        if self._too_large is not None:
            raise Unavailable(self._too_large)

    async def run(self) -> None:
        """Write beats and keyframes while there is a log, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            beat_at = 0.0
            while self.log is not None and self._writer is not None:
                if trio.current_time() >= beat_at:
                    beat_at = trio.current_time() + BUS_BEAT_SECONDS
                    self._beat(self.log, self._writer)
                making = self._write_piece(self.log, self._writer)
                await trio.sleep(OWN_PIECE_SECONDS if making else BUS_BEAT_SECONDS)
                left = not self._connections and trio.current_time() - self._left_at >= FOLLOWERS_GONE_SECONDS
                if left and self.log is not None:
                    self._end("nobody has followed for a while")

    def _begin(self) -> Log:
        """Tell every cut from the next one on: other tasks run only while nothing of the feeds is in the open cut."""
        cache = self.cache
        self.log = log = Log()
        self._cut = cache.cut
        self._writer = CutWriter(cache, self._config, new_stamp(cache.epoch, self._term, log.run))
        self._writer.journal.on_closed = self._note_closed
        self._left_at = trio.current_time()
        self._wanted.set()
        _log.info("the log of cuts begins, for those that follow", epoch=cache.epoch, cut=cache.cut)
        return log

    def _end(self, cause: str) -> None:
        if self._writer is not None:
            self._writer.end()
        self.log = self._writer = None
        _log.info("the log of cuts ends", cause=cause)

    def _note_closed(self) -> None:
        """A cut was closed."""
        log, writer, since = self.log, self._writer, self._cut
        if log is None or writer is None:
            return
        self._cut = self.cache.cut
        try:
            log.append(Position(self._cut), writer.cut(since))
        except Unavailable as error:
            _log.error("a cut cannot be written: those that follow begin anew", cause=str(error))
            self._end(str(error))

    def _beat(self, log: Log, writer: CutWriter) -> None:
        last = max(log.last, Position(self._cut))
        log.append(last._replace(beat=last.beat + 1), writer.beat())

    def _write_piece(self, log: Log, writer: CutWriter) -> bool:
        """Make and write the next part of a keyframe, if one is due and anything has changed since the last one; return
        whether others are to follow."""
        latest = log.keyframes.latest()
        if writer.keyframe is None and latest is not None and latest.cut == self._cut:
            return False
        writer.make_piece()
        keyframe = writer.keyframe
        if keyframe is None:
            return False
        try:
            for number, data in keyframe.take_parts():
                log.keyframes.put_part(keyframe.cut, number, data)
            if keyframe.is_complete:
                log.finish_keyframe(Keyframe(keyframe.cut, keyframe.parts))
                writer.finish_keyframe()
        except Unavailable as error:
            _log.error("a keyframe cannot be written: nobody can follow until the next start", cause=str(error))
            self._too_large = str(error)
            self._end(str(error))
        return writer.keyframe is not None


class OwnConnection(ReadOnly):
    """A connection to the log of this process."""

    def __init__(self, owner: OwnLog, log: Log) -> None:
        super().__init__("this process can only be followed: nothing can be written here")
        self._owner = owner
        self._log = log

    def __repr__(self) -> str:
        return f"<OwnConnection to {self._log!r}>"

    @property
    def run(self) -> str:
        """Names the life of the log."""
        return self._log.run

    async def last(self) -> Position:
        """Return the last position."""
        return (await self._checked()).last

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        return await (await self._checked()).read(after, seconds)

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        return (await self._checked()).entry(position)

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe."""
        return (await self._checked()).keyframes.latest()

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        return (await self._checked()).keyframes.part(cut, number)

    async def _checked(self) -> Log:
        await trio.lowlevel.checkpoint()
        self._owner.check()
        if self._owner.log is not self._log:
            raise Unavailable("the log of cuts has ended here: another one begins")
        return self._log

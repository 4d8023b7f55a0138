"""The one writer of a bus: it closes cuts, and nothing counts before the engine has accepted it.

The rules:

1. A cut's number is the engine's last one and one more. One is in flight; what comes meanwhile waits in the open cut.
2. After an unknown outcome the same entry is appended again. Where it is refused, the entry that is there tells whether
   it was this one; if it was not, another source leads, and this one is `Deposed`.
3. A source stands by while it hears another one, whether it can follow it or not. It takes over by appending the next
   cut with the next term. It keeps the epoch only if all that was accepted is in its copy: if the engine has lived on
   since the last entry was written, until that append is accepted.
4. While it lives it repairs a log that has lost its end, from the cuts that it keeps, unless another source has gone on
   from there. If that is one which it had replaced, neither goes on: copies may have the cuts of both.
"""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog
import trio

from ticker.bus.engine import Connection, Engine, Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus_bounds import (
    BUS_BEAT_SECONDS,
    BUS_RETRY_SECONDS,
    CUT_SECONDS,
    CUTS_OF_A_NEW_EPOCH,
    FOLLOW_SECONDS,
    KEPT_CUTS,
    KEPT_CUTS_BYTES,
    RESIGN_SECONDS,
    SILENT_READS,
)
from ticker.config import Config
from ticker.core.following import FollowingCache
from ticker.core.last_value import LastValueCache
from ticker.errors import TickerError
from ticker.net.clocks import wall_clock
from ticker.server.bus_entries import Beat, Foreign, new_stamp, pack_beat, read_entry
from ticker.server.cut_writer import CutWriter
from ticker.server.follower import Follower, Lost

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.bus")


class Deposed(TickerError):
    """Another source leads."""


class Leader:
    """The source of a bus, or one that stands by to be it."""

    def __init__(self, engine: Engine, config: Config, first: Callable[[], LastValueCache]) -> None:
        """`first` makes the cache with which an empty log begins."""
        self._engine = engine
        self._config = config
        self._first = first
        self._follower = self._new_follower()
        self._cache: LastValueCache | None = None
        self._lost: str | None = None
        self._writer: CutWriter | None = None
        self._led_from = 0
        """The cut by which it took over."""
        self._epoch_before = ""
        """The epoch of the log when this source took over."""
        self._pending: tuple[Position, bytes] | None = None
        """What is to be accepted next."""
        self._position = Position(0)
        """The latest that was accepted."""
        self._kept: deque[tuple[int, bytes]] = deque()
        """The latest cuts that were accepted, in their order without a gap."""
        self._kept_bytes = 0
        self._changed = trio.Event()
        self._resigning = False
        self.resigned = trio.Event()
        self.on_lead: Callable[[], None] = lambda: None
        """Called for each cut and beat that is accepted: this source leads."""
        self.trouble: str | None = None
        """The reason why nothing can be accepted."""
        self.committed = 0
        """Number of cuts that were accepted."""
        self.keyframes = 0
        """Number of keyframes that were finished."""
        self.on_closed: Callable[[], None] = lambda: None
        """Called when a cut was closed."""

    def __repr__(self) -> str:
        return f"<Leader of {self._engine.name}: at {self._position}>"

    @property
    def cache(self) -> LastValueCache:
        """What it leads, once it does."""
        assert self._cache is not None  # noqa: S101  # for the type checker
        return self._cache

    @property
    def writer(self) -> CutWriter:
        """Makes what is written, once it leads."""
        assert self._writer is not None  # noqa: S101  # for the type checker
        return self._writer

    @property
    def term(self) -> int:
        """The term of the source that leads; 0 if none is known."""
        stamp = self._follower.stamp if self._writer is None else self._writer.stamp
        return 0 if stamp is None else stamp.term

    @property
    def followed(self) -> int:
        """Number of cuts that were followed."""
        return self._follower.cuts

    @property
    def lost(self) -> str | None:
        """Why the source that leads cannot be followed."""
        return None if self._follower.is_there else self._lost

    def note_changes(self) -> None:
        """Something was applied to the open cut."""
        self._changed.set()

    async def run(self) -> None:
        """Stand by, and lead, until `Deposed`, which it raises."""
        while True:
            try:
                async with self._engine.connect() as connection:
                    if self._cache is None:
                        await self._take_over(connection)
                    else:
                        await self._repair(connection)
                    await self._write(connection)
            except Unavailable as error:
                self._note_trouble(str(error))
            await trio.sleep(random.uniform(BUS_RETRY_SECONDS / 2, BUS_RETRY_SECONDS))  # noqa: S311  # spread, not secret

    def _note_trouble(self, text: str | None) -> None:
        if text is not None and text != self.trouble:
            _log.warning("the bus cannot be used: nothing is published", cause=text)
        elif text is None and self.trouble is not None:
            _log.info("the bus is there", engine=self._engine.name)
        self.trouble = text

    def _note_lost(self, text: str) -> None:
        """Note, and log once, why the source that leads cannot be followed; follow from its next keyframe."""
        if text != self._lost:
            _log.warning("what the bus has cannot be continued", cause=text)
        self._lost, self._follower = text, self._new_follower()
        self._follower.trouble = None  # the engine is well: that is not to be said anew

    def _new_follower(self) -> Follower:
        follower = Follower(self._engine, has_clients=False)
        follower.on_read = lambda: self._note_trouble(None)
        return follower

    # Taking over

    async def _take_over(self, connection: Connection) -> None:
        """Wait until no other source is heard; then prepare the cut by which this one takes over."""
        last = await self._stand_by(connection)
        follower = self._follower
        self._epoch_before = "" if follower.stamp is None else follower.stamp.epoch
        term = 1
        if last == Position(0):
            cache = self._first()
        elif self._continues(follower, last, connection.run):
            cache, term = follower.cache, self.term + 1
        else:
            cache = self._new_epoch(last)
        self._writer = CutWriter(cache, self._config, new_stamp(cache.epoch, term, connection.run))
        if isinstance(cache, FollowingCache):
            cache.lead(wall_clock())
        else:
            cache.close_cut(wall_clock(), always=True)
        _log.info("takes over", epoch=cache.epoch, term=term, cut=cache.cut, engine=self._engine.name)
        self._cache, self._led_from = cache, cache.cut
        self._note_closed(cache.cut - 1)

    async def _stand_by(self, connection: Connection) -> Position:
        """Wait until no other source is heard, and return the end of its log.

        Trouble is over once the log could be read, by the follower or in `_silence`: not all that can be connected to
        may be read.
        """
        fresh = self.trouble is None and self._follower.stamp is None
        if fresh and await connection.last() == Position(0):
            return Position(0)  # of an engine that was away, another source may write it again
        while True:
            try:
                await self._follower.follow(connection, until_silent=True)
            except Lost as error:
                self._note_lost(str(error))
                if (silent_at := await self._silence(connection)) is not None:
                    return silent_at
            else:
                last = await connection.last()
                if last == self._follower.end:
                    return last  # else another one was faster

    async def _silence(self, connection: Connection) -> Position | None:
        """Listen to a source that cannot be followed; return the end of its log if it is silent."""
        await trio.sleep(BUS_RETRY_SECONDS)
        last = await connection.last()
        for _ in range(SILENT_READS):
            entries = await connection.read(last, FOLLOW_SECONDS)
            self._note_trouble(None)
            if entries:
                return None
        return last if await connection.last() == last else None

    def _continues(self, follower: Follower, last: Position, run: str) -> bool:
        stamp, head = follower.stamp, follower.head
        if stamp is None or head is None or not follower.cache.is_whole:
            return False
        same = (head.tables, head.max_instruments) == (self._config.tables, self._config.limits.max_instruments)
        return same and stamp.run == run and follower.cache.cut == last.cut

    def _new_epoch(self, last: Position) -> LastValueCache:
        """Return an empty cache whose cuts begin far above: clients may have seen some that the engine has lost."""
        cache = LastValueCache(
            secrets.token_hex(8), max_instruments=self._config.limits.max_instruments, tables=self._config.tables
        )
        cache.cut = last.cut + CUTS_OF_A_NEW_EPOCH
        return cache

    # Leading

    async def _repair(self, connection: Connection) -> None:
        """Append again the accepted cuts that the engine has lost. Raises `Deposed`."""
        mine = self.writer.stamp
        if not self.committed and mine.epoch == self._epoch_before and mine.run != connection.run:
            raise Deposed("the engine began another life before this source led: it stands by again")
        self.writer.stamp = mine._replace(run=connection.run)
        last = await connection.last()
        if last.cut >= self._position.cut:
            if last.cut == self._position.cut:
                self._position = max(self._position, last)  # a beat of this source, whose answer was lost
            return
        await self._check_before_repair(connection, last)
        lost = [(cut, data) for cut, data in self._kept if cut > last.cut]
        _log.warning("the engine has lost cuts that it had accepted: they are written again", cuts=len(lost))
        for cut, data in lost:
            await self._append(connection, Position(cut), data)
        self.writer.begin_anew()

    async def _check_before_repair(self, connection: Connection, last: Position) -> None:
        """Raise `Deposed` if another source has gone on from the place to which the log fell back.

        If that is one which this source had replaced, it has given other contents to cuts that copies have from here:
        the epoch ends.
        """
        data = await connection.entry(last) if last.cut else None
        if data is None:
            return
        with suppress(Foreign):
            stamp = read_entry(Entry(last, data)).stamp
            mine = self.writer.stamp
            if stamp.epoch == mine.epoch and stamp.term < mine.term and last.cut >= self._led_from:
                await self._end_epoch(connection, last)
                raise Deposed("a source that was replaced has written over cuts of this one: the epoch ends")
            if stamp.term <= mine.term if stamp.epoch == mine.epoch else stamp.epoch == self._epoch_before:
                return
        raise Deposed("the log was begun anew by another source: it leads, and this one stands by")

    async def _end_epoch(self, connection: Connection, last: Position) -> None:
        """Write what no source and no copy goes on from: all begin anew, and one that leads then begins an epoch."""
        stamp = new_stamp(secrets.token_hex(8), 1, connection.run)
        await self._append(connection, Position(last.cut + CUTS_OF_A_NEW_EPOCH), pack_beat(Beat(stamp, resigns=True)))

    async def _write(self, connection: Connection) -> None:
        while True:
            began = trio.current_time()
            if self._pending is None:
                await self._prepare()
            position, data = self._pending or self._beat()
            await self._append(connection, position, data)
            self._note_trouble(None)  # not before: one that is full, or may not be written to, can be connected to
            if self._pending is not None:
                self._accepted(position.cut, data)
            self._position = position
            self.on_lead()
            if self._resigning and self._pending is None and not self._close():
                await self._append(connection, *self._beat(resigns=True))
                self.resigned.set()
                await trio.sleep_forever()
            await self._advance_keyframe(connection)
            if (due := began + CUT_SECONDS) > trio.current_time():  # a sleep that is over costs as much as another
                await trio.sleep_until(due)

    async def resign(self) -> None:
        """End in order, if there is time: what is open is accepted first, and one that stands by is told at once."""
        self._resigning = True
        self._changed.set()
        with trio.move_on_after(RESIGN_SECONDS):
            await self.resigned.wait()

    async def _prepare(self) -> None:
        """Close a cut, as soon as there is something in it, if that is before the next beat."""
        if not self._changed.is_set():
            with trio.move_on_after(BUS_BEAT_SECONDS):
                await self._changed.wait()
        self._changed = trio.Event()
        self._close()

    def _close(self) -> bool:
        """Close a cut, if there is anything in it."""
        since = self.cache.cut
        closed = self.cache.close_cut(wall_clock())
        if closed:
            self.on_closed()
            self._note_closed(since)
        return closed

    def _note_closed(self, since: int) -> None:
        self._pending = Position(self.cache.cut), self.writer.cut(since)
        self.writer.make_piece()

    async def _advance_keyframe(self, connection: Connection) -> None:
        """Write the part of a keyframe that was made; all of its cuts were accepted."""
        keyframe = self.writer.keyframe
        if keyframe is None:
            return
        for number, data in keyframe.take_parts():
            await connection.put_part(keyframe.cut, number, data)
        if keyframe.is_complete:
            try:
                await connection.finish_keyframe(Keyframe(keyframe.cut, keyframe.parts))
            except Refused:
                _log.warning("a keyframe was refused: another one is made", cut=keyframe.cut)
                self.writer.begin_anew()
            else:
                self.keyframes += 1
                self.writer.finish_keyframe()

    def _beat(self, *, resigns: bool = False) -> tuple[Position, bytes]:
        if self.writer.is_making:
            self.writer.make_piece()
        return self._position._replace(beat=self._position.beat + 1), self.writer.beat(resigns=resigns)

    async def _append(self, connection: Connection, position: Position, data: bytes) -> None:
        try:
            await connection.append(position, data)
        except Refused:
            if await connection.entry(position) != data:
                text = f"another source has written cut {position.cut}: it leads, and this one stands by"
                raise Deposed(text) from None

    def _accepted(self, cut: int, data: bytes) -> None:
        self._pending = None
        self.committed += 1
        self._kept.append((cut, data))
        self._kept_bytes += len(data)
        while len(self._kept) > KEPT_CUTS or (self._kept_bytes > KEPT_CUTS_BYTES and len(self._kept) > 1):
            self._kept_bytes -= len(self._kept.popleft()[1])

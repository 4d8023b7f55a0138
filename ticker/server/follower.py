"""Follows a source over the bus: a keyframe first, then cut by cut, through every loss of the engine.

The rules:

1. Each entry has to go on from the follower's own cut. One that does not (a gap, another epoch, an earlier term), or
   whose digest is not that of the follower's copy, ends this copy: `Lost`. Its clients leave, and it begins anew.
2. The engine may be away, or lose its end: the follower waits, and reads on where it was. Its source repairs the log.
3. The source is silent after several reads without an entry or a beat: only reads count, no clock, so that one that
   wakes after a pause does not take the pause for a silence. A log whose end moves is a sign of life, too: of a source
   that repairs it, or whose first keyframe is not finished. For one with clients an engine that cannot be used counts
   as well.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import structlog
import trio

from ticker.bus.engine import Connection, Engine, Entry, Position, Unavailable, delay_of
from ticker.bus_bounds import BUS_RETRY_SECONDS, FOLLOW_SECONDS, SILENT_READS
from ticker.core.following import FollowingCache, digest
from ticker.durations import duration
from ticker.errors import TickerError
from ticker.net.clocks import wall_clock
from ticker.server.bus_entries import Beat, Cut, Foreign, Head, Stamp, read_entry, read_head, read_piece
from ticker.texts import shown

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.bus")


class Lost(TickerError):
    """The copy cannot follow any more."""


class Follower:
    """The copy of one process."""

    def __init__(self, engine: Engine, *, has_clients: bool, what: str = "the bus") -> None:
        """Only without clients can it lead later. `what` is the engine to people."""
        self._engine = engine
        self._what = what
        self._has_clients = has_clients
        self._cache: FollowingCache | None = None
        self._position = self._begun_at = Position(0)
        """Of the latest entry that was read, and of the end of the log when the copy was begun."""
        self._cut = 0
        """The latest cut that was read."""
        self._delay = 0
        """The seconds by which the engine is late."""
        self._empty = 0
        self._term = 0
        """That of the source whose cuts are in the copy."""
        self._resigned = False
        self.end = Position(0)
        """The last position of the log, as far as was seen."""
        self.stamp: Stamp | None = None
        """That of the latest entry."""
        self.head: Head | None = None
        """That of the keyframe."""
        self.trouble: str | None = f"{what} was not reached yet"
        """The reason why the engine cannot be used."""
        self._unread = False
        """Whether the last read failed: an engine can be connected to although its log may not be read."""
        self.on_read: Callable[[], None] = lambda: None
        """Called when the engine could be read, whatever it had."""
        self.heard_at = 0
        """When the latest entry or beat was read, in microseconds since 1970 UTC."""
        self.cuts = 0
        """Number of cuts that were followed."""
        self.deliver: Callable[[Cut], Awaitable[None]] | None = None
        """Where cuts go that `apply` is to be called with, once the copy is whole; None has them applied at once."""
        self.on_there: Callable[[], None] = lambda: None
        """Called when there is a whole copy, and its source was heard."""
        self.on_sign: Callable[[], None] = lambda: None
        """Called when the source becomes silent, and when it is heard again."""

    def __repr__(self) -> str:
        return f"<Follower of {self._engine.name} at {self._position}>"

    @property
    def cache(self) -> FollowingCache:
        """The copy, once there is one."""
        assert self._cache is not None  # noqa: S101  # for the type checker
        return self._cache

    @property
    def is_there(self) -> bool:
        """Whether there is a whole copy, not older than the log was when it began, and its source was heard."""
        whole = self._cache is not None and self._cache.is_whole and self._position >= self._begun_at
        return whole and self.heard_at > 0

    @property
    def silent(self) -> bool:
        """Whether the source is silent."""
        return self._empty >= SILENT_READS

    async def run(self) -> None:
        """Follow until `Lost`, which it raises."""
        while True:
            try:
                async with self._engine.connect() as connection:
                    self._check_delay()
                    await self.follow(connection)
            except Unavailable as error:
                self.note_trouble(str(error))
                self._note_read(heard=False)
            await trio.sleep(random.uniform(BUS_RETRY_SECONDS / 2, BUS_RETRY_SECONDS))  # noqa: S311  # spread, not secret

    def _check_delay(self) -> None:
        """Check that what clients were told of the delay of this copy is so. Raises `Lost`."""
        delay = delay_of(self._engine)
        if self._cache is not None and delay != self._delay:
            raise Lost(f"it is {duration(delay)} late now, and was {duration(self._delay)}")
        self._delay = delay

    def note_trouble(self, text: str | None) -> None:
        """Note, and log once, the state of the engine; None is a good one."""
        if text != self.trouble:
            if text is not None:
                _log.warning(f"{self._what} cannot be used", cause=text)
            elif self.trouble is not None:
                _log.info(f"{self._what} is there", engine=self._engine.name)
        self.trouble = text

    async def follow(self, connection: Connection, *, until_silent: bool = False) -> None:
        """Follow on this connection; with `until_silent` return once the source is silent, or ends."""
        if not self._unread:
            self.note_trouble(None)
        self.end = await self._checked_end(connection)
        if until_silent:
            self._empty = 0  # of an engine that was away, each source has to find the way back
        while True:
            self._unread = True
            if self._cache is None and not await self._load(connection):
                self._note_could_be_read()
                await trio.sleep(FOLLOW_SECONDS)
                await self._note_nothing(connection)
            else:
                entries = await connection.read(self._position, FOLLOW_SECONDS)
                self._note_could_be_read()
                for entry in entries:
                    self._position = self.end = entry.position
                    try:
                        await self._take(read_entry(entry), entry.position.cut)
                    except Foreign as error:
                        raise Lost(str(error)) from None
                if entries:
                    self._note_read(heard=True)
                else:
                    self._begun_at = Position(0)  # the log has lost its end, perhaps
                    await self._note_nothing(connection)
                if self.is_there:
                    self.on_there()
            if until_silent and (self.silent or self._resigned):
                return

    def _note_could_be_read(self) -> None:
        self._unread = False
        self.note_trouble(None)
        self.on_read()

    def _note_read(self, *, heard: bool) -> None:
        silent = self.silent
        self._empty = 0 if heard else self._empty + 1
        if heard:
            self.heard_at = wall_clock()
        if silent != self.silent:
            self.on_sign()

    async def _note_nothing(self, connection: Connection) -> None:
        """There was nothing to read; but a source may be at work in an earlier place."""
        before, self.end = self.end, await self._checked_end(connection)
        self._note_read(heard=self.end != before)

    async def _checked_end(self, connection: Connection) -> Position:
        """Return the end of the log, which must not have gone on without this copy in an earlier place: `Lost`."""
        last = await connection.last()
        if self.stamp is None or last >= self._position or last == Position(0):
            return last
        data = await connection.entry(last)
        try:
            if data is not None and read_entry(Entry(last, data)).stamp.epoch != self.stamp.epoch:
                raise Lost("the log was begun anew by another source")
        except Foreign as error:
            raise Lost(str(error)) from None
        return last

    async def _load(self, connection: Connection) -> bool:
        """Begin with the latest keyframe; False if there is none (any more)."""
        keyframe = await connection.keyframe()
        if keyframe is None:
            return False
        cache, head = None, None
        try:
            for number in range(keyframe.parts):
                data = await connection.part(keyframe.cut, number)
                if data is None:
                    return False
                if cache is None:
                    head = read_head(data)
                    cache = FollowingCache(
                        head.stamp.epoch,
                        max_instruments=head.max_instruments,
                        tables=head.tables,
                        has_clients=self._has_clients,
                    )
                    continue
                cut, parts = read_piece(data)
                for part in parts:
                    cache.take_part(cut, part)
        except Foreign as error:
            raise Lost(str(error)) from None
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # of data with a right version: what can be wrong with it is open
            raise Lost(f"the keyframe cannot be used ({type(error).__name__}: {shown(error)})") from None
        if cache is not None and head is not None:
            end = await connection.last()
            self._cache, self.head, self.stamp = cache, head, head.stamp
            self._position, self._cut = Position(keyframe.cut), keyframe.cut
            self._term = head.stamp.term
            self._begun_at = end
            cache.begin_at(keyframe.cut, head.time)
        return True

    async def _take(self, entry: Cut | Beat, at: int) -> None:
        stamp, known = entry.stamp, self.stamp
        if known is not None and stamp.epoch != known.epoch:
            raise Lost(f"a source began another epoch: {stamp.epoch} in place of {known.epoch}")
        if known is not None and stamp.term < known.term:
            if isinstance(entry, Cut) and entry.cut > self._cut:
                raise Lost("a source that was replaced has gone on: the log has lost the one that replaced it")
            return  # what such a source says of its life is of no interest
        self.stamp = stamp
        if isinstance(entry, Beat):
            self._resigned = entry.resigns
            if at > self._cut:
                raise Lost(f"the log has a gap between cut {self._cut} and a beat after cut {at}")
            return
        self._resigned = False
        if entry.cut <= self._cut:  # the log was repaired
            return
        if entry.since != self._cut:
            raise Lost(f"the log has a gap between cut {self._cut} and cut {entry.since}")
        self._cut = entry.cut
        if self.deliver is not None and self.cache.is_whole:
            await self.deliver(entry)
        else:
            self.apply(entry)

    def apply(self, entry: Cut) -> None:
        """Take a cut into the copy. Raises `Lost`."""
        cache = self.cache
        try:
            if entry.digest and cache.is_whole:
                first, end, wanted = entry.digest
                if digest(cache, first, end) != wanted:
                    self._differ(entry)
            if entry.stamp.term > self._term:
                cache.change_source()
                self._term = entry.stamp.term
            cache.apply(entry.cut, entry.time, entry.news)
        except Lost:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            raise Lost(f"cut {entry.cut} cannot be applied ({type(error).__name__}: {shown(error)})") from None
        self.cuts += 1

    def _differ(self, entry: Cut) -> None:
        first, end, _ = entry.digest
        raise Lost(f"the copy differs from its source at cut {entry.since}, instruments {first} to {end}")

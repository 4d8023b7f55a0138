"""An engine as it was some time ago: what is read from a real one is kept in a spool, and shown so much later.

`run` reads the real engine on and on. Connections are for followers: they read, and append nothing. To them it is the
engine as it was: its entries, beats and keyframes, its end and its silence. The rules:

1. Nothing is shown before its time, whatever happens to clocks and processes (`ticker.bus.spool`).
2. A log that was begun anew is recognized by its last entry, which is not the one that was read at that position. It is
   then read from its beginning. Where that was a mistake, entries come twice, which no follower minds.
3. What could not be read in time, had no room, or is damaged in the spool is a gap, which followers recognize.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog
import trio

from ticker.bus.engine import MOST_READ, Connection, Engine, Entry, Keyframe, Position, Unavailable, delay_of
from ticker.bus.reading import ReadOnly
from ticker.bus.spool import Spool
from ticker.bus.spool_access import Forgotten, SpoolAccess
from ticker.bus.spool_records import (
    RESET,
    Moment,
    Record,
    entry_record,
    keyframe_record,
    moment,
    part_record,
)
from ticker.bus_bounds import (
    BEHIND_SECONDS,
    BUS_READ_SECONDS,
    BUS_RETRY_SECONDS,
    FOLLOW_SECONDS,
    SPOOL_KEYFRAME_SECONDS,
    SPOOL_LOOK_SECONDS,
)
from ticker.durations import duration
from ticker.errors import ConfigError
from ticker.net.failures import cause_of
from ticker.numbers import MAX_INTEGER

_NOT_REACHED: Final = "the bus was not reached yet"

_T = TypeVar("_T")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.bus.delayed")


class DelayedEngine:
    """The engine as it was `seconds` ago."""

    def __init__(
        self,
        engine: Engine,
        seconds: int,
        folder: Path,
        clock: Callable[[], Moment] = moment,
        keyframe_seconds: float = SPOOL_KEYFRAME_SECONDS,
        what: str = "",
    ) -> None:
        """`folder` is for the spool, and for this process alone. `what` is in it: one with other data is not used."""
        self._engine = engine
        self.seconds = seconds
        self.spool = Spool(folder, what or engine.name, seconds * 1_000_000, clock)
        self._keyframe_seconds = keyframe_seconds
        self._keyframe_at = self._look_at = -math.inf
        """When a keyframe was read last, and looked for."""
        self.files = SpoolAccess(self.spool)
        self._added = trio.lowlevel.ParkingLot()
        self._until = 0, ""
        """When the first is due, and the same for people."""
        self.trouble: str | None = _NOT_REACHED
        """Why the real engine cannot be read now."""
        self.entries = 0
        """Entries and beats that were read."""

    def __repr__(self) -> str:
        return f"<DelayedEngine {self.name}: {self.spool!r}>"

    @property
    def name(self) -> str:
        """The address of the real one."""
        return self._engine.name

    @property
    def delay_seconds(self) -> int:
        """The delay of all that is shown: with that of the real engine, as it said last, perhaps before a restart."""
        return self.seconds + self.spool.engine_delay

    async def open(self) -> None:
        """Open the spool. Raises `ConfigError`."""
        spool = self.spool
        try:
            await trio.to_thread.run_sync(spool.open)
        except OSError as error:
            raise ConfigError(
                f"delay: the spool {spool.folder} cannot be used: {error.strerror}; set TICKER_HOME to a folder of"
                " your own"
            ) from None
        if spool.began_anew:
            _log.warning("the spool of the earlier run is not used", folder=str(spool.folder), cause=spool.began_anew)

    def close(self) -> None:
        """Let another process have the spool. Nothing may be read any more."""
        self.spool.close()

    # For followers

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DelayedConnection]:
        """Connect. Raises `Unavailable` as long as there is nothing to show."""
        await trio.lowlevel.checkpoint()
        await self.files.show_all()
        if (text := self.waits()) is not None:
            raise Unavailable(text)
        yield DelayedConnection(self)

    def waits(self) -> str | None:
        """Return until when there is nothing to show, as far as is known, and why."""
        index, now = self.spool.index, self.spool.now()
        if index.last > Position(0) or index.keyframe(now.running) is not None:
            return None
        due = index.first_due(now.running) or self.spool.began + self.seconds * 1_000_000
        if due <= now.running:
            return None
        if due != self._until[0]:
            until = datetime.fromtimestamp(math.ceil((now.wall + due - now.running) / 1e6), UTC)
            self._until = due, f"{until:%H:%M:%S}"
        cause = "" if self.trouble in {None, _NOT_REACHED} else f", and now {self.trouble}"
        return f"the market is shown {duration(self.seconds)} late: there is none before {self._until[1]} UTC{cause}"

    def shows_soon(self, cut: int) -> bool:
        """Whether a cut is shown by now, or before somebody who waits for it gives up."""
        due = self.spool.index.due_of(cut)
        return due is not None and due - self.spool.now().running < BEHIND_SECONDS * 1_000_000

    async def next_entries(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries that are shown; wait so long if there are none."""
        end = trio.current_time() + (min(seconds, BUS_READ_SECONDS) if seconds > 0 else 0)
        while True:
            await self.files.show_all()
            found = await self.files.look(lambda: self.spool.index.after(after, MOST_READ))
            if found:
                data = await self.files.read([place for _, place in found])
                return [Entry(position, each) for (position, _), each in zip(found, data, strict=True)]
            if trio.current_time() >= end:
                await trio.lowlevel.checkpoint()
                return []
            await self._wait(end - trio.current_time())

    async def _wait(self, seconds: float) -> None:
        """Wait until something more may be due, at most so long."""
        due = self.spool.index.next_due()
        if due is not None:
            await trio.sleep(min(seconds, max(0.0, (due - self.spool.now().running) / 1e6)))
            return
        with trio.move_on_after(seconds):
            await self._added.park()

    # The reader

    async def run(self) -> None:
        """Read the real engine, until cancelled."""
        while True:
            try:
                async with self._engine.connect() as connection:
                    await self._note_delay()
                    self._note_trouble(None)
                    self._look_at = self._keyframe_at = -math.inf  # a gap may be behind this
                    await self._read_on(connection)
            except Unavailable as error:
                self._note_trouble(str(error))
            except OSError as error:
                self._note_trouble(f"the spool {self.spool.folder} cannot be written: {cause_of(error)}")
            await trio.sleep(BUS_RETRY_SECONDS)

    async def _note_delay(self) -> None:
        seconds = delay_of(self._engine)
        if seconds != self.spool.engine_delay:
            await self.files.run(lambda: self.spool.note_delay(seconds))

    def _note_trouble(self, text: str | None) -> None:
        if text != self.trouble:
            if text is not None:
                _log.warning("the market is not read: later there will be a gap", cause=text, seconds=self.seconds)
            elif self.trouble is not None:
                _log.info("the market is read, to be shown later", engine=self.name, seconds=self.seconds)
        self.trouble = text

    async def _read_on(self, connection: Connection) -> None:
        await self._check_end(connection, connected=True)
        while True:
            if trio.current_time() - self._look_at >= SPOOL_LOOK_SECONDS:
                self._look_at = trio.current_time()
                await self._look_for_keyframe(connection)
            position = self.spool.index.end
            entries = await connection.read(position, FOLLOW_SECONDS)
            if not entries:
                await self._check_end(connection)
                continue
            for entry in entries:
                self._check_numbers(entry.position)
            if entries[0].position.cut > position.cut + 1:
                self._keyframe_at = -math.inf  # perhaps it is a gap
            await self._write([entry_record(*entry) for entry in entries])
            self.entries += len(entries)

    async def _check_end(self, connection: Connection, *, connected: bool = False) -> None:
        """Find out whether the log was begun anew, after it was just `connected` to: perhaps it has gone further since.

        Taking one for another that is none costs nobody anything, but that it is read again.
        """
        last, index = await connection.last(), self.spool.index
        known = min(last, index.end)
        if known == Position(0) or (last >= index.end and not connected):
            return
        data = await connection.entry(known)
        if data is not None and data != await self._read_before(known):
            await self._write([RESET])
            self._look_at = self._keyframe_at = -math.inf

    async def _read_before(self, known: Position) -> bytes | None:
        """Return what was read at a position, None if that cannot be told any more."""
        try:
            return await self.files.read_one(lambda: self.spool.index.read_at(known))
        except Forgotten:
            return None

    async def _look_for_keyframe(self, connection: Connection) -> None:
        """Read the latest keyframe, if it is a new one, and the last was read some time ago."""
        if trio.current_time() - self._keyframe_at < self._keyframe_seconds:
            return
        keyframe = await connection.keyframe()
        if keyframe is None or keyframe == self.spool.index.latest_keyframe:
            return
        self._check_numbers(keyframe)
        await self.files.run(self.spool.begin_segment)
        for number in range(keyframe.parts):
            data = await connection.part(keyframe.cut, number)
            if data is None:
                return  # there is a later one
            await self._write([part_record(keyframe.cut, number, data)])
        await self._write([keyframe_record(keyframe)])
        self._keyframe_at = trio.current_time()

    def _check_numbers(self, found: Position | Keyframe) -> None:
        """Check that a source can have written this. Raises `Unavailable`."""
        if not all(0 <= number <= MAX_INTEGER for number in found):
            raise Unavailable(
                f"{self.name} has {found}, which no source writes: stop what writes there, and begin its log anew"
            )

    async def _write(self, records: Sequence[Record]) -> None:
        await self.files.write(records)
        self._added.unpark_all()


class DelayedConnection(ReadOnly):
    """A connection of a follower."""

    def __init__(self, engine: DelayedEngine) -> None:
        super().__init__(f"the bus at {engine.name} is shown as it was: it can only be read")
        self._engine = engine
        self._usable = True

    def __repr__(self) -> str:
        return f"<DelayedConnection to {self._engine.name}{'' if self._usable else ', ended'}>"

    @property
    def run(self) -> str:
        """Names the life of the spool."""
        return self._engine.spool.run

    async def last(self) -> Position:
        """Return the last position."""
        return await self._command(self._last)

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        return await self._command(lambda: self._engine.next_entries(after, seconds))

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position."""
        return await self._command(
            lambda: self._engine.files.read_one(lambda: self._engine.spool.index.entry(position))
        )

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe."""
        return await self._command(self._keyframe)

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe."""
        spool = self._engine.spool
        now = spool.now().running
        return await self._command(lambda: self._engine.files.read_one(lambda: spool.index.part(cut, number, now)))

    async def _last(self) -> Position:
        await trio.lowlevel.checkpoint()
        return self._engine.spool.index.last

    async def _keyframe(self) -> Keyframe | None:
        await trio.lowlevel.checkpoint()
        spool = self._engine.spool
        return spool.index.keyframe(spool.now().running)

    async def _command(self, command: Callable[[], Awaitable[_T]]) -> _T:
        """Carry out a command. Cancelled or failed on the way, the connection has ended, as with every engine."""
        if not self._usable:
            raise Unavailable(f"the connection to the bus at {self._engine.name} has ended")
        self._usable = False
        await self._engine.files.show_all()
        found = await command()
        self._usable = True
        return found

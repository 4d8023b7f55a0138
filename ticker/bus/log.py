"""The log of cuts in memory, for the processes of one machine.

It keeps the entries since the keyframe before the last, within `MAX_BUS_ENTRIES` and `MAX_BUS_LOG_BYTES`; of beats only
the last one. It is lost with its process.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import attrgetter

import trio

from ticker.bus.engine import MOST_READ, Entry, Keyframe, Position, Refused
from ticker.bus.frames import pushed
from ticker.bus.keyframes import Keyframes, check_size
from ticker.bus_bounds import (
    BUS_BYTES_PER_READ,
    BUS_READ_SECONDS,
    MAX_BUS_ENTRIES,
    MAX_BUS_LOG_BYTES,
)

_position = attrgetter("position")

_BEGINNING = Position(0)


class Log:
    """The log. Its counters are for the process that has it."""

    def __init__(
        self,
        *,
        max_entries: int = MAX_BUS_ENTRIES,
        max_bytes: int = MAX_BUS_LOG_BYTES,
        begins: Position = _BEGINNING,
    ) -> None:
        self.begins = begins
        """What is behind this position is there, of what was appended."""
        self.run = secrets.token_hex(8)
        self.keyframes = Keyframes()
        self.last = Position(0)
        self.bytes = 0
        """Bytes of the entries."""
        self.appended = 0
        self.refused = 0
        self.dropped = 0
        """Entries beyond the limits: those who needed them had to load a keyframe, or to wait for one."""
        self.connections = 0
        self.refused_connections = 0
        """Beyond `MAX_BUS_CONNECTIONS`, or of another user."""
        self.failed_connections = 0
        """Ended because the peer sent what is no message, or took too long."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._readers = trio.lowlevel.ParkingLot()
        self.followers: set[Callable[[Entry, bytes], None]] = set()
        """Called with each entry that is appended, and its frame."""

    def __repr__(self) -> str:
        return f"<Log to {self.last}: {len(self._entries)} entries, {self.bytes} bytes, {self.connections} connections>"

    @property
    def entries(self) -> int:
        """How many entries and beats there are."""
        return len(self._entries)

    def append(self, position: Position, data: bytes) -> None:
        """Append an entry or a beat, which takes the place of the beat before. Raises `Refused`, and `Unavailable` for
        data beyond `MAX_BUS_DATA_BYTES`."""
        check_size(data)
        if position <= self.last:
            self.refused += 1
            raise Refused(f"{position} is not behind {self.last}")
        if position.beat and self._entries and self._entries[-1].position.beat and position.cut == self.last.cut:
            self._drop(len(self._entries) - 1, len(self._entries))
        self.last = position
        self.appended += 1
        self.bytes += len(data)
        entry = Entry(position, data)
        self._entries.append(entry)
        self._keep_limits()
        self._readers.unpark_all()
        if self.followers:
            frame = pushed(entry)
            for follower in [*self.followers]:
                follower(entry, frame)

    async def read(self, after: Position, seconds: float) -> list[Entry]:
        """Return the next entries after a position; wait so long if there are none, `BUS_READ_SECONDS` at most."""
        with trio.move_on_after(min(seconds, BUS_READ_SECONDS) if seconds > 0 else 0):
            while self.last <= after:
                await self._readers.park()
        return self.after(after)

    def after(self, after: Position) -> list[Entry]:
        """Return the next entries after a position that are there."""
        first = bisect_right(self._entries, after, key=_position)
        found, size = [], 0
        for entry in self._entries[first : first + MOST_READ]:
            found.append(entry)
            size += len(entry.data)
            if size >= BUS_BYTES_PER_READ:
                break
        return found

    def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        number = bisect_right(self._entries, position, key=_position) - 1
        found = self._entries[number] if number >= 0 else None
        return found.data if found is not None and found.position == position else None

    def finish_keyframe(self, keyframe: Keyframe) -> None:
        """Make this keyframe the latest, and trim the log to the one before. Raises `Refused`."""
        before = self.keyframes.finish(keyframe)
        self._trim(bisect_left(self._entries, Position(before), key=_position))

    def _keep_limits(self) -> None:
        count, size = 0, self.bytes
        while len(self._entries) - count > self._max_entries or (
            size > self._max_bytes and count < len(self._entries) - 1
        ):
            size -= len(self._entries[count].data)
            count += 1
        self.dropped += count
        self._trim(count)

    def _trim(self, count: int) -> None:
        if count:
            self.begins = self._entries[count - 1].position
            self._drop(0, count)

    def _drop(self, start: int, end: int) -> None:
        if start < end:
            self.bytes -= sum(len(entry.data) for entry in self._entries[start:end])
            del self._entries[start:end]

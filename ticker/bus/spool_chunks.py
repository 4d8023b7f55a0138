"""Chunks: entries that stand one behind another in a file of a spool.

Of most chunks only the bounds are in memory. Where its entries are, one by one, is read from the file when they are
needed. Without files and clocks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from ticker.bus.engine import Position
from ticker.bus_bounds import SPOOL_CHUNK_BYTES, SPOOL_CHUNK_ENTRIES
from ticker.errors import TickerError


class Place(NamedTuple):
    """Where a record is."""

    segment: int
    offset: int
    length: int


class Entries:
    """The entries of a chunk, in order."""

    __slots__ = ("_beats", "_cuts", "_lengths", "_offsets", "_segment", "dues")

    def __init__(self, segment: int) -> None:
        self._segment = segment
        self._cuts, self._beats, self._offsets, self._lengths = array("q"), array("q"), array("q"), array("q")
        self.dues = array("q")

    def __repr__(self) -> str:
        return f"<Entries: {len(self)} in segment {self._segment}>"

    def __len__(self) -> int:
        return len(self._cuts)

    def add(self, position: Position, due: int, place: Place) -> None:
        """Add an entry behind all others."""
        self._cuts.append(position.cut)
        self._beats.append(position.beat)
        self._offsets.append(place.offset)
        self._lengths.append(place.length)
        self.dues.append(due)

    def drop(self, number: int) -> None:
        """Forget one."""
        for each in (self._cuts, self._beats, self._offsets, self._lengths, self.dues):
            del each[number]

    def behind(self, position: Position) -> int:
        """Return the number of the first one behind a position."""
        low = bisect_left(self._cuts, position.cut)
        high = bisect_right(self._cuts, position.cut, low)
        return bisect_right(self._beats, position.beat, low, high)

    def at(self, offset: int) -> int | None:
        """Return the number of the one at this place in the file."""
        number = bisect_left(self._offsets, offset)
        return number if number < len(self) and self._offsets[number] == offset else None

    def position(self, number: int) -> Position:
        """Return the position of one."""
        return Position(self._cuts[number], self._beats[number])

    def place(self, number: int) -> Place:
        """Return where it is."""
        return Place(self._segment, self._offsets[number], self._lengths[number])


class Chunk:
    """One chunk."""

    __slots__ = ("count", "end", "entries", "first_due", "generation", "last", "last_due", "segment", "shown", "start")

    def __init__(self, generation: int, due: int, place: Place) -> None:
        """It begins at a place."""
        self.generation = generation
        """How often the log was begun anew before it."""
        self.segment = place.segment
        self.start = self.end = place.offset
        """Where it begins and ends in the file."""
        self.first_due = self.last_due = due
        self.last = Position(0)
        self.count = 0
        self.shown = 0
        """Number of its entries that are shown."""
        self.entries: Entries | None = Entries(place.segment)
        """None unless they are in memory."""

    def __repr__(self) -> str:
        return f"<Chunk of {self.count} entries in segment {self.segment}, {self.shown} shown>"

    def has(self, place: Place) -> bool:
        """Whether this place is in it."""
        return place.segment == self.segment and self.start <= place.offset < self.end

    def takes(self, place: Place) -> bool:
        """Whether a record at this place can belong to it."""
        follows = (place.segment, place.offset) == (self.segment, self.end)
        return (
            follows and self.count < SPOOL_CHUNK_ENTRIES and self.end + place.length - self.start <= SPOOL_CHUNK_BYTES
        )

    def add(self, position: Position, due: int, place: Place) -> None:
        """Add an entry behind all others."""
        assert self.entries is not None  # noqa: S101  # for the type checker
        self.entries.add(position, due, place)
        self.end += place.length
        self.last, self.last_due = position, due
        self.count += 1

    def note_last(self) -> None:
        """Note which is the last one, after some were lost. Where all were, others are never looked for in it."""
        if self.entries is not None and self.count:
            self.last = self.entries.position(self.count - 1)

    def due_by(self, now: int) -> int | None:
        """Return how many are due by now, None if that is not known without its entries."""
        if self.last_due <= now:
            return self.count
        if self.first_due > now:
            return 0
        return None if self.entries is None else bisect_right(self.entries.dues, now, self.shown)


class NotLoaded(TickerError):
    """The entries of a chunk are needed, and not in memory."""

    def __init__(self, chunk: Chunk) -> None:
        super().__init__("the entries of a chunk are not in memory")
        self.chunk = chunk

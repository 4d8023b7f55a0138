"""What a spool has, where in its files, and what of it is shown by now. Without files and clocks.

The rules:

1. Everything has a time at which it is due, in the order in which it was read. Nothing is shown before.
2. Where the log was begun anew (`add_reset`), what was before it is shown until then, and never after.
3. What is shown is trimmed as an engine trims its log: to the keyframe before the last that is shown.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ticker.bus.engine import Keyframe, Position


class Place(NamedTuple):
    """Where a record is."""

    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class KeptKeyframe:
    """A finished keyframe."""

    keyframe: Keyframe
    due: int
    generation: int
    """How often the log was begun anew before it."""
    parts: tuple[Place, ...]


class SpoolIndex:
    """The index of one spool. Times are microseconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._cuts, self._beats, self._dues = array("q"), array("q"), array("q")
        self._segments, self._offsets, self._lengths = array("q"), array("q"), array("q")
        self._resets: deque[tuple[int, int]] = deque()
        """Where the log was begun anew: before which entry, and when that is due."""
        self._keyframes: list[KeptKeyframe] = []
        self._unfinished: dict[int, dict[int, Place]] = {}
        self._generation = self._shown_generation = 0
        self._shown = 0
        """Number of entries that are shown."""
        self._floor = 0
        """The cut of the keyframe to which the shown ones are trimmed."""
        self._due = 0
        self.end = Position(0)
        """The last position that was read since the log began."""
        self.last = Position(0)
        """The last position that is shown."""

    def __repr__(self) -> str:
        return f"<SpoolIndex: {self._shown} of {len(self)} entries shown, {len(self._keyframes)} keyframes>"

    def __len__(self) -> int:
        return len(self._cuts)

    # What was read

    def add_entry(self, position: Position, due: int, place: Place) -> None:
        """Add an entry or a beat."""
        self._due = max(self._due, due)
        self._cuts.append(position.cut)
        self._beats.append(position.beat)
        self._segments.append(place.segment)
        self._offsets.append(place.offset)
        self._lengths.append(place.length)
        self._dues.append(self._due)
        self.end = position

    def add_part(self, cut: int, number: int, place: Place) -> None:
        """Add a part of a keyframe. Of keyframes that are not finished, only the latest is kept."""
        if cut not in self._unfinished or number == 0:
            self._unfinished = {cut: {}}
        self._unfinished[cut][number] = place

    def add_keyframe(self, keyframe: Keyframe, due: int) -> None:
        """Have a keyframe, if all its parts are there."""
        parts = self._unfinished.pop(keyframe.cut, {})
        if all(number in parts for number in range(keyframe.parts)):
            self._due = max(self._due, due)
            places = tuple(parts[number] for number in range(keyframe.parts))
            self._keyframes.append(KeptKeyframe(keyframe, self._due, self._generation, places))

    def add_reset(self, due: int) -> None:
        """The log was begun anew: what follows is not behind what was before."""
        self._due = max(self._due, due)
        self._resets.append((len(self), self._due))
        self._generation += 1
        self._unfinished = {}
        self.end = Position(0)

    def read_at(self, position: Position) -> Place | None:
        """Return the place of an entry that was read since the log began, whether it is shown or not."""
        return self._find(position, self._resets[-1][0] if self._resets else 0, len(self))

    @property
    def latest_keyframe(self) -> Keyframe | None:
        """The last keyframe that was read since the log began."""
        latest = self._keyframes[-1] if self._keyframes else None
        return latest.keyframe if latest is not None and latest.generation == self._generation else None

    # What is shown

    def show(self, now: int) -> None:
        """Show what is due now."""
        while self._resets and self._resets[0][1] <= now:
            first, _ = self._resets.popleft()
            self._shown_generation += 1
            self._keyframes = [each for each in self._keyframes if each.generation >= self._shown_generation]
            self._drop_entries(first)
            self.last, self._floor = Position(0), 0
        shown = bisect_right(self._dues, now, self._shown)  # what is behind a reset is due no earlier
        if shown > self._shown:
            self._shown = shown
            self.last = self._position(shown - 1)
        self._trim_keyframes(now)

    def _trim_keyframes(self, now: int) -> None:
        shown = self._shown_keyframes(now)
        if len(shown) > 1:
            self._floor = max(self._floor, shown[-2].keyframe.cut)
            gone = {id(each) for each in shown[:-2]}
            self._keyframes = [each for each in self._keyframes if id(each) not in gone]

    def _shown_keyframes(self, now: int) -> list[KeptKeyframe]:
        """Return those that are shown, of each cut the last one."""
        shown = [each for each in self._keyframes if each.due <= now and each.generation == self._shown_generation]
        of_cuts = {each.keyframe.cut: each for each in shown}
        return [each for each in shown if of_cuts[each.keyframe.cut] is each]

    def keyframe(self, now: int) -> Keyframe | None:
        """Return the latest that is shown."""
        shown = self._shown_keyframes(now)
        return shown[-1].keyframe if shown else None

    def part(self, cut: int, number: int, now: int) -> Place | None:
        """Return the place of a part of a keyframe that is shown."""
        for each in reversed(self._shown_keyframes(now)[-2:]):
            if each.keyframe.cut == cut and 0 <= number < len(each.parts):
                return each.parts[number]
        return None

    def entry(self, position: Position) -> Place | None:
        """Return the place of an entry that is shown."""
        return self._find(position, self._first(), self._shown)

    def after(self, position: Position, most: int) -> Iterator[tuple[Position, Place]]:
        """Return the next entries that are shown."""
        first = max(self._first(), self._behind(position, 0, self._shown))
        for number in range(first, min(first + most, self._shown)):
            yield self._position(number), self._place(number)

    def next_due(self) -> int | None:
        """Return when the next entry is due."""
        return self._dues[self._shown] if self._shown < len(self) else None

    def due_of(self, cut: int) -> int | None:
        """Return when a cut is due, or else the next one behind it; None if neither was read."""
        number = bisect_left(self._cuts, cut, self._shown, self._resets[0][0] if self._resets else len(self))
        return self._dues[number] if number < len(self) else None

    def first_due(self, now: int) -> int | None:
        """Return when the first keyframe is due that is not shown yet, or else the first entry."""
        keyframes = [each.due for each in self._keyframes if each.due > now]
        return keyframes[0] if keyframes else self.next_due()

    @property
    def unshown(self) -> int:
        """Number of entries that are not shown yet."""
        return len(self) - self._shown

    # What is not needed any more

    def first_needed(self) -> int | None:
        """Return the first segment of which something is still needed; None: nothing is."""
        segments = [place.segment for each in self._keyframes for place in each.parts[:1]]
        segments += [place.segment for parts in self._unfinished.values() for place in parts.values()][:1]
        if (first := self._first()) < len(self):
            segments.append(self._segments[first])
        return min(segments, default=None)

    def drop_before(self, segment: int) -> int:
        """Forget what is in earlier segments, and the keyframes that are of no use without it; return how many entries
        there were that were still needed."""
        count = bisect_left(self._segments, segment)
        needed = max(0, count - self._first())
        last = max(self._cuts[self._first() : count], default=0) if needed else 0
        self._drop_entries(count)
        self._keyframes = [
            each
            for each in self._keyframes
            if all(place.segment >= segment for place in each.parts)
            and (each.generation > self._shown_generation or each.keyframe.cut >= last)
        ]
        for parts in self._unfinished.values():
            for number in [number for number, place in parts.items() if place.segment < segment]:
                del parts[number]
        return needed

    def _drop_entries(self, count: int) -> None:
        for each in (self._cuts, self._beats, self._dues, self._segments, self._offsets, self._lengths):
            del each[:count]
        self._shown = max(0, self._shown - count)
        self._resets = deque((max(0, index - count), due) for index, due in self._resets)

    def _first(self) -> int:
        """Return the number of the first entry that a reader of what is shown may need."""
        return self._behind(Position(self._floor, -1), 0, self._shown)

    def _behind(self, position: Position, first: int, end: int) -> int:
        low = bisect_left(self._cuts, position.cut, first, end)
        high = bisect_right(self._cuts, position.cut, low, end)
        return bisect_right(self._beats, position.beat, low, high)

    def _find(self, position: Position, first: int, end: int) -> Place | None:
        number = self._behind(position, first, end) - 1
        return self._place(number) if number >= first and self._position(number) == position else None

    def _position(self, number: int) -> Position:
        return Position(self._cuts[number], self._beats[number])

    def _place(self, number: int) -> Place:
        return Place(self._segments[number], self._offsets[number], self._lengths[number])

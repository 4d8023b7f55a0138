"""What a spool has, where in its files, and what of it is shown by now. Without files and clocks.

The rules:

1. Everything has a time at which it is due, in the order in which it was read. Nothing is shown before.
2. Where the log was begun anew (`add_reset`), what was before it is shown until then, and never after.
3. What is shown is trimmed as an engine trims its log: to the keyframe before the last that is shown.
4. Entries are in chunks, of which `SPOOL_CHUNKS_LOADED` are in memory one by one, besides the last. For others a look
   raises `NotLoaded`; it is repeated once they were read from the files. Until then the next ones are shown later.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ticker.bus.engine import Keyframe, Position
from ticker.bus.spool_chunks import Chunk, Entries, NotLoaded, Place
from ticker.bus_bounds import SPOOL_CHUNKS_LOADED


@dataclass(frozen=True, slots=True)
class KeptKeyframe:
    """A finished keyframe."""

    keyframe: Keyframe
    due: int
    generation: int
    """How often the log was begun anew before it."""
    places: array[int]
    """Those of its parts: segment, offset and length of each."""

    def place(self, number: int) -> Place:
        """Return where a part is."""
        return Place(*self.places[3 * number : 3 * number + 3])

    def has(self, place: Place) -> bool:
        """Whether a part is there."""
        return any(self.place(number) == place for number in range(self.keyframe.parts))

    @property
    def first_segment(self) -> int:
        """The first segment that has a part of it."""
        return min(self.places[::3])


class SpoolIndex:
    """The index of one spool. Times are microseconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._open = False
        """More entries can be added to the last one."""
        self._loaded: dict[Chunk, None] = {}
        """Others whose entries are in memory, the one that was used last at the end."""
        self._at = 0
        """The first chunk of which not all is shown, or else the last one."""
        self._count = self._shown = 0
        """Numbers of entries, and of those that are shown."""
        self._resets: deque[int] = deque()
        """When it is due that the log was begun anew."""
        self._keyframes: list[KeptKeyframe] = []
        self._unfinished: dict[int, dict[int, Place]] = {}
        self._generation = self._shown_generation = 0
        self._floor = 0
        """The cut of the keyframe to which the shown ones are trimmed."""
        self._due = 0
        self.end = Position(0)
        """The last position that was read since the log began."""
        self.last = Position(0)
        """The last position that is shown."""
        self.wanted: Chunk | None = None
        """Of this one more may be due: to show it, its entries are needed."""

    def __repr__(self) -> str:
        return f"<SpoolIndex: {self._shown} of {len(self)} entries shown, {len(self._keyframes)} keyframes>"

    def __len__(self) -> int:
        return self._count

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    # What was read

    def add_entry(self, position: Position, due: int, place: Place) -> None:
        """Add an entry or a beat."""
        self._due = max(self._due, due)
        if not self._open or not self._chunks[-1].takes(place):
            self._close()
            self._chunks.append(Chunk(self._generation, self._due, place))
            self._open = True
        self._chunks[-1].add(position, self._due, place)
        self._count += 1
        self.end = position

    def _close(self) -> None:
        """Add nothing more to the last chunk."""
        if self._open:
            self._open = False
            self._use(self._chunks[-1])

    def add_part(self, cut: int, number: int, place: Place) -> None:
        """Add a part of a keyframe. Of keyframes that are not finished, only the latest is kept."""
        if cut not in self._unfinished or number == 0:
            self._unfinished = {cut: {}}
        self._unfinished[cut][number] = place

    def add_keyframe(self, keyframe: Keyframe, due: int) -> None:
        """Have a keyframe, if all its parts are there."""
        self._close()
        parts = self._unfinished.pop(keyframe.cut, {})
        if keyframe.parts > 0 and all(number in parts for number in range(keyframe.parts)):
            self._due = max(self._due, due)
            places = array("q", (number for part in range(keyframe.parts) for number in parts[part]))
            self._keyframes.append(KeptKeyframe(keyframe, self._due, self._generation, places))

    def add_reset(self, due: int) -> None:
        """The log was begun anew: what follows is not behind what was before."""
        self._close()
        self._due = max(self._due, due)
        self._resets.append(self._due)
        self._generation += 1
        self._unfinished = {}
        self.end = Position(0)

    def read_at(self, position: Position) -> Place | None:
        """Return the place of an entry that was read since the log began, whether it is shown or not."""
        first = bisect_left(self._chunks, self._generation, key=lambda chunk: chunk.generation)
        return self._find(position, first, len(self._chunks))

    @property
    def latest_keyframe(self) -> Keyframe | None:
        """The last keyframe that was read since the log began."""
        latest = self._keyframes[-1] if self._keyframes else None
        return latest.keyframe if latest is not None and latest.generation == self._generation else None

    # What is in memory

    def load(self, chunk: Chunk, entries: Entries) -> None:
        """Have the entries of a chunk in memory. There may be fewer than there were: the others are lost."""
        lost = chunk.count - len(entries)
        self._count -= lost
        chunk.count = len(entries)
        if chunk.shown > chunk.count:
            self._shown -= chunk.shown - chunk.count
            chunk.shown = chunk.count
        chunk.entries = entries
        chunk.note_last()
        self._use(chunk)
        if chunk is self.wanted:
            self.wanted = None

    def forget(self, place: Place) -> None:
        """Forget the entry at a place, or the keyframe that has a part there: it is lost."""
        self._keyframes = [each for each in self._keyframes if not each.has(place)]
        for chunk in self._chunks:
            if (
                chunk.has(place)
                and chunk.entries is not None
                and (number := chunk.entries.at(place.offset)) is not None
            ):
                was_shown = number < chunk.shown
                chunk.entries.drop(number)
                chunk.count -= 1
                chunk.shown -= was_shown
                chunk.note_last()
                self._count -= 1
                self._shown -= was_shown

    def _entries(self, chunk: Chunk) -> Entries:
        if chunk.entries is None:
            raise NotLoaded(chunk)
        self._use(chunk)
        return chunk.entries

    def _use(self, chunk: Chunk) -> None:
        """Keep the entries of a chunk for longer than those of others."""
        if self._open and chunk is self._chunks[-1]:
            return
        self._loaded.pop(chunk, None)
        self._loaded[chunk] = None
        if len(self._loaded) > SPOOL_CHUNKS_LOADED:
            oldest = next(iter(self._loaded))
            del self._loaded[oldest]
            oldest.entries = None

    # What is shown

    def show(self, now: int) -> None:
        """Show what is due now."""
        while self._resets and self._resets[0] <= now:
            self._resets.popleft()
            self._shown_generation += 1
            self._keyframes = [each for each in self._keyframes if each.generation >= self._shown_generation]
            self._drop_chunks(bisect_left(self._chunks, self._shown_generation, key=lambda chunk: chunk.generation))
            self.last, self._floor = Position(0), 0
        self._show_entries(now)
        self._trim_keyframes(now)

    def _show_entries(self, now: int) -> None:
        self.wanted = None
        for chunk in islice(self._chunks, self._at, None):
            shown = chunk.due_by(now)
            if shown is None:
                self.wanted = chunk
                break
            if shown > chunk.shown:
                self._shown += shown - chunk.shown
                chunk.shown = shown
                self.last = chunk.last if chunk.entries is None else chunk.entries.position(shown - 1)
            if shown < chunk.count:
                break
        while self._at < len(self._chunks) - 1 and self._chunks[self._at].shown == self._chunks[self._at].count:
            self._at += 1

    def _trim_keyframes(self, now: int) -> None:
        shown = self._shown_keyframes(now)
        if len(shown) > 1:
            self._floor = max(self._floor, shown[-2].keyframe.cut)
            gone = {id(each) for each in shown[:-2]}
            self._keyframes = [each for each in self._keyframes if id(each) not in gone]

    def _shown_keyframes(self, now: int) -> list[KeptKeyframe]:
        """Return those that are shown, of each cut the last one."""
        end = bisect_right(self._keyframes, now, key=lambda each: each.due)
        shown = [each for each in self._keyframes[:end] if each.generation == self._shown_generation]
        of_cuts = {each.keyframe.cut: each for each in shown}
        return [each for each in shown if of_cuts[each.keyframe.cut] is each]

    def keyframe(self, now: int) -> Keyframe | None:
        """Return the latest that is shown."""
        shown = self._shown_keyframes(now)
        return shown[-1].keyframe if shown else None

    def part(self, cut: int, number: int, now: int) -> Place | None:
        """Return the place of a part of a keyframe that is shown."""
        for each in reversed(self._shown_keyframes(now)[-2:]):
            if each.keyframe.cut == cut and 0 <= number < each.keyframe.parts:
                return each.place(number)
        return None

    def entry(self, position: Position) -> Place | None:
        """Return the place of an entry that is shown."""
        if position.cut < self._floor or position > self.last:
            return None
        return self._find(position, 0, self._end())

    def after(self, position: Position, most: int) -> list[tuple[Position, Place]]:
        """Return the next entries that are shown."""
        position = max(position, Position(self._floor, -1))
        found: list[tuple[Position, Place]] = []
        first = bisect_right(self._chunks, position, 0, self._end(), key=_last)
        for chunk in islice(self._chunks, first, self._end()):
            if found and chunk.entries is None:
                break
            if chunk.shown:
                entries = self._entries(chunk)
                for number in range(entries.behind(position), min(chunk.shown, len(entries))):
                    found.append((entries.position(number), entries.place(number)))
                    if len(found) == most:
                        return found
        return found

    def next_due(self) -> int | None:
        """Return when the next entry is due, or something earlier."""
        for chunk in islice(self._chunks, self._at, None):
            if chunk.shown < chunk.count:
                return chunk.first_due if chunk.entries is None else chunk.entries.dues[chunk.shown]
        return None

    def due_of(self, cut: int) -> int | None:
        """Return when a cut is due, or else the next one behind it; None if neither was read. Of a chunk that is not in
        memory, it is when its first one is due."""
        end = bisect_right(self._chunks, self._shown_generation, key=lambda chunk: chunk.generation)
        number = bisect_left(self._chunks, Position(cut), min(self._at, end), end, key=_last)
        if number == end:
            return None
        chunk = self._chunks[number]
        if chunk.entries is None:
            return chunk.first_due
        place = max(chunk.shown, chunk.entries.behind(Position(cut, -1)))
        return chunk.entries.dues[place] if place < chunk.count else chunk.last_due

    def first_due(self, now: int) -> int | None:
        """Return when the first keyframe is due that is not shown yet, or else the first entry."""
        number = bisect_right(self._keyframes, now, key=lambda each: each.due)
        return self._keyframes[number].due if number < len(self._keyframes) else self.next_due()

    @property
    def unshown(self) -> int:
        """Number of entries that are not shown yet."""
        return self._count - self._shown

    # What is not needed any more

    def first_needed(self) -> int | None:
        """Return the first segment of which something is still needed; None: nothing is."""
        segments = [each.first_segment for each in self._keyframes[:1]]
        segments += [place.segment for parts in self._unfinished.values() for place in parts.values()][:1]
        if (first := self._first()) < len(self._chunks):
            segments.append(self._chunks[first].segment)
        return min(segments, default=None)

    def drop_before(self, segment: int) -> int:
        """Forget what is in earlier segments, and the keyframes that are of no use without it; return how many entries
        there were that were still needed."""
        count = bisect_left(self._chunks, segment, key=lambda chunk: chunk.segment)
        lost = self._chunks[self._first() : count]
        needed = sum(map(self._needed, lost))
        last = max((chunk.last.cut for chunk in lost), default=0)
        self._drop_chunks(count)
        self._keyframes = [
            each
            for each in self._keyframes
            if each.first_segment >= segment and (each.generation > self._shown_generation or each.keyframe.cut >= last)
        ]
        for parts in self._unfinished.values():
            for number in [number for number, place in parts.items() if place.segment < segment]:
                del parts[number]
        return needed

    def _needed(self, chunk: Chunk) -> int:
        """Return how many entries of a chunk a reader may need, or more, if that is not known."""
        of_shown = chunk.generation == self._shown_generation and chunk.entries is not None
        return chunk.count - (chunk.entries.behind(Position(self._floor, -1)) if of_shown and chunk.entries else 0)

    def _drop_chunks(self, count: int) -> None:
        gone: Iterable[Chunk] = self._chunks[:count]
        for chunk in gone:
            self._loaded.pop(chunk, None)
            self._count -= chunk.count
            self._shown -= chunk.shown
        del self._chunks[:count]
        self._at = max(0, self._at - count)
        self._open = self._open and bool(self._chunks)

    def _first(self) -> int:
        """Return the number of the first chunk that a reader of what is shown may need."""
        end = self._at if self._chunks else 0
        return bisect_left(self._chunks, self._floor, 0, end, key=lambda chunk: chunk.last.cut)

    def _end(self) -> int:
        """Return the number of chunks of which something may be shown."""
        is_shown = self._at < len(self._chunks) and self._chunks[self._at].generation == self._shown_generation
        return self._at + is_shown

    def _find(self, position: Position, first: int, end: int) -> Place | None:
        number = bisect_left(self._chunks, position, first, end, key=_last)
        if number == end:
            return None
        entries = self._entries(self._chunks[number])
        place = entries.behind(position) - 1
        return entries.place(place) if place >= 0 and entries.position(place) == position else None


def _last(chunk: Chunk) -> Position:
    return chunk.last

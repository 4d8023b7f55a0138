"""The entries, beats and keyframes that tell those that follow one cache.

A keyframe is made while cuts go on, part by part, as long as there is nothing in the open cut.
"""

from __future__ import annotations

import zlib

import trio

from ticker.bus_bounds import KEYFRAME_PIECE_BYTES, KEYFRAME_SECONDS
from ticker.config import Config
from ticker.core.journal import Journal, compared, part_of
from ticker.core.last_value import LastValueCache
from ticker.server.bus_entries import Beat, Cut, Stamp, head_of, pack_beat, pack_cut, pack_head, pack_piece


class CutWriter:
    """Makes all of it, from the present cut on."""

    def __init__(self, cache: LastValueCache, config: Config, stamp: Stamp) -> None:
        """There must be nothing in the open cut."""
        self._cache = cache
        self._config = config
        self.stamp = stamp
        """It is in all that is made next."""
        self.journal = Journal()
        cache.tables.tell(self.journal)
        self.keyframe: KeyframeWriter | None = None
        """That which is being made."""
        self._due = -1.0
        self._latest: KeyframeWriter | None = None
        """That of the latest part, which may be finished."""

    def __repr__(self) -> str:
        return f"<CutWriter of {self._cache!r}>"

    def cut(self, since: int) -> bytes:
        """Return the entry of the cut that was closed last, with what has changed since the one before."""
        checked = () if self._latest is None else self._latest.digest_at(since)
        cache = self._cache
        return pack_cut(Cut(self.stamp, since, cache.cut, cache.time, self.journal.news, checked))

    def beat(self, *, resigns: bool = False) -> bytes:
        """Return a beat."""
        return pack_beat(Beat(self.stamp, resigns))

    @property
    def is_making(self) -> bool:
        """Whether there has to be a keyframe although nothing changes: the log may have dropped what came after the
        last one."""
        changed = self._latest is None or self._latest.cut < self._cache.cut
        return self.keyframe is not None or self._due < 0 or (changed and trio.current_time() >= self._due)

    def make_piece(self) -> None:
        """Make the next part of a keyframe, which is begun if it is due."""
        if self.keyframe is None and trio.current_time() >= self._due:
            head = head_of(self._config, self.stamp, self._cache.cut, self._cache.time)
            self.keyframe = KeyframeWriter(self._cache, pack_head(head))
        if self.keyframe is not None:
            self.keyframe.make()
            self._latest = self.keyframe

    def finish_keyframe(self) -> None:
        """The keyframe is complete, and was accepted."""
        self.keyframe, self._due = None, trio.current_time() + KEYFRAME_SECONDS

    def begin_anew(self) -> None:
        """Another keyframe is needed at once in place of the one that is being made."""
        self.keyframe, self._due = None, -1.0

    def end(self) -> None:
        """Nobody follows any more."""
        self._cache.tables.tell_nobody()


class KeyframeWriter:
    """A keyframe in the making. Each of its parts is as of the cut that was closed last when it was made."""

    def __init__(self, cache: LastValueCache, head: bytes) -> None:
        self._cache = cache
        self.cut = cache.cut
        self._made: list[tuple[int, bytes]] = [(0, head)]
        self.parts = 1
        self._next = 0
        self._checked_at = -1
        self._checked: tuple[int, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all parts are made and were taken."""
        return not self._made and self._next >= len(self._cache.instruments)

    def make(self) -> None:
        """Make the next part."""
        cache, first, size = self._cache, self._next, 0
        instruments, checksum = [], 0
        while self._next < len(cache.instruments) and size < KEYFRAME_PIECE_BYTES:
            part = part_of(cache.instruments[self._next], cache.tables)
            data = compared(part)
            size, checksum = size + len(data), zlib.crc32(data, checksum)
            instruments.append(part)
            self._next += 1
        if instruments:
            self._made.append((self.parts, pack_piece((cache.cut, instruments))))
            self.parts += 1
            self._checked_at, self._checked = cache.cut, (first, self._next, checksum)

    def take_parts(self) -> list[tuple[int, bytes]]:
        """Return the parts that were made since the last call, with their numbers."""
        made, self._made = self._made, []
        return made

    def digest_at(self, cut: int) -> tuple[int, ...]:
        """Return the numbers and the checksum of the instruments of the last part, if it was made at this cut."""
        return self._checked if self._checked_at == cut else ()

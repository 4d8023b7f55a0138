"""Rows of a table that only gains or corrects rows, kept as integers of 64 bits in one array.

A bar takes 72 bytes this way, and a snapshot of 300 bars is one slice. Cells that are texts, or missing, are marked in
the array; the texts stand beside it.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable

from ticker.core.state import State
from ticker.market import Cell, Rows

_MISSING = -(2**63)
_TEXT = _MISSING + 1
_SPARE = 4
"""The array grows by a quarter beyond its capacity before the oldest rows are dropped, all at once."""


def _bytes_of(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _array_of(data: bytes) -> array[int]:
    numbers = array("q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class CompactRows:
    """Rows in the order of their keys, which are their first cells; at least the last `capacity` of them are kept.

    Each row remembers the cut of its last change. What a client is owed of the last `count` rows is computed from it.
    """

    __slots__ = ("_cells", "_changed", "_irregular", "_keys", "_on_drop", "_revised_at", "_texts", "_width", "capacity")

    def __init__(self, width: int, capacity: int, on_drop: Callable[[int], None] | None = None) -> None:
        """`on_drop` is called before rows are dropped, with the lowest key of those that stay."""
        self._width = width
        self.capacity = capacity
        self._on_drop = on_drop
        self._keys = array("q")
        self._cells = array("q")
        self._changed = array("q")
        self._texts: dict[tuple[int, int], str] = {}
        """Texts by key and column."""
        self._irregular = False
        """Whether any cell was ever a text or missing."""
        self._revised_at = 0
        """The last cut at which a row changed that was not the last one: but for these, later rows changed later."""

    def __repr__(self) -> str:
        return f"<CompactRows: {len(self)}>"

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def first(self) -> int | None:
        """The lowest key."""
        return self._keys[0] if self._keys else None

    @property
    def last(self) -> int | None:
        """The highest key."""
        return self._keys[-1] if self._keys else None

    def get(self, key: int) -> Rows | None:
        """Return the row with this key."""
        at = bisect_left(self._keys, key)
        if at == len(self._keys) or self._keys[at] != key:
            return None
        return self._slice(at, at + 1)

    def put(self, row: Rows, cut: int) -> bool:
        """Add or replace a row; False if it lies before all rows that are kept and there is no room for it."""
        key, width = row[0], self._width
        assert isinstance(key, int)  # noqa: S101  # for the type checker
        cells = array("q", [self._packed(key, column, cell) for column, cell in enumerate(row)])
        keys = self._keys
        at = len(keys) if not keys or key > keys[-1] else bisect_left(keys, key)
        if at < len(keys) - 1 or (at < len(keys) and keys[at] != key):
            self._revised_at = cut
        if at < len(keys) and keys[at] == key:
            self._cells[at * width : (at + 1) * width] = cells
            self._changed[at] = cut
            return True
        if at == 0 and len(keys) >= self.capacity:
            return False
        keys.insert(at, key)
        self._cells[at * width : at * width] = cells
        self._changed.insert(at, cut)
        if len(keys) > self.capacity + self.capacity // _SPARE:
            self._drop(len(keys) - self.capacity)
        return True

    def rank(self, key: int) -> int:
        """Return how many rows come behind the one with this key."""
        return len(self._keys) - 1 - bisect_left(self._keys, key)

    def flat(self, count: int) -> Rows:
        """Return the last rows, one behind the other."""
        return self._slice(max(len(self) - count, 0), len(self))

    def latest(self, count: int, before: int | None = None) -> list[Rows]:
        """Return the last rows, of those with a key below `before`."""
        end = len(self) if before is None else bisect_left(self._keys, before)
        flat, width = self._slice(max(end - count, 0), end), self._width
        return [flat[start : start + width] for start in range(0, len(flat), width)]

    def changes_since(self, cut: int, count: int) -> tuple[Rows, int]:
        """Return those of the last `count` rows that changed after `cut`, one behind the other, and their number."""
        first, end = max(len(self) - count, 0), len(self)
        changed = self._changed
        if cut >= self._revised_at:
            at = end
            while at > first and changed[at - 1] > cut:
                at -= 1
            return self._slice(at, end), end - at
        rows: Rows = []
        found = [at for at in range(first, end) if changed[at] > cut]
        for at in found:
            rows += self._slice(at, at + 1)
        return rows, len(found)

    def column(self, column: int) -> Rows:
        """Return one cell of every row."""
        return self._slice(0, len(self))[column :: self._width]

    def rewrite(self, change: Callable[[Rows], Rows], cut: int) -> None:
        """Change every row, its key excepted."""
        for row in self.latest(len(self)):
            self.put(change(row), cut)

    def remove(self, unwanted: Callable[[Rows], bool]) -> int:
        """Remove rows; return how many there were. Copies of older cuts are owed everything then."""
        kept = [(row, self._changed[at]) for at, row in enumerate(self.latest(len(self))) if not unwanted(row)]
        removed = len(self) - len(kept)
        if not removed:
            return 0
        self._keys, self._cells, self._changed, self._texts = array("q"), array("q"), array("q"), {}
        for row, changed in kept:
            self.put(row, changed)
        return removed

    def state(self, per_cut: int = 1) -> State:
        """Return all of it as plain data; arrays are little-endian. `per_cut` as in `LastValueCache`."""
        irregular = self._irregular and min(self._cells, default=0) <= _TEXT
        texts = []
        if irregular and self._texts:  # some may have been replaced by integers since
            kept = {place: text for place, text in self._texts.items() if self._is_text(*place)}
            texts = sorted([*place, text] for place, text in kept.items())
        changed = self._changed if per_cut == 1 else array("q", [cut // per_cut for cut in self._changed])
        arrays = [_bytes_of(each) for each in (self._keys, self._cells, changed)]
        return [*arrays, texts, irregular, self._revised_at // per_cut]

    def restore(self, state: State, per_cut: int = 1) -> None:
        """Take over such data."""
        keys, cells, changed, texts, self._irregular, revised_at = state
        self._keys, self._cells, self._changed = (_array_of(each) for each in (keys, cells, changed))
        if per_cut != 1:
            self._changed = array("q", [cut * per_cut for cut in self._changed])
        self._revised_at = revised_at * per_cut
        self._texts = {(key, column): text for key, column, text in texts}

    def _is_text(self, key: int, column: int) -> bool:
        at = bisect_left(self._keys, key)
        return at < len(self._keys) and self._keys[at] == key and self._cells[at * self._width + column] == _TEXT

    def _drop(self, count: int) -> None:
        first = self._keys[count]
        if self._on_drop is not None:
            self._on_drop(first)
        if self._texts:
            self._texts = {place: text for place, text in self._texts.items() if place[0] >= first}
        del self._keys[:count], self._cells[: count * self._width], self._changed[:count]

    def _packed(self, key: int, column: int, cell: Cell) -> int:
        if isinstance(cell, int):
            return cell
        self._irregular = True
        if cell is None:
            return _MISSING
        self._texts[key, column] = cell
        return _TEXT

    def _slice(self, start: int, end: int) -> Rows:
        width = self._width
        packed = self._cells[start * width : end * width].tolist()
        if not self._irregular:
            return [*packed]
        rows: Rows = []
        for at, cell in enumerate(packed):
            if cell > _TEXT:
                rows.append(cell)
            else:
                rows.append(None if cell == _MISSING else self._texts[packed[at - at % width], at % width])
        return rows

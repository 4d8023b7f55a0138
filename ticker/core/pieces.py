"""Something made of very many instruments, in steps while cuts are closed: a message, or a checksum.

The instruments are taken in *pieces* of neighbouring ids. A piece is made at once, and made anew where something in it
changes afterwards. What is wanted is then put together from pieces that are there. So 100,000 instruments hold nobody
up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from math import ceil
from typing import Generic, TypeVar

from ticker.core.bitmaps import numbers_in
from ticker.core.last_value import LastValueCache
from ticker.core.selections import Portions, Selection

PIECE = 128
"""Instruments in a piece: with fewer, the pieces themselves cost more than what is in them."""

_MASK = (1 << PIECE) - 1

T = TypeVar("T")


class Pieces(ABC, Generic[T]):
    """Pieces of what one audience watches."""

    def __init__(self, cache: LastValueCache) -> None:
        self._cache = cache
        self._cut = cache.cut
        self._wanted: Portions = {}
        self._whole = 0
        self._todo: dict[int, None] = {}
        self._made: dict[int, T] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._made)} pieces made, {len(self._todo)} left>"

    def advance(self, wanted: Portions, whole: int, most: int) -> bool:
        """Make pieces of so many instruments; True once all are there as of the present cut.

        `wanted` are the instruments that matter, `whole` is the bitmap of those among them that are taken whole. Where
        more pieces have changed since the last step, twice as many are made: it has an end however fast everything
        changes.
        """
        self._want(wanted, whole)
        todo = self._todo
        room = max(ceil(most / PIECE), 2 * self._renew())
        for _ in range(min(room, len(todo))):
            piece, _ = todo.popitem()
            self._made[piece] = self._make(piece)
        return not todo

    @abstractmethod
    def _make(self, piece: int) -> T:
        """Make a piece as of the present cut."""

    @abstractmethod
    def _drop(self, changed: Collection[int]) -> None:
        """These instruments have changed."""

    def _pieces_of(self, bits: int) -> Collection[int]:
        """Return the pieces with these instruments."""
        return [piece for piece in range(ceil(bits.bit_length() / PIECE)) if bits >> piece * PIECE & _MASK]

    def _numbers(self, piece: int) -> list[tuple[Selection, list[int]]]:
        """Return the wanted instruments of a piece by their selections."""
        first = piece * PIECE
        portions = ((selection, bits >> first & _MASK) for selection, bits in self._wanted.items())
        return [(selection, [first + place for place in numbers_in(some)]) for selection, some in portions if some]

    def _want(self, wanted: Portions, whole: int) -> None:
        """Take in what matters now: an audience may have got further instruments."""
        if wanted == self._wanted and whole == self._whole:
            return
        bits = whole ^ self._whole
        for selection in wanted.keys() | self._wanted.keys():
            bits |= wanted.get(selection, 0) ^ self._wanted.get(selection, 0)
        self._todo |= dict.fromkeys(self._pieces_of(bits))
        self._wanted, self._whole = wanted, whole

    def _renew(self) -> int:
        """Have the pieces made anew in which something has changed; return their number."""
        if self._cut == self._cache.cut:
            return 0
        changed = self._cache.changed_since(self._cut)
        self._cut = self._cache.cut
        self._drop(changed)
        pieces = {number // PIECE for number in changed}
        self._todo |= dict.fromkeys(pieces)
        return len(pieces)

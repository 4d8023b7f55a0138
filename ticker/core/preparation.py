"""A message with the changes of very many instruments, encoded in steps, and joined from what is there in the end."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ticker.core.encode_cache import ChangeSet, EncodeCache, Parts
from ticker.core.pieces import PIECE, Pieces

_FEW = 10_000
"""Up to so many changes are looked up by themselves: a millisecond. With more, every piece is looked through."""


class _Piece(NamedTuple):
    parts: Parts
    whole: int
    """The bitmap, from the first instrument of the piece, of those sent whole because a copy may have them."""


class Preparation(Pieces[_Piece]):
    """The changes after one cut, `since`, of what one audience watches."""

    def __init__(self, encode_cache: EncodeCache, since: int) -> None:
        super().__init__(encode_cache.cache)
        self._encode_cache = encode_cache
        self.change_set: ChangeSet = encode_cache.empty_change_set(since)
        """Its entries as far as they are encoded."""

    def parts(self) -> Parts:
        """Return what the message is made of, once `advance` has returned True."""
        found = Parts()
        for piece in self._made.values():
            found += piece.parts
        return found

    def sent_whole(self) -> int:
        """Return the bitmap of the instruments sent whole because a copy may have them."""
        bits = 0
        for number, piece in self._made.items():
            if piece.whole:
                bits |= piece.whole << number * PIECE
        return bits

    def _pieces_of(self, bits: int) -> Collection[int]:
        since = self.change_set.since
        if self._cache.many_changed(since, _FEW):
            return super()._pieces_of(bits)
        return {number // PIECE for number in self._cache.changed_since(since)}

    def _drop(self, changed: Collection[int]) -> None:
        self.change_set.drop(changed)

    def _make(self, piece: int) -> _Piece:
        encode_cache, since = self._encode_cache, self.change_set.since
        records, sent_whole = self._cache.records, 0
        entries: list[bytes] = []
        complete: list[bytes] = []
        definitions: list[bytes] = []
        first = piece * PIECE
        whole = self._whole >> first
        for selection, numbers in self._numbers(piece):
            change_set = self.change_set.of(selection)
            for number in numbers:
                record = records[number]
                if record.last_change <= since:
                    continue
                held = not whole >> number - first & 1
                if record.defined_at > since or not held:
                    definitions.append(encode_cache.definition(record))
                if record.whole_at > since or not held:
                    complete.append(encode_cache.record(record, selection))
                    sent_whole |= 0 if held else 1 << number - first
                elif entry := change_set[number]:
                    entries.append(entry)
        parts = Parts()
        parts.add(entries, complete, definitions)
        encode_cache.join(parts)  # to join 100,000 entries at once would take 20 ms
        return _Piece(parts, sent_whole)

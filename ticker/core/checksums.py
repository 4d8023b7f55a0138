"""Checksums of copies (`ticker.protocol.digest`), made in steps: each record's is kept until the record changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from ticker.bounds import ENTRIES_PER_INSTRUMENT
from ticker.core.discarded import Discarded
from ticker.core.last_value import LastValueCache
from ticker.core.pieces import Pieces
from ticker.core.selections import Portions, Selection, selected
from ticker.market import FieldKey
from ticker.protocol.digest import record_checksum, total

_Key: TypeAlias = int | tuple[int, frozenset[FieldKey]]


class Checksums:
    """The checksums of the records of one cache."""

    def __init__(self, cache: LastValueCache, discarded: Discarded) -> None:
        self._cache = cache
        self._discarded = discarded
        self._known: dict[_Key, tuple[int, int]] = {}
        """By the id of a record, perhaps with a selection: the cut of its last change, and its checksum."""
        self.made = 0
        """Number of checksums of records made so far."""

    def __repr__(self) -> str:
        return f"<Checksums of {len(self._known)} records>"

    def sums(self) -> Sums:
        """Return the checksum of a copy that is still to be made."""
        if len(self._known) > ENTRIES_PER_INSTRUMENT * len(self._cache.records):
            self._discarded.add(self._known)
            self._known = {}
        return Sums(self._cache, self)

    def of(self, number: int, selection: Selection) -> int:
        """Return the checksum of a record."""
        record, key = self._cache.records[number], _key(number, selection)
        changed, checksum = self._known.get(key, (-1, 0))
        if changed != record.last_change:
            scales, fields = (record.price_scale, record.size_scale), selected(record.present(), selection)
            checksum = record_checksum(record.number, scales, fields)
            self._known[key] = record.last_change, checksum
            self.made += 1
        return checksum


class Sums(Pieces[int]):
    """The checksum of the copy of one audience."""

    def __init__(self, cache: LastValueCache, checksums: Checksums) -> None:
        super().__init__(cache)
        self._checksums = checksums

    def total(self, portions: Portions) -> int:
        """Return the checksum of a copy of these records at the present cut; at once if `advance` has returned True."""
        while not self.advance(portions, 0, len(self._cache.records)):
            pass
        return total(self._made.values())

    def _make(self, piece: int) -> int:
        of = self._checksums.of
        return sum(of(number, selection) for selection, numbers in self._numbers(piece) for number in numbers)

    def _drop(self, changed: Collection[int]) -> None:
        """Do nothing: each checksum is kept with the cut of its record's last change."""


def _key(number: int, selection: Selection) -> _Key:
    return number if selection is None else (number, selection)

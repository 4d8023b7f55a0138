"""Checksums of copies (`ticker.protocol.digest`), made in steps: each record's is kept until the record changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ticker.bounds import ENCODED_PER_STEP, ENTRIES_PER_INSTRUMENT
from ticker.core.bitmaps import numbers_in
from ticker.core.last_value import LastValueCache
from ticker.core.selections import Portions, Selection, selected
from ticker.market import FieldKey
from ticker.protocol.digest import record_checksum, total

_Key: TypeAlias = int | tuple[int, frozenset[FieldKey]]


class Checksums:
    """The checksums of the records of one cache."""

    def __init__(self, cache: LastValueCache) -> None:
        self._cache = cache
        self._known: dict[_Key, tuple[int, int]] = {}
        """By the id of a record, perhaps with a selection: the cut of its last change, and its checksum."""
        self.made = 0
        """Number of checksums of records made so far."""

    def __repr__(self) -> str:
        return f"<Checksums of {len(self._known)} records>"

    def prepare(self, portions: Portions) -> Iterator[None]:
        """Make the checksums of these records, yielding between steps, until few are missing at the present cut."""
        if len(self._known) > ENTRIES_PER_INSTRUMENT * len(self._cache.records):
            self._known.clear()
        for selection, bits in portions.items():
            numbers = numbers_in(bits)
            todo = numbers
            while len(todo) > ENCODED_PER_STEP:
                todo = list(todo)
                while todo:
                    for number in todo[-ENCODED_PER_STEP:]:
                        self._checksum(number, selection)
                    del todo[-ENCODED_PER_STEP:]
                    yield
                todo = [number for number in numbers if not self._is_known(number, selection)]

    def total(self, portions: Portions) -> int:
        """Return the checksum of a copy of these records at the present cut."""
        return total(
            self._checksum(number, selection) for selection, bits in portions.items() for number in numbers_in(bits)
        )

    def _is_known(self, number: int, selection: Selection) -> bool:
        return self._known.get(_key(number, selection), (-1, 0))[0] == self._cache.records[number].last_change

    def _checksum(self, number: int, selection: Selection) -> int:
        record, key = self._cache.records[number], _key(number, selection)
        changed, checksum = self._known.get(key, (-1, 0))
        if changed != record.last_change:
            scales, fields = (record.price_scale, record.size_scale), selected(record.present(), selection)
            checksum = record_checksum(record.number, scales, fields)
            self._known[key] = record.last_change, checksum
            self.made += 1
        return checksum


def _key(number: int, selection: Selection) -> _Key:
    return number if selection is None else (number, selection)

"""Checksums of copies (`ticker.protocol.digest`), made in steps: each record's is kept until the record changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ticker.bounds import ENCODED_PER_STEP
from ticker.core.last_value import LastValueCache
from ticker.protocol.digest import record_checksum, total


class Checksums:
    """The checksums of the records of one cache."""

    def __init__(self, cache: LastValueCache) -> None:
        self._cache = cache
        self._known: dict[int, tuple[int, int]] = {}
        """By the id of a record: the cut of its last change, and its checksum."""
        self.made = 0
        """Number of checksums of records made so far."""

    def __repr__(self) -> str:
        return f"<Checksums of {len(self._known)} records>"

    def prepare(self, numbers: Collection[int]) -> Iterator[None]:
        """Make the checksums of these records, yielding between steps, until few are missing at the present cut."""
        todo = list(numbers)
        while len(todo) > ENCODED_PER_STEP:
            while todo:
                for number in todo[-ENCODED_PER_STEP:]:
                    self._checksum(number)
                del todo[-ENCODED_PER_STEP:]
                yield
            records, known = self._cache.records, self._known
            todo = [number for number in numbers if known[number][0] != records[number].last_change]

    def total(self, numbers: Collection[int]) -> int:
        """Return the checksum of a copy of these records at the present cut."""
        return total(map(self._checksum, numbers))

    def _checksum(self, number: int) -> int:
        record = self._cache.records[number]
        changed, checksum = self._known.get(number, (-1, 0))
        if changed != record.last_change:
            checksum = record_checksum(record.number, (record.price_scale, record.size_scale), record.present())
            self._known[number] = record.last_change, checksum
            self.made += 1
        return checksum

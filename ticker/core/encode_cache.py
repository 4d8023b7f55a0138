"""Encoded parts of data messages: each is encoded at most once per change of its instrument.

A `ChangeSet` holds the changes after one cut, `since`, as of the present cut. All subscribers with the same `since`
share it, and change sets that select the same fields of an instrument share its entry: `changed_at > since` only cuts
a list ordered by time, so the number of selected fields identifies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ticker.config import ENTRIES_PER_INSTRUMENT, MAX_CHANGE_SETS
from ticker.core.last_value import LastValueCache, Record
from ticker.protocol.messages import Definition
from ticker.protocol.wire import Encoding


class ChangeSet(dict[int, bytes]):
    """Encoded changes by instrument id, encoded at the first look-up. `changed` are the ids of changed instruments."""

    __slots__ = ("_encode", "changed", "redefined", "since")

    def __init__(self, since: int, changed: set[int], redefined: set[int], encode: Callable[[int, int], bytes]) -> None:
        self.since = since
        self.changed = changed
        self.redefined = redefined
        """Ids among these of instruments declared or redefined after `since`: rarely any."""
        self._encode = encode

    def __repr__(self) -> str:
        return f"<ChangeSet since cut {self.since}: {len(self.changed)} changed, {len(self)} encoded>"

    def __missing__(self, number: int) -> bytes:
        entry = self[number] = self._encode(number, self.since)
        return entry


class EncodeCache:
    """The encoded parts in one encoding. Parts that belong to a cut are dropped when the next cut is closed."""

    def __init__(self, cache: LastValueCache, encoding: Encoding) -> None:
        self._cache = cache
        self._encoding = encoding
        self._cut = -1
        self._change_sets: dict[int, ChangeSet] = {}
        self._steps: dict[int, bytes] = {}
        # Until the instrument changes: (the cut of that change, bytes) by its id and how many fields they are.
        self._selections: dict[tuple[int, int], tuple[int, bytes]] = {}
        # Complete records and definitions live until the instrument changes: (the cut of that change, bytes) by id.
        self._records: dict[int, tuple[int, bytes]] = {}
        self._definitions: dict[int, tuple[int, bytes]] = {}
        self.encoded = 0
        """Number of entries and records encoded so far."""

    def change_set(self, since: int) -> ChangeSet:
        """Return the changes after `since`."""
        cache = self._cache
        if self._cut != cache.cut:
            self._cut = cache.cut
            self._change_sets.clear()
            self._steps.clear()
            if len(self._selections) > ENTRIES_PER_INSTRUMENT * len(cache.records):
                self._selections.clear()
        change_set = self._change_sets.get(since)
        if change_set is None:
            if len(self._change_sets) >= MAX_CHANGE_SETS:
                self._change_sets.clear()
            changed = cache.changed_since(since)
            redefined = set()
            if cache.last_definition > since:
                redefined = {number for number in changed if cache.records[number].defined_at > since}
            change_set = self._change_sets[since] = ChangeSet(since, changed, redefined, self._changes)
        return change_set

    def release(self) -> None:
        """Drop the change sets: they refer back to this cache, and the cycle would wait for the garbage collector."""
        self._change_sets.clear()

    def frame(self, since: int, change_set: ChangeSet, changed: Iterable[int], missing: Sequence[int] = ()) -> bytes:
        """Return the frames that bring a copy from `since` to the present cut.

        `changed` are the ids held by the copy that are in `change_set` (which may begin later than `since` if none of
        them changed in between); `missing` are ids of instruments that the copy does not have yet. Definitions come
        first.
        """
        if not change_set.redefined and not missing:
            return self.delta(since, [change_set[number] for number in changed])
        encoding, records = self._encoding, self._cache.records
        created = [number for number in changed if records[number].created_at > change_set.since]
        changed = [number for number in changed if records[number].created_at <= change_set.since]
        complete = [*created, *missing]
        definitions = [*complete, *(number for number in changed if number in change_set.redefined)]
        frame = b""
        if definitions:
            frame = encoding.instruments([self._definition(records[number]) for number in definitions])
        entries = [change_set[number] for number in changed]
        if complete:
            whole = [self._record(records[number]) for number in complete]
            return frame + encoding.snapshot(self._step(since), entries, whole)
        return frame + self.delta(since, entries)

    def delta(self, since: int, entries: Sequence[bytes]) -> bytes:
        """Return the frame that brings a copy from `since` to the present cut, without new or redefined instruments."""
        return self._encoding.delta(self._steps.get(since) or self._step(since), entries)

    def _step(self, since: int) -> bytes:
        step = self._encoding.step(since, self._cache.cut, self._cache.time)
        if len(self._steps) < MAX_CHANGE_SETS:
            self._steps[since] = step
        return step

    def _changes(self, number: int, since: int) -> bytes:
        record = self._cache.records[number]
        fields = record.changes_since(since)
        selection = number, len(fields)
        changed, entry = self._selections.get(selection, (-1, b""))
        if changed != record.last_change:
            self.encoded += 1
            entry = self._encoding.entry(number, fields)
            self._selections[selection] = record.last_change, entry
        return entry

    def _record(self, record: Record) -> bytes:
        changed, entry = self._records.get(record.id, (-1, b""))
        if changed != record.last_change:
            self.encoded += 1
            entry = self._encoding.entry(record.id, record.present())
            self._records[record.id] = record.last_change, entry
        return entry

    def _definition(self, record: Record) -> bytes:
        defined, encoded = self._definitions.get(record.id, (-1, b""))
        if defined != record.defined_at:
            encoded = self._encoding.definition(definition_of(record))
            self._definitions[record.id] = record.defined_at, encoded
        return encoded


def definition_of(record: Record) -> Definition:
    """Return the definition of an instrument as it is sent to clients."""
    metadata = dict(record.instrument.metadata)
    return Definition(record.id, record.symbol, record.price_scale, record.size_scale, metadata)

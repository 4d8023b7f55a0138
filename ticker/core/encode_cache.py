"""Encoded pieces of data messages: each is made at most once per change of its instrument, whoever needs it.

A `ChangeSet` is what changed after one cut, `since`, seen from the present cut. Everybody with the same `since` uses
the same window, and windows whose `since` selects the same fields of an instrument share its entry: `changed_at >
since` only cuts a list ordered by time, so the number of fields it selects says which they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ticker.config import ENTRIES_PER_INSTRUMENT, MAX_CHANGE_SETS
from ticker.core.last_value import LastValueCache, Record
from ticker.protocol.messages import Definition
from ticker.protocol.wire import Encoding


class ChangeSet(dict[int, bytes]):
    """Encoded changes by instrument id, made when first looked up. `changed` are the ids for which there are any."""

    __slots__ = ("_encode", "changed", "redefined", "since")

    def __init__(self, since: int, changed: set[int], redefined: set[int], encode: Callable[[int, int], bytes]) -> None:
        self.since = since
        self.changed = changed
        self.redefined = redefined
        """Those of them that were declared, or declared anew, after `since`: rarely any."""
        self._encode = encode

    def __missing__(self, number: int) -> bytes:
        entry = self[number] = self._encode(number, self.since)
        return entry


class EncodeCache:
    """All encoded pieces of one encoding. What belongs to a cut is dropped when the cache has closed another."""

    def __init__(self, cache: LastValueCache, encoding: Encoding) -> None:
        self._cache = cache
        self._encoding = encoding
        self._cut = -1
        self._windows: dict[int, ChangeSet] = {}
        self._steps: dict[int, bytes] = {}
        # Until the instrument changes: (the cut of that change, bytes) by its id and how many fields they are.
        self._selections: dict[tuple[int, int], tuple[int, bytes]] = {}
        # Complete records and definitions live until the instrument changes: (the cut of that change, bytes) by id.
        self._records: dict[int, tuple[int, bytes]] = {}
        self._definitions: dict[int, tuple[int, bytes]] = {}
        self.encoded = 0
        """How many entries and records were encoded so far."""

    def window(self, since: int) -> ChangeSet:
        """What changed after `since`."""
        cache = self._cache
        if self._cut != cache.cut:
            self._cut = cache.cut
            self._windows.clear()
            self._steps.clear()
            if len(self._selections) > ENTRIES_PER_INSTRUMENT * len(cache.records):
                self._selections.clear()
        window = self._windows.get(since)
        if window is None:
            if len(self._windows) >= MAX_CHANGE_SETS:
                self._windows.clear()
            changed = cache.changed_since(since)
            redefined = set()
            if cache.last_definition > since:
                redefined = {number for number in changed if cache.records[number].defined_at > since}
            window = self._windows[since] = ChangeSet(since, changed, redefined, self._changes)
        return window

    def forget(self) -> None:
        """Nobody uses this encoding any more: its windows lead back here, and it is not to wait in such a cycle."""
        self._windows.clear()

    def frame(self, since: int, window: ChangeSet, changed: Iterable[int], fresh: Sequence[int] = ()) -> bytes:
        """The frames that bring a copy from `since` to the present cut.

        `changed` are the ids held by the copy that changed in `window` (which may begin later than `since` if none of
        them changed in between); `fresh` are ids of which the copy has nothing yet. Definitions come first.
        """
        if not window.redefined and not fresh:
            return self.delta(since, [window[number] for number in changed])
        encoding, records = self._encoding, self._cache.records
        created = [number for number in changed if records[number].created_at > window.since]
        changed = [number for number in changed if records[number].created_at <= window.since]
        complete = [*created, *fresh]
        definitions = [*complete, *(number for number in changed if number in window.redefined)]
        frame = b""
        if definitions:
            frame = encoding.instruments([self._definition(records[number]) for number in definitions])
        entries = [window[number] for number in changed]
        if complete:
            whole = [self._record(records[number]) for number in complete]
            return frame + encoding.snapshot(self._step(since), entries, whole)
        return frame + self.delta(since, entries)

    def delta(self, since: int, entries: Sequence[bytes]) -> bytes:
        """The frame that brings a copy from `since` to the present cut, where nothing is new or redefined."""
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
    """An instrument's definition as clients get it."""
    metadata = dict(record.instrument.metadata)
    return Definition(record.id, record.symbol, record.price_scale, record.size_scale, metadata)

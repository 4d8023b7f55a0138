"""Encoded parts of data messages: each is encoded at most once per change of its instrument.

A `ChangeSet` holds the changes after one cut, `since`, as of the present cut. All subscribers with the same `since`
share it, and change sets that select the same changes of a record share its entry: `changed_at > since` only cuts a
list ordered by time, so the number of selected fields, or rows of a table, identifies them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from ticker.bounds import ENTRIES_PER_INSTRUMENT, MAX_CHANGE_SETS
from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.last_value import LastValueCache
from ticker.core.record import MarketRecord
from ticker.protocol.messages import Definition
from ticker.protocol.wire import Encoding


class ChangeSet(dict[int, bytes]):
    """Encoded changes by instrument id, encoded at the first look-up. `changed` are the ids of changed instruments."""

    __slots__ = ("_bits", "_encode", "changed", "redefined", "since")

    def __init__(self, since: int, changed: set[int], redefined: set[int], encode: Callable[[int, int], bytes]) -> None:
        self.since = since
        self.changed = changed
        self.redefined = redefined
        """Ids among these of records declared, redefined or owed whole after `since`: rarely any."""
        self._encode = encode
        self._bits: int | None = None

    def __repr__(self) -> str:
        return f"<ChangeSet since cut {self.since}: {len(self.changed)} changed, {len(self)} encoded>"

    @property
    def bits(self) -> int:
        """The bitmap of the changed instruments."""
        if self._bits is None:
            self._bits = bitmap_of(self.changed)
        return self._bits

    def renew(self, changed: set[int], redefined: set[int]) -> None:
        """Take in the changes of further cuts: these entries are encoded anew."""
        for number in changed:
            self.pop(number, None)
        self.changed |= changed
        self.redefined |= redefined
        self._bits = None

    def __missing__(self, number: int) -> bytes:
        entry = self[number] = self._encode(number, self.since)
        return entry


class EncodeCache:
    """The encoded parts in one encoding. Parts that belong to a cut are dropped when the next cut is closed."""

    def __init__(self, cache: LastValueCache, encoding: Encoding) -> None:
        self.cache = cache
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
        self._begin_cut()
        cache = self.cache
        change_set = self._change_sets.get(since)
        if change_set is None:
            if len(self._change_sets) >= MAX_CHANGE_SETS:
                self._change_sets.clear()
            changed = cache.changed_since(since)
            redefined = set()
            if cache.last_definition > since:
                redefined = self._redefined(changed, since)
            change_set = self._change_sets[since] = ChangeSet(since, changed, redefined, self._changes)
        return change_set

    def change_set_among(self, since: int, numbers: Collection[int]) -> ChangeSet:
        """Return the changes after `since` of these few instruments, where many others have changed."""
        self._begin_cut()
        records = self.cache.records
        changed = {number for number in numbers if records[number].last_change > since}
        return ChangeSet(since, changed, self._redefined(changed, since), self._changes)

    def _redefined(self, changed: set[int], since: int) -> set[int]:
        """Return the ids of records for which changes alone are not enough."""
        records = self.cache.records
        return {number for number in changed if records[number].defined_at > since or records[number].whole_at > since}

    def _begin_cut(self) -> None:
        """Drop the entries of an earlier cut."""
        cache = self.cache
        if self._cut != cache.cut:
            self._cut = cache.cut
            self._change_sets.clear()
            self._steps.clear()
            if len(self._selections) > ENTRIES_PER_INSTRUMENT * len(cache.records):
                self._selections.clear()

    def keep(self, change_set: ChangeSet) -> None:
        """Have this change set, which is of the present cut, returned by `change_set`."""
        self._change_sets[change_set.since] = change_set

    def warm(self, change_set: ChangeSet, record: MarketRecord, *, whole: bool) -> None:
        """Encode the parts of an instrument that a message of this change set needs."""
        if record.id in change_set.redefined:
            self._definition(record)
        if whole:
            self._record(record)
        else:
            change_set[record.id]

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
        encoding, records, after = self._encoding, self.cache.records, change_set.since
        whole = [number for number in changed if records[number].whole_at > after]
        defined = [number for number in changed if records[number].defined_at > after]
        changed = [number for number in changed if records[number].whole_at <= after]
        complete = [*whole, *missing]
        definitions = [*missing, *defined]
        frame = b""
        if definitions:
            frame = self.definitions(definitions)
        entries = [change_set[number] for number in changed]
        if complete:
            complete_records = [self._record(records[number]) for number in complete]
            return frame + encoding.snapshot(self._step(since), entries, complete_records)
        return frame + self.delta(since, entries)

    def definitions(self, ids: Iterable[int]) -> bytes:
        """Return the frame with the definitions of these records."""
        records = self.cache.records
        return self._encoding.instruments([self._definition(records[each]) for each in ids])

    def delta(self, since: int, entries: Sequence[bytes]) -> bytes:
        """Return the frame that brings a copy from `since` to the present cut, without new or redefined instruments."""
        return self._encoding.delta(self._steps.get(since) or self._step(since), entries)

    def _step(self, since: int) -> bytes:
        cache = self.cache
        step = self._encoding.step(cache.wire_cut(since), cache.wire_cut(cache.cut), cache.time)
        if len(self._steps) < MAX_CHANGE_SETS:
            self._steps[since] = step
        return step

    def _changes(self, number: int, since: int) -> bytes:
        record = self.cache.records[number]
        fields, count = record.changes_since(since)
        selection = number, count
        changed, entry = self._selections.get(selection, (-1, b""))
        if changed != record.last_change:
            self.encoded += 1
            entry = self._encoding.entry(record.number, fields)
            self._selections[selection] = record.last_change, entry
        return entry

    def _record(self, record: MarketRecord) -> bytes:
        changed, entry = self._records.get(record.id, (-1, b""))
        if changed != record.last_change:
            self.encoded += 1
            entry = self._encoding.entry(record.number, record.present())
            self._records[record.id] = record.last_change, entry
        return entry

    def _definition(self, record: MarketRecord) -> bytes:
        defined, encoded = self._definitions.get(record.id, (-1, b""))
        if defined != record.defined_at:
            encoded = self._encoding.definition(definition_of(record))
            self._definitions[record.id] = record.defined_at, encoded
        return encoded


class Preparation:
    """A change set that is encoded in steps, while cuts are closed: instruments that change meanwhile are encoded anew.

    So a message with the changes of 50,000 instruments holds nobody up: it is joined from entries that are there.
    """

    def __init__(self, encode_cache: EncodeCache, since: int, wanted: int, whole: int = 0) -> None:
        """`wanted` is the bitmap of the instruments that matter, `whole` that of those among them to be sent whole."""
        self._encode_cache = encode_cache
        self._wanted = wanted
        self._whole = whole
        self._cut = encode_cache.cache.cut
        self._change_set = encode_cache.change_set(since)
        self._todo = numbers_in(self._change_set.bits & wanted)

    def __repr__(self) -> str:
        return f"<Preparation of {self._change_set!r}: {len(self._todo)} to encode>"

    def advance(self, most: int) -> bool:
        """Encode so many entries; True once the encode cache has all that are needed at the present cut.

        Where more than that has changed since the last step, twice as many are encoded: it has an end however fast
        everything changes.
        """
        encode_cache, change_set = self._encode_cache, self._change_set
        cache = encode_cache.cache
        if self._cut != cache.cut:
            newer = encode_cache.change_set(self._cut)
            self._cut = cache.cut
            change_set.renew(newer.changed, newer.redefined)
            added = numbers_in(newer.bits & self._wanted)
            self._todo += added
            most = max(most, 2 * len(added))
        records, since = cache.records, change_set.since
        for number in self._todo[-most:]:
            whole = records[number].whole_at > since or self._whole >> number & 1 == 1
            encode_cache.warm(change_set, records[number], whole=whole)
        del self._todo[-most:]
        encode_cache.keep(change_set)
        return not self._todo


def definition_of(record: MarketRecord) -> Definition:
    """Return the definition of an instrument as it is sent to clients."""
    return Definition(record.number, record.symbol, record.price_scale, record.size_scale, dict(record.metadata))

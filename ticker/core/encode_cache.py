"""Encoded parts of data messages: each is encoded at most once per change of its instrument.

A `ChangeSet` holds the changes after one cut, `since`, as of the present cut. All subscribers with the same `since`
share it, and change sets that select the same changes of a record share its entry: `changed_at > since` only cuts a
list ordered by time, so the number of selected fields, or rows of a table, identifies them. Clients that ask for some
fields only have change sets of their own (`ChangeSet.of`), one for each selection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, Self, TypeAlias, TypeVar

from ticker.bounds import ENTRIES_PER_INSTRUMENT, MAX_CHANGE_SETS
from ticker.core.bitmaps import bitmap_of
from ticker.core.discarded import Discarded
from ticker.core.last_value import LastValueCache
from ticker.core.record import MarketRecord
from ticker.core.selections import Selection, selected
from ticker.market import FieldKey, RecordValue
from ticker.protocol.messages import Definition
from ticker.protocol.wire import Encoding, Joined

_Encode: TypeAlias = Callable[[int, int, Selection], bytes]
_Key = TypeVar("_Key")


class Steps(dict[int, bytes]):
    """The common parts of messages that take copies to one cut, by the cut from which they do (`Encoding.step`)."""

    __slots__ = ("_cache", "_encoding", "_reached")

    def __init__(self, cache: LastValueCache, encoding: Encoding) -> None:
        """The cut is the present one."""
        self._cache = cache
        self._encoding = encoding
        self._reached = encoding.reached(cache.wire_cut(cache.cut), cache.time)

    def __missing__(self, since: int) -> bytes:
        step = self._encoding.step(self._cache.wire_cut(since), self._reached)
        if len(self) < MAX_CHANGE_SETS:
            self[since] = step
        return step


class ChangeSet(dict[int, bytes]):
    """Encoded changes by instrument id, encoded at the first look-up. `changed` are the ids of changed instruments.

    Of one for a selection, entries are empty where nothing selected has changed.
    """

    __slots__ = ("_bits", "_encode", "_of", "changed", "redefined", "selection", "since", "steps")

    def __init__(
        self,
        since: int,
        steps: Steps,
        changed: set[int],
        redefined: set[int],
        encode: _Encode,
        selection: Selection = None,
    ) -> None:
        self.since = since
        self.steps = steps
        """To the cut of these changes: while a pass is left, a subscription may close others."""
        self.changed = changed
        self.redefined = redefined
        """Ids among these of records declared, redefined or owed whole after `since`: rarely any."""
        self.selection = selection
        self._encode = encode
        self._bits: int | None = None
        self._of: dict[Selection, ChangeSet] | None = None

    def __repr__(self) -> str:
        return f"<ChangeSet since cut {self.since}: {len(self.changed)} changed, {len(self)} encoded>"

    @property
    def bits(self) -> int:
        """The bitmap of the changed instruments."""
        if self._bits is None:
            self._bits = bitmap_of(self.changed)
        return self._bits

    def of(self, selection: Selection) -> ChangeSet:
        """Return the same changes for clients with this selection."""
        if selection is None:
            return self
        if self._of is None:
            self._of = {}
        found = self._of.get(selection)
        if found is None:
            known = self.since, self.steps, self.changed, self.redefined, self._encode
            found = self._of[selection] = ChangeSet(*known, selection)
        return found

    def drop(self, changed: Iterable[int]) -> None:
        """Have these entries encoded anew."""
        for entries in (self, *(self._of or {}).values()):
            for number in changed:
                entries.pop(number, None)

    def __missing__(self, number: int) -> bytes:
        entry = self[number] = self._encode(number, self.since, self.selection)
        return entry


class Share(NamedTuple):
    """A part of a message: records with one selection."""

    change_set: ChangeSet
    changed: Iterable[int]
    """Ids of records that the copy holds, in the change set."""
    missing: Sequence[int] = ()
    """Ids of records that the copy does not hold yet."""


class Parts:
    """What a message is made of, encoded."""

    __slots__ = ("changed", "complete", "definitions", "entries", "records")

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        """Changes of records that the copy holds, perhaps joined."""
        self.changed = 0
        """The number of these."""
        self.records: list[bytes] = []
        """Complete records, perhaps joined."""
        self.complete = 0
        """The number of these."""
        self.definitions: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Parts: {self.changed} changes, {self.complete} records>"

    def __len__(self) -> int:
        """The number of instruments."""
        return self.changed + self.complete

    def __iadd__(self, other: Parts) -> Self:
        """Add those of another one."""
        self.entries += other.entries
        self.records += other.records
        self.definitions += other.definitions
        self.changed += other.changed
        self.complete += other.complete
        return self

    def add(self, entries: Sequence[bytes], records: Sequence[bytes], definitions: Sequence[bytes]) -> None:
        """Add some that are not joined."""
        self.entries += entries
        self.records += records
        self.definitions += definitions
        self.changed += len(entries)
        self.complete += len(records)

    def join(self, encoding: Encoding) -> None:
        """Join what there is, so that a message with it is made of few parts."""
        self.entries[:] = [encoding.join(self.entries)] if self.entries else []
        self.records[:] = [encoding.join(self.records)] if self.records else []


_COUNT_BITS = 32
"""The place of a number of fields or rows, below an instrument's id, in one integer."""


class _Encoded(Generic[_Key]):
    """Encoded parts by key, each with the cut of the change that it shows: it holds until the next one.

    They are in two dicts, and not in one of pairs, because the garbage collector looks at no integers and bytes. With
    pairs, it would look at those of 100,000 instruments in one go: as many old ones are freed as new ones are made, so
    it sees no reason to look earlier.
    """

    __slots__ = ("changed_at", "parts")

    def __init__(self) -> None:
        self.changed_at: dict[_Key, int] = {}
        self.parts: dict[_Key, bytes] = {}

    def __repr__(self) -> str:
        return f"<{len(self)} encoded parts>"

    def __len__(self) -> int:
        return len(self.parts)

    def put(self, key: _Key, changed_at: int, part: bytes) -> bytes:
        """Add a part, or replace it; return it."""
        self.parts[key] = part
        self.changed_at[key] = changed_at
        return part

    def discard(self, discarded: Discarded) -> None:
        """Have all of them freed in steps."""
        discarded.add(self.parts, self.changed_at)
        self.parts, self.changed_at = {}, {}


class EncodeCache:
    """The encoded parts in one encoding. Parts that belong to a cut are dropped when the next cut is closed."""

    def __init__(self, cache: LastValueCache, encoding: Encoding, discarded: Discarded | None = None) -> None:
        self.cache = cache
        self._discarded = Discarded() if discarded is None else discarded
        self._encoding = encoding
        self._cut = -1
        self._change_sets: dict[int, ChangeSet] = {}
        self._steps = Steps(cache, encoding)
        # By an instrument's id and how many fields they are.
        self._selections = _Encoded[int]()
        # Complete records and definitions, by id.
        self._records = _Encoded[int]()
        self._definitions = _Encoded[int]()
        # Both kinds of entries for selections of fields; a complete record has the count -1.
        self._selected = _Encoded[tuple[int, int, Selection]]()
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
            change_set = self._change_sets[since] = ChangeSet(since, self._steps, changed, redefined, self._changes)
        return change_set

    def change_set_among(self, since: int, numbers: Collection[int]) -> ChangeSet:
        """Return the changes after `since` of these few instruments, where many others have changed."""
        self._begin_cut()
        records = self.cache.records
        changed = {number for number in numbers if records[number].last_change > since}
        return ChangeSet(since, self._steps, changed, self._redefined(changed, since), self._changes)

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
            self._steps = Steps(cache, self._encoding)
            most = ENTRIES_PER_INSTRUMENT * len(cache.records)
            for encoded in (self._selections, self._selected):
                if len(encoded) > most:
                    encoded.discard(self._discarded)

    def join(self, parts: Parts) -> None:
        """Join what there is of parts, so that a message with them is made of few."""
        parts.join(self._encoding)

    def empty_change_set(self, since: int) -> ChangeSet:
        """Return a change set that is told what has changed, for many changes that are encoded in steps."""
        return ChangeSet(since, self._steps, set(), set(), self._changes)

    def release(self) -> None:
        """Drop the change sets: they refer back to this cache, and the cycle would wait for the garbage collector."""
        self._change_sets.clear()
        for encoded in (self._selections, self._records, self._selected, self._definitions):
            encoded.discard(self._discarded)

    def frame(
        self, since: int, shares: Iterable[Share], parts: Parts | None = None, steps: Steps | None = None
    ) -> bytes:
        """Return the frames that bring a copy from `since` to the present cut, with parts that are made already.

        With `steps` they bring it to the cut of these, which is that of the change sets. A change set may begin later
        than `since` if nothing of the copy changed in between. Definitions come first.
        """
        self._begin_cut()  # made parts need no change set of the present cut
        records, parts = self.cache.records, Parts() if parts is None else parts
        for change_set, changed, missing in shares:
            complete: list[bytes] = []
            definitions: list[bytes] = []
            if change_set.redefined or missing:
                after = change_set.since
                whole = [number for number in changed if records[number].whole_at > after]
                defined = [*missing, *(number for number in changed if records[number].defined_at > after)]
                definitions = [self.definition(records[number]) for number in defined]
                complete = [self.record(records[number], change_set.selection) for number in (*whole, *missing)]
                changed = [number for number in changed if records[number].whole_at <= after]  # noqa: PLW2901
            parts.add([entry for number in changed if (entry := change_set[number])], complete, definitions)
        changes, told = Joined(parts.changed, parts.entries), Joined(parts.complete, parts.records)
        frame = self._encoding.instruments(parts.definitions) if parts.definitions else b""
        steps = self._steps if steps is None else steps
        return frame + self._encoding.large(steps[since], changes, told)

    def definitions(self, ids: Iterable[int]) -> bytes:
        """Return the frame with the definitions of these records."""
        records = self.cache.records
        return self._encoding.instruments([self.definition(records[each]) for each in ids])

    def _changes(self, number: int, since: int, selection: Selection) -> bytes:
        record = self.cache.records[number]
        if selection is not None:
            return self._selected_changes(record, since, selection)
        fields, count = record.changes_since(since)
        key, encoded = number << _COUNT_BITS | count, self._selections
        if encoded.changed_at.get(key) != record.last_change:
            self.encoded += 1
            return encoded.put(key, record.last_change, self._encoding.entry_of(record, fields, complete=False))
        return encoded.parts[key]

    def _selected_changes(self, record: MarketRecord, since: int, selection: frozenset[FieldKey]) -> bytes:
        """Return an empty entry where there is nothing to be told: neither a selected field nor a definition."""
        fields = selected(record.changes_since(since)[0], selection)
        if not fields and record.defined_at <= since and record.whole_at <= since:
            return b""
        return self._selected_entry(record, (record.id, len(fields), selection), fields)

    def _selected_entry(
        self, record: MarketRecord, key: tuple[int, int, Selection], fields: Mapping[FieldKey, RecordValue]
    ) -> bytes:
        encoded = self._selected
        if encoded.changed_at.get(key) != record.last_change:
            self.encoded += 1
            return encoded.put(key, record.last_change, self._encoding.entry_of(record, fields, complete=key[1] < 0))
        return encoded.parts[key]

    def record(self, record: MarketRecord, selection: Selection) -> bytes:
        """Return the complete record, or the selected fields of it."""
        if selection is not None:
            return self._selected_entry(record, (record.id, -1, selection), selected(record.present(), selection))
        encoded = self._records
        if encoded.changed_at.get(record.id) != record.last_change:
            self.encoded += 1
            entry = self._encoding.entry_of(record, record.present(), complete=True)
            return encoded.put(record.id, record.last_change, entry)
        return encoded.parts[record.id]

    def definition(self, record: MarketRecord) -> bytes:
        """Return the definition of a record."""
        encoded = self._definitions
        if encoded.changed_at.get(record.id) != record.defined_at:
            return encoded.put(record.id, record.defined_at, self._encoding.definition(definition_of(record)))
        return encoded.parts[record.id]


def definition_of(record: MarketRecord) -> Definition:
    """Return the definition of an instrument as it is sent to clients."""
    return Definition(record.number, record.symbol, record.price_scale, record.size_scale, dict(record.metadata))

"""A table as a record of the cache, beside those of the instruments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from ticker.core.freshness import REASON, STATUS
from ticker.core.record import Record
from ticker.core.state import State
from ticker.market import FieldKey, RecordValue
from ticker.protocol.tables import TableName

Changes = tuple[dict[FieldKey, RecordValue], int]
"""Fields with the rows that changed, and the number of these rows."""


class Ids(NamedTuple):
    """A table's place among the records of the cache, and its id on the wire."""

    place: int
    number: int


class Content(Protocol):
    """The rows of a table: a view of a book, or a window of a log."""

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        ...

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes on the wire."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Free text for people and programs."""
        ...

    @property
    def whole_at(self) -> int:
        """A copy from before this cut cannot be completed by the changes that are remembered."""
        ...

    @property
    def updates(self) -> int:
        """Number of publications that were applied to what it shows."""
        ...

    def settle(self, cut: int) -> bool:
        """Bring the rows up to date for a cut; return whether any has changed."""
        ...

    def release(self) -> None:
        """Nobody needs the rows to be kept up to date."""
        ...

    def changes_since(self, cut: int) -> Changes:
        """Return the rows that changed after a cut, at or after the record's `whole_at`."""
        ...

    def state(self) -> State:
        """Return as plain data what the instrument does not tell of it."""
        ...

    def restore(self, state: State) -> None:
        """Take over such data, as a new object."""
        ...

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return all rows."""
        ...


class TableRecord:
    """A table of an instrument: `BTC-USD book:10`. It is kept up to date while anybody watches it."""

    __slots__ = (
        "_changed_at",
        "_counted",
        "_defined",
        "_marks",
        "_on_watch",
        "content",
        "defined_at",
        "id",
        "instrument",
        "last_change",
        "number",
        "symbol",
        "table",
        "updates",
        "watchers",
        "whole_at",
    )

    def __init__(
        self,
        ids: Ids,
        instrument: Record,
        table: TableName,
        content: Content,
        cut: int,
        on_watch: Callable[[TableRecord], None],
    ) -> None:
        self.id, self.number = ids
        self.symbol = f"{instrument.symbol} {table}"
        self.table = table
        self.instrument = instrument
        self.content = content
        self.defined_at = self.whole_at = cut
        """A copy from before this cut is owed the complete record."""
        self.last_change = 0
        self.updates = 0
        """Number of publications that were applied to it."""
        self.watchers = 0
        self._on_watch = on_watch
        self._counted = 0
        self._defined = self.definition()
        self._marks: dict[FieldKey, RecordValue] = {}
        self._changed_at: dict[FieldKey, int] = {}

    def __repr__(self) -> str:
        return f"<TableRecord {self.id} {self.symbol}: {self.watchers} watchers, last change at cut {self.last_change}>"

    @property
    def most_rows(self) -> int:
        """The most rows that it has."""
        return self.table.most_rows

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices."""
        return self.content.price_scale

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes."""
        return self.content.size_scale

    @property
    def metadata(self) -> Mapping[str, str]:
        """Free text for people and programs."""
        return self.content.metadata

    def definition(self) -> tuple[int, int, Mapping[str, str]]:
        """Return what is told of the table beside its name: its scales and metadata."""
        content = self.content
        return content.price_scale, content.size_scale, content.metadata

    def watch(self) -> None:
        """One more needs this table: it is up to date from the close of the open cut on."""
        self.watchers += 1
        if self.watchers == 1:
            self._counted = self.content.updates
            self._on_watch(self)

    def unwatch(self) -> None:
        """One less needs this table."""
        self.watchers -= 1
        if self.watchers == 0:
            self.content.release()
            self._on_watch(self)

    def settle(self, cut: int) -> bool:
        """Bring the rows up to date for a cut; return whether anything has changed but the marks."""
        content = self.content
        changed = content.settle(cut)
        self.updates += content.updates - self._counted
        self._counted = content.updates
        self.whole_at = max(self.whole_at, content.whole_at)
        defined = self.definition()
        if defined != self._defined:
            if defined[:2] != self._defined[:2]:
                self.whole_at = cut
            self._defined, self.defined_at = defined, cut
            return True
        return changed

    def changes_since(self, cut: int) -> Changes:
        """Return the rows and marks that changed after a cut, and their number; not for a cut before `whole_at`."""
        fields, count = self.content.changes_since(cut)
        for key, changed in self._changed_at.items():
            if changed > cut:
                fields[key] = self._marks[key]
                count += 1
        return fields, count

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return the complete record."""
        return self.content.present() | {key: mark for key, mark in self._marks.items() if mark is not None}

    def state(self) -> State:
        """Return it as plain data, between two cuts; the rows are those of the instrument."""
        marks = [[key, value, self._changed_at[key]] for key, value in self._marks.items()]
        cuts = [self.whole_at, self.defined_at, self.last_change]
        return [marks, cuts, self.updates, self.content.state()]

    def restore(self, state: State) -> None:
        """Take over such data, as a new object whose instrument has the rows."""
        marks, cuts, self.updates, content = state
        self.whole_at, self.defined_at, self.last_change = cuts
        self._marks = {key: value for key, value, _ in marks}
        self._changed_at = {key: cut for key, _, cut in marks}
        self.content.restore(content)
        self._defined = self.definition()

    def mark(self, status: RecordValue, reason: RecordValue, cut: int, *, anew: bool = False) -> bool:
        """Set status and reason; return whether they have changed. With `anew` both count as changed in any case."""
        changed = anew
        for key, value in ((STATUS, status), (REASON, reason)):
            if anew or self._marks.get(key) != value:
                self._marks[key] = value
                self._changed_at[key] = cut
                changed = True
        return changed

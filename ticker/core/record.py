"""One instrument as the cache holds it, and what it has in common with a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableSequence
from typing import Protocol, TypeAlias

from ticker.core.field_forms import Form
from ticker.core.quotes import QuoteMove
from ticker.core.state import State
from ticker.market import FieldKey, Instrument, RecordValue, WireValue

Source: TypeAlias = Hashable
"""Names a feed in the cache."""


class MarketRecord(Protocol):
    """An instrument or a table: that which has an id, a definition, and changes since a cut."""

    id: int
    """Its place among the records of the cache."""
    number: int
    """Its id on the wire."""
    defined_at: int
    whole_at: int
    """A copy from before this cut is owed the complete record: it has none, or one that changes would not complete."""
    last_change: int

    @property
    def updates(self) -> int:
        """Number of updates that it has had so far."""
        ...

    @property
    def symbol(self) -> str:
        """The instrument's symbol, or the table's name."""
        ...

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices."""
        ...

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Free text for people and programs."""
        ...

    @property
    def most_rows(self) -> int:
        """The most rows that it has: 0 for an instrument."""
        ...

    def changes_since(self, cut: int) -> tuple[Mapping[FieldKey, RecordValue], int]:
        """Return what changed after `cut`, at or after `whole_at`, and the number of changes (fields or rows).

        They are ordered by their cuts, so of two selections made at the same time, equal numbers mean equal changes.
        """
        ...

    def present(self) -> Mapping[FieldKey, RecordValue]:
        """Return the complete record."""
        ...


class Record:
    """An instrument's definition, its fields, the cuts of their last changes, and the feeds that gave them."""

    __slots__ = (
        "_counts",
        "changed_at",
        "defined_at",
        "form",
        "given",
        "id",
        "instrument",
        "last_change",
        "number",
        "outdated",
        "price_scale",
        "quotes",
        "size_scale",
        "source",
        "sources",
        "values",
        "whole_at",
    )

    def __init__(self, place: int, number: int, instrument: Instrument, cut: int, counts: MutableSequence[int]) -> None:
        """`counts` are the numbers of updates of all records, by id."""
        self._counts = counts
        self.id = place
        self.number = number
        self.instrument = instrument
        self.price_scale = instrument.price_scale
        self.size_scale = instrument.size_scale
        self.values: dict[FieldKey, WireValue] = {}
        """The latest values; a withdrawn field stays, as None, for clients that still hold an older value."""
        self.changed_at: dict[FieldKey, int] = {}
        self.whole_at = cut
        """The cut of its declaration."""
        self.defined_at = cut
        self.last_change = 0
        self.source: Source = None
        """The only feed that has given values; None before the first, and where `sources` tells more."""
        self.sources: dict[FieldKey, Source] | None = None
        """The feed that gave each field, once several feeds give values of this instrument."""
        self.outdated: set[Source] = set()
        """Feeds whose values are not current. While there are any, the instrument is shown as stale."""
        self.given: tuple[Source, WireValue, WireValue] | None = None
        """The last status that a feed gave: that feed, the status and the reason."""
        self.form: Form | None = None
        """The fields of a usual update of it, one of the last, at its scales (`FieldReader.read_usual`)."""
        self.quotes: QuoteMove | None = None
        """The values of which its bars are made; None where they are made of prints, or there are none."""

    def __repr__(self) -> str:
        return f"<Record {self.id} {self.symbol}: {len(self.present())} fields, last change at cut {self.last_change}>"

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol

    @property
    def updates(self) -> int:
        """Number of updates applied to it."""
        return self._counts[self.id]

    @updates.setter
    def updates(self, count: int) -> None:
        self._counts[self.id] = count

    @property
    def most_rows(self) -> int:
        """The rows that it has: none."""
        return 0

    @property
    def metadata(self) -> Mapping[str, str]:
        """The instrument's metadata."""
        return self.instrument.metadata

    def have_scales(self, price_scale: int, size_scale: int) -> None:
        """Have these scales from now on. Its values are the caller's to change."""
        self.price_scale, self.size_scale = price_scale, size_scale
        self.form = None

    def state(self, per_cut: int = 1) -> State:
        """Return it as plain data, between two cuts, without the feeds that gave its values.

        `per_cut` as in `LastValueCache`.
        """
        keys = sorted(self.values, key=lambda key: (isinstance(key, str), key))
        fields = [[key, self.values[key], self.changed_at[key] // per_cut] for key in keys]
        cuts = [cut // per_cut for cut in (self.whole_at, self.defined_at, self.last_change)]
        return [self.price_scale, self.size_scale, fields, cuts]

    def restore(self, state: State, source: Source, per_cut: int = 1) -> None:
        """Take over such data, between two cuts; this source has given all of it."""
        price_scale, size_scale, fields, cuts = state
        self.have_scales(price_scale, size_scale)
        self.whole_at, self.defined_at, self.last_change = (cut * per_cut for cut in cuts)
        self.values = {key: tuple(value) if isinstance(value, list) else value for key, value, _ in fields}
        self.changed_at = {key: cut * per_cut for key, _, cut in fields}
        self.source = source if self.values else None

    def changes_since(self, cut: int) -> tuple[dict[FieldKey, WireValue], int]:
        """The fields that changed after `cut`, with their present values, and their number."""
        values = self.values
        changes = {key: values[key] for key, changed in self.changed_at.items() if changed > cut}
        return changes, len(changes)

    def present(self) -> dict[FieldKey, WireValue]:
        """All fields that have a value."""
        return {key: value for key, value in self.values.items() if value is not None}

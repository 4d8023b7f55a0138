"""The last-value cache: every field of every instrument, with the cut at which it last changed.

The rules:

1. Publications are applied to an open cut; `close_cut` makes them visible, all at once, under the next number.
2. A field that is given the value it already has does not change.
3. A publication is applied whole or, with `BadPublication`, not at all.
4. Pending changes are computed from a cursor and never stored: the fields with `changed_at > cursor`.
5. A value finer than the instrument's scale raises the scale. The definition and all the fields then count as changed,
   because every number of that kind is another integer now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import TypeAlias

from ticker.config import MAX_KNOWN_FIELDS
from ticker.errors import BadPublication
from ticker.market import (
    MAX_FIELDS,
    MAX_INTEGER,
    MAX_TEXT,
    Field,
    FieldKey,
    Instrument,
    Kind,
    Publication,
    Update,
    Value,
    WireValue,
    Withdrawal,
    field_key,
    field_kind,
    is_text,
    parse_decimal,
    plain,
    scale_up,
    shown,
)

_Number: TypeAlias = tuple[FieldKey, Kind, int, int]
"""A price or size on its way into the cache: its field, kind, digits and decimal places."""


_MARKS: frozenset[FieldKey] = frozenset({int(Field.STATUS), int(Field.REASON)})


class Record:
    """One instrument as the cache holds it: its definition, its fields and the cuts of their last changes."""

    __slots__ = (
        "changed_at",
        "created_at",
        "defined_at",
        "id",
        "instrument",
        "last_change",
        "price_scale",
        "size_scale",
        "updates",
        "values",
    )

    def __init__(self, number: int, instrument: Instrument, cut: int) -> None:
        self.id = number
        self.instrument = instrument
        self.price_scale = instrument.price_scale
        self.size_scale = instrument.size_scale
        self.values: dict[FieldKey, WireValue] = {}
        """The latest values; a withdrawn field stays, as None, for clients that still hold an older value."""
        self.changed_at: dict[FieldKey, int] = {}
        self.created_at = cut
        self.defined_at = cut
        self.last_change = 0
        self.updates = 0
        """Number of updates applied to it."""

    def __repr__(self) -> str:
        return f"<Record {self.id} {self.symbol}: {len(self.present())} fields, last change at cut {self.last_change}>"

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol

    def changes_since(self, cut: int) -> dict[FieldKey, WireValue]:
        """The fields that changed after `cut`, with their present values."""
        values = self.values
        return {key: values[key] for key, changed in self.changed_at.items() if changed > cut}

    def present(self) -> dict[FieldKey, WireValue]:
        """All fields that have a value."""
        return {key: value for key, value in self.values.items() if value is not None}


class LastValueCache:
    """The service's one copy of the market.

    `epoch` is a random text that names this cache's life; a cut means something only within its epoch. `cut` is the
    last closed cut and `time` the moment it was closed, in microseconds since 1970 UTC. `records` is indexed by
    instrument id.
    """

    def __init__(self, epoch: str, *, max_instruments: int = 100_000) -> None:
        self.epoch = epoch
        self.cut = 0
        self.time = 0
        self.last_definition = 0
        """The last cut at which any instrument was declared or redefined."""
        self.records: list[Record] = []
        self._by_symbol: dict[str, Record] = {}
        self._max_instruments = max_instruments
        self._touched: set[int] = set()
        # Ids by the cut of their last change, the most recent last: a dict keeps the order in which keys were put in.
        self._recency: dict[int, int] = {}
        # The key and kind of each field name met so far, bounded because names come from feeds.
        self._fields: dict[str, tuple[FieldKey, Kind | None]] = {}

    def __repr__(self) -> str:
        return f"<LastValueCache {self.epoch} at cut {self.cut}: {len(self.records)} instruments>"

    def find(self, symbol: str) -> Record | None:
        """The record of a declared instrument."""
        return self._by_symbol.get(symbol)

    def publish(self, publication: Publication) -> None:
        """Apply one publication to the open cut.

        Raises `BadPublication`, and changes nothing, if it is not market data or its instrument was not declared.
        """
        if type(publication) is Update:
            self._update(publication).updates += 1
        elif type(publication) is Instrument:
            self._declare(publication)
        elif type(publication) is Withdrawal:
            record = self._declared(publication.symbol)
            self._store(record, [(key, None) for key in record.values])
        else:
            raise BadPublication(
                f"a feed published a {type(publication).__name__}: give an Instrument, an Update or a Withdrawal"
            )

    def mark(self, symbol: str, marks: Mapping[str, Value]) -> None:
        """Apply values set by the service itself (`status`, `reason`); not counted as an update of the feed."""
        self._update(Update(symbol, marks))

    def redeclare(self, records: Sequence[Record]) -> None:
        """Count these instruments as declared in the open cut: nobody was told of them before."""
        for record in records:
            record.created_at = self.cut + 1
            self._redefine(record)

    def close_cut(self, time: int) -> bool:
        """Close the open cut at `time` (microseconds since 1970 UTC); False, and no new cut, without any change."""
        if not self._touched:
            return False
        self.cut += 1
        self.time = time
        for number in self._touched:
            self._recency.pop(number, None)
            self._recency[number] = self.cut
            self.records[number].last_change = self.cut
        self._touched.clear()
        return True

    def many_changed(self, cut: int, most: int) -> bool:
        """Return whether more than `most` instruments changed after `cut`, in at most so many steps."""
        oldest = next(islice(reversed(self._recency), most, None), None)
        return oldest is not None and self._recency[oldest] > cut

    def changed_since(self, cut: int) -> set[int]:
        """Return the ids of the instruments that changed after `cut`, in as many steps."""
        changed = set()
        recency = self._recency
        for number in reversed(recency):
            if recency[number] <= cut:
                break
            changed.add(number)
        return changed

    def _declared(self, symbol: object) -> Record:
        record = self._by_symbol.get(symbol) if isinstance(symbol, str) else None
        if record is None:
            raise BadPublication(f"{shown(symbol)} was not declared: publish its Instrument first")
        return record

    def _declare(self, instrument: Instrument) -> None:
        record = self._by_symbol.get(instrument.symbol)
        if record is None:
            if len(self.records) >= self._max_instruments:
                raise BadPublication(
                    f"{instrument.symbol}: the limit of {self._max_instruments} instruments is reached"
                )
            record = Record(len(self.records), instrument, self.cut + 1)
            self.records.append(record)
            self._by_symbol[instrument.symbol] = record
        elif instrument == record.instrument:
            return
        else:
            self._raise_scales(record, instrument.price_scale, instrument.size_scale)
            record.instrument = instrument
        self._redefine(record)

    def _redefine(self, record: Record) -> None:
        record.defined_at = self.last_definition = self.cut + 1
        self._touched.add(record.id)

    def _update(self, update: Update) -> Record:
        record = self._declared(update.symbol)
        if type(update.fields) is not dict and not isinstance(update.fields, Mapping):
            raise BadPublication(f"{record.symbol}: the fields of an Update are a mapping of names to values")
        try:
            changes, numbers = self._parse(update.fields)
            if len(record.values) + len(update.fields) > MAX_FIELDS:
                self._check_room(record, changes, numbers)
            price_scale, size_scale = record.price_scale, record.size_scale
            for _, kind, _, places in numbers:
                if kind is Kind.PRICE:
                    price_scale = max(price_scale, places)
                else:
                    size_scale = max(size_scale, places)
            for key, kind, digits, places in numbers:
                changes.append((key, scale_up(digits, places, price_scale if kind is Kind.PRICE else size_scale)))
            if price_scale > record.price_scale or size_scale > record.size_scale:
                self._raise_scales(record, price_scale, size_scale)
                self._redefine(record)
        except BadPublication as error:
            raise BadPublication(f"{record.symbol}: {error}") from None
        self._store(record, changes)
        return record

    def _parse(self, fields: Mapping[str, Value]) -> tuple[list[tuple[FieldKey, WireValue]], list[_Number]]:
        """Split an update's fields into values that are ready and numbers that wait for their scale."""
        changes: list[tuple[FieldKey, WireValue]] = []
        numbers: list[_Number] = []
        for name, value in fields.items():
            key, kind = self._fields.get(name) or self._learn(name)
            try:
                if value is None:
                    changes.append((key, None))
                elif kind is Kind.PRICE or kind is Kind.SIZE:
                    numbers.append((key, kind, *parse_decimal(value)))
                else:
                    changes.append((key, _plain(kind, value)))
            except BadPublication as error:
                raise BadPublication(f"{name}: {error}") from None
        return changes, numbers

    def _learn(self, name: str) -> tuple[FieldKey, Kind | None]:
        key = field_key(name)
        if len(self._fields) < MAX_KNOWN_FIELDS:
            self._fields[name] = key, field_kind(key)
        return key, field_kind(key)

    def _check_room(
        self, record: Record, changes: Sequence[tuple[FieldKey, WireValue]], numbers: Sequence[_Number]
    ) -> None:
        # There is always room for these two: the service has to be able to mark any instrument stale.
        known = record.values.keys() - _MARKS
        new = {change[0] for change in (*changes, *numbers)} - known - _MARKS
        if new and len(known) + len(new) > MAX_FIELDS:
            raise BadPublication(f"more than {MAX_FIELDS} fields")

    def _store(self, record: Record, changes: Sequence[tuple[FieldKey, WireValue]]) -> None:
        values, changed_at, cut = record.values, record.changed_at, self.cut + 1
        touched = False
        for key, value in changes:
            if values.get(key) != value:
                values[key] = value
                changed_at[key] = cut
                touched = True
        if touched:
            self._touched.add(record.id)

    def _raise_scales(self, record: Record, price_scale: int, size_scale: int) -> None:
        """Bring the record's numbers to scales at least as fine as these; all fields then count as changed."""
        scales = {
            Kind.PRICE: (record.price_scale, max(record.price_scale, price_scale)),
            Kind.SIZE: (record.size_scale, max(record.size_scale, size_scale)),
        }
        raised = dict(record.values)
        for key, value in record.values.items():
            kind = field_kind(key)
            if isinstance(value, int) and kind in scales:
                old, new = scales[kind]
                raised[key] = scale_up(value, old, new)
        if any(old != new for old, new in scales.values()):
            record.values = raised
            record.changed_at = dict.fromkeys(raised, self.cut + 1)
            record.price_scale, record.size_scale = scales[Kind.PRICE][1], scales[Kind.SIZE][1]


def _plain(kind: Kind | None, value: object) -> WireValue:
    """Return the value of a field that is no price or size: an integer or a text."""
    if type(value) is int and kind is not Kind.TEXT:
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
        raise BadPublication(f"an integer of {value.bit_length()} bits; at most 53 can be carried")
    text = plain(value)
    if kind is None and isinstance(value, Decimal) and abs(value.adjusted()) <= MAX_TEXT:
        text = format(value, "f")
    if kind is not Kind.INTEGER and is_text(text):
        return text
    wanted = {Kind.INTEGER: "an int", Kind.TEXT: "a short text"}.get(kind or Kind.PRICE, "an int or a short text")
    raise BadPublication(f"{shown(value)} is a {type(value).__name__}: give {wanted}")

"""The market as it was at every cut, to compare copies with.

Of instruments the cache itself remembers the values. Tables are computed anew from the publications, apart from the
code under test, and their status from that of the instrument.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tests.tables_model import InstrumentModel, TableFields, TablesPast, table_fields
from ticker.client.replica import InstrumentState
from ticker.client.table_state import TableState
from ticker.client.wanted import FieldSet
from ticker.config import Tables
from ticker.core.field_reading import Unusable
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.errors import BadPublication
from ticker.market import (
    Candle,
    Field,
    FieldKey,
    Kind,
    Levels,
    Publication,
    Stale,
    Trade,
    WireValue,
    Withdrawal,
    field_kind,
    field_name,
    shown_value,
)

TABLES = Tables(depths=(1, 2, 3), trades=(1, 2, 4), bars=(1, 2, 4), periods=("1m", "5m"))
"""Small ones, so that levels leave views, rings lap and changes are forgotten all the time."""


class Past(NamedTuple):
    """One instrument at one cut."""

    price_scale: int
    size_scale: int
    values: dict[FieldKey, WireValue]


class Market(NamedTuple):
    """All instruments and open tables at one cut."""

    instruments: Mapping[str, Past]
    tables: Mapping[str, TablesPast]
    """The tables of each instrument."""
    names: frozenset[str]
    """The names of all records."""

    def table(self, name: str) -> TableFields:
        """A table by its full name."""
        symbol, _, table = name.partition(" ")
        return self.tables[symbol].table(table)

    def shown(self, name: str) -> object:
        """A record for people."""
        return self.table(name) if " " in name else self.instruments.get(name)


class RememberingCache(LastValueCache):
    """The cache, with all its past."""

    def __init__(self, epoch: str) -> None:
        super().__init__(epoch, tables=TABLES)
        self.history: list[Market] = [Market({}, {}, frozenset())]
        """By cut."""
        self.models: dict[str, InstrumentModel] = {}

    def publish(self, publication: Publication, source: Hashable = "") -> Sequence[Unusable]:
        try:
            unusable = super().publish(publication, source)
        except BadPublication:
            assert not self._model(publication, source), f"{publication} was refused"
            raise
        had_effect = self._model(publication, source)
        assert had_effect or not isinstance(publication, Levels | Trade), f"{publication} was taken"
        return unusable

    def mark_stale(self, record: Record, source: Hashable, reason: str) -> None:
        super().mark_stale(record, source, reason)
        self._of(record.symbol).book.stale_of(source, reason)

    def close_cut(self, time: int, *, always: bool = False) -> bool:
        for model in self.models.values():
            model.close(time)
        touched = [self.records[number] for number in self._touched]
        closed = super().close_cut(time, always=always)
        if closed:
            last = self.history[-1]
            now = {record.symbol: _past(record) for record in touched if isinstance(record, Record)}
            instruments = {**last.instruments, **now}
            tables = {symbol: self._of(symbol).past(_marks(past)) for symbol, past in instruments.items()}
            names = frozenset(record.symbol for record in self.records)
            self.history.append(Market(instruments, tables, names))
        return closed

    def _of(self, symbol: str) -> InstrumentModel:
        if symbol not in self.models:
            self.models[symbol] = InstrumentModel(max(TABLES.trades), max(TABLES.bars), TABLES.periods)
        return self.models[symbol]

    def _model(self, publication: Publication, source: Hashable) -> bool:
        """Apply a publication to the model; return whether it has an effect on books and prints."""
        if self.instrument(publication.symbol) is None:
            return False
        model = self._of(publication.symbol)
        if isinstance(publication, Levels):
            return model.book.apply(publication, source)
        if isinstance(publication, Trade):
            return model.print(publication) is not None
        if isinstance(publication, Stale) and publication.book_only:
            model.book.stale_of(source, publication.reason)
        elif isinstance(publication, Withdrawal):
            model.book.clear()
        elif isinstance(publication, Candle):
            model.replace(publication)
        return False


def _past(record: Record) -> Past:
    return Past(record.price_scale, record.size_scale, record.present())


def _marks(past: Past) -> dict[str, str]:
    marks = {"status": past.values.get(Field.STATUS), "reason": past.values.get(Field.REASON)}
    return {name: str(value) for name, value in marks.items() if value is not None}


def numbers(
    values: Mapping[FieldKey, WireValue], price_scale: int, size_scale: int
) -> dict[FieldKey, Decimal | WireValue]:
    """Return values with numbers and decimals as such, whatever their scale and form."""
    found: dict[FieldKey, Decimal | WireValue] = {}
    for key, value in values.items():
        text = shown_value(key, value, price_scale, size_scale)
        decimal = isinstance(value, tuple) or field_kind(key) in {Kind.PRICE, Kind.SIZE}
        found[key] = Decimal(text) if decimal and text is not None else text
    return found


def same(state: InstrumentState | TableState, market: Market, fields: FieldSet = None, *, partly: bool = False) -> bool:
    """Whether a copy of an instrument or a table has the values of a market, at any scale.

    Of an instrument those of these fields; or `partly`: those that the copy has.
    """
    definition = state.definition
    if definition.symbol not in market.names:
        return False
    if isinstance(state, TableState):
        return table_fields(state) == market.table(definition.symbol)
    past = market.instruments[definition.symbol]
    copied = numbers(state.values, definition.price_scale, definition.size_scale)
    due = numbers(past.values, past.price_scale, past.size_scale)
    if fields is not None:
        due = {key: value for key, value in due.items() if field_name(key) in {*fields, "status", "reason"}}
    return all(due.get(key) == value for key, value in copied.items()) if partly else copied == due


def shown_state(state: InstrumentState | TableState | None) -> object:
    """Return a copy of a record for people."""
    return table_fields(state) if isinstance(state, TableState) else state and state.values

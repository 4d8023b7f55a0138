"""The market as it was at every cut, to compare copies with."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ticker.client.replica import InstrumentState
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.market import FieldKey, Kind, WireValue, field_kind


class Past(NamedTuple):
    """One instrument at one cut."""

    price_scale: int
    size_scale: int
    values: dict[FieldKey, WireValue]


Market: TypeAlias = dict[str, Past]


class RememberingCache(LastValueCache):
    """The cache, with all its past."""

    def __init__(self, epoch: str) -> None:
        super().__init__(epoch)
        self.history: list[Market] = [{}]
        """By cut."""

    def close_cut(self, time: int) -> bool:
        touched = [self.records[number] for number in self._touched]
        closed = super().close_cut(time)
        if closed:
            self.history.append({**self.history[-1], **{record.symbol: _past(record) for record in touched}})
        return closed


def _past(record: Record) -> Past:
    return Past(record.price_scale, record.size_scale, record.present())


def same(state: InstrumentState, past: Past) -> bool:
    """Whether a copy of an instrument has these values, at any scale."""
    definition = state.definition
    if (definition.price_scale, definition.size_scale) == (past.price_scale, past.size_scale):
        return state.values == past.values
    finer = {
        Kind.PRICE: 10 ** (definition.price_scale - past.price_scale),
        Kind.SIZE: 10 ** (definition.size_scale - past.size_scale),
    }
    scaled = {
        key: value * finer.get(field_kind(key) or Kind.TEXT, 1) if isinstance(value, int) else value
        for key, value in past.values.items()
    }
    return state.values == scaled

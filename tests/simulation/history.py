"""The market as it was at every cut, to compare copies with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from ticker.client.replica import State
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.market import FieldKey, Kind, WireValue, field_kind, shown_value


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
        touched = [record for number in self._touched if isinstance(record := self.records[number], Record)]
        closed = super().close_cut(time)
        if closed:
            self.history.append({**self.history[-1], **{record.symbol: _past(record) for record in touched}})
        return closed


def _past(record: Record) -> Past:
    return Past(record.price_scale, record.size_scale, record.present())


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


def same(state: State, past: Past) -> bool:
    """Whether a copy of an instrument has these values, at any scale."""
    definition = state.definition
    copied = numbers(state.values, definition.price_scale, definition.size_scale)
    return copied == numbers(past.values, past.price_scale, past.size_scale)

"""Decimal places: how many the numbers of an instrument have, and the numbers at so many places."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from ticker.core.record import Record
from ticker.market import FieldKey, Kind, WireValue, field_kind
from ticker.numbers import MAX_INTEGER, rescaled_number

_FINEST = 12
"""The most places to which values raise a scale: above it, a price of 10,000 would be a text."""

_ROOM = 100
"""Values raise a scale only so far that all of them may still grow by this factor."""


Number: TypeAlias = tuple[FieldKey, Kind, int, int]
"""A price or size on its way into the cache: field, kind, digits and places of `digits / 10**places`."""


def needed_scale(record: Record, kind: Kind, numbers: Sequence[Number]) -> int:
    """Return the scale of the record's numbers of this kind once these are in: as fine as the finest that serves."""
    scale = record.price_scale if kind is Kind.PRICE else record.size_scale
    own = [(key, digits, places) for key, its_kind, digits, places in numbers if its_kind is kind]
    finer = sorted({places for _, _, places in own if scale < places <= _FINEST})
    if not finer:
        return scale
    named = {key for key, _, _ in own}
    present = [
        abs(value)
        for key, value in record.values.items()
        if type(value) is int and field_kind(key) is kind and key not in named
    ]
    for new in reversed(finer):
        largest = max(present, default=0) * 10 ** (new - scale)
        largest = max([largest, *(abs(digits) * 10 ** (new - places) for _, digits, places in own if places <= new)])
        if largest * _ROOM <= MAX_INTEGER:
            return new
    return scale


def risen_scale(scale: int, finer: Collection[int], largest: int, places: int) -> int:
    """Return the finest of these scales that leaves room for `largest / 10**places` to grow; else `scale`."""
    for new in sorted(finer, reverse=True):
        if new <= _FINEST and largest * _ROOM * 10**new <= MAX_INTEGER * 10**places:
            return new
    return scale


def rescaled(record: Record, price_scale: int, size_scale: int) -> dict[FieldKey, WireValue]:
    """Return the record's values with its numbers at these scales."""
    scales: Mapping[Kind | None, tuple[int, int]] = {
        Kind.PRICE: (record.price_scale, price_scale),
        Kind.SIZE: (record.size_scale, size_scale),
    }
    values = dict(record.values)
    for key, value in record.values.items():
        kind = field_kind(key)
        if kind in scales and value is not None and not isinstance(value, tuple):
            values[key] = rescaled_number(value, *scales[kind])
    return values

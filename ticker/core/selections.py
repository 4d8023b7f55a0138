"""Selections: a client may ask for some fields of an instrument only. Tables always come whole.

A record has one selection for each client: all the fields that any of the client's names that match it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias, TypeVar

from ticker.core.freshness import REASON, STATUS
from ticker.market import FieldKey, field_key, field_name

Value = TypeVar("Value")

Selection: TypeAlias = frozenset[FieldKey] | None
"""The selected fields; None for all of them."""

Portions: TypeAlias = Mapping[Selection, int]
"""Bitmaps of records by their selection; no record is in two of them. One stays as it is: later ones are compared with
it."""


def selection_of(fields: Iterable[str]) -> Selection:
    """Return the selection of these fields. Status and reason always belong to it."""
    return frozenset([*map(field_key, fields), STATUS, REASON])


def field_names(selection: Collection[FieldKey]) -> list[str]:
    """Return the names of the fields of a selection, in their order."""
    return sorted(map(field_name, selection))


def selected(fields: Mapping[FieldKey, Value], selection: Selection) -> Mapping[FieldKey, Value]:
    """Return those of these fields that are selected."""
    return fields if selection is None else {key: value for key, value in fields.items() if key in selection}


def portions_of(wanted: Mapping[Selection, int]) -> Portions:
    """Return the selection of each record from the bitmaps of those for which names ask for certain fields."""
    whole = wanted.get(None, 0)
    portions: dict[Selection, int] = {}
    for selection, matched in wanted.items():
        bits = matched & ~whole
        if selection is None or not bits:
            continue
        for other, others in list(portions.items()):
            if both := others & bits:
                portions[other] &= ~both
                bits &= ~both
                _add(portions, selection | (other or frozenset()), both)
        _add(portions, selection, bits)
    _add(portions, None, whole)
    return {selection: bits for selection, bits in portions.items() if bits}


def differing(before: Portions, after: Portions) -> int:
    """Return the bitmap of the records that are in both with another selection."""
    held = 0
    for bits in before.values():
        held |= bits
    others = 0
    for selection, bits in after.items():
        others |= bits & held & ~before.get(selection, 0)
    return others


def _add(portions: dict[Selection, int], selection: Selection, bits: int) -> None:
    portions[selection] = portions.get(selection, 0) | bits

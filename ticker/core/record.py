"""One instrument as the cache holds it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeAlias

from ticker.market import FieldKey, Instrument, WireValue

Source: TypeAlias = Hashable
"""Names a feed in the cache."""


class Record:
    """An instrument's definition, its fields, the cuts of their last changes, and the feeds that gave them."""

    __slots__ = (
        "changed_at",
        "created_at",
        "defined_at",
        "given",
        "id",
        "instrument",
        "last_change",
        "outdated",
        "price_scale",
        "size_scale",
        "source",
        "sources",
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
        self.source: Source = None
        """The only feed that has given values; None before the first, and where `sources` tells more."""
        self.sources: dict[FieldKey, Source] | None = None
        """The feed that gave each field, once several feeds give values of this instrument."""
        self.outdated: set[Source] = set()
        """Feeds whose values are not current. While there are any, the instrument is shown as stale."""
        self.given: tuple[Source, WireValue, WireValue] | None = None
        """The last status that a feed gave: that feed, the status and the reason."""

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

"""Shared by feeds that parse text or objects of other programs: input errors, and instruments that nobody declared."""

from __future__ import annotations

from ticker.market import MAX_SCALE, Instrument, Kind, Update, field_key, field_kind


class BadInput(Exception):
    """A row or object that cannot be used. `cause` is its name in the counters; the text adds the offending input."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause} ({detail[:80]})")
        self.cause = cause


def guessed_instrument(update: Update) -> Instrument:
    """Return an instrument for an update without a declaration: its scales are the decimal places of the values."""
    places = {Kind.PRICE: 0, Kind.SIZE: 0}
    for name, value in update.fields.items():
        kind = field_kind(field_key(name))
        if kind in places and isinstance(value, str):
            places[kind] = max(places[kind], min(len(value.partition(".")[2]), MAX_SCALE))
    return Instrument(update.symbol, places[Kind.PRICE], places[Kind.SIZE])

"""The rows of an exported recording: the changes by each publication, as a service that plays it would show it.

The publications go through the service's own cache, so that its rules about values, withdrawals and staleness are the
only ones. The table is described in `ticker_feeds.recordings.table`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.errors import BadPublication
from ticker.market import (
    Field,
    FieldKey,
    Instrument,
    Kind,
    Publication,
    Trade,
    Update,
    Value,
    WireValue,
    field_key,
    field_kind,
    field_name,
)
from ticker.numbers import decimal_text, is_plain_decimal, parse_decimal
from ticker_feeds.recordings import Capture, declared

_MARKS = (int(Field.STATUS), int(Field.REASON))


class ExportedRow(NamedTuple):
    """The values that a publication changed, and those that it said again.

    Prices and sizes in `fields` are plain decimal texts as the feed wrote them; a feed's own decimals are `Decimal`.
    `withdrawn` are the names of fields.
    """

    time: int
    symbol: str
    fields: Mapping[str, Value]
    withdrawn: tuple[str, ...]


class RecordedMarket:
    """A recording as it is played: its rows, and the instruments that it declares on the way."""

    def __init__(self, capture: Capture) -> None:
        self.instruments: dict[str, Instrument] = {}
        self._capture = capture
        self._cache = LastValueCache("export", max_instruments=sys.maxsize)

    def __repr__(self) -> str:
        return f"<RecordedMarket of {self._capture.path}: {len(self.instruments)} instruments>"

    def rows(self) -> Iterator[ExportedRow]:
        """Play the recording once; publications that a service would refuse are left out."""
        announced: set[str] = set()
        for moments in self._capture.chunks():
            for time, publications in moments:
                for publication in declared(publications, announced):
                    row = self._row(time, publication)
                    if row is not None:
                        yield row

    def trades(self) -> Iterator[tuple[int, Trade]]:
        """Yield the trades of the recording, each with the time of its moment."""
        for moments in self._capture.chunks():
            for time, publications in moments:
                for publication in publications:
                    if isinstance(publication, Instrument):
                        self.instruments[publication.symbol] = publication
                    elif isinstance(publication, Trade):
                        yield time, publication

    def _row(self, time: int, publication: Publication) -> ExportedRow | None:
        cache, cut = self._cache, self._cache.cut
        known = cache.instrument(publication.symbol)
        marks = _marks(known)
        try:
            cache.publish(publication)
        except BadPublication:
            return None
        cache.close_cut(time)
        record = cache.instrument(publication.symbol)
        if isinstance(publication, Instrument) or record is None:
            if isinstance(publication, Instrument):
                self.instruments[publication.symbol] = publication
            return None
        changed = record.changes_since(cut)[0] if cache.cut > cut else {}
        said = publication.fields if isinstance(publication, Update) else _brought(publication, changed)
        fields: dict[str, Value] = {}
        for name, value in said.items():
            key = _key(name)
            if key is not None and (held := record.values.get(key)) is not None:
                fields[name] = _plain(field_kind(key), value, held)
        # The fields that the service itself sets.
        for key, before in zip(_MARKS, marks, strict=True):
            mark = record.values.get(key)
            if mark is not None and mark != before:
                fields[field_name(key)] = str(mark)
        withdrawn = tuple(field_name(key) for key, value in changed.items() if value is None)
        return ExportedRow(time, publication.symbol, fields, withdrawn) if fields or withdrawn else None


def _brought(publication: Publication, changed: Mapping[FieldKey, object]) -> Mapping[str, Value]:
    """Return the fields that a trade changed."""
    if not isinstance(publication, Trade):
        return {}
    fields: dict[str, Value] = {"last": publication.price, "last_size": publication.size, "time": publication.time}
    return {name: value for name, value in fields.items() if field_key(name) in changed}


def _marks(record: Record | None) -> tuple[object, ...]:
    return tuple(None if record is None else record.values.get(key) for key in _MARKS)


def _key(name: str) -> int | str | None:
    try:
        return field_key(name)
    except BadPublication:
        return None


def _plain(kind: Kind | None, value: Value, held: WireValue) -> Value:
    """Return a value that the cache took and holds: a price or size as plain decimal text with the feed's own zeros."""
    if kind in {Kind.PRICE, Kind.SIZE}:
        text = str(value)
        return text if is_plain_decimal(text) else decimal_text(*parse_decimal(value))
    return Decimal(held[0]) if isinstance(held, tuple) else held

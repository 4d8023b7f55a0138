"""A cache that follows another one: the same epoch, the same cuts, and after each of them the same market.

The rules:

1. Entries are applied one by one, each to the cut before it. After that, everything that changed has `changed_at` of
   that cut, so a client can resume here from a cursor that it has from any other follower.
2. It closes cuts of its own between two that it follows, in which its clients' tables are opened and watched. On the
   wire these have the number of the last cut that was followed.
3. A keyframe is made while cuts are closed: each of its parts is as of a cut of its own. An entry does not apply to an
   instrument whose part is of that cut or a later one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

from ticker.config import Tables
from ticker.core.freshness import STATUS
from ticker.core.journal import ESTIMATE, MOVED, TRADE, UNFOLLOWED, compared, part_of
from ticker.core.keyframe import EARLIER, lead, restore_instrument
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.state import State
from ticker.core.tables.candle_reading import ReadCandle
from ticker.core.tables.instrument_tables import InstrumentTables
from ticker.core.tables.trade_log import Print
from ticker.market import FieldKey, Instrument, WireValue

_CUTS_BETWEEN: Final = 1 << 20
"""Room for so many cuts of its own between two that are followed."""

_WHOLE: Final = 2
"""The length of an item that tells an instrument whole."""

_LATE_CUTS: Final = 250
"""A server is late to an instrument by fewer cuts than this."""


class FollowingCache(LastValueCache):
    """A copy of another cache, for clients of its own, or to lead in its place."""

    def __init__(self, epoch: str, *, max_instruments: int, tables: Tables, has_clients: bool = True) -> None:
        """The limits have to be those of the cache that is followed. Only without clients can it lead (`lead`)."""
        super().__init__(epoch, max_instruments=max_instruments, tables=tables)
        self.follows = True
        self.per_cut = _CUTS_BETWEEN if has_clients else 1
        self.tables.follow()
        self._of_parts: dict[int, int] = {}
        """By an instrument's number: the cut of the part of a keyframe from which it was made."""
        self._parts_through = 0
        """The latest of these cuts."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it is of the same cut."""
        return not self._of_parts

    def perhaps_unknown(self, cursor: int) -> int:
        """Return the bitmap of the instruments declared shortly before a cursor.

        The server that gave it may have been late to them (`audience_index`): its client has not got them then, though
        it has everything else of that cut.
        """
        bits, since = 0, cursor - _LATE_CUTS * self.per_cut
        for record in reversed(self.instruments):
            if record.whole_at <= since:
                break
            bits |= 1 << record.id
        return bits

    def take_part(self, wire_cut: int, part: State) -> None:
        """Take in an instrument as it was at a cut, before any entry is applied.

        Raises `ValueError`, `TypeError` or another ordinary error for data that no cache with these limits gave.
        """
        record = restore_instrument(self, part)
        self._of_parts[record.number] = wire_cut
        self._parts_through = max(self._parts_through, wire_cut)
        self._note_stale(record)

    def begin_at(self, wire_cut: int, time: int) -> None:
        """All parts of a keyframe that was begun after this cut are there."""
        last_definition = max((max(each.defined_at, each.whole_at) for each in self.instruments), default=0)
        self.go_on_from(self.first_cut(wire_cut), time, last_definition)
        self._forget_parts(wire_cut)

    def apply(self, wire_cut: int, time: int, news: State) -> None:
        """Go on to the next cut, which was closed at `time`. Raises as `take_part` does; the copy is of no use then."""
        items, books, operations = news
        self.cut = self.first_cut(wire_cut) - 1
        for item in items:
            if not self._of_parts or self._applies(item[0], wire_cut):
                if len(item) > _WHOLE:
                    self._take_item(*item)
                else:
                    self._take_whole(*item)
        for operation in operations:
            if self._applies(operation[1], wire_cut):
                self._operate(*operation)
        for number, *its in books:
            if self._applies(number, wire_cut):
                self._tables_at(number).follow_book(its)
        self.close_cut(time, always=True)
        self._forget_parts(wire_cut)

    def change_source(self) -> None:
        """The next entry is the first one of another source, which was a copy as well."""
        self.tables.change_source()

    def lead(self, time: int) -> None:
        """Go on without the cache that was followed."""
        self.follows = False
        lead(self, time)

    def _applies(self, number: int, wire_cut: int) -> bool:
        return not self._of_parts or self._of_parts.get(number, -1) < wire_cut

    def _forget_parts(self, wire_cut: int) -> None:
        if wire_cut >= self._parts_through:
            self._of_parts.clear()

    def _tables_at(self, number: int) -> InstrumentTables:
        return self.tables.of_followed(self.instruments[number])

    def _operate(self, kind: int, number: int, *values: Any) -> None:  # noqa: ANN401  # plain data
        tables, cut = self._tables_at(number), self.cut + 1
        if kind == TRADE:
            digits, places, size, its, side, time, venue_id = values
            self.instruments[number].quotes = None
            tables.publish_trade(Print((digits, places), (size, its), side, time, venue_id), cut)
        else:
            period, *read = values
            tables.put_candle(period, ReadCandle(*read), EARLIER, cut, estimate=kind == ESTIMATE)

    def _take_whole(self, _: int, part: State) -> None:
        record = restore_instrument(self, part)
        if record.last_change == self.cut + 1:
            self._note_change(record)
        self._note_stale(record)

    def _take_item(
        self,
        number: int,
        updates: int,
        moved: Any,  # noqa: ANN401  # plain data
        fields: Mapping[FieldKey, Any],
        definition: State | None = None,
    ) -> None:
        """Take in the changes of an instrument: what most of the time of a follower is for."""
        record = self.instruments[number] if definition is None else self._define(number, definition)
        values, changed_at, cut = record.values, record.changed_at, self.cut + 1
        for key, value in fields.items():
            values[key] = tuple(value) if type(value) is list else value
            changed_at[key] = cut
        record.updates = updates
        self._note_change(record)
        if STATUS in fields:
            self._note_stale(record)
        quotes = record.quotes
        if moved is None:
            return
        if moved is UNFOLLOWED or quotes is None:
            record.quotes = None
            return
        quotes.seen = quotes.value_of(values)
        quotes.fresh[:] = [quotes.seen] if moved is MOVED else map(_value, moved)
        self._moved.append(record)

    def _note_change(self, record: Record) -> None:
        self._touched.add(record.id)
        if self.last_definition < record.defined_at or self.last_definition < record.whole_at:
            self.last_definition = max(record.defined_at, record.whole_at)

    def _define(self, number: int, definition: State) -> Record:
        price_scale, size_scale, symbol, declared_price_scale, declared_size_scale, metadata = definition
        instrument = Instrument(symbol, declared_price_scale, declared_size_scale, metadata)
        if number == len(self.instruments):
            record = self.add_instrument(instrument)
        else:
            record = self.instruments[number]
            record.instrument = instrument
        if (price_scale, size_scale) != (record.price_scale, record.size_scale):
            record.have_scales(price_scale, size_scale)
            self.tables.rescaled(record)
        self._redefine(record)
        return record


def _value(value: Any) -> WireValue:  # noqa: ANN401  # plain data
    return tuple(value) if type(value) is list else value


def digest(cache: LastValueCache, first: int, end: int) -> int:
    """Return a checksum of the instruments with these numbers, equal in all caches of an epoch after the same cut."""
    checksum = 0
    for record in cache.instruments[first:end]:
        checksum = zlib.crc32(compared(part_of(record, cache.tables, cache.per_cut)), checksum)
    return checksum

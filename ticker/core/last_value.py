"""The last-value cache: every field of every instrument, with the cut at which it last changed.

The rules:

1. Publications are applied to an open cut; `close_cut` makes them visible, all at once, under the next number.
2. A field that is given the value it already has does not change.
3. A value that cannot be read withdraws its field, and a field that cannot be is left out: the others of the update
   apply. Anything else that cannot be used is refused whole, with `BadPublication`, and changes nothing.
4. Pending changes are computed from a cursor and never stored: the fields with `changed_at > cursor`.
5. A value finer than the instrument's scale raises the scale, as far as the present numbers keep room to grow. The
   definition and all the fields then count as changed, because every number of that kind is another integer now. A
   number without an integer of 53 bits at the scale is held as its plain decimal text.
6. `Stale` (in `freshness`): the next update that brings a value withdraws all that is not current.
7. Tables (in `tables`) are records like the instruments, opened when somebody first needs them. They are brought up to
   date when the cut closes, while anybody watches them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from ticker.config import Tables
from ticker.core import freshness
from ticker.core.field_reading import FieldReader, Unusable, keep_room
from ticker.core.freshness import STATUS, Changes
from ticker.core.journal import Journal
from ticker.core.quotes import BID, LAST, QuoteMove
from ticker.core.record import Record, Source
from ticker.core.scales import Number, needed_scale, rescaled
from ticker.core.tables.book import Book
from ticker.core.tables.candles import Candles
from ticker.core.tables.instrument_tables import ChangedBar, InstrumentTables
from ticker.core.tables.stores import RestoredBars, TableStores
from ticker.core.tables.table_record import Ids, TableRecord
from ticker.core.tables.trade_log import TradeLog
from ticker.errors import BadPublication
from ticker.market import (
    MAX_FIELDS,
    Candle,
    FieldKey,
    Instrument,
    Kind,
    Levels,
    Publication,
    Rows,
    Stale,
    Status,
    Trade,
    Update,
    Value,
    WireValue,
    Withdrawal,
)
from ticker.numbers import rescaled_number, scaled_number
from ticker.protocol.tables import TableName
from ticker.texts import shown

_PUBLICATIONS = "Instrument, Update, Withdrawal, Stale, Levels, Trade or Candle"
_ALL_USED: tuple[Unusable, ...] = ()


class LastValueCache:
    """The service's one copy of the market.

    `epoch` is a random text that names this cache's life; a cut means something only within its epoch. `cut` is the
    last closed cut and `time` the moment it was closed, in microseconds since 1970 UTC. `records` is indexed by
    id and holds instruments and tables. Their numbers on the wire are other ones: those of instruments count from 0,
    and are the same in every cache of the epoch; those of tables count down from -1.
    """

    def __init__(self, epoch: str, *, max_instruments: int = 100_000, tables: Tables | None = None) -> None:
        self.epoch = epoch
        self.follows = False
        """Whether it follows another cache (`following`)."""
        self.per_cut = 1
        """The number of its cuts for each on the wire."""
        self.cut = 0
        self.time = 0
        self.last_definition = 0
        """The last cut at which any record was declared or redefined, or a later `whole_at` of any."""
        self.records: list[Record | TableRecord] = []
        self.instruments: list[Record] = []
        """The records of instruments only, in the order of their declaration."""
        self.updates = array("Q")
        """The numbers of updates of instruments, by id; of a table, its record has it, and here is a zero.

        They lie together, and not in the records, so that those of 100,000 instruments are added up in 3 ms of 14.
        """
        self.tables = TableStores(Tables() if tables is None else tables)
        self.stale: set[int] = set()
        """Ids of the instruments whose status is `stale`."""
        self._by_symbol: dict[str, Record] = {}
        self._tables: dict[str, TableRecord] = {}
        self._max_instruments = max_instruments
        self._touched: set[int] = set()
        # Those with a quote that has changed in the open cut.
        self._moved: list[Record] = []
        # Ids by the cut of their last change, the most recent last: a dict keeps the order in which keys were put in.
        self._recency: dict[int, int] = {}
        self._reader = FieldReader()
        # Records below this id have all their bars of earlier lives.
        self._with_bars = 0

    def __repr__(self) -> str:
        return f"<LastValueCache {self.epoch} at cut {self.cut}: {len(self.instruments)} instruments>"

    @property
    def instrument_count(self) -> int:
        """Number of declared instruments."""
        return len(self.instruments)

    def wire_cut(self, cut: int) -> int:
        """Return the number that this cut has on the wire. A cursor there stands for the first cut with its number."""
        return cut // self.per_cut

    def first_cut(self, wire_cut: int) -> int:
        """Return the first cut with this number on the wire."""
        return wire_cut * self.per_cut

    def perhaps_unknown(self, cursor: int) -> int:  # noqa: ARG002
        """Return the bitmap of the instruments that a copy with this cursor may lack, although they are no later."""
        return 0

    def find(self, name: str) -> Record | TableRecord | None:
        """The record of a declared instrument, or of an opened table by its full name."""
        return self._by_symbol.get(name) or self._tables.get(name)

    def instrument(self, symbol: str) -> Record | None:
        """The record of a declared instrument."""
        return self._by_symbol.get(symbol)

    def open_table(self, symbol: str, table: TableName) -> TableRecord:
        """Return the record of a table of a declared instrument; it is created in the open cut if there is none.

        Its rows are those of the cuts after `TableRecord.watch`.
        """
        name = f"{symbol} {table}"
        record = self._tables.get(name)
        if record is None:
            record = self.add_table(self._by_symbol[symbol], table)
            self._redefine(record)
        return record

    def book_of(self, symbol: str) -> Book | None:
        """The order book of an instrument, if any feed has given one."""
        tables = self._tables_of(symbol)
        return None if tables is None else tables.book

    def trades_of(self, symbol: str) -> TradeLog | None:
        """The prints of an instrument, if there were any."""
        tables = self._tables_of(symbol)
        return None if tables is None else tables.trades

    def publish(self, publication: Publication, source: Source = "") -> Sequence[Unusable]:
        """Apply one publication of a feed to the open cut; return the parts of an update that were left out.

        Raises `BadPublication`, and changes nothing, if it is not market data or its instrument was not declared.
        """
        if type(publication) is Update:
            return self._update(publication, source)
        if type(publication) is Instrument:
            self._declare(publication)
        elif type(publication) is Levels:
            return self._levels(self._declared(publication.symbol), publication, source)
        elif type(publication) is Trade:
            return self._trade(self._declared(publication.symbol), publication, source)
        elif type(publication) is Candle:
            self.tables.publish_candle(self._declared(publication.symbol), publication, source, self.cut + 1)
        elif type(publication) is Stale:
            record = self._declared(publication.symbol)
            if publication.book_only:
                self.tables.mark_stale(record, source, publication.reason)
            else:
                self.mark_stale(record, source, publication.reason)
        elif type(publication) is Withdrawal:
            self._withdraw(self._declared(publication.symbol))
        else:
            wanted = f"give one of {_PUBLICATIONS}"
            text = f"a feed published a {type(publication).__name__}: {wanted}"
            raise BadPublication(text, "no publication")
        return _ALL_USED

    def mark_stale(self, record: Record, source: Source, reason: str) -> None:
        """The values that this feed gave of an instrument are not current any more (`freshness`)."""
        self._store(record, freshness.outdate(record, source, reason))
        self._note_stale(record)
        self.tables.mark_stale(record, source, reason)

    def mark_silent(self, record: Record, source: Source, reason: str, *, book: bool) -> None:
        """This feed says nothing of an instrument any more, nor, if so, of its book: each is current when it does."""
        self._store(record, freshness.outdate(record, source, reason))
        self._note_stale(record)
        if book:
            self.tables.mark_silent(record, source, reason)

    def redeclare(self, records: Sequence[Record | TableRecord]) -> None:
        """Count these records as declared in the open cut: nobody was told of them before."""
        for record in records:
            record.whole_at = self.cut + 1
            self._redefine(record)

    def close_cut(self, time: int, *, always: bool = False) -> bool:
        """Close the open cut at `time` (microseconds since 1970 UTC); False, and no new cut, without any change.

        With `always`, there is a new cut in any case.
        """
        journal = self.journal
        if self._moved:
            if journal is not None:
                journal.quotes(self._moved)
            self.tables.take_quotes(self._moved, self.cut + 1, time)
            self._moved.clear()
        whole_at = self.tables.settle(self.cut + 1, time, self._touched)
        if not self._touched and not always and (journal is None or not journal.pending):
            return False
        self.last_definition = max(self.last_definition, whole_at)
        self.cut += 1
        self.time = time
        for number in self._touched:
            self._recency.pop(number, None)
            self._recency[number] = self.cut
            self.records[number].last_change = self.cut
        if journal is not None:
            records = [record for number in self._touched if isinstance(record := self.records[number], Record)]
            journal.close(records, self.tables, self.cut)
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

    @property
    def journal(self) -> Journal | None:
        """Tells those that follow, if there are any."""
        return self.tables.journal

    def candles_of(self, symbol: str, period: str) -> Candles | None:
        """The bars of an instrument and a period, if there are any."""
        tables = self._tables_of(symbol)
        if tables is None or tables.bars is None:
            return None
        tables.bars.flush()
        return tables.bars.by_period.get(period)

    def keep_changed_bars(self, history: Callable[[list[ChangedBar]], None] | None) -> None:
        """Remember from now on the bars that have changed, for `take_changed_bars`; with None remember none any more.

        `history` is given those of a cut that there is no room for, as it is closed.
        """
        self.tables.keep_changed_bars(history)

    def hold_estimates(self) -> None:
        """Bars of earlier runs are to come, by `restore_bars`: until `release_estimates`, estimated ones wait."""
        self.tables.hold_estimates()

    def release_estimates(self) -> None:
        """All bars of earlier runs are there."""
        self.tables.release_estimates(self.cut + 1)

    def take_changed_bars(self, most: int) -> Iterator[list[ChangedBar]]:
        """Yield the bars that have changed since the last call, in lists of about so many."""
        return self.tables.take_changed_bars(most)

    def all_bars(self) -> Iterator[list[ChangedBar]]:
        """Yield all bars, those of one instrument and period at a time."""
        return self.tables.bars_of(self.instruments)

    def has_all_bars(self) -> None:
        """The instruments have the bars of earlier lives: what the history has of them is older."""
        self._with_bars = len(self.records)

    def bars_since(self, last: Mapping[tuple[str, str], int]) -> Iterator[list[ChangedBar]]:
        """Yield the bars that these instruments had then, of each symbol and period from this start on."""
        earlier = [record for record in self.instruments if record.id < self._with_bars]
        return self.tables.bars_of(earlier, last)

    def restore_bars(self, symbol: str, period: str, price_scale: int, size_scale: int, rows: Sequence[Rows]) -> None:
        """Take in bars of an earlier run, as rows of the wire at these scales; the instrument may be declared later.

        Nothing of an instrument that has them (`has_all_bars`).
        """
        record = self._by_symbol.get(symbol)
        if record is not None and record.id < self._with_bars:
            return
        bars = RestoredBars(period, price_scale, size_scale, rows)
        self.tables.restore_bars(symbol, record, bars, self.cut + 1)

    def _tables_of(self, symbol: str) -> InstrumentTables | None:
        record = self._by_symbol.get(symbol)
        return None if record is None else self.tables.find(record)

    def _declared(self, symbol: object) -> Record:
        record = self._by_symbol.get(symbol) if isinstance(symbol, str) else None
        if record is None:
            text = f"{shown(symbol)} was not declared: publish its Instrument first"
            raise BadPublication(text, "undeclared instrument")
        return record

    def _declare(self, instrument: Instrument) -> None:
        record = self._by_symbol.get(instrument.symbol)
        if record is None:
            if len(self.instruments) >= self._max_instruments:
                text = f"{instrument.symbol}: the limit of {self._max_instruments} instruments is reached"
                raise BadPublication(text, "too many instruments")
            record = self.add_instrument(instrument)
            self.tables.declare(record)
        elif instrument == record.instrument:
            return
        else:
            self._raise_scales(record, instrument.price_scale, instrument.size_scale)
            record.instrument = instrument
        self._redefine(record)

    def add_instrument(self, instrument: Instrument) -> Record:
        """Add a record without a mark in the open cut. For others `publish` does it."""
        record = Record(len(self.records), len(self.instruments), instrument, self.cut + 1, self.updates)
        self.records.append(record)
        self.updates.append(0)
        self.instruments.append(record)
        self._by_symbol[instrument.symbol] = record
        if self.tables.makes_bars:
            record.quotes = QuoteMove()
        return record

    def add_table(self, instrument: Record, table: TableName) -> TableRecord:
        """Add the record of a table without a mark in the open cut. For others `open_table` does it."""
        ids = Ids(len(self.records), -1 - len(self._tables))
        record = self.tables.open(instrument, table, ids, self.cut + 1)
        self._tables[record.symbol] = record
        self.records.append(record)
        self.updates.append(0)
        return record

    def go_on_from(self, cut: int, time: int, last_definition: int) -> None:
        """The records, as they were at this cut of the same epoch, are all there: they may change."""
        self.cut, self.time, self.last_definition = cut, time, last_definition
        changed = sorted((record for record in self.records if record.last_change), key=lambda each: each.last_change)
        self._recency = {record.id: record.last_change for record in changed}

    def _redefine(self, record: Record | TableRecord) -> None:
        record.defined_at = self.last_definition = self.cut + 1
        self._touched.add(record.id)

    def _withdraw(self, record: Record) -> None:
        changes: Changes = [(key, None) for key in record.values]
        if record.outdated:
            changes.append((STATUS, str(Status.LIVE)))
            record.outdated = set()
        self._store(record, changes)
        record.source = record.sources = record.given = None
        self._note_stale(record)
        self.tables.withdraw(record)

    def _update(self, update: Update, source: Source) -> Sequence[Unusable]:
        symbol, fields = update
        try:
            record = self._by_symbol[symbol]
        except (KeyError, TypeError):  # it cannot even be the key of a dict
            record = self._declared(symbol)
        if type(fields) is dict:
            if record.source is source and not record.outdated and len(record.values) + len(fields) <= MAX_FIELDS:
                usual = self._reader.read_usual(record, fields)
                if usual is not None:
                    self._store(record, usual)
                    self.updates[record.id] += 1
                    return _ALL_USED
        elif not isinstance(fields, Mapping):
            text = f"{record.symbol}: the fields of an Update are a mapping of names to values"
            raise BadPublication(text, "fields that are no mapping")
        changes: Changes = []
        numbers: list[Number] = []
        unusable, marked = self._reader.read(fields, changes, numbers)
        if len(record.values) + len(fields) > MAX_FIELDS:
            unusable += keep_room(record, changes, numbers)
        if numbers:
            self._scale(record, numbers, changes)
        refreshed = bool(record.outdated) and len(unusable) < len(fields)
        if refreshed:
            freshness.refresh(record, changes)
        if record.source is not source:
            freshness.attribute(record, source, changes)
        self._store(record, changes)
        if marked:
            freshness.note_status(record, source)
        if marked or refreshed:
            self._note_stale(record)
        self.updates[record.id] += 1
        if not unusable:
            return _ALL_USED
        return [Unusable(cause, f"{record.symbol}: {detail}") for cause, detail in unusable]

    def _levels(self, record: Record, levels: Levels, source: Source) -> Sequence[Unusable]:
        error = self.tables.publish_levels(record, levels, source)
        if error is not None:
            return [Unusable("unreadable levels", error)]
        if record.outdated:
            self._store(record, freshness.restore(record, source))
            self._note_stale(record)
        return _ALL_USED

    def _trade(self, record: Record, trade: Trade, source: Source) -> Sequence[Unusable]:
        latest = self.tables.publish_trade(record, trade, self.cut + 1)
        record.quotes = None
        if latest is None:
            return _ALL_USED
        fields: dict[str, Value] = {"last": trade.price, "last_size": trade.size}
        if latest.time is not None:
            fields["time"] = latest.time
        return self._update(Update(record.symbol, fields), source)

    def _scale(self, record: Record, numbers: Sequence[Number], changes: Changes) -> None:
        """Add these numbers to the changes, at scales that are fine enough for them if that serves."""
        price_scale, size_scale = record.price_scale, record.size_scale
        for _, kind, _, places in numbers:
            if places > (price_scale if kind is Kind.PRICE else size_scale):
                price_scale, size_scale = (needed_scale(record, each, numbers) for each in (Kind.PRICE, Kind.SIZE))
                if self._raise_scales(record, price_scale, size_scale):
                    self._redefine(record)
                break
        for key, kind, digits, places in numbers:
            changes.append((key, scaled_number(digits, places, price_scale if kind is Kind.PRICE else size_scale)))

    def _store(self, record: Record, changes: Iterable[tuple[FieldKey, WireValue]]) -> None:
        values, changed_at, cut = record.values, record.changed_at, self.cut + 1
        touched = False
        for key, value in changes:
            if values.get(key) != value:
                values[key] = value
                changed_at[key] = cut
                touched = True
        if touched:
            self._touched.add(record.id)
            quotes = record.quotes
            if quotes is not None:
                value = values.get(LAST)
                if value is None and not quotes.of_last:  # as `value_of` has it
                    value = values.get(BID)
                if value is not quotes.seen:
                    quotes.seen = value
                    if not quotes.fresh:
                        self._moved.append(record)
                    quotes.fresh.append(value)

    def _raise_scales(self, record: Record, price_scale: int, size_scale: int) -> bool:
        """Bring the record's numbers to scales at least as fine as these; all fields then count as changed."""
        price_scale, size_scale = max(price_scale, record.price_scale), max(size_scale, record.size_scale)
        if (price_scale, size_scale) == (record.price_scale, record.size_scale):
            return False
        record.values = rescaled(record, price_scale, size_scale)
        if record.quotes is not None:
            before, fresh = record.price_scale, record.quotes.fresh
            fresh[:] = [rescaled_number(each, before, price_scale) for each in fresh if isinstance(each, int | str)]
        record.changed_at = dict.fromkeys(record.values, self.cut + 1)
        record.have_scales(price_scale, size_scale)
        self.tables.rescaled(record)
        return True

    def _note_stale(self, record: Record) -> None:
        if record.values.get(STATUS) == Status.STALE:
            self.stale.add(record.id)
        else:
            self.stale.discard(record.id)

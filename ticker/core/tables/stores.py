"""The tables of all instruments: the cache's one partner for books, prints and bars."""

from __future__ import annotations

from collections import Counter

from ticker.config import Tables
from ticker.core.record import Record, Source
from ticker.core.tables.instrument_tables import Agenda, InstrumentTables
from ticker.core.tables.table_record import TableRecord
from ticker.core.tables.trade_log import Print, read_trade
from ticker.errors import count_cause
from ticker.market import Levels, Reason, Trade, plain
from ticker.protocol.tables import TableName


class TableStores:
    """The tables of all instruments that have any, and what is counted of them."""

    def __init__(self, config: Tables) -> None:
        self.config = config
        self._of: dict[int, InstrumentTables] = {}
        self._agenda = Agenda()
        self.levels = 0
        """Number of price levels that were applied."""
        self.prints = 0
        """Number of prints and corrections that were applied."""
        self.resyncs = 0
        """Number of complete `Levels` for a book that was not known."""
        self.stale_causes: Counter[str] = Counter()
        """By reason, how often a book became stale."""

    def __repr__(self) -> str:
        return f"<TableStores of {len(self._of)} instruments>"

    def find(self, record: Record) -> InstrumentTables | None:
        """Return the tables of an instrument, if it has any."""
        return self._of.get(record.id)

    def of(self, record: Record) -> InstrumentTables:
        """Return the tables of an instrument."""
        tables = self._of.get(record.id)
        if tables is None:
            tables = self._of[record.id] = InstrumentTables(record, self.config, self._agenda)
        return tables

    def open(self, record: Record, table: TableName, number: int, cut: int) -> TableRecord:
        """Make the record of a table with this id."""
        return self.of(record).open(number, table, cut)

    def settle(self, cut: int, time: int, touched: set[int]) -> int:
        """Bring all tables up to date as this cut closes; add the ids of those that have changed to `touched`.

        Return the latest cut before which a copy of one of them is owed more than the changes, 0 if there is none.
        """
        agenda = self._agenda
        due, agenda.due = agenda.due, set()
        if agenda.watched:
            due |= touched & agenda.watched
        latest = 0
        for number in due:
            for record in self._of[number].settle(cut, time):
                touched.add(record.id)
                latest = max(latest, record.whole_at, record.defined_at)
        return latest

    # Publications

    def publish_levels(self, record: Record, levels: Levels, source: Source) -> str | None:
        """Apply levels; return what is wrong with them if the book cannot be known any more (`Book.publish`)."""
        tables = self._of.get(record.id)
        known = tables is not None and tables.book is not None and tables.book.known
        error = self.of(record).publish_levels(levels, source)
        if error is None:
            self.levels += len(levels.bids) + len(levels.asks)
            self.resyncs += not known
        elif known:
            self._count_stale(Reason.BAD_DATA)
        return error

    def publish_trade(self, record: Record, trade: Trade, cut: int) -> Print | None:
        """Add or correct a print; return it if it is the latest one, and so brings the instrument's fields.

        Raises `BadPublication`, and changes nothing, if it cannot be read or is a bust of one that is not kept.
        """
        new = read_trade(trade)
        latest = self.of(record).publish_trade(new, cut)
        self.prints += 1
        return new if latest else None

    def mark_stale(self, record: Record, source: Source, reason: object) -> None:
        """What this feed gave of the instrument's book is not current any more."""
        tables = self._of.get(record.id)
        if tables is not None and tables.outdate_book(source, reason):
            self._count_stale(plain(reason))

    def withdraw(self, record: Record) -> None:
        """Nothing is known of the instrument's book any more."""
        tables = self._of.get(record.id)
        if tables is not None:
            tables.withdraw_book()

    def _count_stale(self, reason: object) -> None:
        count_cause(self.stale_causes, str(reason))

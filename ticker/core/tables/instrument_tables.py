"""All tables of one instrument: its book, its prints and its bars, and the records that show them."""

from __future__ import annotations

from ticker.config import Tables
from ticker.core.freshness import REASON, STATUS
from ticker.core.record import Record, Source
from ticker.core.tables.book import Book, unknown_book
from ticker.core.tables.contents import BookContent, TradesContent
from ticker.core.tables.table_record import Content, TableRecord
from ticker.core.tables.trade_log import Print, TradeLog
from ticker.errors import BadPublication
from ticker.market import Levels, Status
from ticker.protocol.tables import BOOK, TRADES, TableName

_OWN_STATES = frozenset({str(Status.HALTED), str(Status.CLOSED)})
"""States of an instrument that its book shows as well, where it is current itself."""


class Agenda:
    """The instruments, by id, whose tables have work when the open cut closes, and those with watched tables."""

    __slots__ = ("due", "watched")

    def __init__(self) -> None:
        self.due: set[int] = set()
        self.watched: set[int] = set()

    def __repr__(self) -> str:
        return f"<Agenda: {len(self.due)} due, {len(self.watched)} watched>"


class InstrumentTables:
    """The stores of one instrument. They are made when they are first needed."""

    __slots__ = ("_agenda", "_config", "_renewed", "book", "record", "tables", "trades", "watched")

    def __init__(self, record: Record, config: Tables, agenda: Agenda) -> None:
        self.record = record
        self._config = config
        self._agenda = agenda
        self.book: Book | None = None
        self.trades: TradeLog | None = None
        self.tables: dict[TableName, TableRecord] = {}
        self.watched: dict[TableRecord, None] = {}
        """The tables that are kept up to date."""
        self._renewed: set[TableRecord] = set()
        """Those among them that were not before the open cut."""

    def __repr__(self) -> str:
        return f"<InstrumentTables of {self.record.symbol}: {len(self.watched)} watched>"

    # Tables

    def open(self, number: int, table: TableName, cut: int) -> TableRecord:
        """Make the record of a table."""
        record = TableRecord(number, self.record, table, self._content(table), cut, self._on_watch)
        self.tables[table] = record
        return record

    def settle(self, cut: int, time: int) -> list[TableRecord]:
        """Bring everything up to date as this cut closes; return the tables that have changed."""
        book, trades = self.book, self.trades
        if trades is not None:
            trades.settle(time, cut)
        if book is not None:
            book.note_crossed(time)
        changed = []
        for record in self.watched:
            news = record.settle(cut)
            if record.mark(*self._marks(record), cut) or news or record in self._renewed:
                changed.append(record)
        self._renewed.clear()
        if trades is not None:
            trades.highest_changed = 0
        if book is not None:
            book.bids.touched = book.asks.touched = None
            if book.crossed_since is not None:
                self._agenda.due.add(self.record.id)
        return changed

    def _on_watch(self, record: TableRecord) -> None:
        if record.watchers:
            self.watched[record] = None
            self._renewed.add(record)
            self._agenda.due.add(self.record.id)
            self._agenda.watched.add(self.record.id)
        else:
            del self.watched[record]
            self._renewed.discard(record)
            if not self.watched:
                self._agenda.watched.discard(self.record.id)

    def _content(self, table: TableName) -> Content:
        if table.kind == BOOK:
            return BookContent(self.the_book(), table.rows)
        if table.kind == TRADES:
            return TradesContent(self.the_trades(), table.rows)
        raise NotImplementedError("candles come next")

    def _marks(self, record: TableRecord) -> tuple[str | None, str | None]:
        """Return the status and reason of a table."""
        values = self.record.values
        status, reason = values.get(STATUS), values.get(REASON)
        if record.table.kind == BOOK:
            own, why = self.the_book().status()
            if own != Status.LIVE or status not in _OWN_STATES:
                return own, why
        return status, reason  # type: ignore[return-value]  # the marks are texts

    # Stores

    def the_book(self) -> Book:
        """Return the book, a new one if there is none."""
        if self.book is None:
            self.book = Book(self.record.price_scale, self.record.size_scale)
        return self.book

    def the_trades(self) -> TradeLog:
        """Return the log of prints, a new one if there is none."""
        if self.trades is None:
            kept = max(self._config.trades, default=1)
            self.trades = TradeLog(self.record.price_scale, self.record.size_scale, kept)
        return self.trades

    # Publications

    def publish_levels(self, levels: Levels, source: Source) -> str | None:
        """Apply levels; return what is wrong with them if the book cannot be known any more (`Book.publish`)."""
        if self.book is None and not levels.complete:
            raise unknown_book(levels)
        self._agenda.due.add(self.record.id)
        return self.the_book().publish(levels, source)

    def publish_trade(self, new: Print, cut: int) -> bool:
        """Add or correct a print; return whether it is the latest one, and so brings the instrument's fields.

        Raises `BadPublication`, and changes nothing, for a bust of a print that is not kept.
        """
        number = None if self.trades is None else self.trades.number_of(new.id)
        if number is None and not new.size[0]:
            text = f"{self.record.symbol}: a trade of size 0, which busts one that is not known"
            raise BadPublication(text, "bust of an unknown trade")
        log = self.the_trades()
        self._agenda.due.add(self.record.id)
        if number is None:
            log.add(new, cut)
            return True
        log.correct(number, new, cut)
        return number == log.count and new.size[0] != 0

    def outdate_book(self, source: Source, reason: object) -> bool:
        """The book is not current, if it is this feed's; return whether it was."""
        book = self.book
        if book is None or book.source is not source or not book.updates:
            return False
        self._agenda.due.add(self.record.id)
        book.outdate(reason)
        return True

    def withdraw_book(self) -> None:
        """Nothing is known of the book any more."""
        if self.book is not None:
            self._agenda.due.add(self.record.id)
            self.book.withdraw()

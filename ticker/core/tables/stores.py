"""The tables of all instruments: the cache's one partner for books, prints and bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ticker.bounds import AHEAD_SECONDS
from ticker.config import Tables
from ticker.core.journal import Journal
from ticker.core.quotes import QuoteMove
from ticker.core.record import Record, Source
from ticker.core.tables.bars import Bars
from ticker.core.tables.instrument_tables import Agenda, ChangedBar, Dropped, InstrumentTables, TableConfig
from ticker.core.tables.table_record import Ids, TableRecord
from ticker.core.tables.trade_log import Print, read_trade
from ticker.errors import BadPublication, count_cause
from ticker.market import Candle, Field, Levels, Reason, Rows, Trade
from ticker.protocol.tables import TableName

LAST, TIME = int(Field.LAST), int(Field.TIME)
NO_STARTS: Mapping[tuple[str, str], int] = {}


class RestoredBars(NamedTuple):
    """Bars of an earlier run, as rows of the wire at these scales."""

    period: str
    price_scale: int
    size_scale: int
    rows: Sequence[Rows]


class TableStores:
    """The tables of all instruments that have any, and what is counted of them."""

    def __init__(self, config: Tables) -> None:
        self.config = config
        self._config = TableConfig(config)
        self._of: dict[int, InstrumentTables] = {}
        self._agenda = Agenda()
        self.levels = 0
        """Number of price levels that were applied."""
        self.prints = 0
        """Number of prints and corrections that were applied."""
        self.left_out = 0
        """Number of publications, and of instruments with quotes only, that had no room for tables."""
        self.resyncs = 0
        """Number of complete `Levels` for a book that was not known."""
        self.stale_causes = self._agenda.stale_causes
        """By reason, how often a book became stale."""
        self._restored: dict[str, Bars] = {}
        """Bars of an earlier run, by the symbol of an instrument that was not declared yet."""

    def __repr__(self) -> str:
        return f"<TableStores of {len(self._of)} instruments>"

    def find(self, record: Record) -> InstrumentTables | None:
        """Return the tables of an instrument, if it has any."""
        return self._of.get(record.id)

    def has_room(self, record: Record) -> bool:
        """Return whether the instrument has tables, or may have some."""
        return record.id in self._of or len(self._of) < self.config.max_instruments

    def of(self, record: Record) -> InstrumentTables:
        """Return the tables of an instrument. Raises `BadPublication` if there is no room for them."""
        tables = self._of.get(record.id)
        if tables is None:
            if not self.has_room(record):
                self.left_out += 1
                text = f"{record.symbol}: {self.config.max_instruments} instruments have tables; no more can have some"
                raise BadPublication(text, "too many instruments with tables")
            return self.of_followed(record)
        return tables

    @property
    def watched_count(self) -> int:
        """Number of tables that are kept up to date."""
        return sum(len(self._of[number].watched) for number in self._agenda.watched)

    @property
    def levels_dropped(self) -> int:
        """Number of price levels that were dropped because a side of a book had too many."""
        books = [tables.book for tables in self._of.values() if tables.book is not None]
        return sum(book.bids.dropped + book.asks.dropped for book in books)

    @property
    def journal(self) -> Journal | None:
        """Tells those that follow, if there are any."""
        return self._agenda.journal

    def tell(self, journal: Journal) -> None:
        """Tell those that follow, from now on."""
        self._agenda.journal = journal
        for tables in self._of.values():
            if tables.book is not None:
                tables.book.tell_news()

    def tell_nobody(self) -> None:
        """Nobody follows any more."""
        self._agenda.journal = None
        for tables in self._of.values():
            if tables.book is not None:
                tables.book.forget_news()

    def follow(self) -> None:
        """All comes from another cache."""
        self._agenda.follows = True

    def lead(self) -> None:
        """What there is was said in an earlier life; what is to come is this one's own."""
        self._agenda.follows = False
        self.change_source()
        for tables in self._of.values():
            if tables.book is not None:
                tables.book.known = False

    def change_source(self) -> None:
        """All bars that there are were begun in an earlier life than what is to come."""
        for bars in (tables.bars for tables in self._of.values() if tables.bars is not None):
            bars.flush()
            for candles in bars.by_period.values():
                # A table that a client opened before any bar came is not there in caches that follow.
                candles.has_past |= candles.last is not None

    def of_followed(self, record: Record) -> InstrumentTables:
        """Return the tables of an instrument for which the cache that is followed has room."""
        tables = self._of.get(record.id)
        if tables is None:
            tables = self._of[record.id] = InstrumentTables(record, self._config, self._agenda)
        return tables

    @property
    def makes_bars(self) -> bool:
        """Whether any period is configured."""
        return bool(self._config.periods)

    def declare(self, record: Record) -> None:
        """An instrument was declared: its bars of an earlier run are those of this one."""
        bars = self._restored.pop(record.symbol, None)
        if bars is not None and self.has_room(record):
            self.of(record).restore(bars)

    def open(self, record: Record, table: TableName, ids: Ids, cut: int) -> TableRecord:
        """Make the record of a table."""
        return self.of(record).open(ids, table, cut)

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

        Where there is no room for the instrument's prints, each is the latest one. Raises `BadPublication`, and changes
        nothing, if it cannot be read or is a bust of one that is not kept.
        """
        new = read_trade(trade)
        if not self.has_room(record):
            self.left_out += 1
            return new if new.size[0] else None
        latest = self.of(record).publish_trade(new, cut)
        self.prints += 1
        return new if latest else None

    def publish_candle(self, record: Record, candle: Candle, source: Source, cut: int) -> None:
        """Add or replace a bar. Raises `BadPublication`, and changes nothing, if it cannot be used."""
        self.of(record).publish_candle(candle, source, cut)

    def take_dropped(self) -> dict[Source, Dropped]:
        """Return, by feed, the bars that were dropped since the last call because they began too far ahead."""
        dropped, self._agenda.dropped = self._agenda.dropped, {}
        return dropped

    def take_quotes(self, records: Iterable[Record], cut: int, time: int) -> None:
        """Take in the values of these instruments' quotes in this cut, of which their bars are made."""
        agenda, now = self._agenda, time // 1_000_000
        for record in records:
            quotes, values, second = record.quotes, record.values, now
            if quotes is None:
                continue
            last = values.get(LAST)
            if record.changed_at.get(TIME) == cut:
                given = values[TIME]
                second = given // 1_000_000 if isinstance(given, int) else now
                if second > now + AHEAD_SECONDS:
                    second = now
            if not quotes.take(second, record.price_scale, cut, of_last=last is not None):
                self._begin_bar(record, quotes, second, cut)
                if record.quotes is None:
                    continue
            if agenda.history is not None:
                agenda.with_bars.add(record.id)
            if record.id in agenda.watched:
                agenda.due.add(record.id)

    def _begin_bar(self, record: Record, quotes: QuoteMove, second: int, cut: int) -> None:
        """Take in values that are the first of their bar, or that are not simply more of the same."""
        if not self.has_room(record) and not self._agenda.follows:
            self.left_out += 1
            record.quotes = None
            if self._agenda.journal is not None:
                self._agenda.journal.unfollowed(record)
            return
        fresh, last = quotes.fresh[:], record.values.get(LAST)
        quotes.fresh.clear()
        bars = self.of_followed(record).the_bars()
        self._agenda.due.add(record.id)
        if bars is None or (quotes.of_last and last is None):
            return
        if last is not None and not quotes.of_last:
            fresh, quotes.of_last = [last], True
        bars.begin_quotes(
            quotes, [each for each in fresh if isinstance(each, int | str)], record.price_scale, second, cut
        )

    # Bars over a restart

    def hold_estimates(self) -> None:
        """Bars of earlier runs are to come: estimates wait for them."""
        self._agenda.estimates = []

    def release_estimates(self, cut: int) -> None:
        """All bars of earlier runs are there."""
        waiting, self._agenda.estimates = self._agenda.estimates or (), None
        for tables, period, read, source in waiting:
            tables.put_candle(period, read, source, cut, estimate=True)

    def keep_changed_bars(self, history: Callable[[list[ChangedBar]], None] | None) -> None:
        """Remember from now on the bars that have changed, or remember none any more."""
        self._agenda.history = history
        self._agenda.with_bars.clear()

    def take_changed_bars(self, most: int) -> Iterator[list[ChangedBar]]:
        """Yield the bars that have changed since the last call, in lists of about so many."""
        changed, self._agenda.with_bars = self._agenda.with_bars, set()
        taken: list[ChangedBar] = []
        while changed:
            tables = self._of[changed.pop()]
            taken += [(tables.record.symbol, *bar) for bar in tables.take_changed_bars()]
            if len(taken) >= most:
                yield taken
                taken = []
        yield taken

    def bars_of(
        self, records: Sequence[Record], first: Mapping[tuple[str, str], int] = NO_STARTS
    ) -> Iterator[list[ChangedBar]]:
        """Yield all bars of these instruments, those of one instrument and period at a time; of a symbol and period
        in `first` only from this start on."""
        for tables in filter(None, map(self.find, list(records))):
            symbol = tables.record.symbol
            for period, candles in {} if tables.bars is None else tables.bars.by_period.items():
                scales = candles.price_scale, candles.size_scale
                yield [(symbol, period, *scales, row) for row in candles.since(first.get((symbol, period)))]

    def restore_bars(self, symbol: str, record: Record | None, bars: RestoredBars, cut: int) -> None:
        """Take in bars of an earlier run; without a record, for the time when the instrument is declared."""
        config = self._config
        if bars.period not in {period.name for period in config.periods}:
            return
        if not (len(self._restored) < self.config.max_instruments if record is None else self.has_room(record)):
            return
        scales = bars.price_scale, bars.size_scale
        found = self._restored.get(symbol) if record is None else self.of(record).the_bars()
        if found is None:
            found = self._restored[symbol] = Bars(*scales, config.periods, config.kept_bars)
        found.restore(bars.period, bars.rows, scales, cut)
        if record is not None:
            self._agenda.due.add(record.id)
            self.of(record).tell_whole()

    def rescaled(self, record: Record) -> None:
        """The scales of an instrument have risen: those of its tables follow in the open cut."""
        if record.id in self._of:
            self._agenda.due.add(record.id)
            self._of[record.id].tell_whole()  # that order matters to prints and bars of the same cut

    def mark_stale(self, record: Record, source: Source, reason: object) -> None:
        """What this feed gave of the instrument's book is not current any more."""
        tables = self._of.get(record.id)
        shown = None if tables is None else tables.outdate_book(source, reason)
        if shown is not None:
            self._count_stale(shown)

    def mark_silent(self, record: Record, source: Source, reason: str) -> None:
        """Nothing comes of the instrument's book, if it is this feed's: it is not current until something does."""
        tables = self._of.get(record.id)
        if tables is not None and tables.pause_book(source, reason):
            self._count_stale(reason)

    def withdraw(self, record: Record) -> None:
        """Nothing is known of the instrument's book any more."""
        tables = self._of.get(record.id)
        if tables is not None:
            tables.withdraw_book()

    def _count_stale(self, reason: str) -> None:
        count_cause(self.stale_causes, str(reason))

"""All tables of one instrument: its book, its prints and its bars, and the records that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from ticker.bounds import AHEAD_SECONDS, MAX_ESTIMATES
from ticker.config import Tables
from ticker.core.freshness import REASON, STATUS
from ticker.core.journal import Journal
from ticker.core.record import Record, Source
from ticker.core.state import State
from ticker.core.tables.bars import MADE_OF_TRADES, Bars, Parsed
from ticker.core.tables.book import Book, unknown_book
from ticker.core.tables.candle_reading import ReadCandle, read_candle, refused
from ticker.core.tables.contents import BookContent, CandlesContent, TradesContent
from ticker.core.tables.days import Days
from ticker.core.tables.periods import Period
from ticker.core.tables.table_record import Content, Ids, TableRecord
from ticker.core.tables.trade_log import Print, TradeLog
from ticker.errors import BadPublication, count_cause
from ticker.market import Candle, Levels, Rows, Status
from ticker.protocol.tables import BOOK, TRADES, TableName
from ticker.texts import shown

_OWN_STATES = frozenset({str(Status.HALTED), str(Status.CLOSED)})
"""States of an instrument that its book shows as well, where it is current itself."""

_AHEAD_US = AHEAD_SECONDS * 1_000_000

ChangedBar: TypeAlias = tuple[str, str, int, int, Rows]
"""A bar for the history: symbol, period, price scale, size scale, and its row on the wire."""


class TableConfig:
    """Of the configuration of tables what is needed here, ready for use."""

    def __init__(self, tables: Tables) -> None:
        """Raises `ConfigError` for a beginning of the day that cannot be."""
        days = Days(tables.day)
        periods = [Period(name, days) for name in tables.periods] if tables.bars else []
        self.periods = sorted(periods, key=lambda period: period.seconds)
        self.kept_bars = max(tables.bars, default=0)
        self.kept_trades = max(tables.trades, default=1)

    def __repr__(self) -> str:
        return f"<TableConfig: periods {', '.join(period.name for period in self.periods)}>"


class _Fold(NamedTuple):
    """A print on its way into the bars."""

    time: int | None
    price: Parsed
    size: Parsed
    former: Parsed | None
    """The former size of one that was corrected."""
    late: bool


class Dropped(NamedTuple):
    """Bars of a feed that were dropped when their cut was closed."""

    bars: int
    detail: str
    """The latest of them, for people."""


class Agenda:
    """The instruments, by id, whose tables have work when the open cut closes, and those with watched tables."""

    __slots__ = (
        "dropped",
        "due",
        "estimates",
        "follows",
        "history",
        "journal",
        "stale_causes",
        "watched",
        "with_bars",
    )

    def __init__(self) -> None:
        self.due: set[int] = set()
        self.dropped: dict[Source, Dropped] = {}
        """By feed, its bars that were dropped."""
        self.stale_causes: Counter[str] = Counter()
        """By reason, how often a book became stale."""
        self.follows = False
        """Whether all comes from another cache, whose decisions these are."""
        self.journal: Journal | None = None
        """Tells those that follow."""
        self.estimates: list[tuple[InstrumentTables, str, ReadCandle, Source]] | None = None
        """Bars that may be inventions, while those of earlier runs are still to come; None where none are to come."""
        self.history: Callable[[list[ChangedBar]], None] | None = None
        """Is given the bars that there is no more room for. Those that have changed are remembered for it."""
        self.with_bars: set[int] = set()
        """Ids of the instruments with such bars."""
        self.watched: set[int] = set()

    def __repr__(self) -> str:
        return f"<Agenda: {len(self.due)} due, {len(self.watched)} watched>"


class InstrumentTables:
    """The stores of one instrument. They are made when they are first needed."""

    __slots__ = (
        "_agenda",
        "_bar_source",
        "_config",
        "_folds",
        "_renewed",
        "bars",
        "book",
        "record",
        "tables",
        "trades",
        "watched",
    )

    def __init__(self, record: Record, config: TableConfig, agenda: Agenda) -> None:
        self.record = record
        self._config = config
        self._agenda = agenda
        self.book: Book | None = None
        self.trades: TradeLog | None = None
        self.bars: Bars | None = None
        self._bar_source: Source = None
        """The feed that gave the latest bar."""
        self._folds: list[_Fold] = []
        """Prints and corrections that are not in the bars yet."""
        self.tables: dict[TableName, TableRecord] = {}
        self.watched: dict[TableRecord, None] = {}
        """The tables that are kept up to date."""
        self._renewed: set[TableRecord] = set()
        """Those among them that were not before the open cut."""

    def __repr__(self) -> str:
        return f"<InstrumentTables of {self.record.symbol}: {len(self.watched)} watched>"

    # Tables

    def open(self, ids: Ids, table: TableName, cut: int) -> TableRecord:
        """Make the record of a table."""
        record = TableRecord(ids, self.record, table, self._content(table), cut, self._on_watch)
        self.tables[table] = record
        return record

    def settle(self, cut: int, time: int) -> list[TableRecord]:
        """Bring everything up to date as this cut closes; return the tables that have changed."""
        book, trades = self.book, self.trades
        if trades is not None:
            trades.settle(time, cut)
            trades.follow(self.record.price_scale, self.record.size_scale, cut)
        if self.bars is not None:
            self._settle_bars(self.bars, cut, time)
        if book is not None:
            self._settle_book(book, time)
        changed = []
        for record in self.watched:
            news, renewed = record.settle(cut), record in self._renewed
            # A copy from elsewhere may have other marks, which came and went while nobody watched the table here.
            if record.mark(*self._marks(record), cut, anew=renewed and self._agenda.follows) or news or renewed:
                changed.append(record)
        self._renewed.clear()
        if trades is not None:
            trades.highest_changed = 0
        if self.bars is not None:
            self._note_bars(self.bars)
        if book is not None:
            book.bids.touched = book.asks.touched = None
            if book.crossed_since is not None:
                self._agenda.due.add(self.record.id)
        return changed

    def _settle_book(self, book: Book, time: int) -> None:
        if book.is_empty:
            book.declare(self.record.price_scale, self.record.size_scale)
        if self._agenda.follows:
            return
        if book.note_crossed(time) and book.reason is not None:
            count_cause(self._agenda.stale_causes, book.reason)
        if self._agenda.journal is not None:
            self._agenda.journal.book(self.record, book)

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
        bars = self.the_bars()
        assert bars is not None  # noqa: S101  # a table of candles is opened only for a period that is configured
        return CandlesContent(bars, table.period, table.rows)

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
            if self._agenda.journal is not None:
                self.book.tell_news()
        return self.book

    def the_trades(self) -> TradeLog:
        """Return the log of prints, a new one if there is none."""
        if self.trades is None:
            self.trades = TradeLog(self.record.price_scale, self.record.size_scale, self._config.kept_trades)
            self.tell_whole()  # what follows has another scale at the beginning, if that rises in the same cut
        return self.trades

    def the_bars(self) -> Bars | None:
        """Return the bars, new ones if there are none; None if no period is configured."""
        if self.bars is None and self._config.periods:
            record, config = self.record, self._config
            self.bars = Bars(record.price_scale, record.size_scale, config.periods, config.kept_bars)
            self.tell_whole()
        return self.bars

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
        log, bars = self.the_trades(), self.the_bars()
        self._agenda.due.add(self.record.id)
        if self._agenda.journal is not None:
            self._agenda.journal.trade(self.record, new)
        if number is None:
            late = self._is_late(log, new)
            log.add(new, cut)
            if bars is not None:
                bars.make_of(MADE_OF_TRADES, cut)
                self._folds.append(_Fold(new.time, new.price, new.size, None, late))
            return not late
        time, former = log.correct(number, new, cut)
        if bars is not None:
            self._folds.append(_Fold(time, new.price, new.size, former, late=False))
        return number == log.count and new.size[0] != 0

    def publish_candle(self, candle: Candle, source: Source, cut: int) -> None:
        """Add or replace a bar. Raises `BadPublication`, and changes nothing, if it cannot be used."""
        bars = self.the_bars()
        found = None if bars is None or type(candle.period) is not str else bars.by_period.get(candle.period)
        if bars is None or found is None:
            kept = ", ".join(period.name for period in self._config.periods) or "none"
            raise refused(candle, "period", f"{shown(candle.period)}: bars are kept of {kept}")
        read = read_candle(candle, found.period)
        if candle.estimate and self._agenda.estimates is not None:
            if len(self._agenda.estimates) < MAX_ESTIMATES:
                self._agenda.estimates.append((self, candle.period, read, source))
        else:
            self._put_candle(bars, candle.period, read, source, cut, estimate=candle.estimate)

    def put_candle(self, period: str, read: ReadCandle, source: Source, cut: int, *, estimate: bool) -> None:
        """Take in a bar that was read before."""
        bars = self.the_bars()
        if bars is not None:
            self._put_candle(bars, period, read, source, cut, estimate=estimate)

    def _put_candle(  # a bar with all that is known of it
        self, bars: Bars, period: str, read: ReadCandle, source: Source, cut: int, *, estimate: bool
    ) -> None:
        # Prints before it in this cut are in it already: it is taken as it is, and later ones continue it. Those from
        # behind it have nothing to do with it: they wait, since one from far ahead is in the bar of its cut.
        bars.follow(self.record.price_scale, self.record.size_scale, cut)
        start = read.row[0]
        assert isinstance(start, int)  # noqa: S101  # for the type checker
        self._fold_prints(bars, cut, None, before=bars.by_period[period].period.bounds(start)[1])
        if self._agenda.journal is not None:
            self._agenda.journal.candle(self.record, period, read, estimate=estimate)
        put = bars.estimate if estimate else bars.put
        put(period, read.row, (read.price_scale, read.size_scale), cut)
        self._bar_source = source
        self._agenda.due.add(self.record.id)

    def restore(self, bars: Bars) -> None:
        """Have these bars, of an earlier run, before anything else is known of the instrument."""
        self.bars = bars
        self.tell_whole()

    def tell_whole(self) -> None:
        """Those that follow are to be told all of the instrument."""
        if self._agenda.journal is not None:
            self._agenda.journal.whole(self.record)

    def state(self, per_cut: int = 1) -> State:
        """Return book, prints and bars as plain data, between two cuts; None for those without any content."""
        book, trades, bars = self.book, self.trades, self.bars
        return [
            None if book is None or book.is_empty else book.state(),
            None if trades is None or not trades.count else trades.state(per_cut),
            None if bars is None or bars.is_empty else bars.state(per_cut),
        ]

    def restore_state(self, state: State, source: Source, per_cut: int = 1) -> None:
        """Take over such data, between two cuts."""
        self._agenda.due.add(self.record.id)
        book, trades, bars = state
        if book is None and self.book is not None:
            self.book.withdraw()  # it was never known, but for something unreadable
        elif book is not None:
            self.the_book().restore(book, source)
            for record in self.tables.values():
                if record.table.kind == BOOK:
                    record.content.release()  # its view is made anew, and a copy owed all of it
        if trades is not None:
            self.the_trades().restore(trades, per_cut)
        its_bars = None if bars is None else self.the_bars()
        if its_bars is not None:
            its_bars.restore_state(bars, per_cut)

    def take_changed_bars(self) -> Iterator[tuple[str, int, int, Rows]]:
        """Yield period, scales and row of the bars that have changed since the last time."""
        if self.bars is not None:
            self._agenda.due.add(self.record.id)
            self.bars.flush()
            for period, candles in self.bars.by_period.items():
                rows = candles.take_unsaved()
                yield from ((period, *bar) for bar in candles.displaced)
                candles.displaced.clear()
                for row in rows:
                    yield period, candles.price_scale, candles.size_scale, row
                if not self.watched:  # nobody else has to be told of them
                    candles.changed.clear()
                    candles.saved.clear()

    def _is_late(self, log: TradeLog, new: Print) -> bool:
        """Return whether a print is from before the current bar of the smallest period."""
        if not self._config.periods or new.time is None or log.newest is None or new.time >= log.newest:
            return False
        start, _ = self._config.periods[0].bounds(log.newest // 1_000_000)
        return new.time < start * 1_000_000

    def _settle_bars(self, bars: Bars, cut: int, time: int) -> None:
        bars.follow(self.record.price_scale, self.record.size_scale, cut)
        if dropped := bars.drop_after(time // 1_000_000 + AHEAD_SECONDS, cut):
            before, _ = self._agenda.dropped.get(self._bar_source, (0, ""))
            text = f"{self.record.symbol}: {dropped} bars begin more than {AHEAD_SECONDS} s after now: dropped"
            self._agenda.dropped[self._bar_source] = Dropped(before + dropped, text)
        self._fold_prints(bars, cut, time)
        if self.watched:
            bars.flush()

    def _fold_prints(self, bars: Bars, cut: int, time: int | None, *, before: int = 0) -> None:
        """Bring prints into the bars; without the time of the cut, those from before a time in seconds, which they have
        of their own: the others wait."""
        waiting = []
        for fold in self._folds:
            its_time = fold.time
            if its_time is None or (time is not None and fold.former is None and its_time > time + _AHEAD_US):
                its_time = time
            if its_time is None or (time is None and its_time >= before * 1_000_000):
                waiting.append(fold)
            elif fold.former is None:
                bars.take_print(its_time // 1_000_000, fold.price, fold.size, cut, late=fold.late)
            else:
                bars.take_correction(its_time // 1_000_000, fold.former, fold.size, cut)
        self._folds = waiting

    def _note_bars(self, bars: Bars) -> None:
        """Remember the bars that have changed for the history, if there is one."""
        history, symbol = self._agenda.history, self.record.symbol
        for period, candles in bars.by_period.items():
            if history is not None and candles.displaced:
                history([(symbol, period, *bar) for bar in candles.displaced])
            if candles.settle(keep=history is not None):
                self._agenda.with_bars.add(self.record.id)

    def outdate_book(self, source: Source, reason: object) -> str | None:
        """The book is not current, if it is this feed's; return the reason that is shown then, None if it is not."""
        book = self.book
        if book is None or book.source is not source or not book.updates:
            return None
        self._agenda.due.add(self.record.id)
        book.outdate(reason)
        return book.reason

    def pause_book(self, source: Source, reason: str) -> bool:
        """The book is not current until its next levels, if it is this feed's, and was; return whether it is so."""
        book = self.book
        if book is None or book.source is not source or not book.pause(reason):
            return False
        self._agenda.due.add(self.record.id)
        return True

    def follow_book(self, news: State) -> None:
        """Take in what another cache told of its book."""
        self._agenda.due.add(self.record.id)
        self.the_book().follow(news)

    def withdraw_book(self) -> None:
        """Nothing is known of the book any more."""
        if self.book is not None:
            self._agenda.due.add(self.record.id)
            self.book.withdraw()

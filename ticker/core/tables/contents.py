"""The rows of each kind of table: what a `TableRecord` shows of a store."""

from __future__ import annotations

from collections.abc import Mapping

from ticker.core.state import State
from ticker.core.tables.bars import MADE_OF_TRADES, Bars
from ticker.core.tables.book import Book
from ticker.core.tables.book_view import BookView
from ticker.core.tables.table_record import Changes
from ticker.core.tables.trade_log import TradeLog
from ticker.market import Field, FieldKey, RecordValue

TRADES, CANDLES = int(Field.TRADES), int(Field.CANDLES)
_NO_METADATA: Mapping[str, str] = {}


class BookContent:
    """The best levels of a book. The view is made when the first one needs it, and dropped after the last one."""

    __slots__ = ("_book", "_count", "_view", "_whole_at")

    metadata = _NO_METADATA

    def __init__(self, book: Book, count: int) -> None:
        self._book = book
        self._count = count
        self._view: BookView | None = None
        self._whole_at = 0

    def __repr__(self) -> str:
        return f"<BookContent of {self._count} levels>"

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        return self._book.price_scale

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes on the wire."""
        return self._book.size_scale

    @property
    def whole_at(self) -> int:
        """The cut at which the view was made, or a later one whose changes are not remembered."""
        return self._whole_at if self._view is None else max(self._whole_at, self._view.forgotten)

    @property
    def updates(self) -> int:
        """Number of `Levels` that were applied to the book."""
        return self._book.updates

    def settle(self, cut: int) -> bool:
        """Bring the view up to date."""
        if self._view is not None:
            return self._view.settle(cut)
        book = self._book
        self._view = BookView(book.bids, book.asks, book.prices, book.sizes, self._count)
        book.views.append(self._view)
        self._whole_at = cut
        return True

    def release(self) -> None:
        """Drop the view."""
        if self._view is not None:
            self._book.views.remove(self._view)
            self._view = None

    def state(self) -> State:
        """Return the memory of the view, if there is one, as plain data."""
        view = self._view
        return [] if view is None else [self._whole_at, view.bids.state(), view.asks.state()]

    def restore(self, state: State) -> None:
        """Take over such data: the view remembers what has changed."""
        if not state:
            return
        self.settle(0)
        self._whole_at, bids, asks = state
        if self._view is not None:
            self._view.bids.restore(bids)
            self._view.asks.restore(asks)

    def changes_since(self, cut: int) -> Changes:
        """Return the levels that changed after a cut."""
        return ({}, 0) if self._view is None else self._view.changes_since(cut)

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return all levels of the view."""
        return {} if self._view is None else self._view.present()


class TradesContent:
    """The latest prints of a log."""

    __slots__ = ("_count", "_log")

    metadata = _NO_METADATA
    whole_at = 0

    def __init__(self, log: TradeLog, count: int) -> None:
        self._log = log
        self._count = count

    def __repr__(self) -> str:
        return f"<TradesContent of {self._count} prints>"

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        return self._log.price_scale

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes on the wire."""
        return self._log.size_scale

    @property
    def updates(self) -> int:
        """Number of prints and corrections."""
        return self._log.updates

    def settle(self, _cut: int) -> bool:
        """Return whether any of these rows has changed since the last time."""
        return self._log.highest_changed > max(0, self._log.count - self._count)

    def release(self) -> None:
        """The log is kept anyway."""

    def state(self) -> State:
        """Nothing: the instrument has it all."""
        return []

    def restore(self, state: State) -> None:
        """Nothing to take over."""

    def changes_since(self, cut: int) -> Changes:
        """Return the prints that changed after a cut."""
        rows, count = self._log.changes_since(cut, self._count)
        return ({TRADES: rows} if rows else {}), count

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return all these prints."""
        rows = self._log.flat(self._count)
        return {TRADES: rows} if rows else {}


class CandlesContent:
    """The latest bars of a period."""

    __slots__ = ("_bars", "_candles", "_count")

    def __init__(self, bars: Bars, period: str, count: int) -> None:
        self._bars = bars
        self._candles = bars.by_period[period]
        self._count = count

    def __repr__(self) -> str:
        return f"<CandlesContent of {self._count} bars>"

    @property
    def metadata(self) -> Mapping[str, str]:
        """The period, and what the bars are made of."""
        return {"period": self._candles.period.name, "from": self._bars.source or MADE_OF_TRADES}

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        return self._candles.price_scale

    @property
    def size_scale(self) -> int:
        """Decimal places of its volumes on the wire."""
        return self._candles.size_scale

    @property
    def whole_at(self) -> int:
        """The last cut at which bars were removed."""
        return self._candles.removed_at

    @property
    def updates(self) -> int:
        """Number of prints and corrections, or of changes of a quote."""
        return self._bars.updates

    def settle(self, cut: int) -> bool:
        """Return whether any of these bars has changed since the last time."""
        return self._candles.has_changed(self._count) or self._candles.removed_at == cut

    def release(self) -> None:
        """The bars are kept anyway."""

    def state(self) -> State:
        """Nothing: the instrument has it all."""
        return []

    def restore(self, state: State) -> None:
        """Nothing to take over."""

    def changes_since(self, cut: int) -> Changes:
        """Return the bars that changed after a cut."""
        rows, count = self._candles.changes_since(cut, self._count)
        return ({CANDLES: rows} if rows else {}), count

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return all these bars."""
        rows = self._candles.flat(self._count)
        return {CANDLES: rows} if rows else {}

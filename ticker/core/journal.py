"""What happened in each cut, as plain data for those that follow: the body of an entry of the bus.

The rules:

1. Fields and the levels of books are told as they are at the end of the cut, so an open cut that grows costs no more
   than the market has. Prints and bars are told one by one, in their order: what follows makes the same of them.
2. An instrument of which too much happened in one cut, or that was changed in any other way, is told whole, as in a
   keyframe.
3. All is told by an instrument's number, which is its place in the order of declaration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ticker.bus_bounds import JOURNAL_PER_INSTRUMENT
from ticker.core.record import Record
from ticker.core.state import State, packed
from ticker.core.tables.book import Book
from ticker.core.tables.candle_reading import ReadCandle
from ticker.core.tables.trade_log import Print

if TYPE_CHECKING:
    from ticker.core.tables.stores import TableStores

TRADE: Final = 0
CANDLE: Final = 1
ESTIMATE: Final = 2

MOVED: Final = True
"""The value of which an instrument's bars are made has changed once in a cut; else there is a list of its values."""

UNFOLLOWED: Final = False
"""No bars are made of it any more."""


class Journal:
    """The news of one cache."""

    def __init__(self, most: int = JOURNAL_PER_INSTRUMENT) -> None:
        """`most` is the number of prints and bars of an instrument in a cut above which it is told whole."""
        self._most = most
        self._operations: list[State] = []
        self._counts: Counter[int] = Counter()
        self._books: list[State] = []
        self._whole: dict[int, Record] = {}
        self._quotes: dict[int, State | bool] = {}
        self.news: State = []
        """Those of the last closed cut."""
        self.on_closed: Callable[[], None] = lambda: None
        """Called when a cut was closed, and its news are there."""

    def __repr__(self) -> str:
        return f"<Journal: {len(self._operations)} prints and bars, {len(self._whole)} whole>"

    @property
    def pending(self) -> bool:
        """Whether there is anything in the open cut that the fields of instruments do not tell."""
        return bool(self._operations or self._books or self._whole)

    def trade(self, record: Record, new: Print) -> None:
        """A print was added or corrected."""
        self._note(record, [TRADE, record.number, *new.price, *new.size, new.side, new.time, new.id])

    def candle(self, record: Record, period: str, read: ReadCandle, *, estimate: bool) -> None:
        """A bar was put in."""
        self._note(record, [ESTIMATE if estimate else CANDLE, record.number, period, *read])

    def book(self, record: Record, book: Book) -> None:
        """A book has perhaps changed."""
        news = book.take_news()
        if news is not None:
            self._books.append([record.number, *news])

    def whole(self, record: Record) -> None:
        """An instrument is to be told whole."""
        self._whole[record.number] = record

    def quotes(self, moved: Iterable[Record]) -> None:
        """Values of these instruments, of which bars are made, have changed; to be called before they are taken in."""
        for record in moved:
            if record.quotes is not None:
                fresh = record.quotes.fresh
                simple = fresh == [record.quotes.value_of(record.values)]
                self._quotes[record.number] = MOVED if simple else list(fresh)

    def unfollowed(self, record: Record) -> None:
        """No bars are made of these values any more."""
        self._quotes[record.number] = UNFOLLOWED

    def close(self, touched: Iterable[Record], tables: TableStores, cut: int) -> None:
        """A cut was closed, in which the fields or the definitions of these instruments have changed."""
        whole = self._whole
        moved, self._quotes = self._quotes, {}
        items = [_item(record, cut, moved.get(record.number)) for record in touched if record.number not in whole]
        items += [[number, part_of(record, tables)] for number, record in whole.items()]
        operations = [each for each in self._operations if each[1] not in whole]
        books = [each for each in self._books if each[0] not in whole]
        self.news = [sorted(items, key=_number), books, operations]
        self._operations, self._books, self._whole = [], [], {}
        self._counts.clear()
        self.on_closed()

    def _note(self, record: Record, operation: State) -> None:
        number = record.number
        if number in self._whole:
            return
        self._counts[number] += 1
        if self._counts[number] > self._most:
            self.whole(record)
        else:
            self._operations.append(operation)


def part_of(record: Record, tables: TableStores, per_cut: int = 1) -> State:
    """Return the whole of an instrument as plain data: its definition, its fields, its tables, whether bars
    are made of quotes, and the number of its updates.

    `per_cut` as in `LastValueCache`.
    """
    its = tables.find(record)
    stores = None if its is None else its.state(per_cut)
    some = stores if stores is not None and any(stores) else None
    return [_definition(record), record.state(per_cut), some, record.quotes is not None, record.updates]


def compared(part: State) -> bytes:
    """Return that of a part which copies compare by checksums.

    It is all that is equal in every cache of an epoch after the same cut. That is not so for the number of updates,
    since one that changes nothing is counted in no cut, nor for the cuts of a record as a whole: a server that comes
    late to an instrument counts it as declared later.
    """
    definition, (*fields, _), tables, quotes, _ = part
    return packed([definition, fields, tables, quotes])


def _definition(record: Record) -> State:
    """Return what the feed declared."""
    instrument = record.instrument
    return [instrument.symbol, instrument.price_scale, instrument.size_scale, dict(instrument.metadata)]


def _number(item: State) -> int:
    number: int = item[0]
    return number


def _item(record: Record, cut: int, moved: object) -> State:
    values = record.values
    fields = {key: values[key] for key, changed in record.changed_at.items() if changed == cut}
    item = [record.number, record.updates, moved, fields]
    if record.defined_at == cut:
        return [*item, [record.price_scale, record.size_scale, *_definition(record)]]
    return item

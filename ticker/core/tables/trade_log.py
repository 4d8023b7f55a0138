"""The latest prints of an instrument, numbered by the service.

The rules:

1. Prints are numbered from 1 without a gap, so a client that skipped some sees how many from their numbers.
2. A print with the venue's id of one that is kept corrects its row, which keeps its number; a size of 0 busts it.
3. A print without a time has that of its cut. One from more than `AHEAD_SECONDS` after its cut does not make later ones
   late.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ticker.bounds import AHEAD_SECONDS
from ticker.core.state import State
from ticker.core.tables.compact_rows import CompactRows
from ticker.errors import BadPublication
from ticker.market import MAX_TEXT, Field, Rows, Side, Trade, is_text, plain
from ticker.numbers import MAX_INTEGER, parse_decimal, rescaled_number, scaled_number
from ticker.protocol.tables import BUY, COLUMNS, SELL
from ticker.texts import shown

_PRICE, _SIZE, _TIME, _ID = (COLUMNS[Field.TRADES].index(name) for name in ("price", "size", "time", "id"))
_LARGEST = 30
"""A size has at most so many digits before the decimal point: bars have sums of them."""
_SIDES = {None: None, str(Side.BUY): BUY, str(Side.SELL): SELL}


class Print(NamedTuple):
    """A trade as it was read: digits and places of its numbers, and its number in the log once it is there."""

    price: tuple[int, int]
    size: tuple[int, int]
    side: int | None
    time: int | None
    id: int | str | None


class TradeLog:
    """The latest prints of an instrument."""

    def __init__(self, price_scale: int, size_scale: int, capacity: int) -> None:
        self.price_scale, self.size_scale = price_scale, size_scale
        self._rows = CompactRows(len(COLUMNS[Field.TRADES]), capacity)
        self._numbers: dict[int | str, int] = {}
        """Numbers by the venue's ids, of the prints that are kept."""
        self._untimed: list[int] = []
        """Numbers of prints of the open cut without a time."""
        self.newest: int | None = None
        """The latest time of any print."""
        self.count = 0
        """Number of the last print."""
        self.updates = 0
        """Number of prints and corrections."""
        self.highest_changed = 0
        """The highest number that was added or corrected since the tables were brought up to date."""

    def __repr__(self) -> str:
        return f"<TradeLog of {self.count} prints>"

    def latest(self, count: int) -> list[Rows]:
        """Return the latest prints as rows of the wire, the latest last."""
        return self._rows.latest(count)

    def number_of(self, venue_id: int | str | None) -> int | None:
        """Return the number of the kept print with this id of the venue."""
        number = None if venue_id is None else self._numbers.get(venue_id)
        return number if number is not None and number > self.count - self._rows.capacity else None

    def row(self, number: int) -> Rows:
        """Return the row of a kept print."""
        row = self._rows.get(number)
        assert row is not None  # noqa: S101  # for the type checker
        return row

    def add(self, new: Print, cut: int) -> None:
        """Add a print."""
        self.count += 1
        if new.id is not None:
            self._numbers[new.id] = self.count
        if new.time is None:
            self._untimed.append(self.count)
        elif self.newest is None or new.time > self.newest:
            self.newest = new.time
        self._put(self.count, new, cut)
        if len(self._numbers) > 2 * self._rows.capacity:
            first = self._rows.first or 0
            self._numbers = {venue_id: number for venue_id, number in self._numbers.items() if number >= first}

    def correct(self, number: int, new: Print, cut: int) -> tuple[int | None, tuple[int, int]]:
        """Replace a print, whose time stays if the correction has none; return its former time and size."""
        row = self.row(number)
        time, size = row[_TIME], row[_SIZE]
        assert time is None or isinstance(time, int)  # noqa: S101  # for the type checker
        assert size is not None  # noqa: S101  # for the type checker
        self._put(number, new if new.time is not None else new._replace(time=time), cut)
        return time, (size, self.size_scale) if isinstance(size, int) else parse_decimal(size)

    def settle(self, time: int, cut: int) -> None:
        """Give the prints without a time that of their cut; none is newer than that can be."""
        for number in self._untimed:
            row = self._rows.get(number)
            if row is not None and row[_TIME] is None:
                row[_TIME] = time
                self._rows.put(row, cut)
        if self._untimed:
            self.newest = time if self.newest is None else max(time, self.newest)
            self._untimed.clear()
        if self.highest_changed and self.newest is not None and self.newest > time + AHEAD_SECONDS * 1_000_000:
            self.newest = time

    def changes_since(self, cut: int, count: int) -> tuple[Rows, int]:
        """Return those of the latest `count` rows that changed after a cut, and their number."""
        return self._rows.changes_since(cut, count)

    def flat(self, count: int) -> Rows:
        """Return the latest rows, one behind the other."""
        return self._rows.flat(count)

    def follow(self, price_scale: int, size_scale: int, cut: int) -> None:
        """Have scales on the wire that are no coarser than these, those of the instrument."""
        before = self.price_scale, self.size_scale
        self.price_scale, self.size_scale = max(price_scale, before[0]), max(size_scale, before[1])
        after = self.price_scale, self.size_scale
        if after != before:
            self._rows.rewrite(partial(_rescaled, before=before, after=after), cut)

    def state(self, per_cut: int = 1) -> State:
        """Return it as plain data, between two cuts."""
        return [self.price_scale, self.size_scale, self._rows.state(per_cut), self.newest, self.count, self.updates]

    def restore(self, state: State, per_cut: int = 1) -> None:
        """Take over such data, between two cuts."""
        self.price_scale, self.size_scale, rows, self.newest, self.count, self.updates = state
        self._rows.restore(rows, per_cut)
        self.highest_changed = self.count
        kept = zip(self._rows.column(_ID), self._rows.column(0), strict=True)
        self._numbers = {venue_id: number for venue_id, number in kept if venue_id is not None}  # type: ignore[misc]

    def _put(self, number: int, new: Print, cut: int) -> None:
        price, size = scaled_number(*new.price, self.price_scale), scaled_number(*new.size, self.size_scale)
        self._rows.put([number, price, size, new.time, new.side, new.id], cut)
        self.highest_changed = max(self.highest_changed, number)
        self.updates += 1


def _rescaled(row: Rows, before: tuple[int, int], after: tuple[int, int]) -> Rows:
    for column, scale, new in ((_PRICE, before[0], after[0]), (_SIZE, before[1], after[1])):
        cell = row[column]
        assert cell is not None  # noqa: S101  # for the type checker
        row[column] = rescaled_number(cell, scale, new)
    return row


def read_trade(trade: Trade) -> Print:
    """Return a trade as it was read. Raises `BadPublication` for one that cannot be."""
    symbol = trade.symbol
    price, size = (_number(symbol, name, getattr(trade, name)) for name in ("price", "size"))
    if size[0] < 0:
        raise _refused(symbol, "size", f"{shown(trade.size)}: give 0 or more")
    if too_large(*size):
        raise _refused(symbol, "size", f"{shown(trade.size)}: give less than 10 to the power of {_LARGEST}")
    side = plain(trade.side)
    if type(side) not in (str, type(None)) or side not in _SIDES:
        raise _refused(symbol, "side", f"{shown(trade.side)}: give buy, sell or None")
    time = trade.time
    if time is not None and (type(time) is not int or abs(time) > MAX_INTEGER):
        raise _refused(symbol, "time", f"{shown(time)}: give an int of microseconds since 1970 UTC, or None")
    venue_id = trade.id
    if type(venue_id) is int and abs(venue_id) > MAX_INTEGER:
        venue_id = str(venue_id)[:MAX_TEXT]
    elif venue_id is not None and type(venue_id) is not int and not is_text(venue_id):
        raise _refused(symbol, "id", f"{shown(venue_id)}: give an int, or a printable text, or None")
    return Print(price, size, _SIDES[side], time, venue_id)


def too_large(digits: int, places: int) -> bool:
    """Return whether a size is so large that the sum of many would not be a number of the wire (`MAX_DIGITS`)."""
    limit: int = 10 ** (_LARGEST + places)
    return digits >= limit


def _number(symbol: str, name: str, value: object) -> tuple[int, int]:
    try:
        return parse_decimal(value)
    except BadPublication as error:
        raise _refused(symbol, name, str(error)) from None


def _refused(symbol: str, name: str, detail: str) -> BadPublication:
    return BadPublication(f"{symbol}: a trade's {name}: {detail}", f"trade with an unusable {name}")

"""The bars of one instrument and period.

The rules:

1. A bar is true to the time of its prints, not to that of their arrival. A late print, from before the current bar of
   the smallest period, amends high, low, volume and count of its bar, and leaves the close as it was.
2. A bar made of quotes has neither volume nor count, and quotes never touch one that has.
3. A bar from elsewhere more than `AHEAD_SECONDS` after its cut is dropped, and counted; a print from then is in the bar
   of its cut.
4. A bar that a feed publishes, or that was kept over a restart, is taken as it is; later prints continue it.
5. Of more bars than are kept, those that the history has not taken are handed on to it (`displaced`). So is a bar of a
   feed that begins before all that are kept: it is complete, which a late print from then is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ticker.core.state import State
from ticker.core.tables.compact_rows import CompactRows
from ticker.core.tables.decimals import Scale
from ticker.core.tables.periods import Period
from ticker.market import Cell, Field, Rows
from ticker.numbers import rescaled_number
from ticker.protocol.tables import COLUMNS

_FIELD = int(Field.CANDLES)
_VOLUME = COLUMNS[_FIELD].index("volume")


class Move(NamedTuple):
    """What happened to a price within one bar: a print, or several values of a quote. Numbers at the bars' scales."""

    second: int
    """The time of the first of them, in seconds since 1970 UTC."""
    open: int
    high: int
    low: int
    close: int
    volume: int | None = None
    """The sum of the sizes; None of quotes."""
    prints: int | None = None
    late: bool = False


class Bar:
    """The bar that is being built, as numbers at the bars' scales."""

    __slots__ = ("close", "count", "cut", "end", "high", "low", "open", "start", "volume")

    def __init__(self, start: int, end: int, move: Move) -> None:
        self.start, self.end = start, end
        _, self.open, self.high, self.low, self.close, self.volume, self.count, _ = move
        self.cut = 0
        """The cut of its last change; 0 where its row is up to date."""

    def __repr__(self) -> str:
        return f"<Bar at {self.start}>"

    def take(self, move: Move) -> bool:
        """Take in what happened within this bar; return whether it has any effect."""
        if self.volume is not None:
            if move.volume is None:
                return False
            self.volume += move.volume
        if self.count is not None and move.prints is not None:
            self.count += move.prints
        self.high, self.low = max(move.high, self.high), min(move.low, self.low)
        if not move.late:
            self.close = move.close
        return True


class Candles:
    """The latest bars of a period."""

    __slots__ = (
        "_bar",
        "_prices",
        "_rows",
        "_sizes",
        "changed",
        "displaced",
        "has_past",
        "period",
        "removed_at",
        "saved",
        "unsaved",
    )

    def __init__(self, period: Period, prices: Scale, sizes: Scale, capacity: int) -> None:
        self.period = period
        self._prices, self._sizes = prices, sizes
        self._rows = CompactRows(len(COLUMNS[_FIELD]), capacity, self._displace)
        self._bar: Bar | None = None
        """The last one; its row is written when it is needed, or the next bar has begun."""
        self.changed: set[int] = set()
        """Starts of the bars that have changed since this was cleared."""
        self.unsaved: set[int] = set()
        """Starts of those that have changed since the history took them."""
        self.saved: set[int] = set()
        """Starts of those among `changed` that came from the history, and are there as they are here."""
        self.displaced: list[tuple[int, int, Rows]] = []
        """Scales and rows of bars without room that the history has not taken, of the open cut."""
        self.removed_at = 0
        """The last cut at which bars were removed."""
        self.has_past = False
        """Whether there are bars of an earlier run, or estimates."""

    def __repr__(self) -> str:
        return f"<Candles of {self.period.name}: {len(self._rows)} bars>"

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        return self._prices.wire

    @property
    def size_scale(self) -> int:
        """Decimal places of its volumes on the wire."""
        return self._sizes.wire

    @property
    def last(self) -> int | None:
        """The start of the last bar."""
        return self._rows.last if self._bar is None else self._bar.start

    @property
    def is_empty(self) -> bool:
        """Whether there was never any bar."""
        return self.last is None and not self.removed_at

    # Changes

    def fold(self, move: Move, cut: int) -> None:
        """Take in what happened within one bar of this period."""
        bar = self._bar
        if bar is None or not bar.start <= move.second < bar.end:
            start, end = self.period.bounds(move.second)
            if self.last is not None and start < self.last:
                self._amend(start, end, move, cut)
                return
            self._write_bar()
            bar = self._bar_from(start, end)
            if bar is None:
                bar = self._bar = Bar(start, end, move)
                bar.cut = cut
                self.changed.add(start)
                return
            self._bar = bar
            self.saved.discard(start)
        if bar.take(move):
            bar.cut = cut
            self.changed.add(bar.start)

    def adjust(self, second: int, volume: int, count: int, cut: int) -> None:
        """Change volume and count of a bar, because a print in it was corrected or busted."""
        self._write_bar()
        bar = self._bar_from(*self.period.bounds(second))
        if bar is not None and bar.volume is not None:
            bar.volume = max(bar.volume + volume, 0)
            bar.count = None if bar.count is None else max(bar.count + count, 0)
            self._put(self._cells(bar), cut)

    def put(self, row: Rows, cut: int) -> None:
        """Add or replace a bar, given as a row of the wire."""
        self._write_bar()
        if not self._put(row, cut):
            self.displaced.append((self.price_scale, self.size_scale, row))

    def estimate(self, row: Rows, cut: int) -> None:
        """Take in a bar that may be an invention: it fills a gap, or begins the last bar where nothing was before."""
        start = row[0]
        assert isinstance(start, int)  # noqa: S101  # for the type checker
        if self.row(start) is None:
            self._put(row, cut)
        elif start == self.last and not self.has_past:
            self.merge(row, cut)
        self.has_past = True

    def merge(self, row: Rows, cut: int) -> None:
        """Take in a bar of an earlier run; the last one goes on in this run, any other that is there already stays."""
        start = row[0]
        assert isinstance(start, int)  # noqa: S101  # for the type checker
        self.has_past = True
        self._write_bar()
        newer = self._bar_from(start, start)
        if newer is None:
            self._put(row, cut)
            self.saved.add(start)
        elif start == self.last or newer.volume is None:
            older = self._bar_of(start, start, row)
            older.take(Move(start, newer.open, newer.high, newer.low, newer.close, newer.volume, newer.count))
            self._put(self._cells(older), cut)

    def remove_quotes(self, since: int, cut: int) -> None:
        """Remove the bars made of quotes from this time on, in seconds."""
        self._remove(lambda row: row[_VOLUME] is None and _integer(row[0]) >= since, cut)

    def remove_after(self, second: int, cut: int) -> int:
        """Remove the bars that begin after this time, in seconds; return how many there were."""
        return self._remove(lambda row: _integer(row[0]) > second, cut)

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """The numbers are held at finer scales."""
        bar = self._bar
        if bar is not None:
            bar.open, bar.high, bar.low, bar.close = (
                each * price_factor for each in (bar.open, bar.high, bar.low, bar.close)
            )
            bar.volume = None if bar.volume is None else bar.volume * size_factor

    def follow(self, before: tuple[int, int], cut: int) -> None:
        """The scales of the wire have risen: write all rows anew."""
        after = self._prices.wire, self._sizes.wire
        scales = dict.fromkeys(range(1, _VOLUME), (before[0], after[0])) | {_VOLUME: (before[1], after[1])}

        def anew(row: Rows) -> Rows:
            for column, (scale, new) in scales.items():
                cell = row[column]
                row[column] = None if cell is None else rescaled_number(cell, scale, new)
            return row

        self._rows.rewrite(anew, cut)

    # Rows

    def latest(self, count: int, before: int | None = None) -> list[Rows]:
        """Return the latest bars as rows of the wire, ascending; of those that begin before a time, in seconds."""
        self._write_bar()
        return self._rows.latest(count, before)

    def since(self, start: int | None) -> list[Rows]:
        """Return the bars that begin at this time, in seconds, or later; with None all."""
        self._write_bar()
        return self._rows.latest(len(self._rows) if start is None else self._rows.rank(start) + 1)

    def row(self, start: int) -> Rows | None:
        """Return the bar that begins at this time."""
        self._write_bar()
        return self._rows.get(start)

    def flat(self, count: int) -> Rows:
        """Return the latest rows, one behind the other."""
        self._write_bar()
        return self._rows.flat(count)

    def changes_since(self, cut: int, count: int) -> tuple[Rows, int]:
        """Return those of the latest `count` rows that changed after a cut, and their number."""
        self._write_bar()
        return self._rows.changes_since(cut, count)

    def state(self, per_cut: int = 1) -> State:
        """Return it as plain data, between two cuts."""
        self._write_bar()
        return [self._rows.state(per_cut), self.removed_at // per_cut, self.has_past]

    def restore(self, state: State, per_cut: int = 1) -> None:
        """Take over such data, between two cuts."""
        rows, removed_at, self.has_past = state
        self._bar = None
        self._rows.restore(rows, per_cut)
        self.removed_at = removed_at * per_cut
        if self.last is not None:
            self.changed.add(self.last)

    def take_unsaved(self) -> list[Rows]:
        """Return the rows that have changed since the history took them."""
        self._write_bar()  # others may have to go for it
        starts, self.unsaved = self.unsaved | (self.changed - self.saved), set()
        return [row for start in sorted(starts) if (row := self.row(start)) is not None]

    def settle(self, *, keep: bool) -> bool:
        """Forget what has changed in this cut, but with `keep` for the history; return whether that has any to take."""
        if keep:
            self.unsaved |= self.changed - self.saved
        else:
            self.unsaved.clear()
        self.changed.clear()
        self.saved.clear()
        self.displaced.clear()
        return bool(self.unsaved)

    def has_changed(self, count: int) -> bool:
        """Return whether any of the latest `count` rows is among those that have changed."""
        if not self.changed:
            return False
        self._write_bar()
        return self._rows.rank(max(self.changed)) < count

    def _remove(self, unwanted: Callable[[Rows], bool], cut: int) -> int:
        self._write_bar()
        self.displaced = [each for each in self.displaced if not unwanted(each[-1])]
        removed = self._rows.remove(unwanted)
        if removed:
            self._bar = None
            self.removed_at = cut
        return removed

    def _amend(self, start: int, end: int, move: Move, cut: int) -> None:
        """Take in what happened within a bar that is not the last one."""
        self._write_bar()  # which has changed before: rows know the order of their changes as they are written
        bar = self._bar_from(start, end)
        if bar is None:
            bar = Bar(start, end, move)
        elif not bar.take(move._replace(late=True)):
            return
        self._put(self._cells(bar), cut)

    def _put(self, row: Rows, cut: int) -> bool:
        """Write a row, if there is room; the last bar, if it is that, is read from it when it goes on."""
        start = _integer(row[0])
        self.saved.discard(start)
        self.changed.add(start)  # before it is written: with that, it may be dropped at once
        has_room = self._rows.put(row, cut)
        if not has_room:
            self.changed.discard(start)
        if self._bar is not None and start >= self._bar.start:
            self._bar = None
        return has_room

    def _displace(self, first: int) -> None:
        """Rows with a start below this one are about to be dropped."""
        starts = {start for start in self.unsaved | (self.changed - self.saved) if start < first}
        rows = [row for start in sorted(starts) if (row := self._rows.get(start)) is not None]
        self.displaced += [(self.price_scale, self.size_scale, row) for row in rows]
        self.unsaved -= starts
        self.changed -= starts

    def _write_bar(self) -> None:
        bar = self._bar
        if bar is not None and bar.cut:
            self._rows.put(self._cells(bar), bar.cut)
            bar.cut = 0

    def _bar_from(self, start: int, end: int) -> Bar | None:
        row = self._rows.get(start)
        return None if row is None else self._bar_of(start, end, row)

    def _bar_of(self, start: int, end: int, row: Rows) -> Bar:
        first, high, low, close = (self._prices.number(_number(cell)) for cell in row[1:_VOLUME])
        volume, count = row[_VOLUME], row[_VOLUME + 1]
        move = Move(
            start,
            first,
            high,
            low,
            close,
            None if volume is None else self._sizes.number(volume),
            None if count is None else _integer(count),
        )
        return Bar(start, end, move)

    def _cells(self, bar: Bar) -> Rows:
        price = self._prices.cell
        volume = None if bar.volume is None else self._sizes.cell(bar.volume)
        return [bar.start, price(bar.open), price(bar.high), price(bar.low), price(bar.close), volume, bar.count]


def _number(cell: Cell) -> int | str:
    assert cell is not None  # noqa: S101  # prices are never missing
    return cell


def _integer(cell: Cell) -> int:
    assert isinstance(cell, int)  # noqa: S101  # starts and counts are integers
    return cell

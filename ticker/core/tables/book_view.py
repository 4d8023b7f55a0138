"""The best levels of a book, and the cuts of their last changes: what a client is owed of `book:10`.

The rules:

1. A view is brought up to date when a cut closes, and only where a level at or above its worst one was touched.
2. A level that enters the view has changed, even where its size has not; one that leaves it has changed to nothing.
3. `changed_at` has the latest change last. It holds the latest few changes of each side, gone levels included: what
   falls out raises `forgotten`, and a copy of an older cut is owed the complete record.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticker.core.state import State
from ticker.core.tables.book_side import BookSide
from ticker.core.tables.decimals import Scale
from ticker.market import Field, FieldKey, RecordValue, Rows

_REMEMBERED = 4
"""So many times its levels, a view remembers changes of each side: a cut changes at most twice as many as it has."""

BIDS, ASKS = int(Field.BIDS), int(Field.ASKS)


class SideView:
    """The best levels of one side."""

    __slots__ = ("_prices", "_side", "_sizes", "changed_at", "count", "forgotten", "shown")

    def __init__(self, side: BookSide, prices: Scale, sizes: Scale, count: int) -> None:
        self._side, self._prices, self._sizes = side, prices, sizes
        self.count = count
        self.shown = {key: side.sizes[key] for key in side.best(count)}
        """Sizes by key, the best level first."""
        self.changed_at: dict[int, int] = {}
        self.forgotten = 0
        """The last cut of a change that is not remembered."""

    def __repr__(self) -> str:
        return f"<SideView of {len(self.shown)} levels>"

    def settle(self, cut: int) -> bool:
        """Bring the view up to date for this cut; return whether anything has changed."""
        side, shown = self._side, self.shown
        if side.touched is None or (len(shown) == self.count and side.touched < next(reversed(shown))):
            return False
        sizes = side.sizes
        best = {key: sizes[key] for key in side.best(self.count)}
        if best == shown:
            return False
        changed_at = self.changed_at
        for key in shown:
            if key not in best:
                changed_at.pop(key, None)
                changed_at[key] = cut
        for key, size in best.items():
            if shown.get(key) != size:
                changed_at.pop(key, None)
                changed_at[key] = cut
        self.shown = best
        while len(changed_at) > _REMEMBERED * self.count:
            oldest = next(iter(changed_at))
            self.forgotten = changed_at.pop(oldest)
        return True

    def changed_rows(self, cut: int) -> Rows:
        """Return the rows that changed after a cut, as the wire has them."""
        keys, changed_at = [], self.changed_at
        for key in reversed(changed_at):
            if changed_at[key] <= cut:
                break
            keys.append(key)
        return self._rows(keys)

    def rows(self) -> Rows:
        """Return all rows, the best level first."""
        return self._rows(self.shown)

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Hold these numbers at finer scales."""
        self.shown = {key * price_factor: size * size_factor for key, size in self.shown.items()}
        self.changed_at = {key * price_factor: cut for key, cut in self.changed_at.items()}

    def state(self) -> State:
        """Return as plain data what its side does not tell, between two cuts."""
        return [list(self.changed_at), list(self.changed_at.values()), self.forgotten]

    def restore(self, state: State) -> None:
        """Take over such data, as a new object of the same side."""
        keys, cuts, self.forgotten = state
        self.changed_at = dict(zip(keys, cuts, strict=True))

    def _rows(self, keys: Iterable[int]) -> Rows:
        rows: Rows = []
        price, size, shown, sign = self._prices.cell, self._sizes.cell, self.shown, self._side.sign
        for key in keys:
            amount = shown.get(key)
            rows += (price(key * sign), None if amount is None else size(amount))
        return rows


class BookView:
    """The best `count` levels of both sides."""

    __slots__ = ("asks", "bids")

    def __init__(self, bids: BookSide, asks: BookSide, prices: Scale, sizes: Scale, count: int) -> None:
        self.bids, self.asks = (SideView(side, prices, sizes, count) for side in (bids, asks))

    def __repr__(self) -> str:
        return f"<BookView of {len(self.bids.shown)} bids and {len(self.asks.shown)} asks>"

    @property
    def forgotten(self) -> int:
        """The last cut of a change that is not remembered: a copy of an older cut is owed everything."""
        return max(self.bids.forgotten, self.asks.forgotten)

    def settle(self, cut: int) -> bool:
        """Bring the view up to date for this cut; return whether anything has changed."""
        bids = self.bids.settle(cut)
        return self.asks.settle(cut) or bids

    def changes_since(self, cut: int) -> tuple[dict[FieldKey, RecordValue], int]:
        """Return the rows that changed after a cut, and their number."""
        fields: dict[FieldKey, RecordValue] = {}
        cells = 0
        for field, side in ((BIDS, self.bids), (ASKS, self.asks)):
            if rows := side.changed_rows(cut):
                fields[field] = rows
                cells += len(rows)
        return fields, cells // 2

    def present(self) -> dict[FieldKey, RecordValue]:
        """Return all rows, by side."""
        rows: dict[FieldKey, RecordValue] = {BIDS: self.bids.rows(), ASKS: self.asks.rows()}
        return {field: side for field, side in rows.items() if side}

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Hold these numbers at finer scales."""
        self.bids.rescale(price_factor, size_factor)
        self.asks.rescale(price_factor, size_factor)

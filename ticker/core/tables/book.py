"""An instrument's order book: all known levels of both sides, whether they are current, and the feed that gave them.

The rules:

1. A book is known from its first complete `Levels` on, and again from the first one after it has become stale. In
   between, changes of single levels have no effect: what would be shown is a guess. What was known stays to be seen,
   as stale, so that the next complete `Levels` cost only what differs.
2. Beyond the worst level of a side that its feed gave only so deep, or from which levels had to be dropped
   (`MAX_LEVELS`), nothing is known, and nothing is shown, wherever the market moves.
3. Levels that cannot be read, or are more than `MAX_LEVELS` of a side, leave a book that cannot be known: it is stale,
   with the reason `bad_data`. Those of another feed than the one that gave the book do nothing to it.
4. A book of which nothing came for too long is stale until the next levels, of any kind: none of it was lost.
5. A book whose best bid is not below its best ask for longer than `CROSSED_SECONDS` is stale until that ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd

from ticker.bounds import CROSSED_SECONDS, MAX_LEVELS
from ticker.core.record import Source
from ticker.core.state import State
from ticker.core.tables.book_side import BookSide
from ticker.core.tables.book_view import BookView
from ticker.core.tables.decimals import Scale
from ticker.core.tables.level_reading import NO_LEVELS, Columns, LevelReader, plain_levels
from ticker.errors import BadPublication
from ticker.market import Levels, Reason, Rows, Status, is_text, plain
from ticker.texts import shown


class Book:
    """The order book of an instrument."""

    def __init__(self, price_scale: int, size_scale: int) -> None:
        self.prices, self.sizes = Scale(price_scale), Scale(size_scale)
        self.bids, self.asks = BookSide(1), BookSide(-1)
        self.source: Source = None
        """The feed whose book this is."""
        self.reason: str | None = str(Reason.NO_DATA)
        """The cause why the book is not current; None while it is."""
        self.known = False
        """Whether changes of single levels can be applied."""
        self.crossed_since: int | None = None
        self.updates = 0
        """Number of `Levels` that were applied."""
        self._told: State = []
        """That of the last `take_news`, without the levels."""
        self.views: list[BookView] = []
        """The views that are kept up to date: those that are watched."""

    def __repr__(self) -> str:
        return f"<Book of {len(self.bids.keys)} bids and {len(self.asks.keys)} asks: {self.reason or 'current'}>"

    @property
    def price_scale(self) -> int:
        """Decimal places of its prices on the wire."""
        return self.prices.wire

    @property
    def size_scale(self) -> int:
        """Decimal places of its sizes on the wire."""
        return self.sizes.wire

    def state(self) -> State:
        """Return it as plain data, between two cuts."""
        parts = [each.state() for each in (self.prices, self.sizes, self.bids, self.asks)]
        return [*parts, self.reason, self.updates]

    def restore(self, state: State, source: Source) -> None:
        """Take over such data, as a new object. Nothing is known of it until this or another feed gives it anew."""
        prices, sizes, bids, asks, self.reason, self.updates = state
        self.prices.restore(prices)
        self.sizes.restore(sizes)
        self.bids.restore(bids)
        self.asks.restore(asks)
        self.source = source if self.updates else None

    @property
    def is_empty(self) -> bool:
        """Whether it is as when it was made."""
        return not self.updates and self.reason == Reason.NO_DATA and not self.bids.keys and not self.asks.keys

    # For those that follow

    def tell_news(self) -> None:
        """Remember from now on what has changed, for `take_news`."""
        self.bids.news, self.asks.news = set(), set()
        self._told = []  # what others were told is not known to those who begin now

    def forget_news(self) -> None:
        """Remember nothing for `take_news` any more."""
        self.bids.news = self.asks.news = None

    def take_news(self) -> State | None:
        """Return what has changed since the last call as plain data, None if nothing has."""
        levels = [side.take_news() for side in (self.bids, self.asks)]
        told = [self.prices.state(), self.sizes.state(), self.reason, self.updates]
        told += [cell for side in (self.bids, self.asks) for cell in (side.floor, side.dropped)]
        if told == self._told and not any(levels):
            return None
        self._told = told
        return [*levels, *told]

    def follow(self, news: State) -> None:
        """Take in what `take_news` of another one gave."""
        bids, asks, prices, sizes, self.reason, self.updates, *sides = news
        factors = self.prices.hold(prices[0]), self.sizes.hold(sizes[0])
        if factors != (1, 1):
            for side in (self.bids, self.asks):
                side.rescale(*factors)
            for view in self.views:
                view.rescale(*factors)
        self.prices.restore(prices)
        self.sizes.restore(sizes)
        self.bids.follow(bids, *sides[:2])
        self.asks.follow(asks, *sides[2:])

    def status(self) -> tuple[str, str | None]:
        """Return the status and reason of the book itself, without those of its instrument."""
        return (str(Status.LIVE), None) if self.reason is None else (str(Status.STALE), self.reason)

    def top(self, count: int) -> tuple[Rows, Rows]:
        """Return the best levels of both sides, as rows of the wire, the best first."""
        return self.rows(self.bids, self.bids.best(count)), self.rows(self.asks, self.asks.best(count))

    def rows(self, side: BookSide, keys: Iterable[int]) -> Rows:
        """Return the levels of a side as rows of the wire."""
        rows: Rows = []
        price, size, sizes, sign = self.prices.cell, self.sizes.cell, side.sizes, side.sign
        for key in keys:
            rows += (price(key * sign), size(sizes[key]))
        return rows

    # Changes

    def declare(self, price_scale: int, size_scale: int) -> None:
        """Have scales on the wire that are no coarser than these: an empty book has those of its instrument."""
        self.prices.hold(price_scale)
        self.sizes.hold(size_scale)
        self.prices.declare(price_scale)
        self.sizes.declare(size_scale)

    def publish(self, levels: Levels, source: Source) -> str | None:
        """Apply levels of a feed; return what is wrong with them if the book cannot be known any more.

        Raises `BadPublication`, and changes nothing, where they have no effect.
        """
        if not levels.complete:
            self._expect(levels, source)
        try:
            _check_sides(levels)
            depth = _depth_of(levels)
            bids, asks = self._read(levels)
        except BadPublication as error:
            if self.known and source is not self.source:
                raise BadPublication(f"{levels.symbol}: {error}", "unreadable levels") from None
            self.outdate(Reason.BAD_DATA)
            return f"{levels.symbol}: {error}"
        if levels.complete:
            self.bids.replace(bids, depth)
            self.asks.replace(asks, depth)
            self.known, self.reason, self.source = True, None, source
        else:
            self.bids.apply(bids)
            self.asks.apply(asks)
            if self.reason is not None and self.reason != Reason.CROSSED:  # it was only silent
                self.reason = None
        self._raise_scales(bids, asks)
        self.updates += 1
        return None

    def outdate(self, reason: object) -> None:
        """The book is not current, until its next complete `Levels`."""
        text = plain(reason)
        self.known = False
        self.reason = text if is_text(text) else str(Reason.BAD_DATA)
        self.crossed_since = None

    def pause(self, reason: str) -> bool:
        """The book is not current until its next levels, of whatever kind; return False where it is not current now."""
        if not self.known or self.reason not in {None, str(Reason.CROSSED)}:
            return False
        self.reason = reason
        return True

    def withdraw(self) -> None:
        """Nothing is known of the book any more."""
        self.bids.replace(NO_LEVELS, None)
        self.asks.replace(NO_LEVELS, None)
        self.outdate(Reason.NO_DATA)

    def note_crossed(self, time: int) -> bool:
        """Mark a book that is crossed for too long by this time, or not any more; return whether that has changed it.

        `crossed_since` tells from then on whether the next cut has to look again.
        """
        if not self.known or not self.is_crossed():
            self.crossed_since = None
            if self.reason == Reason.CROSSED and self.known:
                self.reason = None
                return True
            return False
        if self.crossed_since is None:
            self.crossed_since = time
        if self.reason is None and time - self.crossed_since > CROSSED_SECONDS * 1_000_000:
            self.reason = str(Reason.CROSSED)
            return True
        return False

    def is_crossed(self) -> bool:
        """Return whether the best bid is not below the best ask."""
        bids, asks = self.bids.keys, self.asks.keys
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    def _expect(self, levels: Levels, source: Source) -> None:
        if not self.known:
            raise unknown_book(levels)
        if source is not self.source:
            text = f"{levels.symbol}: changed levels of a book that another feed gives: publish complete Levels first"
            raise BadPublication(text, "levels of another feed's book")

    def _read(self, levels: Levels) -> tuple[Columns, Columns]:
        plain = plain_levels(levels.bids, levels.asks, self.prices.held, self.sizes.held)
        if plain is not None:
            return plain
        reader = LevelReader(levels)
        factors = self.prices.hold(reader.price_places), self.sizes.hold(reader.size_places)
        if factors != (1, 1):
            for side in (self.bids, self.asks):
                side.rescale(*factors)
            for view in self.views:
                view.rescale(*factors)
        return reader.numbers(self.prices, self.sizes)

    def _raise_scales(self, bids: Columns, asks: Columns) -> None:
        """Raise the scales of the wire where a level that is there needs it and all numbers keep room to grow.

        Where the scale serves, all numbers are multiples of its unit, and so is their greatest common divisor.
        """
        unit = self.prices.unit
        if unit > 1 and gcd(*bids.prices, *asks.prices) % unit:
            new = [price for side in (bids, asks) for price, size in zip(*side, strict=True) if price % unit and size]
            if new:
                self.prices.raise_wire(new, self._largest_price)
        unit = self.sizes.unit
        if unit > 1 and gcd(*bids.sizes, *asks.sizes) % unit:
            self.sizes.raise_wire([size for size in (*bids.sizes, *asks.sizes) if size % unit], self._largest_size)

    def _largest_price(self) -> int:
        return max((abs(key) for side in (self.bids, self.asks) for key in (side.keys[:1] + side.keys[-1:])), default=0)

    def _largest_size(self) -> int:
        return max(max(side.sizes.values(), default=0) for side in (self.bids, self.asks))


def unknown_book(levels: Levels) -> BadPublication:
    """Return the error for changes that have no effect, because the levels that they change are not known."""
    text = f"{levels.symbol}: changed levels of a book that is not known: publish complete Levels first"
    return BadPublication(text, "levels of an unknown book")


def _check_sides(levels: Levels) -> None:
    sides: tuple[object, object] = levels.bids, levels.asks
    for side in sides:
        if not isinstance(side, Sequence) or isinstance(side, str):
            raise BadPublication("bids and asks are sequences of pairs, price and size")
        if len(side) > MAX_LEVELS:
            raise BadPublication(f"{len(side)} levels of a side: give the best {MAX_LEVELS}, and that as the depth")


def _depth_of(levels: Levels) -> int | None:
    depth = levels.depth
    if depth is None:
        return None
    if type(depth) is not int or depth < 1:
        raise BadPublication(f"depth {shown(depth)}: give the number of levels, 1 or more")
    if not levels.complete:
        raise BadPublication("a depth is that of complete Levels")
    return depth

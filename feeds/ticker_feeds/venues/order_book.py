"""One order book as a venue tells it: the levels that are known of each side. No I/O and no clock.

An adapter needs its own copy of a book to check a venue's checksum, to cut a book to the subscribed depth, to notice
that a book is crossed, and to state a whole book again.

Where a venue's snapshot reaches only so deep, the book is known up to its worst level, the *edge*, and nothing is known
of what lies beyond. Levels beyond the edge are left out; trades and cancellations make the known part shorter, until
the adapter asks for another snapshot (`short`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice

from ticker.errors import BadPublication
from ticker.market import Level, Levels
from ticker.numbers import decimal_text, parse_decimal
from ticker.texts import shown
from ticker_feeds.venues.messages import BadMessage

PLACES = 20
"""Decimal places of prices and sizes in a book: finer ones exist nowhere."""

ENOUGH = 100
"""Levels of a side that should be known: as many as the deepest view of a book shows."""

_POWERS: list[int] = [10**places for places in range(PLACES + 1)]
_LONGEST = 40


def scaled(value: object) -> int:
    """Return a price or size as an integer of `PLACES` decimal places. Raises `BadMessage`."""
    text = value if type(value) is str else str(value) if isinstance(value, Decimal) else ""
    whole, _, places = text.partition(".")
    digits = whole + places
    if digits.isdecimal() and digits.isascii() and len(places) <= PLACES and len(digits) <= _LONGEST:
        return int(digits) * _POWERS[PLACES - len(places)]
    try:
        number, count = parse_decimal(value)
    except BadPublication as error:
        raise BadMessage(f"a level of the book: {error}") from None
    if count > PLACES:
        raise BadMessage(f"a level of the book: {shown(value)} has more than {PLACES} decimal places")
    return number * _POWERS[PLACES - count]


def checksum_text(number: int, places: int) -> str:
    """Return a scaled number as the digits of its plain decimal with so many places, without zeros in front.

    Raises `BadMessage` for a number that is finer.
    """
    digits, finer = divmod(number, _POWERS[PLACES - places])
    if finer:
        raise BadMessage(f"a level of the book has more than {places} decimal places")
    return str(digits)


class _Side:
    """One side of a book; the keys are scaled prices, negated for bids, so that the best one is the lowest."""

    __slots__ = ("_keys", "_sign", "_sizes", "edge")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._sizes: dict[int, str | Decimal | int] = {}
        self.edge: float = math.inf
        """The key of the worst level that is known; infinite where all levels are."""

    def __len__(self) -> int:
        return len(self._keys)

    def replace(self, levels: Iterable[Level], depth: int | None) -> None:
        """Take these levels instead of those known; of a venue that gives, or is asked for, so many at most."""
        sizes = {self._sign * scaled(price): size for price, size in levels if _size(size)}
        keys = sorted(sizes)
        if depth is not None and len(keys) >= depth:
            for key in keys[depth:]:
                del sizes[key]
            del keys[depth:]
            self.edge = keys[-1]
        else:
            self.edge = math.inf
        self._keys, self._sizes = keys, sizes

    def change(self, levels: Iterable[Level]) -> list[Level]:
        """Apply changed levels in their order; return those that lie within what is known."""
        known: list[Level] = []
        for level in levels:
            price, size = level
            key = self._sign * scaled(price)
            if key > self.edge:
                continue
            known.append(level)
            if _size(size):
                if key not in self._sizes:
                    insort(self._keys, key)
                self._sizes[key] = size
            elif self._sizes.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
        return known

    def cut(self, depth: int) -> list[Level]:
        """Drop all levels but the best; return them as levels that are gone."""
        gone = self._keys[depth:]
        for key in gone:
            del self._sizes[key]
        del self._keys[depth:]
        return [(self._price(key), 0) for key in gone]

    def end(self) -> None:
        """Nothing is known beyond the worst level any more."""
        self.edge = self._keys[-1]

    def levels(self) -> list[Level]:
        return [(self._price(key), self._sizes[key]) for key in self._keys]

    def best(self) -> int | None:
        """The scaled price of the best level."""
        return self._sign * self._keys[0] if self._keys else None

    def top(self, count: int) -> list[tuple[int, int]]:
        """Scaled prices and sizes of the best levels."""
        return [(self._sign * key, scaled(self._sizes[key])) for key in islice(self._keys, count)]

    def _price(self, key: int) -> str:
        return decimal_text(self._sign * key, PLACES).rstrip("0").rstrip(".")


def _size(size: object) -> int:
    """A size as a scaled integer, 0 for a level that is gone."""
    number = scaled(size)
    if number < 0:
        raise BadMessage(f"a level of the book: size {shown(size)}")
    return number


class OrderBook:
    """The levels of a book that are known. All methods raise `BadMessage` for a level that cannot be one.

    `depth` is the largest number of levels of a side that is kept of a snapshot, or that the venue's has; None where
    all of a book is known.
    """

    __slots__ = ("_asks", "_bids", "_depth")

    def __init__(self, bids: Iterable[Level], asks: Iterable[Level], depth: int | None = None) -> None:
        self._depth = depth
        self._bids, self._asks = _Side(-1), _Side(1)
        self._bids.replace(bids, depth)
        self._asks.replace(asks, depth)

    def __repr__(self) -> str:
        return f"<OrderBook: {len(self._bids)} bids, {len(self._asks)} asks>"

    def change(self, bids: Iterable[Level], asks: Iterable[Level]) -> tuple[list[Level], list[Level]]:
        """Apply changed levels; return those that lie within what is known. A size of 0 removes a level."""
        return self._bids.change(bids), self._asks.change(asks)

    def cut(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Drop all but so many levels of each side; return the others as levels that are gone."""
        return self._bids.cut(depth), self._asks.cut(depth)

    def top(self, count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Scaled prices and sizes of the best bids and asks, the best first."""
        return self._bids.top(count), self._asks.top(count)

    def complete(self, symbol: str) -> Levels:
        """Return all that is known as a publication.

        It has one depth for both sides. A side with so many levels ends for the service with the worst of them, so from
        now on it does here as well: levels beyond would be known here alone, and missing there without a sign.
        """
        sides = (self._bids, self._asks)
        depth = min((len(side) for side in sides if side.edge != math.inf), default=None)
        for side in sides:
            if depth is not None and len(side) >= depth:
                side.end()
        return Levels(symbol, self._bids.levels(), self._asks.levels(), complete=True, depth=depth)

    @property
    def crossed(self) -> bool:
        """Whether the best bid is not below the best ask."""
        bid, ask = self._bids.best(), self._asks.best()
        return bid is not None and ask is not None and bid >= ask

    @property
    def exhausted(self) -> bool:
        """Whether nothing is known of a side any more."""
        return any(not side and side.edge != math.inf for side in (self._bids, self._asks))

    @property
    def short(self) -> bool:
        """Whether so few levels of a side are left of a snapshot that another one should be asked for."""
        needed = ENOUGH if self._depth is None else min(ENOUGH, self._depth // 2)
        return any(side.edge != math.inf and len(side) < needed for side in (self._bids, self._asks))

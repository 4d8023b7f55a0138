"""Fault symbols: a bad day on every install, every 20 seconds, to test displays of prices on.

Each period of 20 seconds begins with 10 good ones: status `live`, every field there, a book of 10 levels a side that
fits the quote, a trade and an update in each second. Then:

| symbol | from second 10 | from second 15 |
|---|---|---|
| `TEST.HALT` | `status` `halted`, `reason` `exchange_halt`; nothing moves | the same; then it reopens 1 % to 5 % off |
| `TEST.STALE` | `status` `stale`, `reason` `feed_silent` (a `Stale`); nothing moves | the same |
| `TEST.LESS` | `status` `stale`, `reason` `reconnecting` | it comes back with `last` alone, and the rest is withdrawn |
| `TEST.UNREADABLE` | each second another field is withdrawn, whose value cannot be read | `stale`, `bad_data` |
| `TEST.DECIMALS` | prices of 13 decimal places, sizes from 10⁻¹⁰ to 10¹² | prices of 38 decimal places |
| `TEST.BURST` | 1,000 trades within one second, 20 in a batch; then one update a second | the same |
| `TEST.CROSSED` | `bid` above `ask`, also in the book (soon `crossed`) | locked: `bid` equals `ask` |
| `TEST.GAP` | the book alone is `stale` (`gap`); quotes go on | a whole book repairs it; second 18: `checksum` |
| `TEST.PRECISION` | prices and sizes finer by a place than in the period before, until 10 and 8 places | the same |
| `TEST.WITHDRAWN` | `ask`, `ask_size` and the book's asks are withdrawn | every field is withdrawn, `status` too |

At second 14, `TEST.UNREADABLE` has a level that cannot be read. Seconds count from the start of the feed.
`TEST.PRECISION` is declared with 2 and 0 places: its definition changes in each of the first 8 periods, and a scale
that was raised once stays. `volume` and `trade_count` count from the beginning of the period. The seed determines every
publication.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import NamedTuple, TypeAlias

from ticker.market import (
    Instrument,
    Level,
    Levels,
    Publication,
    Reason,
    Side,
    Stale,
    Status,
    Trade,
    Update,
    Value,
    Withdrawal,
)
from ticker.numbers import decimal_text

PERIOD = 20
"""Seconds from one good beginning to the next."""

GOOD = 10
"""So many of them are good."""

_LEVELS = 10
"""Levels of each side of a book."""


class Step(NamedTuple):
    """Publications of one moment; `at` is in seconds after the start."""

    at: float
    batch: list[Publication]


def schedule(seed: int) -> Iterator[Step]:
    """Everything that the fault symbols ever publish, in order and without a clock; the updates carry no `time`."""
    return heapq.merge(*(_life(symbol, fault, seed) for symbol, fault in _FAULTS.items()), key=lambda step: step.at)


class _Walk:
    """A price that is never far from where it began, in hundredths; the trades at it, and the book around it."""

    def __init__(self, symbol: str, random: Random) -> None:
        self._symbol = symbol
        self._random = random
        self.price = 10_000
        self._spread = 1
        self._sizes = (0, 0)
        """Those of the bid and the ask."""
        self._volume = 0
        self._trades = 0
        self._prints = 0

    def jump(self) -> None:
        """Move by 1 % to 5 %, back to where it came from."""
        self.price += self._random.randint(100, 500) * (-1 if self.price > 10_000 else 1)

    def step(self) -> None:
        """Move by a hundredth or two, back to where it came from."""
        self.price += self._random.randint(1, 2) * (-1 if self.price > 10_000 else 1)

    def full(self) -> dict[str, Value]:
        """Every field, of a market in order that has just opened."""
        self._volume = self._trades = 0
        return self.quote() | self.trade() | {"status": Status.LIVE, "reason": None}

    def quote(self, spread: int = 1) -> dict[str, Value]:
        """Two sides around the price; a negative spread crosses them, one of 0 locks them."""
        self._spread = spread
        bid_size, ask_size = self._sizes = self._size(), self._size()
        return {
            "bid": decimal_text(self.price - spread, 2),
            "bid_size": bid_size,
            "ask": decimal_text(self.price + spread, 2),
            "ask_size": ask_size,
        }

    def book(self) -> Levels:
        """The whole book, with the last quote as its best levels."""
        bids, asks = (
            [self._level(best, sign * at, size) for at in range(_LEVELS)]
            for best, sign, size in (
                (self.price - self._spread, -1, self._sizes[0]),
                (self.price + self._spread, 1, self._sizes[1]),
            )
        )
        return Levels(self._symbol, bids, asks, complete=True)

    def good(self) -> list[_Event]:
        """What happens in a good second: a trade, a quote, and a book that fits it."""
        self.step()
        printed = self.print()
        return [printed, self.quote() | self.counts(), self.book()]

    def print(self) -> Trade:
        """A print at the price."""
        fields = self.trade()
        self._prints += 1
        side = Side.BUY if self._random.random() < 0.5 else Side.SELL
        return Trade(self._symbol, decimal_text(self.price, 2), fields["last_size"] or 0, side, None, self._prints)

    def counts(self) -> dict[str, Value]:
        """The totals of all trades of the period."""
        return {"volume": self._volume, "trade_count": self._trades}

    def trade(self) -> dict[str, Value]:
        """Another trade at the price, as fields."""
        size = self._size()
        self._volume += size
        self._trades += 1
        return {"last": decimal_text(self.price, 2), "last_size": size, **self.counts()}

    def _size(self) -> int:
        return 10 * self._random.randint(1, 50)

    def _level(self, best: int, ticks: int, size: int) -> Level:
        return decimal_text(best + ticks, 2), size if ticks == 0 else self._size()

    def fine(self, places: int) -> dict[str, Value]:
        """A quote and a trade with so many decimal places, none of the last digits being 0."""
        price = Decimal(self.price).scaleb(-2) + Decimal(self._random.randint(1, 9)).scaleb(-places)
        size = Decimal(self._random.randint(1, 50)) + Decimal(self._random.randint(1, 9)).scaleb(2 - places)
        return {"bid": price - Decimal("0.01"), "ask": price + Decimal("0.01"), "last": price, "last_size": size}

    def exact(self, places: int) -> dict[str, Value]:
        """A quote and a trade with so many decimal places, more than an integer of 53 bits has room for."""
        finest = "1".rjust(places - 2, "0")
        return {
            "bid": f"{decimal_text(self.price - 1, 2)}{finest}",
            "bid_size": "0.0000000001",
            "ask": f"{decimal_text(self.price + 1, 2)}{finest}",
            "ask_size": "2000000.5",
            "last": f"{decimal_text(self.price, 2)}{finest}",
            "last_size": Decimal("1.5E+12"),
            "volume": "1127313210.00855204",
            "funding_rate": Decimal("-0.0000123456789012345678"),
        }


_Event: TypeAlias = dict[str, Value] | Levels | Trade | Stale | Reason | None
"""New values; rows; the reason why nothing is current any more; or None for a withdrawal of every field."""

_Fault: TypeAlias = Callable[[_Walk, int], Iterator[tuple[float, _Event]]]
"""The bad seconds of a period, by its number."""

_UNREADABLE: tuple[tuple[str, Value], ...] = (
    ("bid", "oops"),
    ("ask", Decimal("NaN")),
    ("last", "Infinity"),
    ("bid_size", ""),
    ("last_size", True),
)
"""A field and its value, for each second."""


def _life(symbol: str, fault: _Fault, seed: int) -> Iterator[Step]:
    """All that one symbol publishes: its declaration, then good and bad seconds in turn."""
    walk = _Walk(symbol, Random(f"{symbol} {seed}"))  # noqa: S311 - a market that can be repeated, not a secret
    yield Step(0, [Instrument(symbol, 2, 0, {"name": f"Fault symbol: {_TITLES[symbol]}", "venue": "TEST"})])
    for number in itertools.count():
        start = number * PERIOD
        yield Step(start, [Update(symbol, walk.full()), walk.book()])
        for second in range(1, GOOD):
            yield Step(start + second, [_publication(symbol, event) for event in walk.good()])
        moments = itertools.groupby(fault(walk, number), key=lambda item: item[0])
        for at, items in moments:
            yield Step(
                start + at,
                [_publication(symbol, event) for _, event in items],
            )


def _publication(symbol: str, event: _Event) -> Publication:
    if event is None:
        return Withdrawal(symbol)
    if isinstance(event, Reason):
        return Stale(symbol, event)
    return Update(symbol, event) if isinstance(event, dict) else event


def _whole(symbol: str, fields: Mapping[str, Value]) -> Levels:
    """Return the book that has nothing but this quote; sizes that are not in it are those of the last trade."""
    bid, ask = ((fields[side] or 0, fields.get(f"{side}_size", fields["last_size"]) or 0) for side in ("bid", "ask"))
    return Levels(symbol, [bid], [ask], complete=True)


def _halt(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, {"status": Status.HALTED, "reason": Reason.EXCHANGE_HALT}
    walk.jump()


def _stale(_walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, Reason.FEED_SILENT


def _less(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, Reason.RECONNECTING
    for second in range(15, PERIOD):
        walk.step()
        yield second, {"last": walk.trade()["last"]}


def _unreadable(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for second, (name, value) in enumerate(_UNREADABLE, GOOD):
        walk.step()
        yield second, walk.quote() | walk.trade() | {name: value}
    yield 14, Levels("TEST.UNREADABLE", [("oops", 10)], ())
    yield 15, {"status": "trading"}


def _decimals(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        fields = walk.exact(13 if second < 15 else 38)
        yield second, fields
        yield second, _whole("TEST.DECIMALS", fields)


def _burst(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for trade in range(1_000):
        walk.step()
        yield GOOD + trade // 20 / 50, walk.print()
        if trade % 20 == 19:
            yield GOOD + trade // 20 / 50, walk.counts()
    for second in range(GOOD + 1, PERIOD):
        for event in walk.good():
            yield second, event


def _crossed(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        yield second, walk.quote(-1 if second < 15 else 0)
        yield second, walk.book()


def _gap(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, Stale("TEST.GAP", Reason.GAP, book_only=True)
    for second in range(GOOD, PERIOD):
        printed, quote, book = walk.good()
        yield second, printed
        yield second, quote
        if 15 <= second < 18:
            yield second, book
        if second == 18:
            yield second, Stale("TEST.GAP", Reason.CHECKSUM, book_only=True)


def _precision(walk: _Walk, number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        fields = walk.fine(min(3 + number, 10))
        yield second, fields
        yield second, _whole("TEST.PRECISION", fields)


def _withdrawn(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, {"ask": None, "ask_size": None}
    yield GOOD, walk.book()._replace(asks=[])
    yield 15, None


_FAULTS: Mapping[str, _Fault] = {
    "TEST.HALT": _halt,
    "TEST.STALE": _stale,
    "TEST.LESS": _less,
    "TEST.UNREADABLE": _unreadable,
    "TEST.DECIMALS": _decimals,
    "TEST.BURST": _burst,
    "TEST.CROSSED": _crossed,
    "TEST.GAP": _gap,
    "TEST.PRECISION": _precision,
    "TEST.WITHDRAWN": _withdrawn,
}

_TITLES: Mapping[str, str] = {
    "TEST.HALT": "trading is halted",
    "TEST.STALE": "prices are frozen, and said to be",
    "TEST.LESS": "the source comes back with fewer fields",
    "TEST.UNREADABLE": "values that cannot be read",
    "TEST.DECIMALS": "numbers beyond 53 bits",
    "TEST.BURST": "1,000 trades within a second",
    "TEST.CROSSED": "bid above ask, then equal",
    "TEST.GAP": "the book has a gap, and is repaired",
    "TEST.PRECISION": "prices finer than declared",
    "TEST.WITHDRAWN": "fields go and come back",
}

SYMBOLS = tuple(_FAULTS)
"""The names of the fault symbols."""

"""Fault symbols: a bad day on every install, every 20 seconds, to test displays of prices on.

Each period of 20 seconds begins with 10 good ones: status `live`, every field there, one update a second. Then:

| symbol | from second 10 | from second 15 |
|---|---|---|
| `TEST.HALT` | `status` `halted`, `reason` `exchange_halt`; nothing moves | the same; then it reopens 1 % to 5 % off |
| `TEST.STALE` | `status` `stale`, `reason` `feed_silent` (a `Stale`); nothing moves | the same |
| `TEST.LESS` | `status` `stale`, `reason` `reconnecting` | it comes back with `last` alone, and the rest is withdrawn |
| `TEST.UNREADABLE` | each second another field is withdrawn, whose value cannot be read | `stale`, `bad_data` |
| `TEST.DECIMALS` | prices of 13 decimal places, sizes from 10⁻¹⁰ to 10¹² | prices of 38 decimal places |
| `TEST.BURST` | 1,000 trades within one second, 20 in a batch; then one update a second | the same |
| `TEST.CROSSED` | `bid` above `ask` | locked: `bid` equals `ask` |
| `TEST.PRECISION` | prices and sizes finer by a place than in the period before, until 10 and 8 places | the same |
| `TEST.WITHDRAWN` | `ask` and `ask_size` are withdrawn | every field is withdrawn, `status` too |

Seconds count from the start of the feed. `TEST.PRECISION` is declared with 2 and 0 places: its definition changes in
each of the first 8 periods, and a scale that was raised once stays. `volume` and `trade_count` count from the beginning
of the period. The seed determines every publication.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import NamedTuple, TypeAlias

from ticker.market import Instrument, Publication, Reason, Stale, Status, Update, Value, Withdrawal
from ticker.numbers import decimal_text

PERIOD = 20
"""Seconds from one good beginning to the next."""

GOOD = 10
"""So many of them are good."""


class Step(NamedTuple):
    """Publications of one moment; `at` is in seconds after the start."""

    at: float
    batch: list[Publication]


def schedule(seed: int) -> Iterator[Step]:
    """Everything that the fault symbols ever publish, in order and without a clock; the updates carry no `time`."""
    return heapq.merge(*(_life(symbol, fault, seed) for symbol, fault in _FAULTS.items()), key=lambda step: step.at)


class _Walk:
    """A price that is never far from where it began, in hundredths, and the trades at it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.price = 10_000
        self._volume = 0
        self._trades = 0

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
        return {
            "bid": decimal_text(self.price - spread, 2),
            "bid_size": 10 * self._random.randint(1, 50),
            "ask": decimal_text(self.price + spread, 2),
            "ask_size": 10 * self._random.randint(1, 50),
        }

    def trade(self) -> dict[str, Value]:
        """Another trade at the price."""
        size = 10 * self._random.randint(1, 50)
        self._volume += size
        self._trades += 1
        return {
            "last": decimal_text(self.price, 2),
            "last_size": size,
            "volume": self._volume,
            "trade_count": self._trades,
        }

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


_Event: TypeAlias = dict[str, Value] | Reason | None
"""New values; the reason why nothing is current any more; or None for a withdrawal of every field."""

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
    walk = _Walk(Random(f"{symbol} {seed}"))  # noqa: S311 - a market that can be repeated, not a secret
    yield Step(0, [Instrument(symbol, 2, 0, {"name": f"Fault symbol: {_TITLES[symbol]}", "venue": "TEST"})])
    for number in itertools.count():
        start = number * PERIOD
        yield Step(start, [Update(symbol, walk.full())])
        for second in range(1, GOOD):
            walk.step()
            yield Step(start + second, [Update(symbol, walk.quote() | walk.trade())])
        moments = itertools.groupby(fault(walk, number), key=lambda item: item[0])
        for at, items in moments:
            yield Step(
                start + at,
                [_publication(symbol, event) for _, event in items],
            )


def _publication(symbol: str, event: _Event) -> Publication:
    if event is None:
        return Withdrawal(symbol)
    return Stale(symbol, event) if isinstance(event, Reason) else Update(symbol, event)


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
    yield 15, {"status": "trading"}


def _decimals(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        yield second, walk.exact(13 if second < 15 else 38)


def _burst(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for trade in range(1_000):
        walk.step()
        yield GOOD + trade // 20 / 50, walk.trade()
    for second in range(GOOD + 1, PERIOD):
        yield second, walk.quote() | walk.trade()


def _crossed(walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        yield second, walk.quote(-1 if second < 15 else 0)


def _precision(walk: _Walk, number: int) -> Iterator[tuple[float, _Event]]:
    for second in range(GOOD, PERIOD):
        walk.step()
        yield second, walk.fine(min(3 + number, 10))


def _withdrawn(_walk: _Walk, _number: int) -> Iterator[tuple[float, _Event]]:
    yield GOOD, {"ask": None, "ask_size": None}
    yield 15, None


_FAULTS: Mapping[str, _Fault] = {
    "TEST.HALT": _halt,
    "TEST.STALE": _stale,
    "TEST.LESS": _less,
    "TEST.UNREADABLE": _unreadable,
    "TEST.DECIMALS": _decimals,
    "TEST.BURST": _burst,
    "TEST.CROSSED": _crossed,
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
    "TEST.PRECISION": "prices finer than declared",
    "TEST.WITHDRAWN": "fields go and come back",
}

SYMBOLS = tuple(_FAULTS)
"""The names of the fault symbols."""

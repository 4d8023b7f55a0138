"""A market that nobody trades on: for demonstrations, load tests, and a service that starts without any set-up.

The rules of this market:

- Prices are whole ticks and sizes are whole lots, all integers; only published values become decimal text.
- The best bid walks by a few ticks at a time and is drawn back to its anchor the harder the further it is away: at an
  eighth of the anchor every step leads back. So prices stay positive for ever. The ask is always above the bid.
- A trade happens at the bid or at the ask.
- The first symbol is the busiest; the n-th gets 1/n of its events (Zipf's law), as on real venues.
- Symbols and seed determine every publication. Time decides only when each is sent.

Beside it, the fault symbols of `ticker_feeds.simulation.faults` have their bad day every 20 seconds.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

import trio

from ticker.errors import ConfigError
from ticker.market import MAX_SYMBOL, FeedItem, Instrument, Publication, Status, Update, Value, is_symbol
from ticker.numbers import decimal_text
from ticker_feeds.parsing import encode_symbol
from ticker_feeds.simulation import faults

MAX_SYMBOLS = 100_000
"""The most symbols of one simulated market."""

WAKE_UP_SECONDS = 0.01
"""The least time between two batches."""

MAX_DEBT_SECONDS = 0.1
"""Updates due longer ago than this, while the service or the machine was busy, are never sent."""

MAX_BATCH = 2_000
"""The most publications in one batch."""


MAX_LATE_SECONDS = 1.0
"""When a step of the fault symbols could not be sent for longer than this, all later ones are put off by as much: none
is left out."""


class _Terms(NamedTuple):
    """How a symbol trades: the price to start from, the tick and the lot are scaled integers."""

    name: str
    currency: str
    price: int
    price_scale: int
    tick: int
    size_scale: int
    lot: int


_FAMILIAR = {
    "EURUSD": _Terms("Euro / US dollar", "USD", 108_500, 5, 1, 0, 100_000),
    "BTCUSD": _Terms("Bitcoin / US dollar", "USD", 6_500_000, 2, 1, 3, 1),
    "AAPL": _Terms("Apple", "USD", 19_000, 2, 1, 0, 10),
    "XAUUSD": _Terms("Gold, troy ounce / US dollar", "USD", 235_000, 2, 1, 0, 10),
    "GBPUSD": _Terms("Pound sterling / US dollar", "USD", 127_000, 5, 1, 0, 100_000),
    "USDJPY": _Terms("US dollar / Japanese yen", "JPY", 155_200, 3, 1, 0, 100_000),
    "MSFT": _Terms("Microsoft", "USD", 42_000, 2, 1, 0, 10),
    "ETHUSD": _Terms("Ether / US dollar", "USD", 320_000, 2, 1, 2, 1),
    "NVDA": _Terms("Nvidia", "USD", 12_000, 2, 1, 0, 10),
    "SAP": _Terms("SAP", "EUR", 18_000, 2, 2, 0, 10),
}

# Shares by price level, below so many hundredths: (scale, tick). Every price is 1,000 ticks or more.
_TICKS = ((100, 4, 1), (1_000, 3, 1), (10_000, 2, 1), (math.inf, 2, 5))

# No vowels, so that no name says anything.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Simulated:
    """A feed of invented prices.

    `symbols` is a number of symbols, 1 to 100,000, or their names separated by commas; there are 20 where it is left
    out. `rate` is in updates per second, of all symbols together; `seed` chooses one of the possible markets. `faults`
    says whether the fault symbols (TEST.HALT and others, see `ticker_feeds.simulation.faults`) come as well; left
    out, they come where `symbols` is left out too.

    Raises `ConfigError` for symbols or a rate that cannot be.
    """

    def __init__(
        self, *, symbols: str | None = None, rate: float = 200.0, seed: int = 1, faults: bool | None = None
    ) -> None:
        if not 0 < rate < math.inf:
            raise ConfigError(f"rate {rate}: give a number of updates per second above 0")
        self.symbols = _symbols("20" if symbols is None else symbols)
        self.rate = rate
        self.seed = seed
        self.faults = symbols is None if faults is None else faults

    def __repr__(self) -> str:
        return f"<Simulated: {len(self.symbols)} symbols, {self.rate:g} updates/s, seed {self.seed}>"

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Send the opening of every symbol at once, then `rate` updates per second in batches of those due."""
        async with trio.open_nursery() as nursery:
            if self.faults:
                nursery.start_soon(_play_faults, updates, self.seed)
            await self._trade(updates)

    async def _trade(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        stream = publications(self.symbols, self.seed)
        opening = itertools.islice(stream, 2 * len(self.symbols))
        while batch := list(itertools.islice(opening, MAX_BATCH)):
            await updates.send(_stamped(batch))
        most = min(1 + self.rate * MAX_DEBT_SECONDS, MAX_BATCH)
        due, then = 0.0, trio.current_time()
        while True:
            await trio.sleep(max(WAKE_UP_SECONDS, (1 - due) / self.rate))
            now = trio.current_time()
            due, then = min(due + (now - then) * self.rate, most), now
            # A wake-up at the very moment may find 0.9999999 of an update due, for want of binary digits.
            batch = list(itertools.islice(stream, int(due + 1e-6)))
            due -= len(batch)
            await updates.send(_stamped(batch))


async def _play_faults(updates: trio.abc.SendChannel[FeedItem], seed: int) -> None:
    """Send each step of the fault symbols when it is due. Their time stands still while the service takes nothing."""
    start = trio.current_time()
    for at, batch in faults.schedule(seed):
        await trio.sleep_until(start + at)
        await updates.send(_stamped(batch))
        late = trio.current_time() - (start + at)
        if late > MAX_LATE_SECONDS:
            start += late


def publications(symbols: Sequence[str], seed: int) -> Iterator[Publication]:
    """The market without a clock: an `Instrument` and an opening `Update` for each symbol, then updates without end.

    The updates carry no `time`. The same arguments give the same sequence, on every machine.
    """
    random = Random(seed)  # noqa: S311 - a market that can be repeated, not a secret
    books: list[_Book] = []
    for symbol in symbols:
        book = _Book(symbol, _FAMILIAR.get(symbol) or _share(symbol, random), random)
        books.append(book)
        yield book.instrument()
        yield book.opening()
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(books) + 1)))
    while True:
        for book in random.choices(books, cum_weights=weights, k=256):
            yield book.event()


class _Book:
    """One symbol's best bid and ask, and its day so far. Prices are in ticks, sizes in lots."""

    def __init__(self, symbol: str, terms: _Terms, random: Random) -> None:
        self._symbol = symbol
        self._terms = terms
        self._random = random
        self._anchor = terms.price // terms.tick
        self._reach = max(1, self._anchor // 20_000)
        self._bid = self._anchor
        self._walk()
        self._bid_size = self._up_to(50)
        self._ask_size = self._up_to(50)
        self._high = self._low = self._bid
        self._volume = self._up_to(50)
        self._trades = 1

    def instrument(self) -> Instrument:
        terms = self._terms
        metadata = {"name": terms.name, "venue": "SIM", "currency": terms.currency}
        return Instrument(self._symbol, terms.price_scale, terms.size_scale, metadata)

    def opening(self) -> Update:
        """Every field, after an opening trade at the bid."""
        bid = self._price(self._bid)
        fields = self._quote() | self._prints(self._bid, self._volume)
        fields |= {"open": bid, "high": bid, "low": bid, "prev_close": self._price(self._anchor), "status": Status.LIVE}
        return Update(self._symbol, fields)

    def event(self) -> Update:
        """The next thing that happens: mostly quotes, and of these mostly a size alone, as on real venues."""
        chance = self._random.random()
        if chance < 0.15:
            return Update(self._symbol, self._trade())
        if chance < 0.40:
            self._bid_size = self._up_to(50)
            return Update(self._symbol, {"bid_size": self._size(self._bid_size)})
        if chance < 0.65:
            self._ask_size = self._up_to(50)
            return Update(self._symbol, {"ask_size": self._size(self._ask_size)})
        self._walk()
        self._bid_size, self._ask_size = self._up_to(50), self._up_to(50)
        return Update(self._symbol, self._quote())

    def _walk(self) -> None:
        pull = 4 * (self._bid - self._anchor) / self._anchor
        steps = self._up_to(self._reach)
        self._bid += steps if self._random.random() < 0.5 - pull else -steps
        self._ask = self._bid + self._up_to(2 * self._reach)

    def _trade(self) -> dict[str, Value]:
        buys = self._random.random() < 0.5
        price, offered = (self._ask, self._ask_size) if buys else (self._bid, self._bid_size)
        lots = self._up_to(offered)
        self._volume += lots
        self._trades += 1
        fields = self._prints(price, lots)
        if price > self._high:
            self._high = price
            fields["high"] = fields["last"]
        if price < self._low:
            self._low = price
            fields["low"] = fields["last"]
        return fields

    def _quote(self) -> dict[str, Value]:
        return {
            "bid": self._price(self._bid),
            "bid_size": self._size(self._bid_size),
            "ask": self._price(self._ask),
            "ask_size": self._size(self._ask_size),
        }

    def _prints(self, price: int, lots: int) -> dict[str, Value]:
        return {
            "last": self._price(price),
            "last_size": self._size(lots),
            "volume": self._size(self._volume),
            "trade_count": self._trades,
        }

    def _up_to(self, most: int) -> int:
        """1 to `most`; several times faster than `Random.randint`."""
        return 1 + int(self._random.random() * most)

    def _price(self, ticks: int) -> str:
        return decimal_text(ticks * self._terms.tick, self._terms.price_scale)

    def _size(self, lots: int) -> str:
        return decimal_text(lots * self._terms.lot, self._terms.size_scale)


def _share(symbol: str, random: Random) -> _Terms:
    """Terms for a name that means nothing: a share between 0.50 and about 1,000."""
    hundredths = (50 + int(50 * random.random())) << int(11 * random.random())
    scale, tick = next((scale, tick) for below, scale, tick in _TICKS if hundredths < below)
    price = hundredths * 10**scale // 100
    return _Terms(f"{symbol} Corporation", "USD", price, scale, tick, 0, 10)


def _symbols(text: str) -> list[str]:
    """The option `symbols` as names."""
    if text.isascii() and text.isdigit():
        count = int(text[:10])
        if not 1 <= count <= MAX_SYMBOLS:
            raise ConfigError(f"symbols {text}: give 1 to {MAX_SYMBOLS} symbols, or their names separated by commas")
        return list(itertools.islice(itertools.chain(_FAMILIAR, _invented()), count))
    names = [encode_symbol(name) for name in text.split(",")]
    for name in names:
        if name in faults.SYMBOLS:
            raise ConfigError(f"symbols: {name} is a fault symbol, which has a course of its own; give faults=yes")
        if not is_symbol(name):
            raise ConfigError(
                f"symbols: {name!r} cannot be a symbol; give a number, or names separated by commas, each of"
                f" 1 to {MAX_SYMBOL} characters without * ? [ ]"
            )
    if len(set(names)) < len(names) or len(names) > MAX_SYMBOLS:
        raise ConfigError(f"symbols: give each name once, and at most {MAX_SYMBOLS}")
    return names


def _invented() -> Iterator[str]:
    """Names of four letters, every one once: a stride that shares no divisor with their number visits them all."""
    many = len(_LETTERS) ** 4
    place = 0
    while True:
        place = rest = (place + 57_731) % many
        letters = []
        for _ in range(4):
            rest, letter = divmod(rest, len(_LETTERS))
            letters.append(_LETTERS[letter])
        name = "".join(letters)
        if name not in _FAMILIAR:
            yield name


def _stamped(batch: Iterable[Publication]) -> list[Publication]:
    """The batch as it is sent: updates say that they happened now."""
    now = time.time_ns() // 1_000
    return [Update(each.symbol, {**each.fields, "time": now}) if isinstance(each, Update) else each for each in batch]

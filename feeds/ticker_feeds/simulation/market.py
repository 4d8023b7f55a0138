"""A market that nobody trades on: for demonstrations, load tests, and a service that starts without any set-up.

The rules of this market:

- Prices are whole ticks and sizes are whole lots, all integers; only published values become decimal text.
- The best bid walks by a few ticks at a time and is drawn back to its anchor the harder the further it is away: at an
  eighth of the anchor every step leads back. So prices stay positive for ever. The ask is always above the bid.
- An order book has `depth` levels of each side; a trade takes from the best ones. The quote is always
  the top of the book.
- A trade happens at the bid or at the ask, and now and then goes through to the next price.
- The past ends where the live prices begin (`ticker_feeds.simulation.past`).
- The first symbol is the busiest; the n-th gets 1/n of its events (Zipf's law), as on real venues.
- Symbols and seed determine every publication. Time decides only when each is sent, and where the bars of the past lie.

Beside it, the fault symbols of `ticker_feeds.simulation.faults` have their bad day every 20 seconds.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from random import Random
from typing import TypeAlias

import trio

from ticker.errors import ConfigError
from ticker.market import MAX_SYMBOL, Candle, FeedItem, Publication, Trade, Update, batches, is_symbol
from ticker_feeds.parsing import encode_symbol
from ticker_feeds.simulation import faults
from ticker_feeds.simulation.one_market import OneMarket, Terms

MAX_SYMBOLS = 100_000
"""The most symbols of one simulated market."""

WAKE_UP_SECONDS = 0.01
"""The least time between two batches."""

MAX_DEBT_SECONDS = 0.1
"""Updates due longer ago than this, while the service or the machine was busy, are never sent."""

MAX_BATCH = 2_000
"""The most updates in one batch, each with up to three other publications."""

MAX_DEPTH = 1_000
MAX_BOOKS = 1_000
"""The most levels of each side of a book, and the most symbols with one: the busiest."""

MAX_PAST = 10_000
MAX_PASTS = 50
"""The most candles of a period, and the most symbols with a past: the busiest."""

SMALL_CHART_BARS = 60
"""So many bars of each symbol come first: a list of small charts is full before the first large one is."""

PAST_BATCH = 250
PAST_SECONDS = 0.05
"""Candles of the past in a batch, and the pause behind it."""

MAX_LATE_SECONDS = 1.0
"""When a step of the fault symbols could not be sent for longer than this, all later ones are put off by as much: none
is left out."""


_FAMILIAR = {
    "EURUSD": Terms("Euro / US dollar", "USD", 108_500, 5, 1, 0, 100_000),
    "BTCUSD": Terms("Bitcoin / US dollar", "USD", 6_500_000, 2, 1, 3, 1),
    "AAPL": Terms("Apple", "USD", 19_000, 2, 1, 0, 10),
    "XAUUSD": Terms("Gold, troy ounce / US dollar", "USD", 235_000, 2, 1, 0, 10),
    "GBPUSD": Terms("Pound sterling / US dollar", "USD", 127_000, 5, 1, 0, 100_000),
    "USDJPY": Terms("US dollar / Japanese yen", "JPY", 155_200, 3, 1, 0, 100_000),
    "MSFT": Terms("Microsoft", "USD", 42_000, 2, 1, 0, 10),
    "ETHUSD": Terms("Ether / US dollar", "USD", 320_000, 2, 1, 2, 1),
    "NVDA": Terms("Nvidia", "USD", 12_000, 2, 1, 0, 10),
    "SAP": Terms("SAP", "EUR", 18_000, 2, 2, 0, 10),
}

_FAULTY = frozenset(faults.SYMBOLS)
"""A service that shows their faults need not warn of them."""

# Shares by price level, below so many hundredths: (scale, tick). Every price is 1,000 ticks or more.
_TICKS = ((100, 4, 1), (1_000, 3, 1), (10_000, 2, 1), (math.inf, 2, 5))

# No vowels, so that no name says anything.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Simulated:
    """A feed of invented prices.

    `symbols` is a number of symbols, 1 to 100,000, or their names separated by commas; there are 20 where it is left
    out. `rate` is in updates per second, of all symbols together; `seed` chooses one of the possible markets. `depth`
    is the number of levels of each side of an order book, 0 to 1,000 (0: no books); the first 1,000 symbols have one.
    `past` is the number of candles of each period (1m, 5m, 1h, 1d) from before the start, 0 to 10,000; the first 50
    symbols have them. `faults` says whether the fault symbols (TEST.HALT and others, see
    `ticker_feeds.simulation.faults`) come as well; left out, they come where `symbols` is left out too.

    Raises `ConfigError` for symbols, a rate or other numbers that cannot be.
    """

    def __init__(  # one parameter per option
        self,
        *,
        symbols: str | None = None,
        rate: float = 200.0,
        seed: int = 1,
        depth: int = 25,
        past: int = 1_000,
        faults: bool | None = None,
    ) -> None:
        if not 0 < rate < math.inf:
            raise ConfigError(f"rate {rate}: give a number of updates per second above 0")
        if not 0 <= depth <= MAX_DEPTH:
            raise ConfigError(f"depth {depth}: give 0 to {MAX_DEPTH} levels of each side; 0 leaves the books out")
        if not 0 <= past <= MAX_PAST:
            raise ConfigError(f"past {past}: give 0 to {MAX_PAST} candles of each period; 0 leaves them out")
        self.symbols = _symbols("20" if symbols is None else symbols)
        self.rate = rate
        self.seed = seed
        self.depth = depth
        self.past = past
        self.faults = symbols is None if faults is None else faults
        self.faulty_symbols = _FAULTY if self.faults else frozenset()

    def __repr__(self) -> str:
        return f"<Simulated: {len(self.symbols)} symbols, {self.rate:g} updates/s, seed {self.seed}>"

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Send the opening of every symbol, then `rate` updates per second in batches of those due, beside the past."""
        stamp = partial(_stamped, first_id=time.time_ns() // 100_000)
        async with trio.open_nursery() as nursery:
            if self.faults:
                nursery.start_soon(_play_faults, updates, self.seed, stamp)
            await self._trade(updates, stamp)

    async def _trade(self, updates: trio.abc.SendChannel[FeedItem], stamp: _Stamp) -> None:
        markets = make_markets(self.symbols, self.seed, self.depth)
        opening = (publication for market in markets for publication in market.opening())
        for batch in batches(opening, MAX_BATCH):
            await updates.send(stamp(batch))
        async with trio.open_nursery() as nursery:
            if self.past:
                nursery.start_soon(_send_past, updates, await self._begin_past(updates, markets))
            await self._go_on(updates, markets, stamp)

    async def _begin_past(
        self, updates: trio.abc.SendChannel[FeedItem], markets: Sequence[OneMarket]
    ) -> Iterator[Candle]:
        """Send the current bars, which the first trades continue; return those before them."""
        earlier: list[Iterator[Candle]] = []
        shares = _shares(len(markets))
        busiest = self.rate / sum(shares)
        for market, share in zip(markets[:MAX_PASTS], shares, strict=False):
            current, before = market.past(self.past, self.seed, int(time.time()), busiest * share)
            await updates.send(current)
            earlier.append(before)
        small_charts = [itertools.islice(each, SMALL_CHART_BARS) for each in earlier]
        return itertools.chain.from_iterable((*small_charts, *earlier))

    async def _go_on(
        self, updates: trio.abc.SendChannel[FeedItem], markets: Sequence[OneMarket], stamp: _Stamp
    ) -> None:
        stream = events(markets, self.seed)
        most = min(1 + self.rate * MAX_DEBT_SECONDS, MAX_BATCH)
        due, then = 0.0, trio.current_time()
        while True:
            await trio.sleep(max(WAKE_UP_SECONDS, (1 - due) / self.rate))
            now = trio.current_time()
            due, then = min(due + (now - then) * self.rate, most), now
            # A wake-up at the very moment may find 0.9999999 of an update due, for want of binary digits.
            some = list(itertools.islice(stream, int(due + 1e-6)))
            due -= len(some)
            await updates.send(stamp(itertools.chain.from_iterable(some)))


async def _send_past(updates: trio.abc.SendChannel[FeedItem], candles: Iterator[Candle]) -> None:
    """Send the bars of the past, some at a time: a chart can wait a little, prices cannot."""
    for batch in batches(candles, PAST_BATCH):
        await updates.send(batch)
        await trio.sleep(PAST_SECONDS)


async def _play_faults(updates: trio.abc.SendChannel[FeedItem], seed: int, stamp: _Stamp) -> None:
    """Send each step of the fault symbols when it is due. Their time stands still while the service takes nothing."""
    start = trio.current_time()
    for at, batch in faults.schedule(seed):
        await trio.sleep_until(start + at)
        await updates.send(stamp(batch))
        late = trio.current_time() - (start + at)
        if late > MAX_LATE_SECONDS:
            start += late


def make_markets(symbols: Sequence[str], seed: int, depth: int) -> list[OneMarket]:
    """The markets of these symbols as they open; the first ones have an order book of this depth."""
    random = Random(seed)  # noqa: S311 - a market that can be repeated, not a secret
    return [
        OneMarket(symbol, _FAMILIAR.get(symbol) or _share(symbol, random), random, depth if at < MAX_BOOKS else 0)
        for at, symbol in enumerate(symbols)
    ]


def events(markets: Sequence[OneMarket], seed: int) -> Iterator[list[Publication]]:
    """What happens on these markets, without end and without a clock; each event has one update.

    The same markets and seed give the same sequence, on every machine; updates and trades carry no `time`.
    """
    random = Random(f"events {seed}")  # noqa: S311 - a market that can be repeated, not a secret
    weights = list(itertools.accumulate(_shares(len(markets))))
    while True:
        for market in random.choices(markets, cum_weights=weights, k=256):
            yield market.event()


def _shares(count: int) -> list[float]:
    """Return how many events each of so many markets gets, in relation to the first one (Zipf's law)."""
    return [1 / rank for rank in range(1, count + 1)]


def _share(symbol: str, random: Random) -> Terms:
    """Terms for a name that means nothing: a share between 0.50 and about 1,000."""
    hundredths = (50 + int(50 * random.random())) << int(11 * random.random())
    scale, tick = next((scale, tick) for below, scale, tick in _TICKS if hundredths < below)
    price = hundredths * 10**scale // 100
    return Terms(f"{symbol} Corporation", "USD", price, scale, tick, 0, 10)


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


_Stamp: TypeAlias = Callable[[Iterable[Publication]], list[Publication]]


def _stamped(batch: Iterable[Publication], first_id: int) -> list[Publication]:
    """The batch as it is sent: updates and trades say that they happened now; the ids of trades begin at `first_id`.

    So no trade has the id of one from before the feed was started again, which it would correct.
    """
    now = time.time_ns() // 1_000
    stamped: list[Publication] = []
    for each in batch:
        if isinstance(each, Update):
            stamped.append(Update(each.symbol, {**each.fields, "time": now}))
        elif isinstance(each, Trade):
            stamped.append(each._replace(time=now, id=first_id + each.id if isinstance(each.id, int) else each.id))
        else:
            stamped.append(each)
    return stamped

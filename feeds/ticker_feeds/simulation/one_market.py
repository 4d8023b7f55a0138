"""The market of one symbol: its best bid and ask, its order book, its trades, and its day so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from ticker.market import Candle, Instrument, Level, Levels, Publication, Side, Status, Trade, Update, Value
from ticker.numbers import decimal_text
from ticker_feeds.simulation.ladder import Ladder
from ticker_feeds.simulation.past import PastBar, past_bars

_TRADE_SHARE = 0.15
"""The share of events that are trades."""


class Terms(NamedTuple):
    """How a symbol trades: the price to start from, the tick and the lot are scaled integers."""

    name: str
    currency: str
    price: int
    price_scale: int
    tick: int
    size_scale: int
    lot: int


class OneMarket:
    """One symbol's market. Prices are in ticks, sizes in lots; only published values are decimal texts."""

    def __init__(self, symbol: str, terms: Terms, random: Random, depth: int) -> None:
        """`depth` is the number of levels of each side that are published; 0: no order book is."""
        self._symbol = symbol
        self._terms = terms
        self._random = random
        self._depth = depth
        self._anchor = terms.price // terms.tick
        self._reach = max(1, self._anchor // 20_000)
        bid = self._walked(self._anchor)
        # Keys of bids are negative: see `Ladder`.
        self._bids = Ladder(-bid, max(1, depth), self._reach, random)
        self._asks = Ladder(self._ask_above(bid), max(1, depth), self._reach, random)
        self._high = self._low = self._opened = bid
        self._volume = self._up_to(50)
        self._trades = 1

    def opening(self) -> list[Publication]:
        """The instrument, every field after an opening trade at the bid, and its whole book."""
        terms = self._terms
        metadata = {"name": terms.name, "venue": "SIM", "currency": terms.currency}
        bid, size = self._price(self._opened), self._size(self._volume)
        fields = self._quote() | {"last": bid, "last_size": size, "volume": size, "trade_count": self._trades}
        fields |= {"open": bid, "high": bid, "low": bid, "prev_close": self._price(self._anchor), "status": Status.LIVE}
        said: list[Publication] = [Instrument(self._symbol, terms.price_scale, terms.size_scale, metadata)]
        said.append(Update(self._symbol, fields))
        if self._depth:
            bids, asks = self._levels(self._bids, self._bids.keys, -1), self._levels(self._asks, self._asks.keys, 1)
            said.append(Levels(self._symbol, bids, asks, complete=True))
        return said

    def past(self, count: int, seed: int, now: int, events_per_second: float) -> tuple[list[Candle], Iterator[Candle]]:
        """Return the bars of each period up to this moment, in seconds since 1970: the current ones, then the others.

        Of the others the latest come first, those of the shortest period before the rest.

        They have as many trades as so many events per second bring.

        The current ones end at the opening trade, so they come before the next trade, which continues them.
        """
        random = Random(f"{self._symbol} {seed}")  # noqa: S311 - a past that can be repeated, not a secret
        periods = past_bars(self._opened, self._anchor, count, random, now, 60 * _TRADE_SHARE * events_per_second)
        current = [self._candle(period, bars[-1]) for period, bars in periods.items()]
        return current, (self._candle(period, bar) for period, bars in periods.items() for bar in bars[-2::-1])

    def _candle(self, period: str, bar: PastBar) -> Candle:
        start, *prices, lots, trades = bar
        first, high, low, last = map(self._price, prices)
        return Candle(self._symbol, period, start, first, high, low, last, self._size(lots), trades, estimate=True)

    def event(self) -> list[Publication]:
        """The next thing that happens: mostly quotes, and of these mostly a size alone, as on real venues."""
        chance = self._random.random()
        if chance < _TRADE_SHARE:
            return self._trade()
        if chance < 0.40:
            changed = self._bids.resize()
            return [Update(self._symbol, {"bid_size": self._size(self._bids.offered)}), *self._book(changed, ())]
        if chance < 0.65:
            changed = self._asks.resize()
            return [Update(self._symbol, {"ask_size": self._size(self._asks.offered)}), *self._book((), changed)]
        bid = self._walked(-self._bids.best)
        bids, asks = self._bids.move(-bid), self._asks.move(self._ask_above(bid))
        return [Update(self._symbol, self._quote()), *self._book(bids, asks)]

    def _walked(self, bid: int) -> int:
        pull = 4 * (bid - self._anchor) / self._anchor
        steps = self._up_to(self._reach)
        return bid + steps if self._random.random() < 0.5 - pull else bid - steps

    def _ask_above(self, bid: int) -> int:
        return bid + self._up_to(2 * self._reach)

    def _trade(self) -> list[Publication]:
        """Somebody buys or sells at the best price; now and then more than is offered there, so also at the next."""
        buys = self._random.random() < 0.5
        side, sign = (self._asks, 1) if buys else (self._bids, -1)
        lots = self._up_to(side.offered)
        if self._random.random() < 0.125 and len(side.keys) > 1:
            lots = side.offered + self._up_to(side.lots[side.keys[1]])
        prints, changed = side.take(lots)
        self._volume += lots
        said: list[Publication] = []
        for key, traded in prints:
            price = self._price(sign * key)
            self._trades += 1
            taker = Side.BUY if buys else Side.SELL
            said.append(Trade(self._symbol, price, self._size(traded), taker, None, self._trades))
        fields = self._extremes(sign, prints)
        fields |= {"volume": self._size(self._volume), "trade_count": self._trades}
        fields |= {"ask" if buys else "bid": self._price(sign * side.best)}
        fields |= {"ask_size" if buys else "bid_size": self._size(side.offered)}
        said.append(Update(self._symbol, fields))
        return said + (self._book((), changed) if buys else self._book(changed, ()))

    def _extremes(self, sign: int, prints: Sequence[tuple[int, int]]) -> dict[str, Value]:
        """Return the day's high and low, where these trades are beyond."""
        prices = [sign * key for key, _ in prints]
        fields: dict[str, Value] = {}
        if max(prices) > self._high:
            self._high = max(prices)
            fields["high"] = self._price(self._high)
        if min(prices) < self._low:
            self._low = min(prices)
            fields["low"] = self._price(self._low)
        return fields

    def _quote(self) -> dict[str, Value]:
        return {
            "bid": self._price(-self._bids.best),
            "bid_size": self._size(self._bids.offered),
            "ask": self._price(self._asks.best),
            "ask_size": self._size(self._asks.offered),
        }

    def _book(self, bids: Sequence[int], asks: Sequence[int]) -> list[Publication]:
        """The changed levels, by their keys."""
        if not self._depth:
            return []
        return [Levels(self._symbol, self._levels(self._bids, bids, -1), self._levels(self._asks, asks, 1))]

    def _levels(self, side: Ladder, keys: Sequence[int], sign: int) -> list[Level]:
        return [(self._price(sign * key), self._size(side.lots.get(key, 0))) for key in keys]

    def _up_to(self, most: int) -> int:
        """1 to `most`; several times faster than `Random.randint`."""
        return 1 + int(self._random.random() * most)

    def _price(self, ticks: int) -> str:
        return decimal_text(ticks * self._terms.tick, self._terms.price_scale)

    def _size(self, lots: int) -> str:
        return decimal_text(lots * self._terms.lot, self._terms.size_scale)

"""What a feed brings, applied to a cache as the service does, and an independent reading of order books.

async with read(feed, "A") as market:
    await market.until(lambda: market.top("A") == ([("1", "5")], []))
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from heapq import nlargest, nsmallest

import trio

from tests.bounds import HANG_SECONDS
from ticker.core.last_value import LastValueCache
from ticker.market import FeedItem, Levels, Publication, Stale, Trade
from ticker.numbers import decimal_text
from ticker_feeds import Feed

Top = tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]
"""The best bids and asks, the best first."""


class Market:
    """A cache that holds what the feed says, and a record of what it said."""

    def __init__(self) -> None:
        self.cache = LastValueCache("test")
        self.stale: list[Stale] = []
        self.trades: list[Trade] = []
        self.complete: list[Levels] = []
        """Whole books, the latest last."""
        self.batches: deque[list[Publication]] = deque(maxlen=100)
        self._news = trio.Condition()

    def take(self, publications: Iterable[Publication]) -> None:
        """Apply publications as one moment. Raises `BadPublication` for one that the service would refuse."""
        publications = list(publications)
        self.batches.append(publications)
        for publication in publications:
            assert not self.cache.publish(publication, "feed"), publication
            if isinstance(publication, Stale):
                self.stale.append(publication)
            elif isinstance(publication, Trade):
                self.trades.append(publication)
            elif isinstance(publication, Levels) and publication.complete:
                self.complete.append(publication)
        self.cache.close_cut(self.cache.cut + 1)

    async def follow(self, items: trio.MemoryReceiveChannel[FeedItem]) -> None:
        async for item in items:
            self.take(item if isinstance(item, list) else [item])  # type: ignore[list-item]  # these send lists
            async with self._news:
                self._news.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for this to be true."""
        async with self._news:
            while not condition():
                await self._news.wait()

    def status(self, symbol: str) -> tuple[str, str | None]:
        """Status and reason of a book."""
        book = self.cache.book_of(symbol)
        return ("stale", "no_data") if book is None else book.status()

    def top(self, symbol: str, count: int = 10) -> Top:
        """The best levels of a book, as clients see them."""
        book = self.cache.book_of(symbol)
        if book is None:
            return [], []
        sides = []
        for rows in book.top(count):
            texts = [
                each if isinstance(each, str) else decimal_text(each, scale)
                for each, scale in zip(rows, (book.price_scale, book.size_scale) * (len(rows) // 2), strict=True)
                if isinstance(each, int | str)
            ]
            sides.append([(Decimal(price), Decimal(size)) for price, size in zip(texts[::2], texts[1::2], strict=True)])
        return sides[0], sides[1]


@asynccontextmanager
async def read(feed: Feed, *, seconds: float = HANG_SECONDS) -> AsyncIterator[Market]:
    """Run a feed until the block is left."""
    market = Market()
    send, receive = trio.open_memory_channel[FeedItem](16)
    with trio.fail_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(market.follow, receive)
            nursery.start_soon(feed.run, send)
            yield market
            nursery.cancel_scope.cancel()


class Reading:
    """An order book, read in the plainest way: a dictionary for each side, of which the best are looked up."""

    def __init__(self, bids: Iterable[Iterable[str]], asks: Iterable[Iterable[str]]) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.change(bids, asks)

    def change(self, bids: Iterable[Iterable[str]], asks: Iterable[Iterable[str]]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                side[Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del side[Decimal(price)]

    def top(self, count: int = 10) -> Top:
        bids, asks = nlargest(count, self.bids), nsmallest(count, self.asks)
        return [(price, self.bids[price]) for price in bids], [(price, self.asks[price]) for price in asks]

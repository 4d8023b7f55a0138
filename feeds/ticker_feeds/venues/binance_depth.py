"""Order books of Binance: the streams of changed levels, and the snapshots by REST that they follow.

- `depth@100ms` has the levels that have changed. `U` and `u` are the first and last update number in an event; the
  futures say with `pu` what the event before ended with. A chain begins with a snapshot by REST, and the first event
  behind it is the one that covers its number ([1], [2], "How to manage a local order book correctly").
- `depth5`, `depth10` and `depth20` have so many of the best levels of each side in every event ([1], [2], "Partial Book
  Depth Streams"). They need no REST; a spot event names its symbol in the name of the stream only.
- A snapshot by REST has at most 5,000 levels of each side (futures: 1,000), and costs a weight by that number: 500 cost
  25 of 6,000 a minute, of the futures 10 of 2,400 ([3], [4]). After an answer of 429 or 418, nothing is asked for
  `Retry-After` seconds.

[1] https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
[2] https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
[3] https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
[4] https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book
"""

from __future__ import annotations

import logging
import ssl
from urllib.parse import quote

import trio

from ticker.errors import TickerError
from ticker.market import FeedItem, Publication
from ticker_feeds.venues.books import Books, Change
from ticker_feeds.venues.https import HttpRefused, get
from ticker_feeds.venues.messages import BadMessage, Message, decode_object, read_integer, read_levels

PARTIAL = (5, 10, 20)
"""Depths that come as whole books."""

_LIMITED = (418, 429)
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


def stream_name(depth: int) -> str:
    """Return the name of the stream of books that are so deep."""
    return f"depth{depth}@100ms" if depth in PARTIAL else "depth@100ms"


def change_in(event: Message, symbol: str) -> Change:
    """Return the changed levels in an event. Raises `BadMessage`."""
    first, last = read_integer(event, "U", symbol), read_integer(event, "u", symbol)
    previous = read_integer(event, "pu", symbol) if "pu" in event else first - 1
    return Change(read_levels(event, "b", symbol), read_levels(event, "a", symbol), previous, last)


def read_change(books: Books, event: Message, symbol: str) -> list[Publication]:
    """Return the publications that follow from an event with changed levels."""
    try:
        change = change_in(event, symbol)
    except BadMessage:
        return books.bad(symbol)
    return books.change(symbol, change)


def read_partial(books: Books, event: Message, symbol: str) -> list[Publication]:
    """Return the publications that follow from an event with the best levels."""
    bids, asks = ("b", "a") if "b" in event else ("bids", "asks")
    try:
        return books.snapshot(symbol, read_levels(event, bids, symbol), read_levels(event, asks, symbol))
    except BadMessage:
        return books.bad(symbol)


def read_snapshot(books: Books, message: Message, symbol: str) -> list[Publication]:
    """Return the publications that follow from a snapshot by REST. Raises `BadMessage`."""
    number = read_integer(message, "lastUpdateId", symbol)
    return books.snapshot(symbol, read_levels(message, "bids", symbol), read_levels(message, "asks", symbol), number)


class Snapshots:
    """Asks for snapshots by REST, one after the other."""

    seconds = 0.5
    """Shortest time between two requests: half of what the venue allows to an address, at 500 levels."""

    def __init__(self, address: str, limit: int, ssl_context: ssl.SSLContext) -> None:
        """`address` is that of the resource, as `https://api.binance.com/api/v3/depth`."""
        self._address = address
        self._limit = limit
        self._ssl_context = ssl_context
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Snapshots from {self._address}, {self._failures} failures in a row>"

    async def run(self, books: Books, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Ask for what `books` need, and publish it."""
        while True:
            symbol = books.next_request(trio.current_time())
            if symbol is None:
                await trio.sleep(self.seconds)
                continue
            told, wait = await self._ask(books, symbol)
            if told:
                # Sends to a full channel are served in their order, so these never come before older changes.
                await updates.send(told)
            await trio.sleep(wait)

    async def _ask(self, books: Books, symbol: str) -> tuple[list[Publication], float]:
        """Return what follows from a snapshot, and the wait before the next request."""
        try:
            raw = await get(f"{self._address}?symbol={quote(symbol)}&limit={self._limit}", self._ssl_context)
            told = read_snapshot(books, decode_object(raw), symbol)
        except TickerError as error:
            books.failed(symbol)
            return [], self._pause(books, error)
        self._failures = 0
        return told, self.seconds

    def _pause(self, books: Books, error: TickerError) -> float:
        """The wait after a failure: as long as the server says, and longer and longer while it cannot be reached."""
        self._failures += 1
        wait = min(self.seconds * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
        if isinstance(error, HttpRefused) and error.status in _LIMITED:
            books.state.counters["rate_limited"] += 1
            wait = _LONGEST_PAUSE if error.retry_after is None else max(error.retry_after, self.seconds)
        elif isinstance(error, HttpRefused) and error.status < 500:
            wait = self.seconds  # it is about this symbol alone
        if self._failures == 1 or wait > _LONGEST_PAUSE:
            _log.warning("binance: an order book cannot be had: %s; the next request in %g s", error, wait)
        return wait

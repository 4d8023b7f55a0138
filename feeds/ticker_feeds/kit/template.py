"""A feed of a WebSocket venue to start from: copy this file and replace the parts marked 1 to 4.

feeds/README.md walks through it. The venue is invented; its API:

    -> {"type": "subscribe", "symbols": ["GOLD", "LEAD"]}
    <- {"type": "subscribed", "symbols": ["GOLD"], "unknown": ["LEAD"]}
    <- {"type": "quote", "symbol": "GOLD", "seq": 17, "bid": "2350.10", "ask": "2350.30", "ms": 1700000000000}
    <- {"type": "trade", "symbol": "GOLD", "id": 4, "price": "2350.20", "size": 3, "side": "buy", "ms": 1700000000000}
    <- {"type": "book", "symbol": "GOLD", "seq": 8, "whole": true, "bids": [["2350.10", 7]], "asks": [["2350.30", 5]]}
    <- {"type": "book", "symbol": "GOLD", "seq": 9, "whole": false, "bids": [["2350.10", 0]], "asks": []}
    -> {"type": "whole", "symbol": "GOLD"}, to be answered by the whole book
    <- {"type": "halt", "symbol": "GOLD"}, and {"type": "resume", "symbol": "GOLD"} when trading goes on
    <- {"type": "ping", "id": 7}, every ten seconds, to be answered by
    -> {"type": "pong", "id": 7}

`seq` of a quote only rises; that of a book counts its messages one by one, and so do the ids of trades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import trio

from ticker.market import FeedItem, Publication, Trade, Update
from ticker_feeds.venues import (
    BadMessage,
    Books,
    Change,
    Message,
    Request,
    Tracker,
    Venue,
    VenueState,
    read_integer,
    read_kind,
    read_levels,
    read_positive,
    read_sequence,
    read_text,
    read_unix_time,
    read_values,
    without_empty_sides,
)

URL = "wss://stream.nowhere.example/v1"

_FIELDS = {"bid": "bid", "ask": "ask"}
"""The keys of a quote, and the fields of `ticker.market` that they hold."""


# 1. The values in a message: no I/O and no state, so the easiest part to test on recorded messages.
def parse(message: Message) -> Update | Trade:
    """Return the update in a quote, or a trade; the service checks its values. Raises `BadMessage`."""
    symbol, time = read_text(message, "symbol"), read_unix_time(message, "ms")
    if message["type"] == "quote":
        return Update(symbol, without_empty_sides(read_values(message, _FIELDS)) | {"time": time})
    price, size = read_positive(message, "price", symbol), read_positive(message, "size", symbol)
    # A number left out is a gap.
    number = read_sequence(message, "id", symbol)
    return Trade(symbol, price, size, message.get("side"), time if isinstance(time, int) else None, number)


def parse_book(message: Message, symbol: str) -> Change:
    """Return the levels in a message of a book. Raises `BadMessage`."""
    number = read_integer(message, "seq", symbol)
    return Change(read_levels(message, "bids", symbol), read_levels(message, "asks", symbol), number - 1, number)


# 2. The protocol: requests, answers, sequence numbers. Still no I/O.
class TemplateTracker(Tracker):
    """The protocol of one connection."""

    def __init__(self, state: VenueState) -> None:
        super().__init__(state, Books(state))
        self.outbox.append({"type": "subscribe", "symbols": list(self.names)})
        self.pending.update(self.names)

    def symbols(self) -> Iterable[str]:
        """The venue's symbols that this connection follows: all."""
        return self.names

    def read(self, message: Message) -> list[Publication]:
        """Return the publications that follow from a message. Raises `BadMessage`."""
        kind = read_kind(message, "type")
        if kind == "subscribed":
            return self._answer(message)
        if kind == "ping":
            self.outbox.append({"type": "pong", "id": read_integer(message, "id")})
            return []
        if kind not in {"quote", "trade", "book", "halt", "resume"} or read_text(message, "symbol") not in self.names:
            return []  # a kind that the venue added, or a symbol that was not requested
        return self._event(kind, message["symbol"], message)

    def book_requests(self, symbol: str) -> list[Request]:
        """Return the request for a whole book: `Books` says when, after a gap for example."""
        return [{"type": "whole", "symbol": symbol}]

    def _event(self, kind: str, symbol: str, message: Message) -> list[Publication]:
        if kind == "halt":
            return self.state.halt(symbol)
        if kind == "resume":
            self.state.resume(symbol)
            return self.state.update(symbol, {}, full_quote=False)
        if kind == "book":
            return self._book(symbol, message)
        stated = parse(message)
        if isinstance(stated, Trade):
            new = self.state.is_new_trade(symbol, stated.id if isinstance(stated.id, int) else None)
            return self.state.trade(symbol, stated._replace(symbol=self.names[symbol])) if new else []
        new = self.state.is_new_quote(symbol, read_sequence(message, "seq", symbol))
        return self.state.update(symbol, stated.fields, full_quote=True) if new else []

    def _book(self, symbol: str, message: Message) -> list[Publication]:
        assert self.books is not None  # noqa: S101  # for the type checker
        try:
            change = parse_book(message, symbol)
        except BadMessage:
            return self.books.bad(symbol)  # it costs the book alone
        if message.get("whole") is True:
            return self.books.snapshot(symbol, change.bids, change.asks, change.last)
        return self.books.change(symbol, change)

    def _answer(self, message: Message) -> list[Publication]:
        self.pending.clear()
        unknown = message.get("unknown")
        refused = [symbol for symbol in self.names if isinstance(unknown, list) and symbol in unknown]
        assert self.books is not None  # noqa: S101  # for the type checker
        self.books.follow([symbol for symbol in self.names if symbol not in refused], asked=True)
        return [each for symbol in refused for each in self.state.mark_refused(symbol)]


# 3. The feed: its options are the parameters here, and the docstring is their help in `ticker feeds`.
class Template(Venue):
    """An invented venue, as a pattern for a real one.

    `symbols` are the venue's, separated by commas; `prefix` is put before them here. `url` and `ca` (a PEM file of
    authorities) are for a server other than the venue's own.
    """

    NAME: ClassVar[str] = "nowhere"

    # 4. Times of the venue, in seconds. It pings every 10, so 25 without a message mean a dead connection.
    silence_seconds = 25.0

    def __init__(self, *, symbols: str, prefix: str = "", url: str = URL, ca: str | None = None) -> None:
        super().__init__(symbols, prefix, url, ca)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """Follow the venue on one connection."""
        await self.connect(self.url, TemplateTracker(state), updates)

"""Kraken: prices of its public WebSocket API, version 2 (spot; no key).

`kraken?symbols=BTC/USD,ETH/EUR`. Channels: `ticker` (quotes, day; on every change of the best prices), `trade`,
`instrument` (decimal places and state of every pair), and those that come by themselves: `status` and `heartbeat`.
Rules:

- Each symbol of a subscription is answered by itself, with `success`, or with an `error` and the symbol ([1], "Ticker",
  "Trade"). Of an error without it, the cause is found by halves, unless its text names pairs.
- Prices and sizes are JSON numbers, with the digits that they have in Kraken's engine. A value that a pair has not,
  such as a last price before its first trade, can be null or missing (as observed).
- `heartbeat` comes about once a second when nothing else does; `ping` is answered by `pong` ([1], "Heartbeat", "Ping").
- `book` gives the best levels of a book, as many as were asked for. A level that falls out of them is not mentioned:
  the client cuts its book ([2]). A checksum over the best ten levels comes with each message, on digits at the decimal
  places of the pair; so a book is subscribed once these are known. A book that differs is subscribed anew.
- There is no sequence, but a trade's `trade_id` counts a book's trades one by one ([1], "Trade"). The next `ticker`
  message, which says everything, repairs a symbol of which trades were missed. A subscription begins with one, so a
  symbol that stays quiet is subscribed anew.
- Unless the `status` is `online`, nothing is matched: then all is `halted` ([1], "Status"), and so is a pair that is
  not traded ([1], "Instrument": `status` of a pair). A pair that was refused is subscribed when it appears there.

[1] https://docs.kraken.com/exchange/api-reference/spot-websocket-v2
[2] https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Level, Publication, Side, Trade, Update, Value
from ticker.numbers import MAX_SCALE
from ticker_feeds.venues import (
    BadMessage,
    Books,
    Change,
    Frame,
    Message,
    OrderBook,
    Request,
    Tracker,
    Venue,
    VenueState,
    decode_object,
    named_symbols,
    read_integer,
    read_kind,
    read_positive,
    read_sequence,
    read_text,
    read_utc,
    read_values,
    without_zero_prices,
)
from ticker_feeds.venues.order_book import checksum_text

URL = "wss://ws.kraken.com/v2"

_TICKER = {
    "bid": "bid",
    "bid_qty": "bid_size",
    "ask": "ask",
    "ask_qty": "ask_size",
    "last": "last",
    "high": "high",
    "low": "low",
    "volume": "volume",
}
_SIDES = tuple(str(side) for side in Side)
_DEPTHS = (10, 25, 100, 500, 1000)
_CHECKED = 10
"""Levels of each side in a checksum."""
_PING = 4
"""Number of every ping; those of subscriptions are others."""
_BOOK = 1_000_000
"""Number of every request of books: an error about one is none about the symbol."""
_MORE: Mapping[str, Message] = {"ticker": {"event_trigger": "bbo"}, "trade": {"snapshot": True}}
_TRADED = {"online", "limit_only", "reduce_only"}


def parse(raw: Frame) -> list[Update | Trade]:
    """Return the updates and trades in a message, by the venue's symbols; none without prices. Raises `BadMessage`."""
    message = decode_object(raw)
    channel = read_kind(message, "channel")
    if channel not in {"ticker", "trade"}:
        return []
    return [_stated(channel, each) for each in _data(message)]


def _stated(channel: str, each: Message) -> Update | Trade:
    return _ticker(each) if channel == "ticker" else _trade(each)


def _data(message: Message) -> list[Message]:
    data = message.get("data")
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise BadMessage("data: no list of objects")
    return data


def _ticker(each: Message) -> Update:
    symbol = read_text(each, "symbol")
    fields = read_values(each, _TICKER)
    if all(fields[name] is None for name in ("bid", "ask", "last")):
        raise BadMessage("a ticker without prices", symbol)
    fields |= {"trade_count": each.get("trades"), "time": read_utc(each, "timestamp")}
    return Update(symbol, without_zero_prices(fields))


def _trade(each: Message) -> Trade:
    symbol = read_text(each, "symbol")
    price, size = read_positive(each, "price", symbol), read_positive(each, "qty", symbol)
    side, time = read_kind(each, "side"), read_utc(each, "timestamp")
    number = read_sequence(each, "trade_id", symbol)
    return Trade(symbol, price, size, side if side in _SIDES else None, time if isinstance(time, int) else None, number)


def _levels(each: Message, key: str, symbol: str) -> list[Level]:
    levels = each.get(key)
    if not isinstance(levels, list) or not all(isinstance(level, dict) for level in levels):
        raise BadMessage(f"{key}: no list of levels", symbol)
    return [(level.get("price"), level.get("qty")) for level in levels]


def checksum(book: OrderBook, places: tuple[int, int]) -> int:
    """Return the checksum of a book ([2]), for a pair whose prices and sizes have so many decimal places."""
    bids, asks = book.top(_CHECKED)
    digits = [checksum_text(price, places[0]) + checksum_text(size, places[1]) for price, size in (*asks, *bids)]
    return zlib.crc32("".join(digits).encode())


class KrakenTracker(Tracker):
    """The connection to Kraken."""

    def __init__(
        self,
        state: VenueState,
        instruments: dict[str, Instrument],
        books: Books | None = None,
        *,
        trades: bool = True,
    ) -> None:
        """`instruments` are those known so far, by the venue's symbols; their definitions are updated in place.

        `books` are the order books, if they are wanted.
        """
        super().__init__(state, books)
        self._instruments = instruments
        self._places: dict[str, tuple[int, int]] = {}
        """Decimal places of prices and sizes, of pairs whose books are subscribed."""
        self._prices = ("ticker", "trade") if trades else ("ticker",)
        self._online = True
        self._states: dict[str, str] = {}
        self._requests: dict[int, tuple[str, list[str]]] = {}
        self._last_request = 0
        for channel in (*self._prices, "instrument"):
            self._subscribe(channel, [] if channel == "instrument" else list(self.names))

    def symbols(self) -> Iterable[str]:
        """The venue's symbols that this connection follows."""
        return self.names

    def read(self, message: Message) -> list[Publication]:
        """Return the publications that follow from a message. Raises `BadMessage` and `VenueRefused`."""
        if message.get("method") == "subscribe":
            return self._answer(message)
        channel = read_kind(message, "channel")
        if channel == "status":
            return self._status(message)
        if channel == "instrument":
            return self._instrument(message)
        if channel == "book":
            return [each for element in _data(message) for each in self._book(read_kind(message, "type"), element)]
        if channel not in {"ticker", "trade"}:
            return []
        return [each for element in _data(message) for each in self._read_price(channel, element)]

    def snapshot_requests(self, symbol: str) -> list[Request]:
        """Leave the ticker of this symbol and subscribe to it anew: it begins with a snapshot."""
        params = {"channel": "ticker", **_MORE["ticker"], "symbol": [symbol]}
        return [{"method": method, "params": params, "req_id": 1} for method in ("unsubscribe", "subscribe")]

    def book_requests(self, symbol: str) -> list[Request]:
        """Leave the book of this symbol and subscribe to it anew: it begins with a snapshot."""
        return [self._ask_for_books(method, [symbol]) for method in ("unsubscribe", "subscribe")]

    def _ask_for_books(self, method: str, symbols: list[str]) -> Message:
        depth = self.books.cut if self.books else None
        params = {"channel": "book", "depth": depth, "snapshot": True, "symbol": symbols}
        if method == "unsubscribe":
            del params["snapshot"]
        return {"method": method, "params": params, "req_id": _BOOK}

    def _subscribe(self, channel: str, symbols: list[str]) -> None:
        self._last_request += 2 if self._last_request + 1 == _PING else 1
        self._requests[self._last_request] = channel, symbols
        asked: Message = {"channel": channel, **_MORE.get(channel, {})}
        if channel != "instrument":
            asked["symbol"] = symbols
            self.pending.update((channel, symbol) for symbol in symbols)
        self.outbox.append({"method": "subscribe", "params": asked, "req_id": self._last_request})

    def _answer(self, message: Message) -> list[Publication]:
        number = message.get("req_id")
        if number == _BOOK:
            # Without a book, another attempt follows by itself.
            self.state.counters["errors"] += message.get("success") is False
            return []
        channel, asked = self._requests.get(number, ("", [])) if type(number) is int else ("", [])
        symbol, result = message.get("symbol"), message.get("result")
        if isinstance(result, dict):
            channel, symbol = read_kind(result, "channel"), result.get("symbol")
        if message.get("success") is True:
            self.pending.discard((channel, symbol if isinstance(symbol, str) else ""))
            return []
        if message.get("success") is not False:
            raise BadMessage("success: neither true nor false")
        error = str(message.get("error"))
        named = [symbol] if isinstance(symbol, str) and symbol in self.names else named_symbols(error, self.names)
        if named or isinstance(symbol, str):
            return [each for one in named for each in self._refused(one)]
        if channel == "instrument":
            return []  # without it, the first values tell the decimal places
        unanswered = [each for each in asked if (channel, each) in self.pending]
        if not unanswered:
            raise BadMessage("an error that names no pair, and answers no request")
        groups, told = self.divide(unanswered, f"{channel}: {error}")
        for group in groups:
            self._subscribe(channel, group)
        self.pending.difference_update(() if groups else [(each, unanswered[0]) for each in self._prices])
        return told

    def _refused(self, symbol: str) -> list[Publication]:
        known = ("ticker", symbol) in self.pending or ("trade", symbol) in self.pending
        self.pending -= {("ticker", symbol), ("trade", symbol)}
        if known:
            return self.state.mark_refused(symbol)
        # A symbol that was not pending had been unsubscribed, for a snapshot: its quotes do not move any more.
        return [] if symbol in self.state.refused else self.state.mark_gap(symbol)

    def _read_price(self, channel: str, element: Message) -> list[Publication]:
        try:
            return self._price(channel, _stated(channel, element))
        except BadMessage as error:
            return self.reject(error)

    def _price(self, channel: str, stated: Update | Trade) -> list[Publication]:
        symbol = stated.symbol
        if symbol not in self.names:
            return []
        self.pending.discard((channel, symbol))
        if isinstance(stated, Update):
            fields: dict[str, Value] = dict(stated.fields)
            # Trades come by themselves, with their sizes: a ticker's `last` is as old as the ticker.
            if self.state.has_trade(symbol):
                fields.pop("last", None)
                fields.pop("last_size", None)
            return self.state.update(symbol, fields, full_quote=True)
        if not self.state.is_new_trade(symbol, stated.id if isinstance(stated.id, int) else None, stated.time):
            return []
        return self.state.trade(symbol, stated._replace(symbol=self.names[symbol]))

    def _book(self, kind: str, element: Message) -> list[Publication]:
        symbol = read_text(element, "symbol")
        if self.books is None or symbol not in self.names:
            return []
        try:
            check = partial(self._is_right, symbol, read_integer(element, "checksum", symbol))
            bids, asks = _levels(element, "bids", symbol), _levels(element, "asks", symbol)
        except BadMessage:
            return self.books.bad(symbol)
        if kind == "snapshot":
            return self.books.snapshot(symbol, bids, asks, check=check)
        return self.books.change(symbol, Change(bids, asks), check)

    def _is_right(self, symbol: str, wanted: int, book: OrderBook) -> bool:
        try:
            return symbol not in self._places or checksum(book, self._places[symbol]) == wanted
        except BadMessage:
            return False

    def _status(self, message: Message) -> list[Publication]:
        for each in _data(message):
            self._online = read_text(each, "system") == "online"
        return [update for symbol in self.names for update in self._follow_state(symbol)]

    def _follow_state(self, symbol: str) -> list[Publication]:
        state = self._states.get(symbol, "online")
        if state == "delisted":
            return self.state.close(symbol)
        if not self._online or state not in _TRADED:
            return self.state.halt(symbol)
        self.state.resume(symbol)
        return []

    def _instrument(self, message: Message) -> list[Publication]:
        data = message.get("data")
        pairs = data.get("pairs") if isinstance(data, dict) else None
        if not isinstance(pairs, list):
            raise BadMessage("an instrument message without pairs")
        ours = [each for each in pairs if isinstance(each, dict) and self._is_ours(each.get("symbol"))]
        told = [each for pair in ours for each in self._pair(pair["symbol"], pair)]
        self._subscribe_books([pair["symbol"] for pair in ours])
        return told

    def _subscribe_books(self, symbols: list[str]) -> None:
        new = [each for each in symbols if each in self._places and each not in self.state.refused]
        if self.books is not None and (unfollowed := self.books.unfollowed(new)):
            self.books.follow(unfollowed, asked=True)
            self.outbox.append(self._ask_for_books("subscribe", unfollowed))

    def _is_ours(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names

    def _pair(self, symbol: str, pair: Message) -> list[Publication]:
        """Each part of a pair counts by itself: scales are a guess that the values correct, a state is none."""
        before = self._instruments[symbol]
        scales = _places(pair, "price_precision", before.price_scale), _places(pair, "qty_precision", before.size_scale)
        self._instruments[symbol] = Instrument(before.symbol, *scales, before.metadata)
        if all(type(pair.get(key)) is int for key in ("price_precision", "qty_precision")):
            self._places[symbol] = scales
        state = read_kind(pair, "status")
        if state:
            self._states[symbol] = state
        if symbol in self.state.refused and state in _TRADED:
            self.state.refused.discard(symbol)
            for channel in self._prices:
                self._subscribe(channel, [symbol])
        return [self._instruments[symbol], *self._follow_state(symbol)]


def _places(pair: Message, key: str, before: int) -> int:
    """Decimal places as a scale; those from before where they cannot be read."""
    places = pair.get(key)
    return min(places, MAX_SCALE) if type(places) is int and places >= 0 else before


class Kraken(Venue):
    """Kraken, spot.

    `symbols` are its pairs, separated by commas; `prefix` is put before them here, so that another venue can have the
    same ones. With `trades=no` there are no trades, and the last price is that of the quotes. With `book=no` there are
    no order books; `depth` is the number of their levels on each side: 10, 25, 100, 500 or 1000. `url` and `ca` (a PEM
    file of authorities) are for another server than the venue's own.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "kraken"
    SEPARATOR: ClassVar[str] = "/"
    UPPER_CASE: ClassVar[bool] = False
    PING: ClassVar[Message] = {"method": "ping", "req_id": _PING}

    def __init__(  # noqa: PLR0913  # one parameter per option
        self,
        *,
        symbols: str,
        prefix: str = "",
        trades: bool = True,
        book: bool = True,
        depth: int = 100,
        url: str = URL,
        ca: str | None = None,
    ) -> None:
        super().__init__(symbols, prefix, url, ca)
        if depth not in _DEPTHS:
            raise ConfigError(f"depth {depth}: give one of {', '.join(map(str, _DEPTHS))}, or book=no")
        self._trades, self._depth = trades, depth if book else None

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """One connection for all."""
        books = None if self._depth is None else Books(state, cut=self._depth)
        tracker = KrakenTracker(state, self.instruments, books, trades=self._trades)
        await self.connect(self.url, tracker, updates)

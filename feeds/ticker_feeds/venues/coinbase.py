"""Coinbase Exchange: prices of its public WebSocket feed (no key; not the feed of Coinbase Advanced).

`coinbase?symbols=BTC-USD,ETH-USD`. Channels: `ticker` (quotes, last trade, day), `matches` (every trade), `heartbeat`
(each second, for each product), and `status` (the states of all products, at intervals). Rules:

- A subscription is answered by `subscriptions`, which lists everything that is subscribed now ([1], "Subscribe"), or by
  an `error`, and then nothing of that request is subscribed. An error that names products is about those; of one that
  names none, the cause is found by halves. Errors do not say which request they answer, so there is one at a time.
- `sequence` counts all that happens to a product's book, so on these channels it rises in leaps. It tells new messages
  from late ones, which the venue may send ([1], "Sequence numbers"). A product that has just been listed has neither
  `sequence` nor `time` (as observed).
- Missing trades show in `trade_id`, which counts a product's trades one by one: in `match` against the match before,
  and in `heartbeat` against the last match of all ([2], "Heartbeat", "Matches").
- A `ticker` message says everything, so the next one repairs a product of which a match was missed. A subscription
  begins with one, so a product that stays quiet is subscribed anew.
- `level2_batch` gives a whole order book, and then its changes, every 50 ms; `level2`, with a message for each change,
  needs a key ([2], "Level2"). They have no numbers: the venue guarantees that none is missing. A book can have tens of
  thousands of levels, of which the best are kept. Books are subscribed last, so that an error about them is no other's.
- `side` of a match is that of the maker ([2], "Matches").
- Sizes of the best bid and ask are in newer `ticker` messages only. An `open` is that of 24 hours ago. A price of zero
  is none.
- A product's `status` is `online`, `offline`, `internal` or `delisted`; while `trading_disabled`, `cancel_only`,
  `post_only` or `auction_mode` is set, its orders are not matched ([2], "Status"; [3], for the words). A product that
  was refused is subscribed when it appears as `online`.

[1] https://docs.cdp.coinbase.com/exchange/websocket-feed/overview
[2] https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
[3] https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-all-known-trading-pairs
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Level, Publication, Side, Trade, Update
from ticker_feeds.venues import (
    BadMessage,
    Books,
    Change,
    Frame,
    Message,
    Request,
    Tracker,
    Venue,
    VenueState,
    decode_object,
    named_symbols,
    read_kind,
    read_levels,
    read_positive,
    read_sequence,
    read_text,
    read_utc,
    read_values,
    without_zero_prices,
)

URL = "wss://ws-feed.exchange.coinbase.com"

_TICKER = {
    "best_bid": "bid",
    "best_bid_size": "bid_size",
    "best_ask": "ask",
    "best_ask_size": "ask_size",
    "price": "last",
    "last_size": "last_size",
    "open_24h": "open",
    "high_24h": "high",
    "low_24h": "low",
    "volume_24h": "volume",
}
_TAKERS = {"buy": str(Side.SELL), "sell": str(Side.BUY)}
"""The side that took, by that of the maker."""
_BOOK = "level2_batch"
_DEPTHS = range(100, 10_001)
_UNMATCHED = ("trading_disabled", "cancel_only", "post_only", "auction_mode")
"""Flags of a product whose orders are not matched."""


def parse(raw: Frame) -> list[Update | Trade]:
    """Return the updates and trades in a message, by the venue's symbols; none without prices. Raises `BadMessage`."""
    return _stated(decode_object(raw))


def _stated(message: Message) -> list[Update | Trade]:
    kind = read_kind(message, "type")
    if kind in {"match", "last_match"}:
        return [_trade(message)]
    if kind != "ticker":
        return []
    symbol = read_text(message, "product_id")
    fields = read_values(message, _TICKER)
    if all(fields.get(name) is None for name in ("bid", "ask", "last")):
        raise BadMessage("a ticker without prices", symbol)
    fields["time"] = read_utc(message, "time")
    return [Update(symbol, without_zero_prices(fields))]


def _trade(message: Message) -> Trade:
    symbol = read_text(message, "product_id")
    price, size = read_positive(message, "price", symbol), read_positive(message, "size", symbol)
    side, time = _TAKERS.get(read_kind(message, "side")), read_utc(message, "time")
    number = read_sequence(message, "trade_id", symbol)
    return Trade(symbol, price, size, side, time if isinstance(time, int) else None, number)


def _change(message: Message, symbol: str) -> Change:
    """The changed levels in an `l2update`: arrays of side, price and size."""
    sides: dict[str, list[Level]] = {"buy": [], "sell": []}
    changes = message.get("changes")
    try:
        for side, price, size in changes:  # type: ignore[union-attr]  # anything else is caught below
            sides[side].append((price, size))
    except (TypeError, ValueError, LookupError):
        raise BadMessage("changes: no list of changed levels", symbol) from None
    return Change(sides["buy"], sides["sell"])


class CoinbaseTracker(Tracker):
    """One connection to Coinbase."""

    def __init__(self, state: VenueState, books: Books | None = None, *, trades: bool = True) -> None:
        """`books` are the order books, if they are wanted."""
        super().__init__(state, books)
        self._channels = ["ticker", *(["matches"] if trades else []), "heartbeat"]
        self._requests: deque[list[str]] = deque([list(state.names)])
        """Products still to be subscribed, those of one request together."""
        self._asked: list[str] = []
        """Products of the request that was sent last, until it is answered."""
        self._follows_states = False
        self._subscribe_next()

    def symbols(self) -> Iterable[str]:
        """Those that were not refused."""
        return [symbol for symbol in self.names if symbol not in self.state.refused]

    def snapshot_requests(self, symbol: str) -> list[Request]:
        """Leave the ticker of this product and subscribe to it anew."""
        self.state.reset_quote(symbol)
        return [
            {"type": kind, "product_ids": [symbol], "channels": ["ticker"]} for kind in ("unsubscribe", "subscribe")
        ]

    def book_requests(self, symbol: str) -> list[Request]:
        """Leave the book of this product and subscribe to it anew."""
        return [{"type": kind, "product_ids": [symbol], "channels": [_BOOK]} for kind in ("unsubscribe", "subscribe")]

    def read(self, message: Message) -> list[Publication]:
        """Return the publications that follow from a message. Raises `BadMessage` and `VenueRefused`."""
        kind = read_kind(message, "type")
        if kind == "subscriptions":
            self._answered(message)
        elif kind == "error":
            return self._refused(f"{message.get('message')}: {message.get('reason')}")
        elif kind == "heartbeat":
            return self._beat(message)
        elif kind == "status":
            return self._states(message)
        elif kind in {"snapshot", "l2update"}:
            return self._book(kind, message)
        else:
            return [each for stated in _stated(message) for each in self._data(message, stated)]
        return []

    def _subscribe_next(self) -> None:
        """Send the next request, once the one before it is answered; the states and the books are the last."""
        if self.pending:
            return
        self._asked = self._requests.popleft() if self._requests else []
        if self._asked:
            self.pending.update(self._asked)
            self.outbox.append({"type": "subscribe", "product_ids": self._asked, "channels": self._channels})
            return
        if not self._follows_states:
            self._follows_states = True
            self.outbox.append({"type": "subscribe", "channels": [{"name": "status"}]})
        if self.books is not None and (new := self.books.unfollowed(self.symbols())):
            self.books.follow(new, asked=True)
            self.outbox.append({"type": "subscribe", "product_ids": new, "channels": [_BOOK]})

    def _answered(self, message: Message) -> None:
        channels = message.get("channels")
        for channel in channels if isinstance(channels, list) else ():
            products = channel.get("product_ids") if isinstance(channel, dict) else None
            if isinstance(products, list) and channel.get("name") == "ticker":
                self.pending.difference_update(each for each in products if isinstance(each, str))
        self._subscribe_next()

    def _refused(self, error: str) -> list[Publication]:
        if not self._asked:
            # It is about the states, or a snapshot, which is then requested no more: the product stays stale.
            self.state.counters["errors"] += 1
            return []
        asked, named, told = self._asked, named_symbols(error, self._asked), list[Publication]()
        self.pending.clear()
        if named:
            told = [each for symbol in named for each in self.state.mark_refused(symbol)]
            rest = [symbol for symbol in asked if symbol not in named]
            self.searching = True
            self._requests.extendleft([rest] if rest else [])
        else:
            groups, told = self.divide(asked, error)
            self._requests.extendleft(reversed(groups))
        self._subscribe_next()
        return told

    def _data(self, message: Message, stated: Update | Trade) -> list[Publication]:
        if stated.symbol not in self.names:
            return []
        self.pending.discard(stated.symbol)
        self._subscribe_next()
        return self._ticker(message, stated) if isinstance(stated, Update) else self._match(stated)

    def _ticker(self, message: Message, update: Update) -> list[Publication]:
        symbol, fields = update.symbol, dict(update.fields)
        sequence, trade = read_sequence(message, "sequence", symbol), read_sequence(message, "trade_id", symbol)
        if not self.state.is_new_quote(symbol, sequence, fields["time"]):
            return []
        last = self.state.last_trade(symbol)
        behind = last is not None and trade is not None and trade < last
        if behind:
            del fields["time"]
        # Matches come by themselves, each with its price: a ticker of a later one would be overtaken by them.
        if behind or self.state.has_trade(symbol):
            del fields["last"], fields["last_size"]
        return self.state.update(symbol, fields, full_quote=not behind)

    def _match(self, trade: Trade) -> list[Publication]:
        symbol = trade.symbol
        if not self.state.is_new_trade(symbol, trade.id if isinstance(trade.id, int) else None, trade.time):
            return []
        return self.state.trade(symbol, trade._replace(symbol=self.names[symbol]))

    def _book(self, kind: str, message: Message) -> list[Publication]:
        symbol = read_text(message, "product_id")
        if self.books is None or symbol not in self.names:
            return []
        try:
            if kind == "l2update":
                return self.books.change(symbol, _change(message, symbol))
            bids, asks = read_levels(message, "bids", symbol), read_levels(message, "asks", symbol)
        except BadMessage:
            return self.books.bad(symbol)
        return self.books.snapshot(symbol, bids, asks)

    def _beat(self, message: Message) -> list[Publication]:
        symbol, trade = read_text(message, "product_id"), message.get("last_trade_id")
        last = self.state.last_trade(symbol) if symbol in self.names else None
        # There were times when it was always 0.
        if last is None or type(trade) is not int or trade <= last:
            return []
        return self.state.mark_missed_trade(symbol, trade)

    def _states(self, message: Message) -> list[Publication]:
        products = message.get("products")
        if not isinstance(products, list):
            raise BadMessage("a status message without products")
        ours = [each for each in products if isinstance(each, dict) and self._is_ours(each.get("id"))]
        return [each for product in ours for each in self._state(product["id"], product)]

    def _is_ours(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names

    def _state(self, symbol: str, product: Message) -> list[Publication]:
        word = read_kind(product, "status")
        if symbol in self.state.refused:
            if word == "online":
                self.state.refused.discard(symbol)
                self._requests.append([symbol])
                self._subscribe_next()
        elif word == "delisted":
            return self.state.close(symbol)
        elif word in {"offline", "internal"} or any(product.get(flag) is True for flag in _UNMATCHED):
            return self.state.halt(symbol)
        elif word == "online":
            self.state.resume(symbol)
        return []


class Coinbase(Venue):
    """Coinbase Exchange.

    `symbols` are its products, separated by commas; `prefix` is put before them here, so that another venue can have
    the same ones. With `trades=no` there are no trades, and the last price is that of the quotes. With `book=no` there
    are no order books; `depth` is the number of their levels on each side, 100 to 10000. `url` and `ca` (a PEM file of
    authorities) are for another server than the venue's own.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "coinbase"
    SEPARATOR: ClassVar[str] = "-"

    def __init__(  # noqa: PLR0913  # one parameter per option
        self,
        *,
        symbols: str,
        prefix: str = "",
        trades: bool = True,
        book: bool = True,
        depth: int = 1_000,
        url: str = URL,
        ca: str | None = None,
    ) -> None:
        super().__init__(symbols, prefix, url, ca)
        if depth not in _DEPTHS:
            raise ConfigError(f"depth {depth}: give {_DEPTHS[0]} to {_DEPTHS[-1]}, or book=no")
        self._trades, self._depth = trades, depth if book else None

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """One connection for all."""
        books = None if self._depth is None else Books(state, self._depth)
        await self.connect(self.url, CoinbaseTracker(state, books, trades=self._trades), updates)

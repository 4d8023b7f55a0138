"""Coinbase Exchange: prices of its public WebSocket feed (no key; not the feed of Coinbase Advanced).

`coinbase?symbols=BTC-USD,ETH-USD`. Channels: `ticker` (quotes, last trade, day), `matches` (every trade), and
`heartbeat` (each second, for each product). Rules, from its documentation and from recordings:

- A subscription is answered by `subscriptions`, which lists everything that is subscribed now; an unknown product by
  an `error` that names it, and then nothing of that request is subscribed. It is made again without that product.
- `sequence` counts all that happens to a product's book, so on these channels it rises in leaps. It tells new
  messages from old ones. Missing trades show in `trade_id`, which counts a product's trades one by one: in `match`
  against the match before, and in `heartbeat` against the last match of all.
- A `ticker` message says everything, so the next one repairs a product of which a match was missed. A subscription
  begins with one, so a product that stays quiet is subscribed anew.
- Sizes of the best bid and ask are in newer `ticker` messages only. An `open` is that of 24 hours ago.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

import trio

from ticker.market import FeedItem, Publication, Update
from ticker_feeds.venues import (
    BadMessage,
    Frame,
    Message,
    Request,
    Tracker,
    Venue,
    VenueRefused,
    VenueState,
    decode_object,
    read_decimals,
    read_integer,
    read_kind,
    read_microseconds,
    read_text,
    without_empty_sides,
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
_MATCH = {"price": "last", "size": "last_size"}
_PRODUCT = re.compile(r"\b([A-Z0-9]+-[A-Z0-9]+)\b")


def parse(raw: Frame) -> list[Update]:
    """Return the updates in a message, by the venue's symbols; none without prices. Raises `BadMessage`."""
    return _stated(decode_object(raw))


def _stated(message: Message) -> list[Update]:
    kind = read_kind(message, "type")
    if kind not in {"ticker", "match", "last_match"}:
        return []
    symbol = read_text(message, "product_id")
    names = _TICKER if kind == "ticker" else _MATCH
    fields = without_empty_sides(read_decimals(message, names, symbol))
    if not ({"bid", "ask", "last"} if kind == "ticker" else {"last", "last_size"}) <= fields.keys():
        raise BadMessage(f"a {kind} without prices", symbol)
    if kind != "ticker" or "time" in message:
        fields["time"] = read_microseconds(message, "time", symbol)
    return [Update(symbol, fields)]


class CoinbaseTracker(Tracker):
    """One connection to Coinbase."""

    def __init__(self, state: VenueState) -> None:
        super().__init__(state)
        self._wanted = list(state.names)
        self._ticker_trades: dict[str, int] = {}
        self._subscribe()

    def symbols(self) -> Iterable[str]:
        """Those that were not refused."""
        return self._wanted

    def snapshot_requests(self, symbol: str) -> list[Request]:
        """Leave the ticker of this product and subscribe to it anew."""
        self.state.reset_quote(symbol)
        return [
            {"type": kind, "product_ids": [symbol], "channels": ["ticker"]} for kind in ("unsubscribe", "subscribe")
        ]

    def read(self, message: Message) -> list[Publication]:
        """Return the publications that follow from a message. Raises `BadMessage` and `VenueRefused`."""
        kind = read_kind(message, "type")
        if kind == "subscriptions":
            self._answered(message)
        elif kind == "error":
            return self._refused(message)
        elif kind == "heartbeat":
            return self._beat(message)
        else:
            return [each for update in _stated(message) for each in self._data(kind, message, update)]
        return []

    def _subscribe(self) -> None:
        self.pending.update(self._wanted)
        channels = ["ticker", "matches", "heartbeat"]
        self.outbox.append({"type": "subscribe", "product_ids": list(self._wanted), "channels": channels})

    def _answered(self, message: Message) -> None:
        channels = message.get("channels")
        for channel in channels if isinstance(channels, list) else ():
            products = channel.get("product_ids") if isinstance(channel, dict) else None
            if isinstance(products, list) and channel.get("name") == "ticker":
                self.pending.difference_update(each for each in products if isinstance(each, str))

    def _refused(self, message: Message) -> list[Publication]:
        reason = f"{message.get('message')}: {message.get('reason')}"
        named = [each for each in _PRODUCT.findall(reason) if each in self._wanted]
        if not named:
            raise VenueRefused(reason)
        self._wanted = [each for each in self._wanted if each not in named]
        self.pending.difference_update(named)
        if self._wanted:
            self._subscribe()
        return [each for symbol in named for each in self.state.mark_refused(symbol)]

    def _data(self, kind: str, message: Message, update: Update) -> list[Publication]:
        if update.symbol not in self.names:
            return []
        self.pending.discard(update.symbol)
        return self._ticker(message, update) if kind == "ticker" else self._match(message, update)

    def _ticker(self, message: Message, update: Update) -> list[Publication]:
        symbol, fields = update.symbol, dict(update.fields)
        if not self.state.is_new_quote(symbol, read_integer(message, "sequence", symbol)):
            return []
        last, trade = self.state.last_trade(symbol), message.get("trade_id")
        behind = last is not None and type(trade) is int and trade < last
        if behind:
            fields = {name: value for name, value in fields.items() if name not in {"last", "last_size", "time"}}
        elif type(trade) is int:
            self._ticker_trades[symbol] = trade
        return self.state.update(symbol, fields, full_quote=not behind)

    def _match(self, message: Message, update: Update) -> list[Publication]:
        symbol, trade = update.symbol, read_integer(message, "trade_id", update.symbol)
        if not self.state.is_new_trade(symbol, trade):
            return []
        # A ticker may have told of a later trade already.
        fields = update.fields if trade >= self._ticker_trades.get(symbol, 0) else {}
        return self.state.update(symbol, fields, full_quote=False)

    def _beat(self, message: Message) -> list[Publication]:
        symbol, trade = read_text(message, "product_id"), message.get("last_trade_id")
        last = self.state.last_trade(symbol) if symbol in self.names else None
        # There were times when it was always 0.
        if last is None or type(trade) is not int or trade <= last:
            return []
        return self.state.mark_missed_trade(symbol, trade)


class Coinbase(Venue):
    """Coinbase Exchange.

    `symbols` are its products, separated by commas; `prefix` is put before them here, so that another venue can have
    the same ones. `url` and `ca` (a PEM file of authorities) are for another server than the venue's own.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "coinbase"
    SEPARATOR: ClassVar[str] = "-"

    def __init__(self, *, symbols: str, prefix: str = "", url: str = URL, ca: str | None = None) -> None:
        super().__init__(symbols, prefix, url, ca)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """One connection for all."""
        await self.connect(self.url, CoinbaseTracker(state), updates)

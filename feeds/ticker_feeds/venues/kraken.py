"""Kraken: prices of its public WebSocket API, version 2 (spot; no key).

`kraken?symbols=BTC/USD,ETH/EUR`. Channels: `ticker` (quotes, day; on every change of the best prices), `trade`,
`instrument` (decimal places and state of every pair), and those that come by themselves: `status` and `heartbeat`.
Rules, from its documentation:

- Each symbol of a subscription is answered by itself, with `success` or with an `error` and the symbol.
- Prices and sizes are JSON numbers, with the digits that they have in Kraken's engine.
- `heartbeat` comes about once a second when nothing else does; `ping` is answered by `pong`.
- There is no sequence, but a trade's `trade_id` counts a book's trades one by one. The next `ticker` message, which
  says everything, repairs a symbol of which trades were missed. A subscription begins with one, so a symbol that stays
  quiet is subscribed anew.
- Unless the `status` is `online`, nothing is matched: then all is `halted`, and so is a pair that is not traded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import trio

from ticker.market import MAX_SCALE, FeedItem, Instrument, Publication, Reason, Update
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
_TRADE = {"price": "last", "qty": "last_size"}
_REQUESTS = {1: "ticker", 2: "trade", 3: "instrument"}
_MORE: Mapping[str, Message] = {"ticker": {"event_trigger": "bbo"}, "trade": {"snapshot": True}}
_TRADED = {"online", "limit_only", "reduce_only"}


def parse(raw: Frame) -> list[Update]:
    """Return the updates in a message, by the venue's symbols; none without prices. Raises `BadMessage`.

    A message of several trades gives an update for each.
    """
    return [update for _, update in _stated(decode_object(raw))]


def _stated(message: Message) -> list[tuple[Message, Update]]:
    """Return the updates in a message, each with its element of `data`."""
    channel = read_kind(message, "channel")
    if channel not in {"ticker", "trade"}:
        return []
    return [(each, _ticker(each) if channel == "ticker" else _trade(each)) for each in _data(message)]


def _data(message: Message) -> list[Message]:
    data = message.get("data")
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise BadMessage("data: no list of objects")
    return data


def _ticker(each: Message) -> Update:
    symbol = read_text(each, "symbol")
    fields = without_empty_sides(read_decimals(each, _TICKER, symbol))
    if not {"bid", "ask"} <= fields.keys():
        raise BadMessage("a ticker without quotes", symbol)
    if each.get("trades") is not None:
        fields["trade_count"] = read_integer(each, "trades", symbol)
    if each.get("timestamp") is not None:
        fields["time"] = read_microseconds(each, "timestamp", symbol)
    return Update(symbol, fields)


def _trade(each: Message) -> Update:
    symbol = read_text(each, "symbol")
    fields = read_decimals(each, _TRADE, symbol)
    if not {"last", "last_size"} <= fields.keys():
        raise BadMessage("a trade without a price", symbol)
    return Update(symbol, {**fields, "time": read_microseconds(each, "timestamp", symbol)})


class KrakenTracker(Tracker):
    """The connection to Kraken."""

    def __init__(self, state: VenueState, instruments: dict[str, Instrument]) -> None:
        """`instruments` are those known so far, by the venue's symbols; their definitions are updated in place."""
        super().__init__(state)
        self._instruments = instruments
        self._online = True
        self._states: dict[str, str] = {}
        for number, channel in _REQUESTS.items():
            asked: Message = {"channel": channel, **_MORE.get(channel, {})}
            if channel != "instrument":
                asked["symbol"] = list(self.names)
                self.pending.update((channel, symbol) for symbol in self.names)
            self.outbox.append({"method": "subscribe", "params": asked, "req_id": number})

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
        return [each for element, update in _stated(message) for each in self._price(channel, element, update)]

    def snapshot_requests(self, symbol: str) -> list[Request]:
        """Leave the ticker of this symbol and subscribe to it anew: it begins with a snapshot."""
        params = {"channel": "ticker", **_MORE["ticker"], "symbol": [symbol]}
        return [{"method": method, "params": params, "req_id": 1} for method in ("unsubscribe", "subscribe")]

    def _answer(self, message: Message) -> list[Publication]:
        result = message.get("result")
        symbol = message.get("symbol")
        number = message.get("req_id")
        channel = _REQUESTS.get(number) if isinstance(number, int) else None
        if isinstance(result, dict):
            channel, symbol = read_kind(result, "channel"), result.get("symbol")
        if not isinstance(symbol, str):
            error = str(message.get("error"))
            symbol = next((each for each in self.names if each in error), "")
        if message.get("success") is True:
            self.pending.discard((channel, symbol))
        elif message.get("success") is not False:
            raise BadMessage("success: neither true nor false")
        elif symbol in self.names:
            known = ("ticker", symbol) in self.pending or ("trade", symbol) in self.pending
            self.pending -= {("ticker", symbol), ("trade", symbol)}
            # A symbol that was not pending had been unsubscribed, for a snapshot: its quotes do not move any more.
            return self.state.mark_refused(symbol) if known else self.state.mark(symbol, Reason.GAP)
        elif channel != "instrument":  # without that, the first values tell the decimal places
            raise VenueRefused(f"{channel}: {message.get('error')}")
        return []

    def _price(self, channel: str, element: Message, update: Update) -> list[Publication]:
        symbol = update.symbol
        if symbol not in self.names:
            return []
        self.pending.discard((channel, symbol))
        if channel == "ticker":
            fields = dict(update.fields)
            # Trades come by themselves, with their sizes: a ticker's `last` is as old as the ticker.
            if self.state.last_trade(symbol) is not None:
                del fields["last"]
            return self.state.update(symbol, fields, full_quote=True)
        if not self.state.is_new_trade(symbol, read_integer(element, "trade_id", symbol)):
            return []
        return self.state.update(symbol, update.fields, full_quote=False)

    def _status(self, message: Message) -> list[Publication]:
        for each in _data(message):
            self._online = read_text(each, "system") == "online"
        return [update for symbol in self.names for update in self._halt(symbol)]

    def _halt(self, symbol: str) -> list[Publication]:
        state = self._states.get(symbol, "online")
        if not self._online or (state not in _TRADED and state != "delisted"):
            return self.state.mark(symbol, Reason.EXCHANGE_HALT)
        self.state.clear(symbol, Reason.EXCHANGE_HALT)
        return []

    def _instrument(self, message: Message) -> list[Publication]:
        data = message.get("data")
        pairs = data.get("pairs") if isinstance(data, dict) else None
        if not isinstance(pairs, list):
            raise BadMessage("an instrument message without pairs")
        return [each for pair in pairs if isinstance(pair, dict) for each in self._pair(pair)]

    def _pair(self, pair: dict[str, Any]) -> list[Publication]:
        symbol = read_text(pair, "symbol")
        if symbol not in self.names:
            return []
        state = read_text(pair, "status", symbol)
        scales = (
            min(read_integer(pair, "price_precision", symbol), MAX_SCALE),
            min(read_integer(pair, "qty_precision", symbol), MAX_SCALE),
        )
        before = self._instruments[symbol]
        self._instruments[symbol] = Instrument(before.symbol, *scales, before.metadata)
        self._states[symbol] = state
        self.state.clear(symbol, Reason.DELISTED)
        told = self.state.mark(symbol, Reason.DELISTED) if state == "delisted" else []
        return [self._instruments[symbol], *told, *self._halt(symbol)]


class Kraken(Venue):
    """Kraken, spot.

    `symbols` are its pairs, separated by commas; `prefix` is put before them here, so that another venue can have the
    same ones. `url` and `ca` (a PEM file of authorities) are for another server than the venue's own.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "kraken"
    SEPARATOR: ClassVar[str] = "/"
    UPPER_CASE: ClassVar[bool] = False
    PING: ClassVar[Message] = {"method": "ping", "req_id": 4}

    def __init__(self, *, symbols: str, prefix: str = "", url: str = URL, ca: str | None = None) -> None:
        super().__init__(symbols, prefix, url, ca)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """One connection for all."""
        await self.connect(self.url, KrakenTracker(state, self.instruments), updates)

"""Kraken: prices of its public WebSocket API, version 2 (spot; no key).

`kraken?symbols=BTC/USD,ETH/EUR`. Channels: `ticker` (quotes, day; on every change of the best prices), `trade`,
`instrument` (decimal places and state of every pair), and those that come by themselves: `status` and `heartbeat`.
Rules:

- Each symbol of a subscription is answered by itself, with `success`, or with an `error` and the symbol ([1], "Ticker",
  "Trade"). Of an error without it, the cause is found by halves, unless its text names pairs.
- Prices and sizes are JSON numbers, with the digits that they have in Kraken's engine. A value that a pair has not,
  such as a last price before its first trade, can be null or missing (as observed).
- `heartbeat` comes about once a second when nothing else does; `ping` is answered by `pong` ([1], "Heartbeat", "Ping").
- There is no sequence, but a trade's `trade_id` counts a book's trades one by one ([1], "Trade"). The next `ticker`
  message, which says everything, repairs a symbol of which trades were missed. A subscription begins with one, so a
  symbol that stays quiet is subscribed anew.
- Unless the `status` is `online`, nothing is matched: then all is `halted` ([1], "Status"), and so is a pair that is
  not traded ([1], "Instrument": `status` of a pair). A pair that was refused is subscribed when it appears there.

[1] https://docs.kraken.com/exchange/api-reference/spot-websocket-v2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import trio

from ticker.market import FeedItem, Instrument, Publication, Update, Value
from ticker.numbers import MAX_SCALE
from ticker_feeds.venues import (
    BadMessage,
    Frame,
    Message,
    Request,
    Tracker,
    Venue,
    VenueState,
    decode_object,
    named_symbols,
    read_kind,
    read_sequence,
    read_text,
    read_utc,
    read_values,
    without_zero_prices,
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
_CHANNELS = ("ticker", "trade", "instrument")
_PING = 4
"""Number of every ping; those of subscriptions are others."""
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
    return [(each, _update(channel, each)) for each in _data(message)]


def _update(channel: str, each: Message) -> Update:
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


def _trade(each: Message) -> Update:
    symbol = read_text(each, "symbol")
    fields = read_values(each, _TRADE)
    if fields["last"] is None:
        raise BadMessage("a trade without a price", symbol)
    return Update(symbol, {**fields, "time": read_utc(each, "timestamp")})


class KrakenTracker(Tracker):
    """The connection to Kraken."""

    def __init__(self, state: VenueState, instruments: dict[str, Instrument]) -> None:
        """`instruments` are those known so far, by the venue's symbols; their definitions are updated in place."""
        super().__init__(state)
        self._instruments = instruments
        self._online = True
        self._states: dict[str, str] = {}
        self._requests: dict[int, tuple[str, list[str]]] = {}
        self._last_request = 0
        for channel in _CHANNELS:
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
        if channel not in {"ticker", "trade"}:
            return []
        return [each for element in _data(message) for each in self._read_price(channel, element)]

    def snapshot_requests(self, symbol: str) -> list[Request]:
        """Leave the ticker of this symbol and subscribe to it anew: it begins with a snapshot."""
        params = {"channel": "ticker", **_MORE["ticker"], "symbol": [symbol]}
        return [{"method": method, "params": params, "req_id": 1} for method in ("unsubscribe", "subscribe")]

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
        self.pending.difference_update(() if groups else [("ticker", unanswered[0]), ("trade", unanswered[0])])
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
            return self._price(channel, element, _update(channel, element))
        except BadMessage as error:
            return self.reject(error)

    def _price(self, channel: str, element: Message, update: Update) -> list[Publication]:
        symbol = update.symbol
        if symbol not in self.names:
            return []
        self.pending.discard((channel, symbol))
        if channel == "ticker":
            fields: dict[str, Value] = dict(update.fields)
            # Trades come by themselves, with their sizes: a ticker's `last` is as old as the ticker.
            if self.state.has_trade(symbol):
                fields.pop("last", None)
                fields.pop("last_size", None)
            return self.state.update(symbol, fields, full_quote=True)
        number = read_sequence(element, "trade_id", symbol)
        if not self.state.is_new_trade(symbol, number, update.fields["time"]):
            return []
        return self.state.update(symbol, update.fields, full_quote=False)

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
        return [each for pair in ours for each in self._pair(pair["symbol"], pair)]

    def _is_ours(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names

    def _pair(self, symbol: str, pair: Message) -> list[Publication]:
        """Each part of a pair counts by itself: scales are a guess that the values correct, a state is none."""
        before = self._instruments[symbol]
        scales = _places(pair, "price_precision", before.price_scale), _places(pair, "qty_precision", before.size_scale)
        self._instruments[symbol] = Instrument(before.symbol, *scales, before.metadata)
        state = read_kind(pair, "status")
        if state:
            self._states[symbol] = state
        if symbol in self.state.refused and state in _TRADED:
            self.state.refused.discard(symbol)
            for channel in ("ticker", "trade"):
                self._subscribe(channel, [symbol])
        return [self._instruments[symbol], *self._follow_state(symbol)]


def _places(pair: Message, key: str, before: int) -> int:
    """Decimal places as a scale; those from before where they cannot be read."""
    places = pair.get(key)
    return min(places, MAX_SCALE) if type(places) is int and places >= 0 else before


class Kraken(Venue):
    """Kraken, spot.

    `symbols` are its pairs, separated by commas; `prefix` is put before them here, so that another venue can have the
    same ones. `url` and `ca` (a PEM file of authorities) are for another server than the venue's own.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "kraken"
    SEPARATOR: ClassVar[str] = "/"
    UPPER_CASE: ClassVar[bool] = False
    PING: ClassVar[Message] = {"method": "ping", "req_id": _PING}

    def __init__(self, *, symbols: str, prefix: str = "", url: str = URL, ca: str | None = None) -> None:
        super().__init__(symbols, prefix, url, ca)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """One connection for all."""
        await self.connect(self.url, KrakenTracker(state, self.instruments), updates)

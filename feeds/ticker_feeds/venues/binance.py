"""Binance: prices of its public WebSocket streams (no key): spot, USD-margined or COIN-margined futures.

`binance?symbols=BTCUSDT,ETHUSDT&market=spot` (or `usdm`, or `coinm` with symbols as `BTCUSD_PERP`). Binance.US speaks
as spot does: `url=wss://stream.binance.us:9443`. Streams of each symbol: `bookTicker` (quotes), `trade`, and
`miniTicker` (the day). Rules:

- Spot and COIN-margined futures have one entry for all streams. USD-margined futures have two: `/public` for events of
  the matching engine, `/market` for computed values. A subscription to a stream of the other entry, or to an unknown
  symbol, is confirmed and brings nothing: such a symbol is `stale` with the reason `no_data`. (Sources: [1], [2], [3],
  "Connect"; the confirmation is as observed.)
- A connection may carry 1,024 streams ([1]) or 200 ([2], [3]), and ask 5 times a second (futures: 10), pings and pongs
  included.
- A connection ends after 24 hours. A new one takes over before that, and when a `serverShutdown` says that the end is
  near ([1], "Server Shutdown"); duplicates are dropped by the numbers below.
- `u` of a `bookTicker` ("order book updateId", [1]) only rises, until the venue starts again. `t` of a trade counts a
  symbol's trades one by one (recordings), so a missing trade shows; the next `bookTicker` repairs the symbol. The
  futures use some numbers for other events than market trades (`X`, recordings).
- Spot's `bookTicker` has no time ([1]). Times are in milliseconds, of spot also in microseconds where the URL has
  `timeUnit=MICROSECOND` ([1], "General WSS information").
- A price of zero is none: an empty side, or no trade within the day.

[1] https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams; Binance.US: https://docs.binance.us
[2] https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
[3] https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

import trio

from ticker.errors import ConfigError, TickerError
from ticker.market import FeedItem, Publication, Update, Value
from ticker_feeds.venues import (
    BadMessage,
    Frame,
    Message,
    Tracker,
    Venue,
    VenueState,
    decode_object,
    read_kind,
    read_sequence,
    read_text,
    read_unix_time,
    read_values,
    without_zero_prices,
)

_MARKETS: Mapping[str, tuple[str, Mapping[str, Sequence[str]]]] = {
    "spot": ("wss://stream.binance.com:9443", {"/stream": ["bookTicker", "trade", "miniTicker"]}),
    "usdm": (
        "wss://fstream.binance.com",
        {"/public/stream": ["bookTicker", "trade"], "/market/stream": ["miniTicker"]},
    ),
    "coinm": ("wss://dstream.binance.com", {"/stream": ["bookTicker", "trade", "miniTicker"]}),
}
"""Where each market is, its entries, and the streams of each."""

_STREAMS = 200
"""Most streams of one connection, by the strictest of its documents."""

_REQUEST = 50
"""The most streams in one request, which may be 4 KiB long."""

_FIELDS = {
    "bookTicker": {"b": "bid", "B": "bid_size", "a": "ask", "A": "ask_size"},
    "trade": {"p": "last", "q": "last_size"},
    "24hrMiniTicker": {"c": "last", "o": "open", "h": "high", "l": "low", "v": "volume"},
    "24hrTicker": {"c": "last", "Q": "last_size", "o": "open", "h": "high", "l": "low", "v": "volume"},
}


def parse(raw: Frame) -> list[Update]:
    """Return the updates in a message, by the venue's symbols; none without prices. Raises `BadMessage`."""
    return _stated(_event(decode_object(raw)))


def _event(message: Message) -> Message:
    """The event in a message of a combined stream, or of a single one; with its kind, which spot leaves out in one."""
    stream = message.get("stream")
    if stream is None:
        event = message
    else:
        event = message.get("data")  # type: ignore[assignment]  # it is looked at right here
        if not isinstance(event, dict):
            raise BadMessage("data: no object")
    # The stream tells the kind as well: of a quote without one of its values, nothing else does.
    if "e" not in event and (str(stream).endswith("@bookTicker") or event.keys() >= {"u", "s", "b", "B", "a", "A"}):
        return {**event, "e": "bookTicker"}
    return event


def _stated(event: Message) -> list[Update]:
    names = _FIELDS.get(read_kind(event, "e"))
    if names is None:
        return []
    symbol = read_text(event, "s")
    if event.get("X", "MARKET") != "MARKET":
        return []
    fields = read_values(event, names)
    if not any(fields.get(name) is not None for name in ("bid", "ask", "last")):
        raise BadMessage(f"a {event['e']} without prices", symbol)
    if event["e"] == "24hrTicker":
        fields["trade_count"] = event.get("n")
    key = "T" if "T" in event else "E"
    if key in event:
        fields["time"] = read_unix_time(event, key)
    return [Update(symbol, without_zero_prices(fields))]


class BinanceTracker(Tracker):
    """One connection to Binance: these streams of these symbols."""

    def __init__(self, state: VenueState, symbols: Sequence[str], streams: Sequence[str]) -> None:
        super().__init__(state)
        self._symbols = symbols
        self._streams = streams
        self._requests: dict[int, list[str]] = {}
        self._last_request = 0
        for some in _chunks(symbols, _REQUEST // len(streams)):
            self._subscribe(some)

    def symbols(self) -> Iterable[str]:
        """The venue's symbols that this connection follows."""
        return self._symbols

    def read(self, message: Message) -> list[Publication]:
        """Return the publications that follow from a message. Raises `BadMessage`."""
        if "id" in message and "stream" not in message and "e" not in message:
            return self._answer(message)
        event = _event(message)
        kind = read_kind(event, "e")
        if kind == "serverShutdown":
            self.ending = True
        if kind == "trade" and read_text(event, "s") in self.names and not self._is_new_trade(event):
            return []
        return [each for update in _stated(event) for each in self._price(kind, event, update)]

    def lost(self) -> list[Publication]:
        """Return the publications after this connection was lost; one without quotes only withdraws its own fields."""
        if "bookTicker" in self._streams:
            return super().lost()
        names = _FIELDS["24hrMiniTicker"].values()
        return [
            each
            for symbol in self._symbols
            for each in self.state.withdraw(symbol, set(names) - {"last"} if self.state.has_trade(symbol) else names)
        ]

    def _subscribe(self, symbols: list[str]) -> None:
        self._last_request += 1
        number = self._last_request
        self._requests[number] = symbols
        self.pending.add(number)
        streams = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in self._streams]
        self.outbox.append({"method": "SUBSCRIBE", "params": streams, "id": number})

    def _answer(self, message: Message) -> list[Publication]:
        number = message["id"]
        symbols = self._requests.pop(number, None) if isinstance(number, int) else None
        if symbols is None:
            return []
        self.pending.discard(number)
        if "error" not in message and "code" not in message:
            return []
        groups, told = self.divide(symbols, str(message.get("error") or message.get("msg")))
        for group in groups:
            self._subscribe(group)
        return told

    def _is_new_trade(self, event: Message) -> bool:
        symbol = event["s"]
        return self.state.is_new_trade(symbol, read_sequence(event, "t", symbol), read_unix_time(event, "T"))

    def _price(self, kind: str, event: Message, update: Update) -> list[Publication]:
        symbol, fields = update.symbol, update.fields
        if symbol not in self.names:
            return []
        if kind == "bookTicker":
            if not self.state.is_new_quote(symbol, read_sequence(event, "u", symbol), fields.get("time")):
                return []
        elif kind != "trade" and self.state.has_trade(symbol):
            # It was computed up to a second ago: the trades themselves are newer.
            fields = _without(fields, "last", "last_size", "time")
        return self.state.update(symbol, fields, full_quote=kind == "bookTicker")


def _without(fields: Mapping[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if name not in names}


class Binance(Venue):
    """Binance: spot, USD-margined or COIN-margined futures; and Binance.US.

    `symbols` are the venue's, separated by commas; `market` is `spot`, `usdm` or `coinm`; `prefix` is put before the
    symbols here, so that another market or venue can have the same ones. `url` and `ca` (a PEM file of authorities) are
    for another server than the venue's own: `url=wss://stream.binance.us:9443` is Binance.US.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "binance"

    ping_seconds = 10.0
    silence_seconds = 25.0
    lifetime_seconds = (82_000.0, 85_000.0)
    """A connection is replaced at a random moment between these: some time before its 24 hours are over."""

    def __init__(
        self, *, symbols: str, market: str = "spot", prefix: str = "", url: str | None = None, ca: str | None = None
    ) -> None:
        if market not in _MARKETS:
            raise ConfigError(f"market {market!r}: give spot, usdm or coinm")
        self._market = market
        own, self._entries = _MARKETS[market]
        super().__init__(symbols, prefix, url or own, ca)

    def metadata(self) -> Mapping[str, str]:
        """Metadata of all instruments."""
        return {"venue": self.NAME, "market": self._market}

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """As many connections as the streams need; the loss of one makes its own symbols stale."""
        async with trio.open_nursery() as nursery:
            for path, streams in self._entries.items():
                for symbols in _chunks(list(self.names), _STREAMS // len(streams)):
                    new_tracker = partial(BinanceTracker, state, symbols, streams)
                    follow = partial(self._follow_one, path, new_tracker, updates)
                    nursery.start_soon(self.keep, follow, new_tracker().lost, updates)

    async def _follow_one(
        self, path: str, new_tracker: Callable[[], Tracker], updates: trio.abc.SendChannel[FeedItem]
    ) -> None:
        """Follow one connection, replaced before the venue ends it. Raises its failure."""
        before: trio.CancelScope | None = None
        async with trio.open_nursery() as nursery:
            while True:
                scope, ending = trio.CancelScope(), trio.Event()
                try:
                    await nursery.start(self._connect_within, scope, ending, path, new_tracker(), updates)
                except (TickerError, OSError):
                    if before is None:
                        raise
                    self.counters["failed_handovers"] += 1
                    await trio.sleep(random.uniform(*self.retry_seconds))  # noqa: S311  # spread, not secret
                    continue
                if before is not None:
                    self.counters["handovers"] += 1
                    before.cancel()
                before = scope
                with trio.move_on_after(random.uniform(*self.lifetime_seconds)):  # noqa: S311  # spread, not secret
                    await ending.wait()

    async def _connect_within(
        self,
        scope: trio.CancelScope,
        ending: trio.Event,
        path: str,
        tracker: Tracker,
        updates: trio.abc.SendChannel[FeedItem],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        with scope:
            await self.connect(self._address(path), tracker, updates, ending=ending, task_status=task_status)

    def _address(self, path: str) -> str:
        """The URL of an entry; parameters of the option `url` stay, as `?timeUnit=MICROSECOND`."""
        server, mark, parameters = self.url.partition("?")
        return f"{server.rstrip('/')}{path}{mark}{parameters}"


def _chunks(items: Sequence[str], size: int) -> list[list[str]]:
    """Split into lists of at most `size` items."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]

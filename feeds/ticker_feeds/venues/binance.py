"""Binance: prices of its public WebSocket streams (no key): spot, USD-margined or COIN-margined futures.

`binance?symbols=BTCUSDT,ETHUSDT&market=spot` (or `usdm`, or `coinm` with symbols as `BTCUSD_PERP`). Binance.US speaks
as spot does: `url=wss://stream.binance.us:9443&rest=https://api.binance.us`. Streams of each symbol: `bookTicker`
(quotes), `trade`, `miniTicker` (the day), and one of its order book (`ticker_feeds.venues.binance_depth`). Rules:

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
from typing import ClassVar, NamedTuple
from urllib.parse import urlsplit

import trio

from ticker.errors import ConfigError, TickerError
from ticker.market import FeedItem, Publication, Trade, Update, Value
from ticker_feeds.venues import (
    Books,
    Message,
    Tracker,
    Venue,
    VenueState,
    read_kind,
    read_sequence,
    read_text,
    read_unix_time,
)
from ticker_feeds.venues.binance_depth import PARTIAL, Snapshots, read_change, read_partial, stream_name
from ticker_feeds.venues.binance_messages import FIELDS, event_in, parse, stated_in

__all__ = ["Binance", "BinanceTracker", "parse"]


class _Market(NamedTuple):
    """Where a market is."""

    url: str
    entries: Mapping[str, Sequence[str]]
    """The paths of its entries, with the streams of each."""
    rest: str
    depth_path: str
    depths: Sequence[int]
    """Depths of a book that it gives."""


_MARKETS: Mapping[str, _Market] = {
    "spot": _Market(
        "wss://stream.binance.com:9443",
        {"/stream": ["bookTicker", "trade", "miniTicker"]},
        "https://api.binance.com",
        "/api/v3/depth",
        (*PARTIAL, 100, 500, 1000, 5000),
    ),
    "usdm": _Market(
        "wss://fstream.binance.com",
        {"/public/stream": ["bookTicker", "trade"], "/market/stream": ["miniTicker"]},
        "https://fapi.binance.com",
        "/fapi/v1/depth",
        (*PARTIAL, 100, 500, 1000),
    ),
    "coinm": _Market(
        "wss://dstream.binance.com",
        {"/stream": ["bookTicker", "trade", "miniTicker"]},
        "https://dapi.binance.com",
        "/dapi/v1/depth",
        (*PARTIAL, 100, 500, 1000),
    ),
}

_DEPTH = 500
"""Levels of a snapshot by REST: enough for minutes of a moving market, at a weight that hundreds of symbols can pay."""

_STREAMS = 200
"""Most streams of one connection, by the strictest of its documents."""

_REQUEST = 50
"""The most streams in one request, which may be 4 KiB long."""


class BinanceTracker(Tracker):
    """One connection to Binance: these streams of these symbols."""

    def __init__(
        self, state: VenueState, symbols: Sequence[str], streams: Sequence[str], depths: Books | None = None
    ) -> None:
        """`depths` are the order books of the run, if there is a stream of them."""
        super().__init__(state)
        self._symbols = symbols
        self._depths = depths
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
        event = event_in(message)
        kind = read_kind(event, "e")
        if kind == "serverShutdown":
            self.ending = True
        if kind == "depthUpdate" or "lastUpdateId" in event:
            return self._depth(message, event)
        if kind == "trade" and read_text(event, "s") in self.names and not self._is_new_trade(event):
            return []
        return [each for stated in stated_in(event) for each in self._publish(kind, event, stated)]

    def lost(self) -> list[Publication]:
        """Return the publications after this connection was lost; one without quotes only withdraws its own fields."""
        if "bookTicker" in self._streams:
            if self._depths is not None:
                self._depths.forget(self._symbols)
            return super().lost()
        names = FIELDS["24hrMiniTicker"].values()
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
            if self._depths is not None:
                self._depths.follow(symbols, asked=self._depths.depth in PARTIAL)
            return []
        groups, told = self.divide(symbols, str(message.get("error") or message.get("msg")))
        for group in groups:
            self._subscribe(group)
        return told

    def _is_new_trade(self, event: Message) -> bool:
        symbol = event["s"]
        return self.state.is_new_trade(symbol, read_sequence(event, "t", symbol), read_unix_time(event, "T"))

    def _depth(self, message: Message, event: Message) -> list[Publication]:
        # An event with a whole book of spot has its symbol only in the name of its stream.
        symbol = read_kind(event, "s") or read_kind(message, "stream").partition("@")[0].upper()
        if self._depths is None or symbol not in self.names:
            return []
        return (read_partial if self._depths.depth in PARTIAL else read_change)(self._depths, event, symbol)

    def _publish(self, kind: str, event: Message, stated: Update | Trade) -> list[Publication]:
        symbol = stated.symbol
        if symbol not in self.names:
            return []
        if isinstance(stated, Trade):
            return self.state.trade(symbol, stated._replace(symbol=self.names[symbol]))
        fields = stated.fields
        if kind == "bookTicker":
            if not self.state.is_new_quote(symbol, read_sequence(event, "u", symbol), fields.get("time")):
                return []
        elif self.state.has_trade(symbol):
            # It was computed up to a second ago: the trades themselves are newer.
            fields = _without(fields, "last", "last_size", "time")
        return self.state.update(symbol, fields, full_quote=kind == "bookTicker")


def _without(fields: Mapping[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if name not in names}


class Binance(Venue):
    """Binance: spot, USD-margined or COIN-margined futures; and Binance.US.

    `symbols` are the venue's, separated by commas; `market` is `spot`, `usdm` or `coinm`; `prefix` is put before the
    symbols here, so that another market or venue can have the same ones. With `trades=no` there are no trades, and the
    last price is that of the day's statistics, each second. With `book=no` there are no order books. `depth` is the
    number of their levels on each side: 500 of a snapshot by REST, which 100, 1000 or 5000 change (futures: up to
    1000), or 5, 10 or 20 without REST.

    `url`, `rest` and `ca` (a PEM file of authorities) are for another server than the venue's own:
    `url=wss://stream.binance.us:9443&rest=https://api.binance.us` is Binance.US. With a `url` and no `rest`, the order
    books are 20 deep.

    Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str] = "binance"

    ping_seconds = 10.0
    silence_seconds = 25.0
    lifetime_seconds = (82_000.0, 85_000.0)
    """A connection is replaced at a random moment between these: some time before its 24 hours are over."""

    def __init__(  # noqa: PLR0913  # one parameter per option
        self,
        *,
        symbols: str,
        market: str = "spot",
        prefix: str = "",
        trades: bool = True,
        book: bool = True,
        depth: int | None = None,
        url: str | None = None,
        rest: str | None = None,
        ca: str | None = None,
    ) -> None:
        if market not in _MARKETS:
            raise ConfigError(f"market {market!r}: give spot, usdm or coinm")
        self._market = market
        at = _MARKETS[market]
        super().__init__(symbols, prefix, url or at.url, ca)
        self._rest = _checked_rest(rest or (None if url else at.rest))
        self._depth = _checked_depth(depth, at, with_rest=self._rest is not None) if book else None
        self._entries = {path: self._streams(streams, trades=trades) for path, streams in at.entries.items()}

    def _streams(self, streams: Sequence[str], *, trades: bool) -> list[str]:
        """The streams of an entry that these options want; books come with the quotes."""
        wanted = [stream for stream in streams if trades or stream != "trade"]
        return wanted if self._depth is None or "bookTicker" not in wanted else [*wanted, stream_name(self._depth)]

    def metadata(self) -> Mapping[str, str]:
        """Metadata of all instruments."""
        return {"venue": self.NAME, "market": self._market}

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """As many connections as the streams need; the loss of one makes its own symbols stale."""
        numbered = self._depth is not None and self._depth not in PARTIAL
        books = Books(state, self._depth, keeps=numbered) if self._depth is not None else None
        async with trio.open_nursery() as nursery:
            if books is not None:
                nursery.start_soon(self.keep_books, books, updates)
            if books is not None and numbered:
                address = f"{self._rest}{_MARKETS[self._market].depth_path}"
                nursery.start_soon(Snapshots(address, self._depth or 0, self.ssl_context).run, books, updates)
            for path, streams in self._entries.items():
                for symbols in _chunks(list(self.names), _STREAMS // len(streams)):
                    new_tracker = partial(BinanceTracker, state, symbols, streams, books)
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


def _checked_rest(rest: str | None) -> str | None:
    if rest is not None and (urlsplit(rest).scheme != "https" or not urlsplit(rest).hostname):
        raise ConfigError(f"rest {rest!r}: give https://HOST or https://HOST:PORT")
    return None if rest is None else rest.rstrip("/")


def _checked_depth(depth: int | None, market: _Market, *, with_rest: bool) -> int:
    if depth is None:
        return _DEPTH if with_rest else max(PARTIAL)
    if depth not in market.depths:
        raise ConfigError(f"depth {depth}: give one of {', '.join(map(str, market.depths))}, or book=no")
    if depth not in PARTIAL and not with_rest:
        raise ConfigError(f"depth {depth}: give rest=https://HOST, for snapshots, or a depth of 5, 10 or 20")
    return depth

"""A feed of a venue with a WebSocket API: options, connections, subscriptions, heartbeats, gaps.

A subclass gives the names and times of its venue and opens its connections in `follow`. Any failure of a connection
ends the run: the service runs the feed again.
"""

from __future__ import annotations

import logging
import math
import random
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import ClassVar
from urllib.parse import urlsplit

import trio

from ticker.errors import ConfigError, TickerError
from ticker.market import FeedItem, Instrument, Publication, batches, is_symbol
from ticker_feeds.parsing import encode_symbol
from ticker_feeds.venues.books import Books
from ticker_feeds.venues.connection import VenueClosed, VenueConnection, VenueSilent, failure_in, open_connection
from ticker_feeds.venues.state import VenueState
from ticker_feeds.venues.tracker import Request, Tracker

_log = logging.getLogger(__name__)

_MAX_WAITING_REQUESTS = 20
"""Above this number of requests waiting to be sent, no snapshot is requested."""


class Venue(ABC):
    """A feed of one venue.

    `symbols` are the venue's, separated by commas; `prefix` is put before them in the published symbols; `url` is
    `wss://HOST` or `wss://HOST:PORT`, with a path where the venue has one; `ca` is a PEM file of authorities to trust
    instead of the system's. Raises `ConfigError` for options that cannot be used.
    """

    NAME: ClassVar[str]
    """Name of the venue, in the metadata of its instruments."""
    SEPARATOR: ClassVar[str] = ""
    """Text between base and currency in the venue's symbols."""
    UPPER_CASE: ClassVar[bool] = True
    """Whether all symbols are in upper case, so that the option may give them in lower case."""
    PING: ClassVar[Request | None] = None
    """Ping message of the venue's own, answered by a message; None for a WebSocket ping."""

    ping_seconds = 15.0
    """Time between two pings."""
    silence_seconds = 10.0
    """Longest time without a sign of life in normal operation."""
    answer_seconds = 5.0
    """Time for the answer to a subscription, and for the first data of each symbol."""
    request_seconds = 0.25
    """Shortest time between two requests."""
    book_seconds = 1.0
    """Time between two looks at the order books: crossed for too long, to be stated again, or to be asked for."""
    retry_seconds = (0.5, 30.0)
    """Longest wait before one of several connections is made again: after its first failure, and after many."""

    def __init__(self, symbols: str, prefix: str, url: str, ca: str | None) -> None:
        self.names = published_symbols(symbols, prefix, upper=self.UPPER_CASE)
        if urlsplit(url).scheme != "wss" or not urlsplit(url).hostname:
            raise ConfigError(f"url {url!r}: give wss://HOST or wss://HOST:PORT")
        self.url = url.rstrip("/")
        try:
            self.ssl_context = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise ConfigError(f"ca {ca!r}: {error.strerror or error}") from error
        self.counters: Counter[str] = Counter()
        self.instruments: dict[str, Instrument] = {}
        """The instruments as last declared, by the venue's symbols."""
        self._runs = 0
        self._connections = 0
        """Connections of `keep` that are open or being opened."""

    def __repr__(self) -> str:
        host = urlsplit(self.url).netloc.rpartition("@")[2]
        return f"<{type(self).__name__} at {host}: {len(self.names)} symbols, {self._runs} runs, {dict(self.counters)}>"

    @abstractmethod
    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """Follow the venue until a connection fails; most have one: `await self.connect(self.url, tracker, updates)`.

        `state` is new in every run.
        """

    def metadata(self) -> Mapping[str, str]:
        """Metadata of all instruments."""
        return {"venue": self.NAME}

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Declare the instruments, then follow the venue until a connection fails."""
        if self._runs:
            self.counters["reconnects"] += 1
        self._runs += 1
        # Definitions learned in earlier runs stay, so that clients are not sent them again.
        self.instruments = first_instruments(self.names, self.metadata(), self.SEPARATOR) | self.instruments
        await _send_all(updates, self.instruments.values())
        try:
            await self.follow(updates, VenueState(self.names, self.counters))
        except BaseExceptionGroup as group:
            error = failure_in(group)
            raise error from error.__cause__

    async def keep(
        self,
        follow: Callable[[], Awaitable[object]],
        lost: Callable[[], list[Publication]],
        updates: trio.abc.SendChannel[FeedItem],
    ) -> None:
        """Run one of several connections, again and again: its loss is none of the others.

        `follow` runs it to its end, `lost` returns the publications that follow from that (`Tracker.lost`). The wait
        before the next try is random; its bound doubles from failure to failure. Raises the failure when no other
        connection is left: then the service runs the feed again.
        """
        bound = self.retry_seconds[0]
        while True:
            began = trio.current_time()
            error = await self._failure_of(follow)
            if trio.current_time() - began > self.retry_seconds[1]:
                bound = self.retry_seconds[0]
            self.counters["reconnects"] += 1
            _log.warning("%s: one connection: %s; again within %g s", self.NAME, error, bound)
            await _send_all(updates, lost())
            await trio.sleep(random.uniform(0, bound))  # noqa: S311  # spread, not secret
            bound = min(2 * bound, self.retry_seconds[1])

    async def _failure_of(self, follow: Callable[[], Awaitable[object]]) -> BaseException:
        """Run one of several connections to its end; return its failure, or raise it when no other one is left."""
        self._connections += 1
        try:
            await follow()
        except (TickerError, OSError, BaseExceptionGroup) as failure:
            error = failure_in(failure) if isinstance(failure, BaseExceptionGroup) else failure
            if self._connections == 1 or not isinstance(error, TickerError | OSError):
                raise
            return error
        finally:
            self._connections -= 1
        return VenueClosed("the connection ended")

    async def connect(
        self,
        url: str,
        tracker: Tracker,
        updates: trio.abc.SendChannel[FeedItem],
        *,
        ending: trio.Event | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run one connection to its end: send the tracker's requests, publish the result of each message.

        It pings every `ping_seconds`, wants all subscriptions answered within `answer_seconds`, and requests a
        snapshot of a symbol with a gap, and of an order book that is not current. It counts as started
        (`nursery.start`) when all subscriptions are answered; `ending` is set when the tracker is `ending`.

        Raises `VenueUnreachable`, `VenueClosed`, `VenueSilent` or `VenueRefused`, and never returns.
        """
        # The service watches for silence as well, and should be first: its reason tells clients more.
        async with open_connection(url, self.ssl_context, 1.25 * self.silence_seconds) as connection:
            requests, waiting = trio.open_memory_channel[Request](math.inf)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_requests, connection, waiting)
                nursery.start_soon(self._await_answers, tracker, updates)
                nursery.start_soon(self._keep_alive, connection, requests, updates)
                nursery.start_soon(self._request_snapshots, tracker, requests)
                if tracker.books is not None:
                    nursery.start_soon(self.keep_books, tracker.books, updates)
                    nursery.start_soon(self._request_books, tracker, tracker.books, requests)
                started = False
                publications: list[Publication] | None = None
                while True:
                    # Before the publications, which wait for a slow service: a venue's ping is answered in time.
                    for request in tracker.outbox:
                        requests.send_nowait(request)
                    tracker.outbox.clear()
                    if publications is not None:
                        await updates.send(publications)
                    if not started and not tracker.pending:
                        started = True
                        task_status.started()
                    if tracker.ending and ending is not None:
                        ending.set()
                    publications = tracker.take(await connection.receive())

    async def _keep_alive(
        self,
        connection: VenueConnection,
        requests: trio.MemorySendChannel[Request],
        updates: trio.abc.SendChannel[FeedItem],
    ) -> None:
        """Ping, so that a quiet venue gives a sign of life."""
        while True:
            await trio.sleep(self.ping_seconds)
            if self.PING is not None:
                requests.send_nowait(self.PING)
            else:
                await connection.ping()
                await updates.send([])

    async def _request_snapshots(self, tracker: Tracker, requests: trio.MemorySendChannel[Request]) -> None:
        """Request a snapshot, once, of each symbol with a gap that has lasted for `answer_seconds`.

        At once would be too soon: a busy symbol's next full quote comes before any answer.
        """
        before: dict[str, int] = {}
        requested: dict[str, int] = {}
        while True:
            await trio.sleep(self.answer_seconds)
            unrepaired = tracker.state.unrepaired(tracker.symbols())
            for symbol, repairs in unrepaired.items():
                if requests.statistics().current_buffer_used >= _MAX_WAITING_REQUESTS:
                    break  # the others follow in a later round
                if before.get(symbol) == repairs and requested.get(symbol) != repairs:
                    requested[symbol] = repairs
                    for request in tracker.snapshot_requests(symbol):
                        requests.send_nowait(request)
            before = unrepaired

    async def keep_books(self, books: Books, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Look at these order books every `book_seconds`, and publish what follows.

        Who waits for a full channel first is served first, so these never come before what a message said before.
        """
        while True:
            await trio.sleep(self.book_seconds)
            if told := books.tick(trio.current_time()):
                await _send_all(updates, told)

    async def _request_books(self, tracker: Tracker, books: Books, requests: trio.MemorySendChannel[Request]) -> None:
        """Request the order books that are not current, from a venue that sends them on this connection."""
        while True:
            await trio.sleep(self.book_seconds)
            while requests.statistics().current_buffer_used < _MAX_WAITING_REQUESTS:
                symbol = books.next_request(trio.current_time())
                if symbol is None:
                    break
                for request in tracker.book_requests(symbol):
                    requests.send_nowait(request)

    async def _send_requests(self, connection: VenueConnection, waiting: trio.MemoryReceiveChannel[Request]) -> None:
        async for request in waiting:
            await connection.send(request)
            await trio.sleep(self.request_seconds)

    async def _await_answers(self, tracker: Tracker, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Raise `VenueSilent` for a subscription without an answer; mark symbols without data."""
        tracker.searching = True
        while tracker.searching:
            tracker.searching = False
            await trio.sleep(self.answer_seconds)
        if tracker.pending:
            self.counters["missing_answers"] += len(tracker.pending)
            parts = [each if isinstance(each, tuple) else (each,) for each in tracker.pending]
            shown = ", ".join(sorted(" ".join(map(str, each)) for each in parts)[:10])
            raise VenueSilent(f"no answer within {self.answer_seconds:g} s to the subscription of {shown}")
        await _send_all(updates, tracker.state.mark_without_data(tracker.symbols()))


async def _send_all(updates: trio.abc.SendChannel[FeedItem], publications: Iterable[Publication]) -> None:
    """Send publications without a bound to their number, in batches that the service takes; `[]` if there are none."""
    made = batches(publications)
    await updates.send(next(made, []))
    for batch in made:
        await updates.send(batch)


def published_symbols(symbols: str, prefix: str, *, upper: bool = True) -> dict[str, str]:
    """Return the published symbols by the venue's symbols, from the option `symbols`. Raises `ConfigError`."""
    names: dict[str, str] = {}
    for written in symbols.split(","):
        name = written.upper() if upper else written
        published = encode_symbol(prefix + name)
        if not is_symbol(published) or not name:
            raise ConfigError(f"symbols: {prefix + written!r} cannot be a symbol")
        if name in names:
            raise ConfigError(f"symbols: {name} is given twice")
        names[name] = published
    return names


def first_instruments(
    names: Mapping[str, str], metadata: Mapping[str, str], separator: str = ""
) -> dict[str, Instrument]:
    """Return an instrument for each symbol, by the venue's symbols; its first values raise the scales from 0."""
    made: dict[str, Instrument] = {}
    for symbol, name in names.items():
        base, _, currency = symbol.partition(separator) if separator else (symbol, "", "")
        more = {"base": base, "currency": currency} if currency else {}
        made[symbol] = Instrument(name, price_scale=0, metadata={**metadata, **more})
    return made

"""A connection to a venue: TLS, WebSocket, JSON both ways, deadlines; and what every adapter of a venue does with it.

Nothing of one venue is known here. Whatever ends a connection is raised: the service starts the feed again.
"""

from __future__ import annotations

import math
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from ticker.errors import ConfigError, TickerError, sole
from ticker.market import FeedItem, Instrument
from ticker_feeds.venues.venue import Message, Tracker, VenueState, instruments, symbols_of

_CONNECT_SECONDS = 8.0
_RECEIVE_BUFFER = 65_536
_MAX_MESSAGE_BYTES = 2**25
_WAITING_REQUESTS = 20
"""While so many requests wait to be sent, nothing is asked for anew."""


class VenueUnreachable(TickerError):
    """No connection to the venue could be made."""


class VenueClosed(TickerError):
    """The venue ended the connection."""


class VenueSilent(TickerError):
    """Nothing came on a connection for so long that it must be dead."""


class VenueConnection:
    """One connection to a venue."""

    def __init__(self, connection: WebSocketConnection, silence_seconds: float) -> None:
        self._connection = connection
        self._silence_seconds = silence_seconds
        self._heard = -math.inf

    async def send(self, message: Message) -> None:
        """Send a message as JSON. Raises `VenueClosed`."""
        try:
            await self._connection.send_message(msgspec.json.encode(message).decode())
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> str | bytes:
        """The next message. Raises `VenueSilent` and `VenueClosed`."""
        self._heard = trio.current_time()  # while nobody listened, nothing could be heard
        while True:
            deadline = self._heard + self._silence_seconds
            with trio.move_on_at(deadline):
                try:
                    message: str | bytes = await self._connection.get_message()
                except ConnectionClosed as error:
                    raise _closed(error) from None
                return message
            if self._heard + self._silence_seconds <= trio.current_time():
                raise VenueSilent(f"nothing came on the connection for {self._silence_seconds:g} s")

    async def ping(self) -> None:
        """Send a ping frame and wait for its pong. Raises `VenueClosed`."""
        try:
            await self._connection.ping()
        except ConnectionClosed as error:
            raise _closed(error) from None
        self._heard = trio.current_time()


def _closed(error: ConnectionClosed) -> VenueClosed:
    if error.reason is None or error.reason.code == 1006:
        return VenueClosed("the connection was lost")
    return VenueClosed(f"the venue closed the connection: {error.reason.code} {error.reason.reason or ''}".rstrip())


@asynccontextmanager
async def open_session(url: str, context: ssl.SSLContext, silence_seconds: float) -> AsyncIterator[VenueConnection]:
    """Connect; when the block is left the connection is dropped at once. Raises `VenueUnreachable`."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    stream: trio.SSLStream[trio.SocketStream] | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_after(_CONNECT_SECONDS):
                    stream = await trio.open_ssl_over_tcp_stream(
                        host, parts.port or 443, ssl_context=context, https_compatible=True
                    )
                    await stream.do_handshake()  # by itself, so that what is wrong with a certificate is told
                    connection = await wrap_client_stream(
                        nursery,
                        stream,
                        parts.netloc,
                        path,
                        max_message_size=_MAX_MESSAGE_BYTES,
                        receive_buffer_size=_RECEIVE_BUFFER,
                    )
            except (OSError, HandshakeError, trio.BrokenResourceError, trio.TooSlowError) as error:
                cause = error.__cause__ or error
                raise VenueUnreachable(f"{url}: {str(cause) or type(cause).__name__}") from error
            yield VenueConnection(connection, silence_seconds)
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


class Venue(ABC):
    """A feed of one venue. What differs between venues is in the subclasses."""

    NAME: ClassVar[str]
    """The venue's name in the metadata of its instruments."""
    SEPARATOR: ClassVar[str] = ""
    """What stands in its symbols between the base and the currency."""

    UPPER_CASE: ClassVar[bool] = True
    """Whether all its symbols are in upper case, so that they may be given in lower case as well."""

    PING: ClassVar[Message | None] = None
    """The venue's own kind of ping, which it answers with a message; None for a WebSocket ping."""

    ping_seconds = 15.0
    """From one ping to the next."""
    silence_seconds = 10.0
    """Every venue says something more often than this, if only that it is alive."""
    answer_seconds = 5.0
    """So long a venue has to answer a subscription, or to send its first data."""
    request_seconds = 0.25
    """The least time between two requests."""

    def __init__(self, symbols: str, prefix: str, url: str, ca: str | None) -> None:
        """The options as they were given. Raises `ConfigError`."""
        self.names = symbols_of(symbols, prefix, upper=self.UPPER_CASE)
        if urlsplit(url).scheme != "wss" or not urlsplit(url).hostname:
            raise ConfigError(f"url {url!r}: give wss://HOST or wss://HOST:PORT")
        self.url = url.rstrip("/")
        try:
            self._context = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise ConfigError(f"ca {ca!r}: {error.strerror or error}") from error
        self.counters: Counter[str] = Counter()
        self.instruments: dict[str, Instrument] = {}
        """What is known of them, by the venue's symbols."""
        self._runs = 0

    @abstractmethod
    async def follow(self, updates: trio.abc.SendChannel[FeedItem], memory: VenueState) -> None:
        """Keep the connections until one of them breaks."""

    def metadata(self) -> Mapping[str, str]:
        """What all instruments of it have in common."""
        return {"venue": self.NAME}

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Follow the venue until the connection to it breaks."""
        if self._runs:
            self.counters["reconnects"] += 1
        self._runs += 1
        # What was learned of the instruments holds in the next run as well: clients are not told it anew.
        self.instruments = instruments(self.names, self.metadata(), self.SEPARATOR) | self.instruments
        await updates.send(list(self.instruments.values()))
        try:
            await self.follow(updates, VenueState(self.names, self.counters))
        except BaseExceptionGroup as group:
            error = sole(group)
            raise error from error.__cause__

    async def connect(
        self,
        url: str,
        tracker: Tracker,
        updates: trio.abc.SendChannel[FeedItem],
        *,
        ending: trio.Event | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """One connection: ask, hand on what comes, see that all is answered. Raises whatever ends it.

        It has started when all is answered; `ending` is set when the venue says that it will end it.
        """
        # The service looks after silence as well, and first, so that clients get the better reason for it.
        async with open_session(url, self._context, 1.25 * self.silence_seconds) as session:
            requests, waiting = trio.open_memory_channel[Message](math.inf)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask, session, waiting)
                nursery.start_soon(self._demand_answers, tracker, updates)
                nursery.start_soon(self._keep_alive, session, requests, updates)
                nursery.start_soon(self._repair, tracker, requests)
                started = False
                while True:
                    for message in tracker.outbox:
                        requests.send_nowait(message)
                    tracker.outbox.clear()
                    if not started and not tracker.pending:
                        started = True
                        task_status.started()
                    await updates.send(tracker.take(await session.receive()))
                    if tracker.ends and ending is not None:
                        ending.set()

    async def _keep_alive(
        self,
        session: VenueConnection,
        requests: trio.MemorySendChannel[Message],
        updates: trio.abc.SendChannel[FeedItem],
    ) -> None:
        """Make a quiet venue say that it is alive."""
        while True:
            await trio.sleep(self.ping_seconds)
            if self.PING is not None:
                requests.send_nowait(self.PING)
            else:
                await session.ping()
                await updates.send([])

    async def _repair(self, tracker: Tracker, requests: trio.MemorySendChannel[Message]) -> None:
        """Ask anew, once, for each symbol of which something was missed, if nothing repaired it by itself for a while.

        At once would be too soon: a busy symbol's next message comes sooner than any answer.
        """
        before: dict[str, int] = {}
        asked: dict[str, int] = {}
        while True:
            await trio.sleep(self.answer_seconds)
            damaged = tracker.memory.damaged(tracker.symbols())
            for symbol, repairs in damaged.items():
                if requests.statistics().current_buffer_used >= _WAITING_REQUESTS:
                    break  # the others have their turn when these were sent
                if before.get(symbol) == repairs and asked.get(symbol) != repairs:
                    asked[symbol] = repairs
                    for message in tracker.again(symbol):
                        requests.send_nowait(message)
            before = damaged

    async def _ask(self, session: VenueConnection, waiting: trio.MemoryReceiveChannel[Message]) -> None:
        async for message in waiting:
            await session.send(message)
            await trio.sleep(self.request_seconds)

    async def _demand_answers(self, tracker: Tracker, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """See that what was asked for is answered, and that there is data of every symbol."""
        await trio.sleep(self.answer_seconds)
        if tracker.pending:
            self.counters["missing_answers"] += len(tracker.pending)
            shown = ", ".join(sorted(map(str, tracker.pending))[:10])
            raise VenueSilent(f"no answer within {self.answer_seconds:g} s to the subscription of {shown}")
        await updates.send(tracker.memory.silent(tracker.symbols()))

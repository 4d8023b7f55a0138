"""The Python client: subscribe and iterate; connecting, resuming and reconnecting happen by themselves.

    async with ticker.connect("wss://localhost:8443") as client:
        async for change in client.subscribe("EURUSD", "XAU*"):
            print(change.changes)

One task keeps the client connected: it runs one `Connection` after another, with the wait in between that
`ticker.client.reconnect` decides. The copy is resumed from its cursor, so no change is missed, and only changes come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, KeysView, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import trio

from ticker.client.addresses import Address, Addresses, hosts_of, together
from ticker.client.arguments import (
    check_counts,
    check_names,
    check_options,
    check_symbol,
    is_literal,
    too_many,
    wanted_fields,
)
from ticker.client.book import Book
from ticker.client.candles import Candles
from ticker.client.connection import Connection, Token
from ticker.client.connector import addresses_of
from ticker.client.event_log import EventLog
from ticker.client.events import Connected, Disconnected, Event, Mismatch, Refused, Unmatched, source_event
from ticker.client.features import Features
from ticker.client.fields import Fields
from ticker.client.questions import Found, Question, counters_in, described, found_in, search_for
from ticker.client.reader import Reader, moment
from ticker.client.received import Received
from ticker.client.session import ClientSession
from ticker.client.subscription import Subscription
from ticker.client.table_reader import TableReader
from ticker.client.trades import Trades
from ticker.client.verification import Verification
from ticker.client.wake import Wake, check_trio
from ticker.errors import Code, ConfigError, ConnectionFailed
from ticker.market import Instrument
from ticker.net.dialing import first_of
from ticker.protocol.symbols import matcher
from ticker.protocol.tables import TableName
from ticker.protocol.wire import MSGPACK
from ticker.texts import shown

R = TypeVar("R", bound=Reader[Any])

_NO_ROOM = {Code.TOO_MANY_SYMBOLS, Code.TOO_MANY_TABLES}

_UNMATCHED_SECONDS = 5.0
"""Time after the server's answer in which an instrument may still appear; then a name without one is reported."""


@asynccontextmanager
async def connect(
    url: str | Sequence[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    interval_ms: int | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[Client]:
    """Connect to a service, and stay connected until the block is left.

    `url` is `wss://HOST:PORT`, with or without the stream's path, or a list of addresses of one service: when a
    connection fails or is lost, the next address is tried, and the copy goes on there. `ca` is a PEM file of
    authorities to trust instead of the system's; for a server on this machine its development authority is found by
    itself. `token` is a JSON Web Token, or a function that returns one, perhaps an async function: it is called for
    each connection and before a token expires, and an exception of it counts as a failed connection. `interval_ms` asks
    for at most one frame per so many milliseconds. `on_event` is called with each `Connected`, `Disconnected`,
    `Refused`, `Unmatched`, `Mismatch`, `SourceSilent` and `SourceBack`; without it, all but the first, and names that
    may become known, are logged as warnings (logger `ticker`).

    Raises `ConnectionFailed` if no address lets the first connection be made, and `ConfigError` for an argument that
    cannot be used. A lost connection is made again without an exception; only if the servers say that coming back is of
    no use, the subscriptions end with `ConnectionFailed`. It carries the HTTP status or the close code.
    """
    check_trio()
    check_options(token, interval_ms, on_event)
    addresses = addresses_of(url, Path(ca) if ca is not None else None)
    on_event = on_event or EventLog(hosts_of(addresses))
    client = Client(addresses, token, ClientSession(MSGPACK, interval_ms), on_event)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            await client.start(nursery)
            yield client
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # raised below, as itself and not in a group
            failure = error
        finally:
            client.close()
            nursery.cancel_scope.cancel()
    failure = client.fault or failure
    if failure is not None:
        raise failure


class Client:
    """A connection that lasts, and the copy of the market that it keeps. Made by `connect`."""

    def __init__(
        self,
        addresses: Sequence[Address],
        token: Token | None,
        session: ClientSession,
        on_event: Callable[[Event], None],
    ) -> None:
        session.servers = len(addresses)
        self._addresses = Addresses(addresses)
        self._token = token
        self._session = session
        self._on_event = on_event
        self._connection: Connection | None = None
        self._subscriptions: dict[Reader[Any], None] = {}
        self._verification = Verification()
        self._closed = False
        self._failure: ConnectionFailed | None = None
        self._answered = trio.Event()
        """The server has answered for some names."""
        self.fault: Exception | None = None
        """The exception that `on_event` raised, if any; it ends the client."""

    def __repr__(self) -> str:
        host = urlsplit(self.url).netloc.rpartition("@")[2]  # a URL may contain a password or a token
        state = "closed" if self._closed else "open"
        return f"<Client {host} {state} cut={self.cut} subscriptions={len(self._subscriptions)}>"

    @property
    def url(self) -> str:
        """The address of the present connection, or of the next attempt."""
        return self._addresses.current.url

    @property
    def cut(self) -> int:
        """The cut through which the copy is complete."""
        return self._session.replica.cursor

    @property
    def complete(self) -> bool:
        """Whether the copy has all that was asked for when the present connection began."""
        return self._connection is not None and self._connection.complete

    @property
    def source_silent_since(self) -> datetime | None:
        """Time since when the server hears nothing from the source of its data; None if it does, as far as is known."""
        since = self._session.source_silent_since
        return moment(since) if since is not None else None

    @property
    def delay_seconds(self) -> int:
        """By how much the server shows the market later than it is, because its licence says so; 0 in real time."""
        return self._session.features.delay

    @property
    def names(self) -> KeysView[str]:
        """The names of the instruments and tables in the copy."""
        return self._session.replica.symbols

    @property
    def features(self) -> Features:
        """The tables that the service offers."""
        return self._session.features

    def subscribe(self, *names: str, fields: Iterable[str] | None = None) -> Subscription:
        """Subscribe to symbols, tables (`EURUSD book:10`) and patterns (with `*`, `?` or `[...]`).

        Iterate over the result for their changes. With `fields` (`["bid", "ask"]`) it has only these of instruments,
        with `status` and `reason`; only what the subscriptions of this client want together is sent, and in `values`.
        A name that the service refuses, such as a table that it does not offer, is told of with `Refused`, and the
        others go on. Raises `ConfigError` for anything but texts, and for more names than one connection may have.
        Should the service lower its limits later, subscriptions with names for which it has no room end with
        `ConfigError`.
        """
        check_names(names)
        wanted = wanted_fields(fields)
        self._check_room(names)
        held = not self._session.has_all_of(names, wanted)
        replica = self._session.replica
        subscription = Subscription(names, self._unsubscribe, replica, held=held, fields=wanted)
        found = {symbol: replica.find(symbol) for symbol in subscription.select(replica.symbols)}
        present = {symbol: state.present() for symbol, state in found.items() if state is not None}
        tables = {name for name, state in found.items() if state is None}
        subscription.merge(replica.cursor, replica.time, present, tables)
        return self._start_reading(subscription)

    def book(self, symbol: str, depth: int = 10) -> Book:
        """Subscribe to the best levels of an instrument's order book.

        The service has books of certain depths; the next larger one is taken, and `depth` levels of it are shown.
        Raises `ConfigError` if there is none; a service that has none any more later ends the book with that.
        """
        name = self._table_name("book", symbol, self.features.book_name(depth))
        return self._start_reading(Book(name, depth, self._unsubscribe, self._session.replica, held=self._lacks(name)))

    def trades(self, symbol: str, count: int = 50) -> Trades:
        """Subscribe to the trades of an instrument, beginning with the latest `count`.

        Raises `ConfigError` for more than the service keeps, as `book` does.
        """
        name = self._table_name("trades", symbol, self.features.trades_name(count))
        return self._start_reading(
            Trades(name, count, self._unsubscribe, self._session.replica, held=self._lacks(name))
        )

    def candles(self, symbol: str, period: str = "1m", count: int = 300, *, fill: bool = False) -> Candles:
        """Subscribe to the latest `count` bars of an instrument.

        `period` is one of those that the service has (`1m`, `1h`). With `fill`, periods without a trade have bars as
        well. Raises `ConfigError` for a period that does not exist and for more bars than the service keeps, as `book`
        does.
        """
        name = self._table_name("candles", symbol, self.features.candles_name(period, count))
        held = self._lacks(name)
        return self._start_reading(Candles(name, count, self._unsubscribe, self._session.replica, fill=fill, held=held))

    def values(self, symbol: str) -> Fields:
        """Return the present values of an instrument, or of a table, by field name; empty if there are none."""
        state = self._session.replica.find(symbol) or self._session.replica.find_table(symbol)
        return cast("Fields", state.present()) if state is not None else {}

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the definition of an instrument of the copy: its scales, and its metadata as printable texts."""
        state = self._session.replica.find(symbol)
        return None if state is None else described(state.definition)

    async def search(self, match: str = "*", *, text: str = "", after: str = "") -> Found:
        """Return at most 500 instruments of the service that match a symbol or pattern, without subscribing.

        With `text`, these have all of its words in their symbol, name, venue or currency, in any case. They come in the
        order of their symbols, from behind the symbol `after` on. Without a connection, this waits for the next one.
        Raises `ConfigError` for what is no text, `ConnectionFailed` if the client gives up meanwhile, and `TickerError`
        with the service's reason if it refuses.
        """
        return found_in(await self._ask(search_for(match, after, text)))

    async def stats(self) -> dict[str, int]:
        """Return the service's counters of this connection (PROTOCOL.md, `stats`), such as `cuts_behind` and `frames`.

        Waits and raises as `search` does.
        """
        return counters_in(await self._ask(Question("stats")))

    async def verify(self) -> bool:
        """Compare the copy with the service's, by a checksum of all that this client should hold.

        Returns whether they are equal. If not, `on_event` is called with `Mismatch`, the copy is dropped, and
        everything is subscribed anew. Without a connection, this waits for the next one.

        Raises `ConfigError` if the service does not do that, and `ConnectionFailed` if the client gives up meanwhile.
        """
        if not self.features.digest:
            raise ConfigError("verify: the service gives no checksum of a copy")
        self._check_open()
        self._session.verify()
        self._request_names()
        return await self._verification.outcome()

    async def start(self, nursery: trio.Nursery) -> None:
        """Make the first connection, and run the client in this nursery. Raises `ConnectionFailed`."""
        await nursery.start(self._run, nursery.cancel_scope)
        if self._failure is not None:
            raise self._failure

    def close(self, failure: ConnectionFailed | None = None) -> None:
        """End all subscriptions, with this failure if there is one."""
        if self._closed:
            return
        self._closed, self._failure = True, failure
        for subscription in self._subscriptions:
            subscription.end(failure)
        for waiting in (self._verification, self._session.questions):
            waiting.fail(failure or ConnectionFailed(f"{self.url}: the client is closed"))

    def _check_open(self) -> None:
        """Check that the client has not ended. Raises `ConnectionFailed`."""
        if self._closed:
            raise self._failure or ConnectionFailed(f"{self.url}: the client is closed")

    async def _ask(self, question: Question) -> dict[str, Any]:
        """Return the result of a question."""
        self._check_open()
        questions, known = self._session.questions, Wake()
        question.on_known = known.set
        questions.add(question)
        self._request_names()
        try:
            while (result := question.result()) is None:
                await known.wait()
        finally:
            questions.remove(question)
        return result

    def _check_room(self, names: tuple[str, ...]) -> None:
        """Check further names against the limits of the connection. Raises `ConfigError`."""
        check_counts({*self._session.names, *names}, self._session.limits)

    def _table_name(self, method: str, symbol: str, table: TableName) -> str:
        """Return the name of a table that a user wants. Raises `ConfigError`."""
        check_symbol(symbol, method)
        name = f"{symbol} {table}"
        self._check_room((name,))
        return name

    def _lacks(self, name: str) -> bool:
        return not self._session.has_all_of((name,))

    def _start_reading(self, reader: R) -> R:
        """Keep a reader up to date from now on, and ask for its names."""
        self._subscriptions[reader] = None
        self._session.add_names(reader.names, reader.fields)
        self._request_names()
        if self._closed:
            reader.end(self._failure)
        return reader

    def _unsubscribe(self, subscription: Reader[Any]) -> None:
        if self._subscriptions.pop(subscription, self) is None:
            self._session.remove_names(subscription.names, subscription.fields)
            self._request_names()

    def _request_names(self) -> None:
        if self._connection is not None:
            self._connection.request_names()

    def _process_event(self, event: Event) -> None:
        if isinstance(event, Connected):
            for subscription in self._subscriptions:
                subscription.hold()
        elif isinstance(event, Disconnected):
            for subscription in self._subscriptions:
                subscription.lose()
        self._on_event(event)

    def _process(self, received: Received) -> None:
        """Hand the parts of a message on to the user and the subscriptions."""
        for refused in received.refused:
            self._on_event(refused)
        self._end_unserved(received.refused)
        if received.source:
            self._on_event(source_event(self.source_silent_since))
        replica = self._session.replica
        if received.moved:
            for subscription in self._subscriptions:
                subscription.merge(replica.cursor, replica.time, received.changes or {}, received.tables)
        if received.answered:
            self._answered.set()
            for subscription in self._subscriptions:
                if subscription.held and self._session.has_all_of(subscription.names, subscription.fields):
                    subscription.release(replica.cursor, replica.time)
        if received.verified is False:
            self._on_event(Mismatch(replica.cursor))
            self._session.forget_copy()
        self._verification.process(received)

    def _end_unserved(self, refused: list[Refused]) -> None:
        """End what has names for which the server has no room, and readers of a single table that it does not have."""
        no_room: dict[str, ConfigError] = {}
        no_table: dict[str, ConfigError] = {}
        for each in refused:
            if each.code in _NO_ROOM:
                no_room[each.name] = too_many(f"{shown(each.name)} was refused: {each.text}")
            elif each.code == Code.UNKNOWN_TABLE:
                no_table[each.name] = ConfigError(f"names: {shown(each.name)}: {each.text}")
        for subscription in list(self._subscriptions) if no_room or no_table else ():
            errors = no_room | no_table if isinstance(subscription, TableReader) else no_room
            error = next((errors[name] for name in subscription.names if name in errors), None)
            if error is not None:
                self._unsubscribe(subscription)
                subscription.end(error)

    async def _run(self, scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_for_unmatched)
                await self._keep_connected(task_status)
                nursery.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001  # the user's `on_event` may raise anything: it is theirs, bare
            self.fault = first_of(error) if isinstance(error, BaseExceptionGroup) else error
            scope.cancel()

    async def _keep_connected(self, task_status: trio.TaskStatus[None]) -> None:
        connected_once = False
        failures: list[ConnectionFailed] = []

        def connected() -> None:
            nonlocal connected_once
            if not connected_once:
                connected_once = True
                task_status.started()

        while True:
            address = self._addresses.current
            self._connection = Connection(address, self._token, self._session, self._process_event, self._process)
            end = await self._connection.run(connected)
            failures = [*failures, end.failure(address.url)] if not connected_once else [end.failure(address.url)]
            wait = self._addresses.leave(end, trio.current_time(), useful=self._connection.replied)
            if wait is None or (wait > 0 and not connected_once):
                self.close(together(failures))
                if not connected_once:
                    task_status.started()
                return
            self._process_event(end.event(wait, address.url))
            await trio.sleep(wait)

    async def _watch_for_unmatched(self) -> None:
        """Report each name that is still without an instrument some seconds after the server's answer, once."""
        reported: set[str] = set()
        while True:
            await self._answered.wait()
            self._answered = trio.Event()
            reported &= self._session.names
            suspects = await self._unmatched(self._session.kept_names() - reported)
            if not suspects:
                continue
            await trio.sleep(_UNMATCHED_SECONDS)
            for name in sorted(await self._unmatched(suspects & self._session.kept_names())):
                reported.add(name)
                self._on_event(Unmatched(name, _UNMATCHED_SECONDS))

    async def _unmatched(self, names: set[str]) -> set[str]:
        """Return the names that no instrument of the copy matches."""
        symbols = self._session.replica.symbols
        found = {name for name in names if is_literal(name) and name not in symbols}
        for name in names:
            if not is_literal(name) and not any(map(matcher([name]), symbols)):
                found.add(name)
                await trio.lowlevel.checkpoint()  # each pattern without a match is compared with the whole market
        return found

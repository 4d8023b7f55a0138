"""The Python client: subscribe, iterate, and let it see to the rest.

    async with ticker.connect("wss://localhost:8443") as client:
        async for change in client.subscribe("EURUSD", "XAU*"):
            print(change.changes)

One task keeps the connection: it connects, resumes or subscribes, and hands the changes to the subscriptions; what each
message means is decided in `ClientSession`. When the connection is lost it waits a little, longer each time, and
connects again. The copy is resumed from its cursor, so nothing is missed, and only what changed comes again.
"""

from __future__ import annotations

import inspect
import json
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from ticker.client.connector import Unreachable, Watched, dial, only, stream_url
from ticker.client.replica import Fields
from ticker.client.session import ClientSession, Refused
from ticker.client.subscription import Subscription
from ticker.errors import ConnectionFailed, ProtocolError
from ticker.market import Instrument
from ticker.net.tls import client_context
from ticker.protocol.messages import Close
from ticker.protocol.wire import MSGPACK

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_BACKOFF_SECONDS = (0.25, 15.0)
_MAX_MESSAGE_BYTES = 2**26

_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may be others the next time (RFC 9110, section 15, and RFC 6585)."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is up. `resumed`: the copy goes on from where it was; otherwise everything comes anew."""

    url: str
    session: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost; the next try comes after `retry_seconds`. Until then values grow old."""

    reason: str
    retry_seconds: float


Event: TypeAlias = Connected | Disconnected | Refused

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives one whenever a fresh one is needed."""


@asynccontextmanager
async def connect(
    url: str,
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    interval_ms: int | None = None,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> AsyncIterator[Client]:
    """Connect to a service, and stay connected until the block is left.

    `url` is `wss://HOST:PORT`, with or without the stream's path. `ca` is a PEM file of authorities to trust instead of
    the system's; for a server on this machine its development authority is found by itself. `token` is what the server
    lets this client in with, or a function, perhaps an async one, that is called for each connection and before a token
    expires; what it raises counts as a connection that failed. `interval_ms` asks for at most one frame per so many
    milliseconds. `on_event` is called with each `Connected`, `Disconnected` and `Refused`.

    Raises `ConnectionFailed` if the first connection cannot be made, and `ConfigError` for a URL or file that cannot be
    used. What is lost later comes back by itself; only if the server says that it is of no use to come back, the
    subscriptions end with `ConnectionFailed`.
    """
    full_url, host = stream_url(url)
    context = client_context(host, Path(ca) if ca is not None else None)
    client = Client(full_url, partial(dial, full_url, context), token, ClientSession(MSGPACK, interval_ms), on_event)
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
    failure = failure or client.fault
    if failure is not None:
        raise failure


class Client:
    """A connection that lasts, and the copy of the market that it keeps. Made by `connect`."""

    def __init__(
        self,
        url: str,
        dial: Callable[[], Awaitable[trio.abc.Stream]],
        token: Token | None,
        session: ClientSession,
        on_event: Callable[[Event], None],
    ) -> None:
        """`dial` makes a stream to the server, or raises `Unreachable`."""
        self.url = url
        self._dial = dial
        self._token = token
        self._session = session
        self._on_event = on_event
        self._subscriptions: dict[Subscription, None] = {}
        self._names_changed = trio.Event()
        self._closed = False
        # A connection that brought all that was asked for was a good one: after it, the next wait is a short one again.
        self._useful = False
        self._end: ConnectionFailed | None = None
        self.fault: Exception | None = None
        """What `on_event` raised, if it did; it ends the client."""

    @property
    def cut(self) -> int:
        """The cut through which the copy is complete."""
        return self._session.replica.cursor

    def subscribe(self, *names: str) -> Subscription:
        """Ask for symbols and patterns (with `*`, `?` or `[...]`): iterate over the result for their changes."""
        subscription = Subscription(names, self._unsubscribe)
        replica = self._session.replica
        held = {symbol: self.values(symbol) for symbol in subscription.select(replica.symbols)}
        subscription.merge(replica.cursor, replica.time, held)
        self._subscriptions[subscription] = None
        self._session.want(names)
        self._names_changed.set()
        if self._closed:
            subscription.end(self._end)
        return subscription

    def values(self, symbol: str) -> Fields:
        """The present values of an instrument by field name; empty if there are none."""
        state = self._session.replica.find(symbol)
        return state.fields(state.values) if state is not None else {}

    def instrument(self, symbol: str) -> Instrument | None:
        """What is known of an instrument besides its values: its scales and metadata."""
        state = self._session.replica.find(symbol)
        if state is None:
            return None
        known = state.definition
        return Instrument(known.symbol, known.price_scale, known.size_scale, known.metadata)

    async def start(self, nursery: trio.Nursery) -> None:
        """Make the first connection, and keep it in this nursery. Raises `ConnectionFailed`."""
        await nursery.start(self._run, nursery.cancel_scope)
        if self._end is not None:
            raise self._end

    def close(self, error: ConnectionFailed | None = None) -> None:
        """Nothing more will come: all subscriptions end."""
        if self._closed:
            return
        self._closed, self._end = True, error
        for subscription in self._subscriptions:
            subscription.end(error)

    def _unsubscribe(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription, self) is None:
            self._session.give_up(subscription.names)
            self._names_changed.set()

    async def _run(self, scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._keep_connected(task_status)
        except Exception as error:  # noqa: BLE001  # whatever the user's `on_event` raised: it is theirs, bare
            self.fault = only(error) if isinstance(error, BaseExceptionGroup) else error
            scope.cancel()

    async def _keep_connected(self, task_status: trio.TaskStatus[None]) -> None:
        backoff = _BACKOFF_SECONDS[0]
        connected_once = False

        def connected() -> None:
            nonlocal connected_once
            if not connected_once:
                connected_once = True
                task_status.started()

        while True:
            self._useful = False
            end = await self._one_connection(connected)
            if self._useful:
                backoff = _BACKOFF_SECONDS[0]
            if not connected_once or not end.come_back:
                self.close(ConnectionFailed(f"{self.url}: {end.reason}"))
                if not connected_once:
                    task_status.started()
                return
            wait = max(end.retry_seconds, backoff * random.uniform(0.5, 1))  # noqa: S311  # spread, not secret
            backoff = min(backoff * 2, _BACKOFF_SECONDS[1])
            self._on_event(Disconnected(end.reason, wait))
            await trio.sleep(wait)

    async def _one_connection(self, connected: Callable[[], None]) -> _End:
        """Connect, and serve until the connection ends; returns how it did."""
        end = _End("the connection was lost")
        try:
            with trio.fail_after(_CONNECT_SECONDS):
                stream = await self._dial()
            try:
                async with trio.open_nursery() as nursery:
                    end = await self._serve(stream, nursery, connected)
                    nursery.cancel_scope.cancel()
            finally:
                await trio.aclose_forcefully(stream)
        except* Unreachable as unreachable:
            end = _End(str(only(unreachable)))
        except* ConnectionRejected as rejected:
            end = _rejected(only(rejected))
        except* (ConnectionClosed, HandshakeError, trio.TooSlowError):
            end = _End("the connection was not completed")
        except* LocalProtocolError:
            pass  # what trio-websocket raises for a ping that comes while it closes
        except* ProtocolError as broken:
            end = _End(f"the server broke the protocol: {only(broken)}")
        return end

    async def _serve(self, stream: trio.abc.Stream, nursery: trio.Nursery, connected: Callable[[], None]) -> _End:
        parts = urlsplit(self.url)
        headers = [] if self._token is None else [(b"Authorization", f"Bearer {await self._fresh_token()}".encode())]
        with trio.fail_after(_CONNECT_SECONDS) as scope:
            watched = Watched(stream, scope.cancel)
            websocket = await wrap_client_stream(
                nursery,
                watched,  # type: ignore[arg-type]  # any stream will do
                parts.netloc,
                parts.path,
                subprotocols=[MSGPACK.subprotocol],
                extra_headers=headers,
                max_message_size=_MAX_MESSAGE_BYTES,
            )
            welcome = self._session.begin(await websocket.get_message())
        connected()
        self._on_event(Connected(self.url, welcome.session, self._session.replica.resuming))
        nursery.start_soon(self._keep_asking, websocket)
        end = await self._listen(websocket, watched, nursery)
        with trio.move_on_after(_CLOSE_SECONDS):
            await websocket.aclose()
        return end

    async def _keep_asking(self, websocket: WebSocketConnection) -> None:
        """Let the server know whenever what is wanted changes."""
        while True:
            self._names_changed = trio.Event()
            try:
                for payload in self._session.requests():
                    await websocket.send_message(payload)
            except ConnectionClosed:
                return  # `_listen` learns of it too, and why
            await self._names_changed.wait()

    async def _fresh_token(self) -> str:
        """The token to come in with now. Raises `Unreachable` if whoever gives it cannot."""
        token = self._token
        if token is None or isinstance(token, str):
            return token or ""
        try:
            given = token()
            return await given if inspect.isawaitable(given) else given
        except Exception as error:  # it asks somebody else, who may be out of reach as anybody
            raise Unreachable(f"no token could be had: {str(error) or type(error).__name__}") from error

    async def _renew(self, websocket: WebSocketConnection) -> None:
        """The token expires soon: bring a fresh one, if there is any."""
        if self._token is None or isinstance(self._token, str):
            return
        with suppress(ConnectionClosed, Unreachable):  # then the connection will end, and the next one asks again
            await websocket.send_message(self._session.authenticate(await self._fresh_token()))

    async def _listen(self, websocket: WebSocketConnection, watched: Watched, nursery: trio.Nursery) -> _End:
        """Take in what comes until the connection ends; returns how it did."""
        patience = 2.5 * self._session.heartbeat_seconds or math.inf
        end = _End("the connection was lost")
        while True:
            payload: bytes | str | None = None
            try:
                # A large message on a slow link may take longer than that; every byte of it is a sign of life.
                with trio.move_on_at(watched.heard + patience):
                    payload = await websocket.get_message()
            except ConnectionClosed as closed:
                return _ended(end, closed.reason.code if closed.reason is not None else 1006)
            if payload is None:
                if trio.current_time() < watched.heard + patience:
                    continue
                return _End(f"nothing was heard for {patience:.0f} s")
            received = self._session.receive(payload)
            if received.goodbye is not None:
                goodbye = received.goodbye
                end = _End(goodbye.reason, come_back=goodbye.come_back, retry_seconds=goodbye.retry_ms / 1000)
            if received.error is not None:
                end = _End(received.error.text) if received.error.fatal else end
            if received.error is not None or self._session.asks:
                self._names_changed.set()  # something is to be asked anew, or could not be asked before
            if received.expiring:
                nursery.start_soon(self._renew, websocket)
            if received.token_refused is not None:
                return _End(received.token_refused)
            for refused in received.refused:
                self._on_event(refused)
            self._useful = self._useful or self._session.settled
            if received.changes is not None:
                replica = self._session.replica
                for subscription in self._subscriptions:
                    subscription.merge(replica.cursor, replica.time, received.changes)


@dataclass(frozen=True, slots=True)
class _End:
    """How a connection ended."""

    reason: str
    come_back: bool = True
    retry_seconds: float = 0.0


def _rejected(rejected: ConnectionRejected) -> _End:
    """How a connection ended that got another answer than an upgrade (PROTOCOL.md, section 2)."""
    status = rejected.status_code
    try:
        why = f": {json.loads(rejected.body or b'')['message']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        why = ""
    return _End(f"the server answered with HTTP status {status}{why[:300]}", come_back=status in _RETRIED_STATUSES)


def _ended(end: _End, code: int) -> _End:
    """How a connection ended for which the server gave this close code (PROTOCOL.md, section 8)."""
    if code in set(Close):
        return replace(end, come_back=end.come_back and Close(code).come_back)
    return end

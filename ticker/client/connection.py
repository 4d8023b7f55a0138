"""One connection of the client, from the handshake to its end: requests out, messages in, tokens renewed.

The meaning of each message is decided in `ClientSession`, and the retry after the end in `ticker.client.reconnect`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import urlsplit

import h11
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ticker.client.addresses import Address
from ticker.client.events import Connected, Event
from ticker.client.received import Received
from ticker.client.reconnect import BEHIND, DIFFERENT, LOST, NO_WEBSOCKET, NOT_COMPLETED, ConnectionEnd, rejected
from ticker.client.session import ClientSession
from ticker.client.wake import wake_trio
from ticker.errors import ProtocolError
from ticker.net.dialing import ObservedStream, Unreachable, first_of
from ticker.protocol.messages import Close
from ticker.protocol.wire import MSGPACK
from ticker.texts import excerpt

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_MAX_MESSAGE_BYTES = 2**26
_HEARTBEATS_MISSED = 2.5
"""Number of heartbeat intervals of silence after which a connection counts as lost."""

_GRACE_SECONDS = 1.0
"""Time to read the bytes that wait in the socket, once a silence has lasted too long."""

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that returns a fresh one for each call."""


class Connection:
    """One connection, used once."""

    def __init__(
        self,
        address: Address,
        token: Token | None,
        session: ClientSession,
        on_event: Callable[[Event], None],
        on_received: Callable[[Received], None],
    ) -> None:
        self.complete = False
        """Whether it has brought everything that the client is subscribed to."""
        self.replied = False
        """Whether a REPLY came on it."""
        self._url = address.url
        self._dial = address.dial
        self._token = token
        self._session = session
        self._on_event = on_event
        self._on_received = on_received
        self._connected = False
        self._names_changed = trio.Event()

    def __repr__(self) -> str:
        state = "connected" if self._connected else "connecting"
        return f"<Connection {urlsplit(self._url).hostname} {state}{' complete' * self.complete}>"

    def request_names(self) -> None:
        """Send the requests of the session soon: its names have changed."""
        wake_trio(self._names_changed)

    async def run(self, connected: Callable[[], None]) -> ConnectionEnd:
        """Connect, call `connected` after the WELCOME, and serve the connection until its end, which is returned."""
        end = LOST
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
            end = ConnectionEnd(str(first_of(unreachable)))
        except* ConnectionRejected as group:
            response = first_of(group)
            headers = {name.lower(): value for name, value in response.headers or ()}
            retry_after = headers.get(b"retry-after", b"").decode("latin-1")
            end = rejected(response.status_code, retry_after, response.body or b"")
        except* (RemoteProtocolError, h11.ProtocolError):  # the latter: trio-websocket cannot answer the former
            end = NO_WEBSOCKET
        except* (HandshakeError, trio.TooSlowError):
            end = NOT_COMPLETED
        except* ConnectionClosed as closed:
            end = NOT_COMPLETED.before_welcome(_close_code(first_of(closed)))
        except* LocalProtocolError:
            pass  # trio-websocket's answer to a ping that comes while it closes
        except* ProtocolError as broken:
            end = _broken(first_of(broken))
        return end

    async def _serve(
        self, stream: trio.abc.Stream, nursery: trio.Nursery, connected: Callable[[], None]
    ) -> ConnectionEnd:
        parts = urlsplit(self._url)
        headers = [] if self._token is None else [(b"Authorization", f"Bearer {await self._fresh_token()}".encode())]
        with trio.fail_after(_CONNECT_SECONDS) as scope:
            observed = ObservedStream(stream, scope.cancel)
            websocket = await wrap_client_stream(
                nursery,
                observed,  # type: ignore[arg-type]  # its annotation is too narrow: any stream works
                parts.netloc,
                parts.path,
                subprotocols=[MSGPACK.subprotocol],
                extra_headers=headers,
                max_message_size=_MAX_MESSAGE_BYTES,
            )
            observed.handshake_done()
            welcome = self._session.begin(await websocket.get_message())
        self._connected = True
        connected()
        session = self._session
        event = Connected(self._url, excerpt(welcome.session), session.replica.resuming, session.features.delay)
        self._on_event(event)
        self._on_received(self._session.take_withdrawn())
        nursery.start_soon(self._send_requests, websocket)
        code = 1000
        try:
            end = await self._listen(websocket, observed, nursery)
        except ProtocolError as broken:
            end, code = _broken(broken), Close.PROTOCOL_ERROR
        with trio.move_on_after(_CLOSE_SECONDS):
            await websocket.aclose(code)
        return end

    async def _send_requests(self, websocket: WebSocketConnection) -> None:
        """Send the session's requests, at first and after each change of its names."""
        while True:
            self._names_changed = trio.Event()
            try:
                for payload in self._session.requests():
                    await websocket.send_message(payload)
            except ConnectionClosed:
                return  # `_listen` gets it too, with the close code
            await self._names_changed.wait()

    async def _listen(
        self, websocket: WebSocketConnection, observed: ObservedStream, nursery: trio.Nursery
    ) -> ConnectionEnd:
        """Receive messages until the connection ends, and return how it did."""
        patience = _HEARTBEATS_MISSED * self._session.heartbeat_seconds or math.inf
        end = LOST
        while True:
            payload: bytes | str | None = None
            try:
                # A large message on a slow link may take longer than that; every byte of it is a sign of life.
                with trio.move_on_at(observed.heard + patience):
                    payload = await websocket.get_message()
                if payload is None and trio.current_time() >= observed.heard + patience:
                    # A program that was stopped, or busy, first receives the messages that wait for it.
                    with trio.move_on_after(_GRACE_SECONDS):
                        payload = await websocket.get_message()
            except ConnectionClosed as closed:
                return end.after_close(_close_code(closed))
            if payload is None:
                if trio.current_time() < observed.heard + patience:
                    continue
                return ConnectionEnd(f"nothing was heard for {patience:.0f} s")
            received = self._session.receive(payload)
            if received.goodbye is not None:
                end = end.after_goodbye(received.goodbye)
            if received.error is not None and received.error.fatal:
                end = ConnectionEnd(excerpt(received.error.text))
            if received.token_refused is not None:
                return ConnectionEnd(excerpt(received.token_refused))
            if received.expiring:
                nursery.start_soon(self._renew_token, websocket)
            self._hand_on(received)
            if received.verified is False:
                return DIFFERENT
            if received.behind:
                return BEHIND

    def _hand_on(self, received: Received) -> None:
        """Act on the parts of a message that do not end the connection."""
        if received.error is not None or self._session.has_requests:
            self._names_changed.set()  # names have to be requested again, or had to wait for a reply
        self.complete = self.complete or self._session.complete
        self.replied = self.replied or received.replied
        self._on_received(received)

    async def _fresh_token(self) -> str:
        """Return the token to present now. Raises `Unreachable` if the user's function fails."""
        token = self._token
        if token is None or isinstance(token, str):
            return token or ""
        try:
            given = token()
            return await given if inspect.isawaitable(given) else given
        except Exception as error:  # it asks another service, which may be out of reach as any
            raise Unreachable(f"no token could be had: {str(error) or type(error).__name__}") from error

    async def _renew_token(self, websocket: WebSocketConnection) -> None:
        """Send a fresh token before the present one expires, if the user gave a function."""
        if self._token is None or isinstance(self._token, str):
            return
        with suppress(ConnectionClosed, Unreachable):  # then the connection will end, and the next one asks again
            await websocket.send_message(self._session.authenticate(await self._fresh_token()))


def _broken(error: ProtocolError) -> ConnectionEnd:
    return ConnectionEnd(f"the server broke the protocol: {excerpt(str(error))}")


def _close_code(closed: ConnectionClosed) -> int | None:
    return closed.reason.code if closed.reason is not None else None

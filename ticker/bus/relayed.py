"""Another ticker as an engine: its log, over a WebSocket at the address at which it serves its clients.

The messages are those of `ticker.bus.frames`, each one binary message. Nothing can be written there. Of several
addresses one is used, until it fails; then the next one has its turn.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import h11
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from ticker.bus.asking import AskedConnection
from ticker.bus.engine import MOST_READ, Entry, Position, Unavailable
from ticker.bus.frames import MAX_MESSAGE, BadFrame
from ticker.bus_bounds import BUS_ANSWER_SECONDS, BUS_PART_SECONDS, FOLLOW_CONNECT_SECONDS, FOLLOW_RETRY_SECONDS
from ticker.errors import ConfigError
from ticker.net.dialing import ObservedStream, Unreachable, dial, first_of, own_message, stream_url
from ticker.net.failures import cause_of
from ticker.net.tls import client_context
from ticker.protocol.wire import FOLLOWING
from ticker.texts import excerpt, without_passwords

TOKEN_VARIABLE = "TICKER_FOLLOW_TOKEN"  # noqa: S105  # the name of the variable

_CA_OPTION = "--follow-ca FILE"
_TOKEN_OPTION = f"--follow-token-file FILE, or {TOKEN_VARIABLE}"
_UPDATE = "run the same release on both sides"
_BUFFER = 65_536

_FIRST_RETRY_SECONDS = 0.1
_MOST_FAILURES = 10
"""So many are counted."""

_REMEDIES = {
    400: f"; if it is an earlier release, it cannot be followed: {_UPDATE}",
    401: f"; give a token that it accepts: {_TOKEN_OPTION}",
    403: f"; give a token that lets its bearer follow: {_TOKEN_OPTION}",
}
"""By the status of a refusal."""


class RelayedEngine:
    """The ticker at the first of these addresses that can be followed."""

    def __init__(self, urls: Sequence[str], ca: str | None = None, token_file: str | None = None) -> None:
        """The token is read anew for each connection: from this file, or else `TICKER_FOLLOW_TOKEN`.

        Raises `ConfigError`.
        """
        self._ca = None if ca is None else Path(ca)
        self._token_file = token_file
        self._addresses = [stream_url(url, "follow") for url in urls]
        for _, host in self._addresses:
            client_context(host, self._ca, "--follow-ca")
        self._turn = 0
        self._failures = 0
        """How often no address could be used, one time after another."""
        self.delay_seconds = 0
        """By how much the ticker is later than its source, as it said last."""

    def __repr__(self) -> str:
        return f"<RelayedEngine at {self.name}, of {len(self._addresses)} addresses>"

    @property
    def name(self) -> str:
        """The present address, for logs."""
        return without_passwords(self._addresses[self._turn][0])

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RelayedConnection]:
        """Connect, after a wait if that failed the last time. Raises `Unavailable`."""
        if self._failures:
            longest = min(FOLLOW_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0**self._failures)
            await trio.sleep(random.uniform(longest / 2, longest))  # noqa: S311  # spread, not secret
        async with AsyncExitStack() as stack:
            connection = await self._first(stack)
            self._failures = 0
            try:
                yield connection
            except Unavailable:
                self._move_on()
                raise

    async def _first(self, stack: AsyncExitStack) -> RelayedConnection:
        """Connect to the first address that can be used now."""
        failures = []
        for _ in self._addresses:
            try:
                return await stack.enter_async_context(self._connect())
            except Unavailable as error:
                failures.append(str(error))
                self._move_on()
        self._failures = min(self._failures + 1, _MOST_FAILURES)
        raise Unavailable("; ".join(failures))

    def _move_on(self) -> None:
        self._turn = (self._turn + 1) % len(self._addresses)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[RelayedConnection]:
        url, name = self._addresses[self._turn][0], self.name
        failure: Exception | None = None
        # The library's task needs a nursery; the error of the block must not leave in a group.
        try:
            async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
                try:
                    connection = await self._begin(url, nursery, stack)
                except Exception as error:  # noqa: BLE001  # it is described below
                    failure = _failure(name, error)
                else:
                    try:
                        yield connection
                    except Exception as error:  # noqa: BLE001  # it is raised below
                        failure = error
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            errors, rest = group.split(Exception)
            if rest is not None or errors is None:
                raise
            failure = failure or _failure(name, first_of(errors))
        if failure is not None:
            await trio.lowlevel.checkpoint_if_cancelled()  # a library may have ended because of that
            raise failure

    async def _begin(self, url: str, nursery: trio.Nursery, stack: AsyncExitStack) -> RelayedConnection:
        """Connect to an address and receive the first message; `stack` closes the connection."""
        parts = urlsplit(url)
        with trio.fail_after(FOLLOW_CONNECT_SECONDS) as scope:
            token = await self._token()
            context = client_context(parts.hostname or "", self._ca, "--follow-ca")
            stream = await dial(url, context, _CA_OPTION)
            stack.push_async_callback(trio.aclose_forcefully, stream)
            observed = ObservedStream(stream, scope.cancel)
            websocket = await wrap_client_stream(
                nursery,
                observed,  # type: ignore[arg-type]  # its annotation is too narrow: any stream works
                parts.netloc.rpartition("@")[2],
                parts.path,
                subprotocols=[FOLLOWING],
                extra_headers=_headers(token),
                max_message_size=MAX_MESSAGE,
                receive_buffer_size=_BUFFER,
            )
            observed.handshake_done()
            if websocket.subprotocol != FOLLOWING:
                raise Unreachable(f"it is no ticker that can be followed: {_UPDATE}")
            connection = RelayedConnection(_WebSocketMessages(websocket, observed), self.name)
            await connection.begin()
        self.delay_seconds = connection.delay_seconds
        return connection

    async def _token(self) -> str | None:
        """Return the token to present now. Raises `Unreachable`."""
        if self._token_file is None:
            token = os.environ.get(TOKEN_VARIABLE, "").strip()
            source = TOKEN_VARIABLE
        else:
            source = f"--follow-token-file {self._token_file}"
            try:
                token = (await trio.Path(self._token_file).read_text(encoding="utf-8")).strip()
            except OSError as error:
                raise Unreachable(f"{source}: {error.strerror}; give a readable file") from None
            except UnicodeDecodeError:
                raise Unreachable(f"{source}: not UTF-8 text; give a file that holds only the token") from None
            if not token:
                raise Unreachable(f"{source}: it is empty; give a file that holds only the token")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise Unreachable(f"{source}: no token: give one text without spaces")
        return token or None


class RelayedConnection(AskedConnection):
    """A connection to it. An answer has more entries than a read brings, and several parts of a keyframe: it may come
    from far away, and there are only so many requests a second."""

    def __init__(self, messages: _WebSocketMessages, name: str) -> None:
        super().__init__(messages, "ticker", name, _UPDATE)
        self._read_to: Position | None = None
        self._ahead: Sequence[Entry] = ()
        """Entries behind that position which came with those before."""
        self._parts: dict[int, bytes] = {}
        """Parts of one keyframe that came with one before."""
        self._parts_of = 0

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position; wait so long if there are none."""
        if after != self._read_to or not self._ahead:
            self._ahead = await super().read(after, seconds)
        else:
            await trio.lowlevel.checkpoint()
        entries, self._ahead = self._ahead[:MOST_READ], self._ahead[MOST_READ:]
        self._read_to = entries[-1].position if entries else None
        return entries

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None if there is none (any more)."""
        if cut != self._parts_of or number not in self._parts:
            self._parts = dict(enumerate(await self.parts(cut, number), number))
            self._parts_of = cut
        else:
            await trio.lowlevel.checkpoint()
        return self._parts.pop(number, None)


class _WebSocketMessages:
    """The messages of one WebSocket."""

    def __init__(self, websocket: WebSocketConnection, observed: ObservedStream) -> None:
        self._websocket = websocket
        self._observed = observed

    def __repr__(self) -> str:
        return f"<_WebSocketMessages of {self._websocket!r}>"

    async def send(self, message: bytes) -> None:
        """Send a message. Raises `BadFrame`."""
        try:
            with trio.fail_after(BUS_PART_SECONDS):
                await self._websocket.send_message(message)
        except ConnectionClosed as closed:
            raise BadFrame(_why_closed(closed)) from None
        except trio.TooSlowError:
            raise BadFrame(f"it took no more for {BUS_PART_SECONDS:g} s") from None

    async def receive(self, seconds: float = BUS_ANSWER_SECONDS) -> bytes:
        """Return the next message. `BadFrame` if none begins in so many seconds: while bytes come, it may go on."""
        asked = trio.current_time()
        while True:
            heard = max(asked, self._observed.heard)
            deadline = min(heard + seconds, asked + seconds + BUS_PART_SECONDS)
            try:
                with trio.move_on_at(deadline):
                    message = await self._websocket.get_message()
                    if isinstance(message, bytes):
                        return message
                    raise BadFrame("it sent text, as no ticker does here")
            except ConnectionClosed as closed:
                raise BadFrame(_why_closed(closed)) from None
            if self._observed.heard <= heard or trio.current_time() >= asked + seconds + BUS_PART_SECONDS:
                raise BadFrame(f"no message was whole after {trio.current_time() - asked:.0f} s")


def _headers(token: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"User-Agent", f"ticker/{metadata.version('ticker-push')}".encode())]
    return headers if token is None else [*headers, (b"Authorization", f"Bearer {token}".encode())]


def _why_closed(closed: ConnectionClosed) -> str:
    reason = closed.reason
    if reason is None or not reason.reason:
        return "the connection was lost"
    return f"it closed the connection: {excerpt(reason.reason)}"


def _failure(name: str, error: BaseException) -> Unavailable:
    """Return the error for a connection that was not made, or was broken by the library's task."""
    if isinstance(error, Unavailable):
        return error
    who = f"the ticker at {name}"
    match error:
        case Unreachable():
            return Unavailable(f"{who} cannot be reached: {error}")
        case ConfigError():
            return Unavailable(f"{who} cannot be reached: {error}")
        case ConnectionRejected():
            return Unavailable(f"{who} cannot be followed: {_refusal(error)}")
        case ProtocolError() | h11.ProtocolError():
            return Unavailable(f"{who} cannot be followed: its answer opens no WebSocket; it is no Ticker service")
        case HandshakeError() | trio.TooSlowError() | trio.BrokenResourceError():
            return Unavailable(f"{who} cannot be reached: the connection was not completed")
        case ConnectionClosed():
            return Unavailable(f"{who} cannot be followed: {_why_closed(error)}")
        case _:
            return Unavailable(f"{who} cannot be followed: {cause_of(error)}")


def _refusal(rejected: ConnectionRejected) -> str:
    status = rejected.status_code
    message = own_message(status, rejected.body or b"")
    if message is None:
        return f"something in between answered, with HTTP status {status}; it is no Ticker service"
    return f"it answers with HTTP status {status}: {excerpt(message)}{_REMEDIES.get(status, '')}"

"""One WebSocket connection to a venue, over TLS: connect, send, receive, ping, and a limit to silence.

Every failure is raised as `VenueUnreachable`, `VenueClosed` or `VenueSilent`. A feed lets it pass: the service marks
the instruments `stale` and runs the feed again.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from ticker.errors import TickerError
from ticker.texts import excerpt
from ticker_feeds.venues.messages import MAX_MESSAGE_BYTES, Frame
from ticker_feeds.venues.tracker import Request

CONNECT_SECONDS = 8.0
"""Limit of TCP, TLS and WebSocket handshakes together."""

_RECEIVE_BUFFER = 65_536


class VenueUnreachable(TickerError):
    """The connection could not be made."""


class VenueClosed(TickerError):
    """The venue ended the connection. `code` is that of the WebSocket close frame, None without one."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class VenueSilent(TickerError):
    """No message, or no answer, within the time limit: the connection must be dead."""


class VenueConnection:
    """An open connection; `open_connection` makes it."""

    def __init__(self, connection: WebSocketConnection, address: str, silence_seconds: float) -> None:
        self._connection = connection
        self._address = address
        self._silence_seconds = silence_seconds
        self._last_frame = -math.inf

    def __repr__(self) -> str:
        return f"<VenueConnection to {self._address}, {self._silence_seconds:g} s of silence allowed>"

    async def send(self, request: Request) -> None:
        """Send a request: a `str` as a text frame, `bytes` as a binary one, anything else as JSON in a text frame.

        Raises `VenueClosed`.
        """
        frame = request if isinstance(request, str | bytes) else msgspec.json.encode(request).decode()
        try:
            await self._connection.send_message(frame)
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> Frame:
        """Return the next message, `str` or `bytes` by its frame. Raises `VenueSilent` and `VenueClosed`.

        Silence counts from this call, or from a later pong: time in which nobody received is no silence.
        """
        self._last_frame = trio.current_time()
        while True:
            deadline = self._last_frame + self._silence_seconds
            with trio.move_on_at(deadline):
                try:
                    message: Frame = await self._connection.get_message()
                except ConnectionClosed as error:
                    raise _closed(error) from None
                return message
            if self._last_frame + self._silence_seconds <= trio.current_time():
                raise VenueSilent(f"nothing came on the connection for {self._silence_seconds:g} s")

    async def ping(self) -> None:
        """Send a WebSocket ping and wait for its pong, which ends a silence. Raises `VenueClosed`."""
        try:
            await self._connection.ping()
        except ConnectionClosed as error:
            raise _closed(error) from None
        self._last_frame = trio.current_time()


def _closed(error: ConnectionClosed) -> VenueClosed:
    reason = error.reason
    if reason is None or reason.code == 1006:
        return VenueClosed("the connection was lost")
    text = f"the venue closed the connection: {reason.code} {excerpt(reason.reason or '')}"
    return VenueClosed(text.rstrip(), reason.code)


@asynccontextmanager
async def open_connection(
    url: str, ssl_context: ssl.SSLContext, silence_seconds: float = math.inf
) -> AsyncIterator[VenueConnection]:
    """Connect to `url` (`wss://HOST[:PORT][/PATH]`); on leaving the block the connection is dropped at once.

    `silence_seconds` is the longest time without a message or a pong. Raises `VenueUnreachable`.
    """
    parts = urlsplit(url)
    host, resource = parts.hostname or "", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    address = _address(parts)
    stream: trio.SSLStream[trio.SocketStream] | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_after(CONNECT_SECONDS):
                    stream = await trio.open_ssl_over_tcp_stream(
                        host, parts.port or 443, ssl_context=ssl_context, https_compatible=True
                    )
                    await stream.do_handshake()  # apart from the rest, so that a certificate's fault is the error
                    connection = await wrap_client_stream(
                        nursery,
                        stream,
                        parts.netloc,
                        resource,
                        max_message_size=MAX_MESSAGE_BYTES,
                        receive_buffer_size=_RECEIVE_BUFFER,
                    )
            except (OSError, HandshakeError, trio.BrokenResourceError, trio.TooSlowError) as failure:
                raise unreachable(parts, failure) from failure
            yield VenueConnection(connection, address, silence_seconds)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        error = failure_in(group)
        if isinstance(error, HandshakeError):  # an answer that goes on while the handshake is given up
            error = unreachable(parts, error)
        raise error from error.__cause__
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


def unreachable(parts: SplitResult, failure: BaseException) -> VenueUnreachable:
    """Return the error to raise for a connection that could not be made."""
    return VenueUnreachable(f"{_address(parts)}{parts.path}: {cause_of(failure)}")


def cause_of(failure: BaseException) -> str:
    """The first reason of a failed connection, in one line."""
    if isinstance(failure, trio.TooSlowError):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(failure, ConnectionRejected):
        return f"the server answers with HTTP {failure.status_code} instead of a WebSocket"
    cause = failure
    while True:
        if isinstance(cause, BaseExceptionGroup):  # one exception for each address of the host
            cause = cause.exceptions[0]
        elif cause.__cause__ is not None:
            cause = cause.__cause__
        else:
            return excerpt(str(cause) or type(cause).__name__)


def failure_in(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception to raise for several tasks of a connection, which often fail of one cause at once.

    That is a failure of the connection; the group itself, if there is anything else in it.
    """
    leaves: list[BaseException] = []
    groups: list[BaseExceptionGroup[BaseException]] = [group]
    while groups:
        for error in groups.pop().exceptions:
            if isinstance(error, BaseExceptionGroup):
                groups.append(error)
            else:
                leaves.append(error)
    others = [error for error in leaves if not isinstance(error, TickerError | OSError)]
    return leaves[0] if not others else others[0] if len(leaves) == 1 else group


def _address(parts: SplitResult) -> str:
    """The URL without the parts that can hold a secret."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

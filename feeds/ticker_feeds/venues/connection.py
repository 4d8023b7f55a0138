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
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from ticker.errors import TickerError, sole
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
    return VenueClosed(f"the venue closed the connection: {reason.code} {reason.reason or ''}".rstrip(), reason.code)


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
                cause = _innermost(failure)
                raise VenueUnreachable(f"{address}{parts.path}: {str(cause) or type(cause).__name__}") from failure
            yield VenueConnection(connection, address, silence_seconds)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        error = sole(group)
        raise error from error.__cause__
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


def _innermost(error: BaseException) -> BaseException:
    """The exception that all began with. (Trio raises one for all addresses of a name, from those of each.)"""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            return error


def _address(parts: SplitResult) -> str:
    """The URL without the parts that can hold a secret."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

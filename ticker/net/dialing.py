"""From URLs to a TLS stream to a service; a failure has its reason in one line."""

from __future__ import annotations

import errno
import json
import math
import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import trio

from ticker.errors import ConfigError

_RECEIVE_BUFFER = 65_536
_MAX_HANDSHAKE_BYTES = 65_536
"""Bytes received until the WebSocket is open: the head of the answer, or a refusal."""
_STREAM_PATH = "/v1/stream"

E = TypeVar("E", bound=BaseException)


class Unreachable(Exception):
    """No connection could be made this time; the text says why."""


async def dial(
    url: str, context: ssl.SSLContext, option: str = "--ca FILE, ca=..."
) -> trio.SSLStream[trio.SocketStream]:
    """Return a TLS connection to the host of a URL. Raises `Unreachable`; `option` names its authority."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        socket = await trio.open_tcp_stream(host, port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(_why_unreachable(error)) from None
    # Left to itself the kernel may keep megabytes for a program that stalls: minutes of old prices to read first.
    socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, _RECEIVE_BUFFER)
    stream = trio.SSLStream(socket, context, server_hostname=host)
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            raise Unreachable(_why_no_tls(error.__cause__, option)) from None
        raise
    return stream


def stream_url(url: str, key: str = "url") -> tuple[str, str]:
    """Return the stream's full URL, and its host. Raises `ConfigError`, which names the setting `key`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{key} {url!r}: {error}") from None
    if parts.scheme != "wss" or not host:
        raise ConfigError(f"{key} {url!r}: give wss://HOST:PORT; prices travel over TLS only")
    path = parts.path.rstrip("/").removesuffix(_STREAM_PATH) + _STREAM_PATH
    return urlunsplit(("wss", parts.netloc, path, parts.query, "")), host


class ObservedStream(trio.abc.Stream):
    """A stream that records the time of the last bytes received, and calls `ended` at the end of the stream.

    trio-websocket would go on waiting for the rest of an opening handshake, and keep however much comes before its end.
    """

    def __init__(self, stream: trio.abc.Stream, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended
        self.heard = trio.current_time()
        self._handshake_left: float = _MAX_HANDSHAKE_BYTES

    def handshake_done(self) -> None:
        """Stop counting bytes: the answer to the upgrade has come."""
        self._handshake_left = math.inf

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return the next bytes, which are a sign of life; empty at the end.

        Raises `Unreachable` where the answer to the upgrade is longer than a server's can be.
        """
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self._ended()
            raise
        if not data:
            self._ended()
        self._handshake_left -= len(data)
        if self._handshake_left < 0:
            raise Unreachable(f"its answer is longer than {_MAX_HANDSHAKE_BYTES} bytes; it is not a Ticker service")
        self.heard = trio.current_time()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream does."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream does."""
        await self._stream.aclose()


def first_of(group: BaseExceptionGroup[E]) -> E:
    """Return the first exception of a group, however deep."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _why_no_tls(cause: BaseException | None, option: str) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}); name its authority ({option})"
    return f"TLS failed: {cause or 'the connection was cut'}"


def _why_unreachable(error: OSError | UnicodeError) -> str:
    """Return the reason why no TCP connection could be made; Trio groups the errors of a host's addresses."""
    if isinstance(error, UnicodeError):
        return "that is no host name"
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        first = first_of(cause)
        error = first if isinstance(first, OSError) else error
    if error.errno == errno.ECONNREFUSED:
        return "nobody listens there (connection refused); is `ticker serve` running?"
    return error.strerror or str(error)


def own_message(status: int, body: bytes) -> str | None:
    """Return the message of a refusal in the service's own JSON (PROTOCOL.md, section 2); None for any other body."""
    try:
        refusal = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(refusal, dict) or refusal.get("code") != status:
        return None
    message = refusal.get("message")
    return message if isinstance(message, str) else None

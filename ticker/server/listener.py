"""Listening and accepting: the address, the sockets, the TLS handshake, and the end of every connection.

A connection is accepted in its turn. In a storm of new clients most wait in the kernel, and not half-way through a
handshake.
"""

from __future__ import annotations

import errno
import math
import socket

import structlog
import trio

from ticker.config import ACCEPT_RETRY_SECONDS, EXHAUSTION_LOG_SECONDS, LISTEN_BACKLOG
from ticker.door.connection_limits import ConnectionLimits
from ticker.errors import ConfigError, RefusalCause
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import STREAM_PATH
from ticker.net.transport import TlsStream
from ticker.server.cert_reload import Certificate
from ticker.server.connection import ServerContext
from ticker.server.dispatch import CONNECTION_LOST, dispatch
from ticker.server.pages import Pages

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Errors of a system that has nothing left for a connection (accept(2))."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.listener")


def parse_address(text: str, key: str = "listen") -> tuple[str, int]:
    """Split the HOST:PORT of a setting, with an IPv6 host in brackets. Raises `ConfigError`."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not (port.isascii() and port.isdigit()):
        raise ConfigError(f"{key} {text!r}: give HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443")
    if len(port) > 5 or int(port) > 65_535:
        raise ConfigError(f"{key} {text!r}: a port is a number from 0 to 65535")
    return host.strip("[]"), int(port)


def url_of(listener: trio.SocketListener) -> str:
    """Return the URL of the stream at a listener."""
    host, port = listener.socket.getsockname()[:2]
    return f"wss://{f'[{host}]' if ':' in host else host}:{port}{STREAM_PATH}"


def page_url(listener: trio.SocketListener, path: str) -> str:
    """Return the URL of a page at a listener."""
    return url_of(listener).replace("wss:", "https:").removesuffix(STREAM_PATH) + path


async def listen(host: str, port: int, flag: str = "--listen") -> list[trio.SocketListener]:
    """Open the listeners of an address. Raises `ConfigError`."""
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=LISTEN_BACKLOG)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise ConfigError(f"cannot listen on {host!r}: {reason}; give an address of this machine") from None
    except (OSError, ExceptionGroup) as error:
        code = error.errno if isinstance(error, OSError) else None
        reason = "the port is in use" if code == errno.EADDRINUSE else str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; give another address with {flag}") from None
    if port == 0:
        # A name with several addresses would get a different port on each; only the first is announced.
        for other in listeners[1:]:
            await other.aclose()
        return listeners[:1]
    return listeners


class PatientListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts connections; while the system has no descriptor for one, it waits and says so now and then."""

    def __init__(self, listener: trio.SocketListener, connection_limits: ConnectionLimits) -> None:
        self._listener = listener
        self._connection_limits = connection_limits
        self._logged_at = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._listener.socket.getsockname()}>"

    async def accept(self) -> trio.SocketStream:
        """Wait for a connection and accept it."""
        while True:
            try:
                return await self._listener.accept()
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._log_exhaustion(error)
            await trio.sleep(ACCEPT_RETRY_SECONDS)

    def _log_exhaustion(self, error: OSError) -> None:
        limits = self._connection_limits
        limits.accept_failures += 1
        now = trio.current_time()
        if now - self._logged_at >= EXHAUSTION_LOG_SECONDS:
            self._logged_at = now
            _log.error(
                "no connection can be accepted now; new clients wait",
                cause=error.strerror,
                connections=limits.open,
                retry_seconds=ACCEPT_RETRY_SECONDS,
            )

    async def aclose(self) -> None:
        """Close the listening socket."""
        await self._listener.aclose()


class QueuedListener(PatientListener):
    """Accepts each connection in its turn in the fair queue."""

    def __init__(
        self, listener: trio.SocketListener, connection_limits: ConnectionLimits, fair_queue: FairQueue
    ) -> None:
        super().__init__(listener, connection_limits)
        self._fair_queue = fair_queue

    async def accept(self) -> trio.SocketStream:
        """Wait for a connection and for a turn, and accept it."""
        await trio.lowlevel.wait_readable(self._listener.socket)
        await self._fair_queue.take()
        return await super().accept()


async def handle_connection(
    accepted: trio.SocketStream, *, certificate: Certificate, context: ServerContext, pages: Pages
) -> None:
    """Serve one connection. Raises nothing but cancellation."""
    address = "?"
    connection_limits = context.auth.connection_limits
    sock = socket.socket(fileno=accepted.socket.detach())
    try:
        address = sock.getpeername()[0]
        room = connection_limits.connected(address)
        try:
            if room:
                stream = TlsStream(sock, certificate.context, context.fair_queue, context.record_rate)
                await _serve_tls(stream, address, context, pages)
        finally:
            connection_limits.disconnected(address)
    except CONNECTION_LOST as error:
        _log.debug("connection lost", peer=address, cause=str(error) or type(error).__name__)
    except Exception as error:  # noqa: BLE001  # a fault on one connection must not reach the others
        context.failures.write("connection failed", error, peer=address)
    finally:
        sock.close()


async def _serve_tls(stream: TlsStream, address: str, context: ServerContext, pages: Pages) -> None:
    refusals = context.auth.connection_limits.refusals
    try:
        try:
            with trio.fail_after(context.limits.handshake_seconds):
                await stream.handshake()
        except trio.BrokenResourceError:
            refusals[RefusalCause.TLS] += 1
            raise
        except trio.TooSlowError:
            refusals[RefusalCause.TIMEOUT] += 1
            raise
        await dispatch(stream, address, context, pages)
    finally:
        with trio.CancelScope(shield=True):
            await stream.aclose()

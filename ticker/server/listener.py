"""Accepting: the turns, the PROXY header and the TLS handshake, and the end of every connection.

A connection is accepted in its turn. In a storm of new clients most wait in the kernel, and not half-way through a
handshake.
"""

from __future__ import annotations

import errno
import math
import socket
from typing import Protocol, TypeAlias

import structlog
import trio

from ticker.bounds import ACCEPT_RETRY_SECONDS, EXHAUSTION_LOG_SECONDS
from ticker.door.callers import Caller, Place
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.proxies import UNIX
from ticker.errors import BadProxyHeader, RefusalCause
from ticker.net.fair_queue import FairQueue
from ticker.net.listeners import Listener
from ticker.net.plain_stream import PlainStream
from ticker.net.proxy_protocol import receive_proxy_header
from ticker.net.seldom import Seldom
from ticker.net.tls_stream import TlsStream
from ticker.net.transport import SocketStream
from ticker.server.cert_reload import Certificate
from ticker.server.connection import ServerContext
from ticker.server.dispatch import CONNECTION_LOST, admit, serve
from ticker.server.pages import Pages

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Errors of a system that has nothing left for a connection (accept(2))."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.listener")


Accepted: TypeAlias = tuple[socket.socket, Place | None]
"""A connection, and its place where another process counts those of several."""


class ConnectionSource(Protocol):
    """Where the connections of clients come from: a listening socket, or another process that has accepted them."""

    @property
    def socket(self) -> trio.socket.SocketType | socket.socket:
        """Readable when there is one to accept."""
        ...

    @property
    def plain(self) -> bool:
        """Whether its connections have no TLS."""
        ...

    async def take(self) -> Accepted:
        """Wait for a connection and accept it."""
        ...

    async def aclose(self) -> None:
        """Accept no more."""


class PatientListener:
    """Accepts connections; while the system has no descriptor for one, it waits and says so now and then."""

    def __init__(self, listener: ConnectionSource, connection_limits: ConnectionLimits) -> None:
        self._listener = listener
        self._connection_limits = connection_limits
        self._logged_at = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._listener!r}>"

    async def take(self) -> Accepted:
        """Wait for a connection and accept it."""
        while True:
            try:
                return await self._listener.take()
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


class QueuedListener(PatientListener):
    """Accepts each connection in its turn in the fair queue."""

    def __init__(self, listener: ConnectionSource, connection_limits: ConnectionLimits, fair_queue: FairQueue) -> None:
        super().__init__(listener, connection_limits)
        self._fair_queue = fair_queue

    async def take(self) -> Accepted:
        """Wait for a connection and for a turn, and accept it."""
        await trio.lowlevel.wait_readable(self._listener.socket)
        await self._fair_queue.take()
        return await super().take()


class Connections:
    """Serves the connections of clients."""

    def __init__(self, certificate: Certificate | None, context: ServerContext, pages: Pages) -> None:
        """Without a certificate, all listeners have to be plain."""
        self._certificate = certificate
        self._context = context
        self._pages = pages
        self._bad_headers = Seldom()

    def __repr__(self) -> str:
        return f"<Connections: {self._context.auth.connection_limits}>"

    async def serve(
        self,
        listener: ConnectionSource,
        nursery: trio.Nursery,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections until cancelled; `nursery` serves them."""
        queued = QueuedListener(listener, self._context.auth.connection_limits, self._context.fair_queue)
        if isinstance(listener, Listener):
            _log.info("the dashboard is there", url=listener.page_url(f"{self._context.path_prefix}/"))
        task_status.started()
        while True:
            sock, place = await queued.take()
            nursery.start_soon(self.handle, sock, place, listener.plain)

    async def handle(self, sock: socket.socket, place: Place | None, plain: bool) -> None:  # noqa: FBT001  # Trio passes no names
        """Serve one connection. Raises nothing but cancellation."""
        # Streams of clients are served from here, and not from within what leads to them: each coroutine that waits for
        # their end would take 200 to 300 bytes of every client.
        context, stream, counted = self._context, None, False
        caller = Caller("?", context.auth.proxies, context.auth.connection_limits, place)
        sock.settimeout(0)
        try:
            try:
                caller.address = _peer_of(sock)
                counted = True
                deadline = trio.current_time() + context.limits.handshake_seconds
                if caller.connected():
                    stream = await self._open(sock, caller, deadline, plain=plain)
                if stream is not None:
                    await self._shake_hands(stream, deadline)
                    admitted = await admit(stream, caller, context, self._pages)
                    if admitted is not None:
                        await serve(stream, admitted, context)
            finally:
                if stream is not None:
                    with trio.CancelScope(shield=True):
                        await stream.aclose()
                if counted:
                    caller.disconnected()
        except CONNECTION_LOST as error:
            _log.debug("connection lost", peer=caller.address, cause=str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001  # a fault on one connection must not reach the others
            context.failures.write("connection failed", error, peer=caller.address)
        finally:
            sock.close()
            if place is not None:
                place.leave()

    async def _open(self, sock: socket.socket, caller: Caller, deadline: float, *, plain: bool) -> SocketStream | None:
        """Return the connection's stream; None if it is to be closed without an answer."""
        context = self._context
        received = await self._receive_proxy_header(sock, caller, deadline) if caller.sends_proxy_header else b""
        if received is None:
            return None
        if plain:
            return PlainStream(sock, context.fair_queue, context.record_rate, received)
        assert self._certificate is not None  # noqa: S101  # for the type checker
        tls = self._certificate.context
        return TlsStream(sock, tls, context.fair_queue, context.record_rate, received)

    async def _receive_proxy_header(self, sock: socket.socket, caller: Caller, deadline: float) -> bytes | None:
        """Return the bytes received behind the PROXY header; None if the connection is to be closed."""
        refusals = self._context.auth.connection_limits.refusals
        try:
            with trio.fail_at(deadline):
                header = await receive_proxy_header(sock, self._context.fair_queue)
        except BadProxyHeader as error:
            refusals[RefusalCause.PROXY] += 1
            if self._bad_headers.allows(caller.address, trio.current_time()):
                remedy = "have it send one (send-proxy-v2), or take it out of proxies.proxy_protocol"
                _log.warning("a proxy's connection was closed", cause=str(error), peer=caller.address, remedy=remedy)
            return None
        except (trio.TooSlowError, trio.BrokenResourceError):
            refusals[RefusalCause.TIMEOUT] += 1
            raise
        if not caller.came_from(header.address):
            refusals[RefusalCause.OVERRUN] += 1
            return None
        return header.rest

    async def _shake_hands(self, stream: SocketStream, deadline: float) -> None:
        refusals = self._context.auth.connection_limits.refusals
        try:
            with trio.fail_at(deadline):
                await stream.handshake()
        except trio.BrokenResourceError:
            refusals[RefusalCause.TLS] += 1
            raise
        except trio.TooSlowError:
            refusals[RefusalCause.TIMEOUT] += 1
            raise


def _peer_of(sock: socket.socket) -> str:
    return UNIX if sock.family == socket.AF_UNIX else sock.getpeername()[0]

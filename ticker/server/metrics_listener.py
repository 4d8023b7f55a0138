"""`metrics_listen`: the pages for operators at an address of their own, where no client takes their place.

Its connections stand in none of the limits of clients; at most `MAX_METRICS_CONNECTIONS` are open at once.
"""

from __future__ import annotations

import socket

import structlog
import trio

from ticker.bounds import MAX_METRICS_CONNECTIONS
from ticker.net.http1 import Refusal, headers_of, receive_request, respond
from ticker.net.listeners import Listener
from ticker.net.tls_stream import TlsStream
from ticker.server.cert_reload import Certificate
from ticker.server.compression import compressed
from ticker.server.connection import ServerContext
from ticker.server.dispatch import CONNECTION_LOST
from ticker.server.listener import ConnectionSource, PatientListener
from ticker.server.operator_pages import METRICS_PATH, OperatorPages

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.metrics_listener")


class MetricsListener:
    """Serves the pages for operators, and nothing else."""

    def __init__(
        self, pages: OperatorPages, certificate: Certificate, context: ServerContext, *, metrics_open: bool
    ) -> None:
        """`metrics_open` shows metrics without a token."""
        self._pages = pages
        self._certificate = certificate
        self._context = context
        self._metrics_open = metrics_open
        self._connections = 0

    def __repr__(self) -> str:
        return f"<MetricsListener: {self._connections} connections, {self._pages!r}>"

    async def serve(self, listener: ConnectionSource) -> None:
        """Serve connections until cancelled."""
        if isinstance(listener, Listener):
            _log.info("metrics are there", url=listener.page_url(METRICS_PATH))
        patient = PatientListener(listener, self._context.auth.connection_limits)
        async with trio.open_nursery() as nursery:
            while True:
                sock, _ = await patient.take()
                nursery.start_soon(self._handle, sock)

    async def _handle(self, sock: socket.socket) -> None:
        """Serve one connection, with one request. Raises nothing but cancellation."""
        self._connections += 1
        try:
            if self._connections <= MAX_METRICS_CONNECTIONS:
                context = self._context
                peer = sock.getpeername()[0]
                await self._answer(
                    peer, TlsStream(sock, self._certificate.context, context.fair_queue, context.record_rate)
                )
        except CONNECTION_LOST as error:
            _log.debug("connection lost", cause=str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001  # a fault on one connection must not reach the others
            self._context.failures.write("connection failed", error)
        finally:
            self._connections -= 1
            sock.close()

    async def _answer(self, address: str, stream: TlsStream) -> None:
        limits = self._context.limits
        try:
            with trio.fail_after(limits.handshake_seconds):
                await stream.handshake()
            head_only = False
            with trio.fail_after(limits.handshake_seconds):
                try:
                    request = (await receive_request(stream, limits.max_head_bytes)).request
                    head_only = request.method == b"HEAD"
                    headers = headers_of(request)
                    response = await self._pages.answer(request, headers, address, metrics_open=self._metrics_open)
                    response = await compressed(response, headers, self._context.fair_queue)
                except Refusal as refusal:
                    response = refusal.response
                await respond(stream, response, head_only=head_only)
        finally:
            with trio.CancelScope(shield=True):
                await stream.aclose()

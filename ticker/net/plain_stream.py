"""A `SocketStream` without TLS, for a proxy on this machine that ends TLS.

Charges: each read counts like a TLS record, against the same `RecordRate`.
"""

from __future__ import annotations

import socket

import trio

from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordAllowance, RecordRate
from ticker.net.transport import RECORD, SocketStream


class PlainStream(SocketStream):
    """The server's end of one connection without TLS."""

    __slots__ = ("_allowance", "_ended", "_received")

    def __init__(
        self, sock: socket.socket, fair_queue: FairQueue, record_rate: RecordRate, received: bytes = b""
    ) -> None:
        """All connections of a service share one `record_rate`. `received` are bytes that were read already."""
        super().__init__(sock, fair_queue)
        self._allowance = RecordAllowance(record_rate, trio.current_time())
        self._received = received
        self._ended = False

    async def handshake(self) -> None:
        """Return at once: there is none."""
        await trio.lowlevel.checkpoint()

    def push(self, data: bytes) -> bool:
        """Send as much as the socket accepts now; return whether that was all."""
        if self._broken or self._closing:
            return False
        return self._flush(data)

    def _push_end(self) -> None:
        """Nothing: the peer sees the end of the connection itself."""

    def _read(self, max_bytes: int) -> bytes | None:
        if not self._received:
            return b"" if self._ended else None
        data, self._received = self._received[:max_bytes], self._received[max_bytes:]
        return data

    async def _pace(self) -> None:
        if delay := self._allowance.delay():
            await trio.sleep(delay)
            self._check_open()

    @property
    def _has_more(self) -> bool:
        return False

    async def _take(self) -> bytes:
        self._received = await self._receive_bytes(RECORD)
        self._ended = not self._received
        self._allowance.charge(1, trio.current_time())
        return self._received

"""Both ends of one TLS connection: the server's stream, and the standard library's TLS on the other side."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordRate
from ticker.net.tls_stream import TlsStream


class Contexts(NamedTuple):
    """Both ends of TLS on this machine."""

    server: ssl.SSLContext
    client: ssl.SSLContext


BLOCK = bytes(range(256)) * 128


class Pair(NamedTuple):
    """The server's stream and the client's, over one TCP connection."""

    server: TlsStream
    client: trio.SSLStream[trio.SocketStream]

    async def shake_hands(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.handshake)
            nursery.start_soon(self.client.do_handshake)

    async def received(self, size: int) -> bytes:
        """The next `size` bytes at the client."""
        data = bytearray()
        while len(data) < size:
            more = await self.client.receive_some()
            assert more, f"the stream ended after {len(data)} of {size} bytes"
            data += more
        return bytes(data)

    def fill(self) -> bytes:
        """Push until the client's socket accepts no more, and as much again; return the pushed bytes."""
        pushed = BLOCK
        while self.server.push(BLOCK):
            pushed += BLOCK
        for _ in range(10):  # the kernel may find room for a little more later
            assert not self.server.push(BLOCK)
            pushed += BLOCK
        return pushed

    def reset(self) -> None:
        """The client goes with a TCP reset."""
        sock = self.client.transport_stream.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def sockets() -> tuple[socket.socket, socket.socket]:
    """The server's and the client's end of a TCP connection; the client's keeps little unread."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client.connect(listener.getsockname())
        return listener.accept()[0], client


@asynccontextmanager
async def connected(contexts: Contexts, *, handshake: bool = True) -> AsyncIterator[Pair]:
    accepted, dialled = sockets()
    fair_queue = FairQueue()
    server = TlsStream(accepted, contexts.server, fair_queue, RecordRate(1e9, 1e9))
    client = trio.SSLStream(
        trio.SocketStream(trio.socket.from_stdlib_socket(dialled)), contexts.client, server_hostname="127.0.0.1"
    )
    pair = Pair(server, client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fair_queue.hand_out)
        try:
            with trio.fail_after(1000):  # some tests let the clock jump
                if handshake:
                    await pair.shake_hands()
                yield pair
        finally:
            server.abort()
            await trio.aclose_forcefully(client)
            nursery.cancel_scope.cancel()

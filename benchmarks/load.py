"""The load client: thousands of TLS WebSocket clients on one core.

Most connections are *swept*: read in bulk a few times per second, and what they got is only kept. A few are *probes*:
read as soon as something is there and decoded at once, latencies taken from the time at which the update was due (so a
stall is charged to whoever stalled). After the measurement everything that was kept is decoded too, and every
connection's final state is compared with what was sent.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from collections.abc import Sequence

from benchmarks.servers import Reader, Server, Update

READ_BYTES = 262_144


class Client:
    """One connection."""

    def __init__(self, server: Server, port: int, context: ssl.SSLContext, numbers: Sequence[int]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With memory BIOs one system call takes in a hundred records; an `SSLSocket` makes two calls for each.
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        self._handshake()
        self.reader: Reader = server.reader()
        self.numbers = numbers
        self.frames = 0
        self.bytes = 0
        self.state: dict[int, int] = {}
        """The latest price of each instrument, as this client knows it."""
        self._kept: list[bytes] = []
        self._rest = b""
        self._upgrade(server, port)
        for payload in self.reader.opening(numbers):
            self._send(_masked(payload, text=self.reader.text))
        while not self.reader.subscribed:
            self.decode(self._wait())
        self.frames = self.bytes = 0
        self.socket.settimeout(0)

    def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(READ_BYTES))
            else:
                self.socket.sendall(self._outgoing.read())
                return

    def _upgrade(self, server: Server, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        offer = f"Sec-WebSocket-Protocol: {server.subprotocol}\r\n" if server.subprotocol else ""
        self._send(
            f"GET {server.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._wait()
        head, _, rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"{server.name} answered {head[:80]!r}")
        self.decode(rest)

    def _send(self, data: bytes) -> None:
        self._tls.write(data)
        self.socket.sendall(self._outgoing.read())

    def _wait(self) -> bytes:
        """What arrives next."""
        while not (data := self.receive()):
            pass
        return data

    def receive(self) -> bytes:
        """What has arrived; once connected, without waiting."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionError("the server closed a connection")
        self.bytes += len(data)
        self._incoming.write(data)
        records = []
        try:
            while True:
                records.append(self._tls.read(READ_BYTES))
        except ssl.SSLWantReadError:
            return b"".join(records)

    def sweep(self) -> None:
        """Keep what has arrived for later."""
        data = self.receive()
        if data:
            self._kept.append(data)

    def decode_kept(self) -> None:
        """Decode all that sweeps have kept."""
        kept, self._kept = b"".join(self._kept), []
        self.decode(kept)

    def decode(self, data: bytes) -> list[Update]:
        """Take in all whole frames; returns the updates that they brought."""
        data = self._rest + data
        at, end = 0, len(data)
        updates: list[Update] = []
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end < start + length:
                break
            self.frames += 1
            updates += self.reader.read(data[start : start + length])
            at = start + length
        self._rest = data[at:]
        for update in updates:
            self.state[update.number] = update.price
        return updates


def _masked(payload: bytes, *, text: bool) -> bytes:
    """A client's frame (RFC 6455, section 5.2). A mask of zeros leaves the payload as it is."""
    first, length = 0x81 if text else 0x82, len(payload)
    head = bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0xFE)) + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload

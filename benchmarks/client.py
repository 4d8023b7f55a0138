"""One client of a measured server: a non-blocking WebSocket over TLS, thousands of them in one loop."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from collections.abc import Sequence

from benchmarks.readers import Price, Reader
from benchmarks.servers import Server

READ_BYTES = 262_144
RECEIVE_BUFFER = 1 << 20
"""The kernel accounts about a thousand bytes for a small record: between two sweeps a default buffer could fill up, and
servers that write many small records would wait for the load client."""
RECORD = 16_384
"""Maximum plaintext of one TLS record in bytes (RFC 8446, section 5.1): a read returns one record."""

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x81, 0x82, 0x88, 0x89, 0x8A  # the FIN bit and the opcode (RFC 6455, 5.2)
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of 0 (socket(7)): closing sends a reset."""


class Client:
    """One connection. Call `begin`, then `advance` whenever the socket is readable, until `ready`."""

    def __init__(self, server: Server, port: int, context: ssl.SSLContext, numbers: Sequence[int]) -> None:
        self.numbers = numbers
        self.reader: Reader = server.reader()
        self.ready = False
        self.since = 0
        """The first price that it must have: it may lack prices from before its subscription."""
        self.state: dict[int, int] = {}
        """The latest price of each instrument that this client has received."""
        self.frames = self.values = self.bytes = self.records = 0
        """Messages received, prices in them, bytes of ciphertext, TLS records."""
        self.pongs = 0
        self.receive_buffer = RECEIVE_BUFFER
        """In bytes. Set it before `begin`: the kernel drops data beyond a buffer that shrinks later."""
        self._address = ("127.0.0.1", port)
        self._server = server
        # With memory BIOs one system call reads a hundred records; an `SSLSocket` makes two calls per record.
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        self._handshake_done = self._upgraded = False
        self._rest = self._unsent = b""
        self._kept: list[bytes] = []

    def __repr__(self) -> str:
        state = "ready" if self.ready else "connecting"
        return f"<{type(self).__name__} of {self._server.title}, {state}, {self.frames} frames, {self.values} values>"

    # Connecting

    def begin(self) -> int:
        """Start to connect; return the descriptor. The connection is established once the socket is writable."""
        self.socket = socket.socket()
        self.socket.settimeout(0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.connect_ex(self._address)
        return self.socket.fileno()

    def advance(self) -> None:
        """Continue the handshakes with the bytes received so far. Raises `OSError` if the connection fails."""
        data = self.receive() if self._handshake_done else self._handshake()
        if not self._handshake_done:
            return
        if not self._upgraded:
            data = self._upgrade(data)
        if data:
            self.decode(data)
        self.ready = self.reader.subscribed

    def _handshake(self) -> bytes:
        try:
            self._incoming.write(self._receive_ciphertext())
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return b""
        self._handshake_done = True
        self._tls.write(self.request().encode())
        self._flush()
        return self._plain()

    def request(self) -> str:
        """Return the head of the request that opens the stream."""
        key = base64.b64encode(os.urandom(16)).decode()
        offer = f"Sec-WebSocket-Protocol: {self._server.subprotocol}\r\n" if self._server.subprotocol else ""
        host, port = self._address
        return (
            f"GET {self._server.path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n"
        )

    def _upgrade(self, data: bytes) -> bytes:
        head, end, rest = (self._rest + data).partition(b"\r\n\r\n")
        if not end:
            self._rest = head
            return b""
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"the server answered {head[:80]!r}")
        self._upgraded, self._rest = True, b""
        for payload in self.reader.subscription_payloads(self.numbers):
            self._send(_TEXT if self.reader.text else _BINARY, payload)
        return rest

    # Reading

    def receive(self, most: int = READ_BYTES) -> bytes:
        """Return the plaintext received so far, without waiting, from at most `most` bytes of ciphertext.

        Raises `OSError` if the connection has ended.
        """
        data = self._receive_ciphertext(most)
        if not data:
            return b""
        self.bytes += len(data)
        self._incoming.write(data)
        return self._plain()

    def sweep(self) -> bool:
        """Read without decoding, for `decode_kept`; return whether there was anything."""
        data = self.receive()
        if data:
            self._kept.append(data)
        return bool(data)

    def decode_kept(self) -> None:
        """Decode everything that `sweep` has read."""
        if self._kept:
            kept, self._kept = b"".join(self._kept), []
            self.decode(kept)

    def decode(self, data: bytes) -> list[Price]:
        """Process all complete frames; return their prices."""
        prices = self.reader.read(self._payloads(self._rest + data))
        self.state.update(prices)
        self.values += len(prices)
        while self.reader.replies:
            self._send(_TEXT if self.reader.text else _BINARY, self.reader.replies.pop())
        return prices

    def close(self) -> None:
        """Close the connection without a close frame."""
        self.socket.close()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        reset(self.socket)

    def send_close(self) -> None:
        """Send a close frame (1000). `receive` and `decode` then raise at the server's close frame or end of stream."""
        self._send(_CLOSE, b"\x03\xe8")

    @property
    def cipher(self) -> str:
        """Return the negotiated cipher suite."""
        cipher = self._tls.cipher()
        return cipher[0] if cipher else ""

    def _payloads(self, data: bytes) -> list[bytes]:
        at, end = 0, len(data)
        payloads: list[bytes] = []
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end < start + length:
                break
            if data[at] in {_TEXT, _BINARY}:
                payloads.append(data[start : start + length])
            else:
                self._control(data[at], data[start : start + length])
            at = start + length
        self._rest = data[at:]
        self.frames += len(payloads)
        return payloads

    def _control(self, first: int, payload: bytes) -> None:
        if first == _PING:
            self._send(_PONG, payload)
        elif first == _PONG:
            self.pongs += 1
        elif first == _CLOSE:
            raise ConnectionError(f"the server closed a connection: {payload[2:].decode(errors='replace')}")

    def _receive_ciphertext(self, most: int = READ_BYTES) -> bytes:
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return b""
        if not data:
            raise ConnectionError("the server closed a connection")
        return data

    def _plain(self) -> bytes:
        records = []
        try:
            while data := self._tls.read(RECORD):
                records.append(data)
        except ssl.SSLWantReadError:
            pass
        self.records += len(records)
        return b"".join(records)

    # Writing

    def _send(self, first: int, payload: bytes) -> None:
        """A client's frame (RFC 6455, section 5.2). A mask of zeros leaves the payload as it is."""
        length = len(payload)
        head = bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0xFE)) + length.to_bytes(2, "big")
        self._tls.write(head + b"\0\0\0\0" + payload)
        self._flush()

    def push(self, frames: bytes) -> bool:
        """Send complete frames. Return False, and send nothing, if earlier bytes are still unsent."""
        if not self._flush():
            return False
        self._tls.write(frames)
        self._flush()
        return True

    def _flush(self) -> bool:
        """Send as much as the socket accepts. Return False if bytes are left for the next call."""
        self._unsent += self._outgoing.read()
        if self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                sent = 0
            self._unsent = self._unsent[sent:]
        return not self._unsent


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()

"""The floor for Python: the cost of `SSLObject.write`, `MemoryBIO.read` and `socket.send` per client, and no more.

Arguments: PORT CERT KEY BUDGET_MS. It accepts clients one by one and writes to each its updates in one frame, behind
16 zero bytes (as peers/floor.c does). Its writes block: a client that stalls stops all others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import select
import socket
import ssl
import sys
import time
from collections import defaultdict

from benchmarks.peers.updates import MESSAGE, batches_for, parse

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
HEAD = bytes(MESSAGE.size)
MAX_BATCH = 1000


class Client:
    """One client."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def send(self, data: bytes) -> None:
        """Encrypt and send: the floor itself."""
        self.tls.write(data)
        self.socket.send(self.outgoing.read())

    def handshake(self) -> None:
        """Complete the TLS handshake."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                return

    def receive(self) -> bytes:
        """Return the next plaintext."""
        while True:
            try:
                return self.tls.read(65_536)
            except ssl.SSLWantReadError:
                self._exchange()

    def _exchange(self) -> None:
        if data := self.outgoing.read():
            self.socket.sendall(data)
        if not (data := self.socket.recv(65_536)):
            raise ConnectionError
        self.incoming.write(data)


subscribers: defaultdict[int, list[Client]] = defaultdict(list)


def accept(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one client; its subscription is one frame, masked with zeros (benchmarks/client.py)."""
    client = Client(listener.accept()[0], context)
    client.handshake()
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.receive()
    found = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert found is not None
    proof = base64.b64encode(hashlib.sha1(found[1] + GUID).digest())  # noqa: S324  # RFC 6455 asks for it
    client.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )
    wanted = client.receive()
    for number in json.loads(wanted[wanted.index(b"[") :]):
        subscribers[number].append(client)
    client.send(b"\x82\x00")


def frame(payload: bytes) -> bytes:
    """Return a binary message (RFC 6455, section 5.2)."""
    length = len(payload)
    head = bytes((0x82, length)) if length < 126 else b"\x82\x7e" + length.to_bytes(2, "big")
    return head + payload


def publish(updates: list[tuple[int, bytes]]) -> None:
    """Send one frame to each subscribed client."""
    for client, message in batches_for(updates, subscribers):
        client.send(frame(HEAD + message))


def main() -> None:
    """Run until stdin ends."""
    port, cert, key, budget = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.num_tickets = 0
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(listener, select.POLLIN)
    print("ready", flush=True)
    rest = b""
    while True:
        ready = {number for number, _ in poll.poll()}
        if listener.fileno() in ready:
            accept(listener, context)
        if 0 in ready:
            if not (data := os.read(0, 65_536)):
                return
            updates, rest = parse(rest + data)
            for at in range(0, len(updates), MAX_BATCH):
                publish(updates[at : at + MAX_BATCH])
            time.sleep(int(budget) / 1000)


main()

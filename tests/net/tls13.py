"""A client of TLS 1.3 whose records are made by hand; the standard library does the handshake, and reads."""

from __future__ import annotations

import itertools
import ssl
from pathlib import Path

import trio

from benchmarks.tls13 import CIPHER, RecordMaker, client_secret
from ticker.net.devcert import AUTHORITY_FILE, data_folder
from ticker.net.tls import client_context

_numbers = itertools.count()


class HandmadeClient:
    """A TCP connection after the handshake: `records` makes the bytes for `transport`, and `receive` is plain text."""

    def __init__(
        self, transport: trio.SocketStream, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, secret: bytes
    ) -> None:
        self.transport = transport
        self.records = RecordMaker(secret)
        self._tls = tls
        self._incoming = incoming

    async def receive(self) -> bytes:
        """The next plain text; empty at the end."""
        while True:
            try:
                return self._tls.read(16_384)
            except ssl.SSLWantReadError:
                data = await self.transport.receive_some(16_384)
                self._incoming.write(data) if data else self._incoming.write_eof()
            except ssl.SSLZeroReturnError:
                return b""

    async def receive_into(self, received: list[bytes]) -> None:
        """Collect plain text until the end, or until cancelled."""
        while data := await self.receive():
            received.append(data)


async def handshake(transport: trio.SocketStream, folder: Path) -> HandmadeClient:
    """Do the handshake. The key log is written into `folder`, and of use to nobody later."""
    context = client_context("127.0.0.1", data_folder() / AUTHORITY_FILE)
    key_log = folder / f"keys-{next(_numbers)}.log"
    context.keylog_filename = str(key_log)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await transport.send_all(outgoing.read())
            incoming.write(await transport.receive_some(16_384))
        else:
            break
    await transport.send_all(outgoing.read())
    cipher = tls.cipher()
    assert cipher is not None
    assert cipher[0] == CIPHER
    return HandmadeClient(transport, tls, incoming, client_secret(key_log))

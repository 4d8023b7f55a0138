"""A client of TLS 1.3 whose records are made by hand, so that they may hold what no library would send.

The standard library does the handshake and reads; its key log gives the secret from which the keys of the client's
records come (RFC 8446, sections 5.2, 7.1 to 7.3).
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path

import trio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ticker.net.devcert import AUTHORITY_FILE, data_folder
from ticker.net.tls import client_context

ALERT, HANDSHAKE, DATA = 21, 22, 23
"""Types of a record's content."""

KEY_UPDATE = b"\x18\0\0\x01\0"
KEY_UPDATE_REQUESTED = b"\x18\0\0\x01\x01"
"""The handshake message KeyUpdate, without and with the wish for one in return (RFC 8446, section 4.6.3)."""


_numbers = itertools.count()


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + bytes((len(label) + 6,)) + b"tls13 " + label + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)


class RecordMaker:
    """The sending side of a connection with TLS_AES_256_GCM_SHA384."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the client's first application traffic secret."""
        self._secret = secret
        self._use_keys()

    def record(self, content: bytes, kind: int = DATA, padding: int = 0) -> bytes:
        """The next record with this content."""
        inner = content + bytes((kind,)) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._number.to_bytes(12, "big"), strict=True))
        self._number += 1
        return head + self._cipher.encrypt(nonce, inner, head)

    def key_updates(self, count: int, message: bytes = KEY_UPDATE) -> bytes:
        """Records with a KeyUpdate each; later records use the last of the keys."""
        return b"".join(self._key_update(message) for _ in range(count))

    def _key_update(self, message: bytes) -> bytes:
        record = self.record(message, HANDSHAKE)
        self._secret = _expand(self._secret, b"traffic upd", 48)
        self._use_keys()
        return record

    def _use_keys(self) -> None:
        self._cipher = AESGCM(_expand(self._secret, b"key", 32))
        self._iv = _expand(self._secret, b"iv", 12)
        self._number = 0


class HandmadeClient:
    """A TCP connection after the handshake: `records` makes what `transport` sends, and `receive` is plain text."""

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
    assert cipher[0] == "TLS_AES_256_GCM_SHA384"
    return HandmadeClient(transport, tls, incoming, next(_secrets(key_log)))


def _secrets(key_log: Path) -> Iterator[bytes]:
    for line in key_log.read_text(encoding="ascii").splitlines():
        if line.startswith("CLIENT_TRAFFIC_SECRET_0 "):
            yield bytes.fromhex(line.split()[2])

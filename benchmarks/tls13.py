"""TLS 1.3 records made by hand, so that they may hold bytes that no library sends (RFC 8446, sections 5.2, 7.1 to 7.3).

The standard library does the handshake; its key log gives the secret from which the keys of the client's records come.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CIPHER = "TLS_AES_256_GCM_SHA384"
"""The suite of a `RecordMaker`: OpenSSL's first choice."""

ALERT, HANDSHAKE, DATA = 21, 22, 23
"""Types of a record's content."""

KEY_UPDATE = b"\x18\0\0\x01\0"
KEY_UPDATE_REQUESTED = b"\x18\0\0\x01\x01"
"""The handshake message KeyUpdate, without and with the wish for one in return (RFC 8446, section 4.6.3)."""


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + bytes((len(label) + 6,)) + b"tls13 " + label + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)


class RecordMaker:
    """The sending side of a connection with `CIPHER`."""

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


def client_secret(key_log: Path) -> bytes:
    """Return the client's first application traffic secret from the key log of one connection."""
    for line in key_log.read_text(encoding="ascii").splitlines():
        if line.startswith("CLIENT_TRAFFIC_SECRET_0 "):
            return bytes.fromhex(line.split()[2])
    raise ValueError(f"{key_log} has no secret of TLS 1.3")

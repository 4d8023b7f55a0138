"""Certificates and handshakes for tests, through OpenSSL's memory BIOs."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ticker.errors import ConfigError
from ticker.net.devcert import DevelopmentCertificate
from ticker.net.tls import client_context, server_context

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a completed handshake; raises the error of either end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    waiting = list(ends)
    for _ in range(6):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    assert not waiting, "the handshake did not finish"
    return ends


def development_contexts(host: str, files: DevelopmentCertificate) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_context(files.cert, files.key), client_context(host, files.authority)


def save(folder: Path, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return cert, key


def issued(
    folder: Path, *, not_before: datetime | None = None, not_after: datetime | None = None
) -> tuple[trustme.CA, Path, Path]:
    """A certificate for localhost of an authority that has nothing to do with Ticker."""
    ca = trustme.CA()
    return ca, *save(folder, ca.issue_cert("localhost", not_before=not_before, not_after=not_after))


def rejected(cert: Path, key: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        server_context(cert, key)
    text = str(caught.value)
    assert "\n" not in text
    return text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(files: DevelopmentCertificate) -> list[bytes]:
    return [path.read_bytes() for path in (files.authority, files.cert, files.key)]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def signed_by(authority: Path, names: Iterable[x509.GeneralName], common_name: str, folder: Path) -> tuple[Path, Path]:
    """A certificate signed with the development CA's own key, as a thief of that key would make it."""
    issuer = x509.load_pem_x509_certificate(authority.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.with_name("ca-key.pem").read_bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(issuer.subject, subject, own.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(hours=1)).not_valid_after(NOW + DAY)
    if names := list(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    cert, key = folder / "stolen.pem", folder / "stolen-key.pem"
    cert.write_bytes(builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.write_bytes(pem(own))
    return cert, key

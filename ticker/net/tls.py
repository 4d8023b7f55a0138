"""TLS contexts of the server and of the Python client, with one-line errors for files that cannot be used.

A context is always built anew and complete: `load_cert_chain` with a key that does not belong to the certificate raises
and leaves its context broken. So a reload builds a new context and swaps it in.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ticker.errors import ConfigError
from ticker.net.devcert import AUTHORITY_FILE, check_folder, data_folder

_ALPN = ["http/1.1"]  # WebSocket's upgrade and h11 are HTTP/1.1 (RFC 6455, section 4.1)


def is_loopback(host: str) -> bool:
    """Return whether `host` (without brackets) is this machine only: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Return a server's context with this certificate chain (its own certificate first) and private key, both PEM.

    Raises ConfigError, naming the file and the remedy, for a file that is unreadable or of another kind, a key that is
    encrypted or belongs to another certificate, and a certificate that is not valid now.
    """
    certificate = _load_certificate(cert)
    if _load_key(key).public_key() != certificate.public_key():
        raise ConfigError(f"{key} is not the private key of {cert}; pass the two that belong together")
    _check_dates(cert, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # For TLS 1.2, as 1.3 has no others: forward secrecy and authenticated encryption (RFC 9325, section 4.2).
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # Tickets cost every TLS 1.3 handshake work and 510 bytes, and pay only when a client resumes with one: the Python
    # client does not, and after a restart, when all clients reconnect at once, the key of the tickets is lost. TLS 1.2
    # keeps its ticket, because OpenSSL would otherwise cache thousands of sessions itself.
    context.num_tickets = 0
    context.set_alpn_protocols(_ALPN)
    try:
        # Should an encrypted key have taken the file's place meanwhile, OpenSSL must not ask for its password on the
        # terminal.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:  # SSLError is one; for instance a key too short for OpenSSL's security level
        raise ConfigError(f"OpenSSL refuses {cert} with {key} ({_reason(error)}); pass a newly issued pair") from error
    return context


def expiry(cert: Path) -> int:
    """Return the end of a certificate (of a chain, the first one), in seconds since 1970 UTC. Raises `ConfigError`."""
    return int(_load_certificate(cert).not_valid_after_utc.timestamp())


def client_context(host: str, ca: Path | None, option: str = "--ca") -> ssl.SSLContext:
    """Return a client's context that verifies the server at `host`, by the authorities in `ca` (PEM) only if given.

    Otherwise by the system's, and for a loopback host also by the development CA if there is one in `data_folder()`.
    Raises ConfigError for a file that is unreadable or has no certificate, and for a data folder that others may write.
    """
    extra = data_folder() / AUTHORITY_FILE if ca is None and is_loopback(host) else None
    try:
        context = ssl.create_default_context(cafile=ca)
        if extra is not None and extra.exists():
            check_folder(extra.parent)
            context.load_verify_locations(extra)
    except OSError as error:
        remedy = f"pass {option} with a PEM file of certificates"
        raise ConfigError(f"cannot take authorities from {ca or extra} ({_reason(error)}); {remedy}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    return context


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror}); pass a readable file with --tls-cert") from error
    except (ValueError, x509.InvalidVersion) as error:
        raise ConfigError(f"{path} holds no PEM certificate; pass the certificate chain with --tls-cert") from error


def _load_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror}); pass a readable file with --tls-key") from error
    except TypeError as error:
        raise ConfigError(
            f"the private key in {path} is encrypted; decrypt it (openssl pkey -in ... -out ...) into a file that only "
            "this user may read, and pass that with --tls-key"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} holds no PEM private key; pass the certificate's key with --tls-key") from error


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if now >= (end := certificate.not_valid_after_utc):
        raise ConfigError(f"the certificate in {path} expired at {end:%Y-%m-%d %H:%M} UTC; renew it")
    if now < (start := certificate.not_valid_before_utc):
        raise ConfigError(
            f"the certificate in {path} is not valid before {start:%Y-%m-%d %H:%M} UTC; check this machine's clock"
        )


def _reason(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)

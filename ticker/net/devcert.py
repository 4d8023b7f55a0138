"""A private certificate authority and server certificate, so that the first try on localhost uses TLS, too.

- The authority is valid for years and is kept, because users have their browsers trust it (`ticker trust`). Its name
  has a part of its own: NSS, in which browsers keep certificates, takes two of the same name for one.
- Name constraints limit it to `localhost`, 127.0.0.1 and ::1, so trusting it endangers no other site, even if its key
  is stolen.
- One lock covers checking and making, and each file appears whole or not at all: of servers that start together, one
  makes the files and the others find them.
- A certificate is valid only together with its key, so the partial files of a killed start are made anew.
- No other user can put files into the folder, exchange them or read the keys, and no link leads out of it: otherwise it
  is refused.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ticker.errors import ConfigError

AUTHORITY_FILE = "ca.pem"
"""File of the authority's certificate, which clients have to trust, in the folder."""

AUTHORITY_KEY_FILE = "ca-key.pem"
"""File of its private key, there. A folder without it holds the copy of an authority that is elsewhere."""

NAMES_COVERED = ("localhost", "127.0.0.1", "::1")
"""The hosts of a development certificate."""

_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
# A name constraint gives an address as a network (RFC 5280, section 4.2.1.10).
_CONSTRAINTS: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.1/32")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
)

_AUTHORITY_LIFE = timedelta(days=5 * 365)
_SERVER_LIFE = timedelta(days=90)  # browsers take at most 398 days
# A server that starts just before the certificate is due still has a month to run.
_RENEW_BEFORE = timedelta(days=30)
# Virtual machines and containers may see a clock that is a little behind ours.
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DevelopmentCertificate:
    """Paths of the PEM files: the authority's certificate, and the server's certificate and private key."""

    authority: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Pair:
    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def valid(self, now: datetime, margin: timedelta) -> bool:
        return self.cert.not_valid_before_utc <= now and now + margin < self.cert.not_valid_after_utc


def data_folder() -> Path:
    """Return the user's folder for Ticker's data: `$TICKER_HOME`, or the platform's place for such data.

    That is `$XDG_DATA_HOME/ticker` or `~/.local/share/ticker` (XDG Base Directory Specification), on macOS
    `~/Library/Application Support/ticker`. It need not exist. Raises ConfigError if there is no home folder.
    """
    if own := os.environ.get("TICKER_HOME"):
        return Path(own)
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    if shared.is_absolute():  # the specification says to ignore a relative one
        return shared / "ticker"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError("this user has no home folder to keep files in; set TICKER_HOME to a folder") from error
    return home / ("Library/Application Support" if sys.platform == "darwin" else ".local/share") / "ticker"


def development_certificate(folder: Path, *, now: datetime | None = None) -> DevelopmentCertificate:
    """Return the development certificate in `folder`, made or renewed where needed, as of `now` (else the clock).

    It is for `localhost`, 127.0.0.1 and ::1, and valid for another month at least. Several processes may call this at
    once. Blocks for some milliseconds, twice as long while another process makes it. Raises ConfigError if `folder`
    cannot be used, or can be used by others.
    """
    now = now or datetime.now(UTC)
    files = DevelopmentCertificate(folder / AUTHORITY_FILE, folder / "server.pem", folder / "server-key.pem")
    authority_key = folder / AUTHORITY_KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder)
        with _locked(folder / "lock"):
            authority = _load(files.authority, authority_key)
            # An authority outlives its certificates: otherwise the server's certificate would fail before its own end.
            if authority is None or not authority.valid(now, _SERVER_LIFE):
                authority = _make_authority(now)
                _save(authority, files.authority, authority_key)
            server = _load(files.cert, files.key)
            if server is None or not server.valid(now, _RENEW_BEFORE) or not _signed(server.cert, authority.cert):
                _save(_make_server(authority, now), files.cert, files.key)
    except OSError as error:
        cause = "a link where a file belongs, delete it" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(
            f"cannot keep a development certificate in {folder} ({cause}: {error.filename or folder}); "
            "set TICKER_HOME to a folder you may write to, or pass --tls-cert and --tls-key"
        ) from error
    return files


def kept_authority(folder: Path) -> x509.Certificate | None:
    """Return the authority's certificate in `folder`, or None. Raises `ConfigError` if it cannot be used."""
    path = folder / AUTHORITY_FILE
    try:
        check_folder(folder)
        return x509.load_pem_x509_certificate(_read(path, private=False))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(f"{path} is no certificate in PEM: delete it, and a new one is made") from error
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename or path}: {error.strerror}") from error


def signs_for_this_machine_only(authority: x509.Certificate) -> bool:
    """Whether the authority's certificate can vouch for no other host than `NAMES_COVERED`, whoever has its key.

    A constraint on one kind of name leaves the other kinds free, so there has to be one for both (RFC 5280, 4.2.1.10).
    """
    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    permitted = constraints.value.permitted_subtrees or []
    both = {x509.DNSName, x509.IPAddress}
    return constraints.critical and set(permitted) <= set(_CONSTRAINTS) and {type(each) for each in permitted} == both


def check_folder(folder: Path) -> None:
    """Raise `ConfigError` for a data folder in which another user could put or exchange files."""
    own = {0, os.geteuid()}
    if not {folder.lstat().st_uid, folder.stat().st_uid} <= own:
        raise ConfigError(f"{folder} belongs to another user: set TICKER_HOME to a folder of your own")
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"others may write to {folder}, where Ticker keeps keys: `chmod go-w {folder}`")
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        # In a sticky folder such as /tmp, only its owner can rename an entry.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(
                f"others may write to {parent}, and so replace {folder}, where Ticker keeps keys: `chmod o-w {parent}`,"
                " or set TICKER_HOME to another folder"
            )


def _open(path: Path | str, flags: int, mode: int = 0) -> int:
    """Open a file of the folder; a link in its place is an error (ELOOP)."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def _read(path: Path, *, private: bool) -> bytes:
    """Raises `ConfigError` for a private file that others may read."""
    with open(path, "rb", opener=_open) as file:
        if private and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"others may read the private key {path}: `chmod 600 {path}`, or delete it, and a new one is made"
            )
        return file.read()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Closing releases the lock, and so does the kernel if this process is killed. The file stays: otherwise one
        # process could hold the lock of a deleted file, and another that of its successor.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _load(cert: Path, key: Path) -> _Pair | None:
    """Load a certificate and its key; None if a file is missing or unusable, or if they do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(_read(cert, private=False))
        private = serialization.load_pem_private_key(_read(key, private=True), password=None)
    except (FileNotFoundError, ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != certificate.public_key():
        return None
    return _Pair(certificate, private)


def _save(pair: _Pair, cert: Path, key: Path) -> None:
    private = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, private, 0o600)
    _write(cert, pair.cert.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # a killed start may have left it; O_EXCL ensures the mode
    with os.fdopen(_open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a power cut could otherwise leave an empty file under the final name
    new.replace(path)


def _make_authority(now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    number = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ticker development CA {number}")])
    builder = (
        _certificate(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=_CONSTRAINTS, excluded_subtrees=None), critical=True)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _make_server(authority: _Pair, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _certificate(name, authority.cert.subject, key.public_key(), now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    """Return the common part of both certificates: names, validity, key, and the use by TLS servers (RFC 5280, 4.2)."""
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(cert: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True

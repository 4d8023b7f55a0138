"""`ticker.tls` and `ticker.devcert`, by real handshakes through OpenSSL's memory BIOs."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import ssl
import stat
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Barrier

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ticker.devcert import DevelopmentCertificate, data_folder, development_certificate
from ticker.errors import ConfigError
from ticker.tls import client_context, is_loopback, server_context

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is not the user's, for every test here."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TICKER_HOME", str(folder))
    return folder


@pytest.fixture
def development(home: Path) -> DevelopmentCertificate:
    return development_certificate(home)


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a completed handshake; raises what either end raises."""
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


# The development certificate


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_development_certificate_verifies_for_every_loopback_name(
    host: str, development: DevelopmentCertificate
) -> None:
    server, client = development_contexts(host, development)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
    handshake(server, client, host)


@pytest.mark.parametrize("host", ["example.com", "127.0.0.2", "::2"])
def test_the_development_certificate_fails_for_any_other_host(host: str, development: DevelopmentCertificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(*development_contexts(host, development), host)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (x509.DNSName("example.com"), "example.com"),
        (x509.DNSName("*.example.com"), "www.example.com"),
        (x509.IPAddress(ip_address("127.0.0.2")), "127.0.0.2"),
        (x509.IPAddress(ip_address("fe80::1")), "fe80::1"),
        (None, "example.com"),  # only the common name
    ],
)
def test_the_development_authority_cannot_vouch_for_another_host(
    name: x509.GeneralName | None, host: str, development: DevelopmentCertificate, tmp_path: Path
) -> None:
    pair = signed_by(development.authority, [name] if name else [], host, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(server_context(*pair), client_context(host, development.authority), host)


def test_files_are_found_again_on_the_next_start(home: Path, development: DevelopmentCertificate) -> None:
    before = contents(development)
    assert development_certificate(home) == development
    assert contents(development) == before


def test_keys_are_for_the_owner_alone(home: Path, development: DevelopmentCertificate) -> None:
    assert mode(home) == 0o700
    assert mode(development.key) == 0o600
    assert mode(home / "ca-key.pem") == 0o600


def test_keys_are_for_the_owner_alone_from_their_first_byte(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created: dict[str, int] = {}
    real = os.open

    def look(path: Path, flags: int, bits: int) -> int:
        descriptor = real(path, flags, bits)
        created[path.name] = stat.S_IMODE(os.fstat(descriptor).st_mode)
        return descriptor

    monkeypatch.setattr(os, "open", look)
    usual = os.umask(0)
    try:
        development_certificate(home)
    finally:
        os.umask(usual)
    assert {name: bits for name, bits in created.items() if "key" in name} == {
        "ca-key.pem.new": 0o600,
        "server-key.pem.new": 0o600,
    }


def test_what_a_killed_start_left_behind_is_neither_used_nor_in_the_way(home: Path) -> None:
    home.mkdir()
    leftover = home / "ca-key.pem.new"
    leftover.write_text("-----BEGIN PRIV")
    leftover.chmod(0o666)
    handshake(*development_contexts("localhost", development_certificate(home)))
    assert not leftover.exists()
    assert mode(home / "ca-key.pem") == 0o600


@pytest.mark.parametrize("file", ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ec.generate_private_key(ec.SECP256R1()), b"secret"),
        pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["missing", "empty", "garbage", "another key", "an encrypted key", "an RSA key"],
)
def test_a_broken_pair_is_made_anew_and_the_authority_only_if_it_is_the_broken_one(
    file: str, content: bytes | None, home: Path, development: DevelopmentCertificate
) -> None:
    authority, server, _ = contents(development)
    (home / file).unlink()
    if content is not None:
        (home / file).write_bytes(content)
    handshake(*development_contexts("localhost", development_certificate(home)))
    assert development.cert.read_bytes() != server
    assert (development.authority.read_bytes() == authority) is file.startswith("server")


def test_a_server_certificate_of_another_authority_is_issued_anew(home: Path, tmp_path: Path) -> None:
    development_certificate(home)
    other = development_certificate(tmp_path / "other")
    for name in ("ca.pem", "ca-key.pem"):
        (tmp_path / "other" / name).replace(home / name)
    files = development_certificate(home)
    handshake(*development_contexts("localhost", files))
    assert files.cert.read_bytes() != other.cert.read_bytes()


@pytest.mark.parametrize(
    ("age", "authority_kept", "server_kept"),
    [
        (timedelta(0), True, True),
        (59 * DAY, True, True),
        (61 * DAY, True, False),  # a month before its end
        (400 * DAY, True, False),
        ((5 * 365 - 91) * DAY, True, False),
        ((5 * 365 - 89) * DAY, False, False),  # it would end before what it signs now
        (-DAY, False, False),  # made by a clock that ran ahead
    ],
)
def test_certificates_are_renewed_in_time(
    age: timedelta, *, authority_kept: bool, server_kept: bool, home: Path
) -> None:
    authority, server, _ = contents(development_certificate(home, now=NOW - age))
    files = development_certificate(home, now=NOW)
    handshake(*development_contexts("localhost", files))
    assert (files.authority.read_bytes() == authority) is authority_kept
    assert (files.cert.read_bytes() == server) is server_kept


def test_browsers_accept_the_server_certificates_life(development: DevelopmentCertificate) -> None:
    cert = x509.load_pem_x509_certificate(development.cert.read_bytes())
    assert cert.not_valid_after_utc - cert.not_valid_before_utc < 398 * DAY


def usable_pair(folder: Path) -> list[bytes]:
    files = development_certificate(folder)
    handshake(*development_contexts("::1", files))
    return contents(files)


def test_threads_that_start_at_once_end_up_with_one_pair(home: Path) -> None:
    together = Barrier(8)

    def start() -> list[bytes]:
        together.wait()
        return usable_pair(home)

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(start) for _ in range(8)]]
    assert found == found[:1] * 8


def test_processes_that_start_at_once_end_up_with_one_pair(home: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(4, initializer=spawn.Barrier(4).wait) as pool:
        found = pool.map(usable_pair, [home] * 8, chunksize=1)
        pool.close()
        pool.join()
    assert found == found[:1] * 8


def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/ticker \(Not a directory.*set TICKER_HOME.*--tls-cert and --tls-key$"):
        development_certificate(tmp_path / "file" / "ticker")


def test_a_file_that_cannot_be_read_is_named_and_not_replaced(home: Path) -> None:
    (home / "ca.pem").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"Is a directory: .*home/ca\.pem\)"):
        development_certificate(home)


def test_a_file_system_without_locks_is_a_config_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match="home"):
        development_certificate(home)


# Where the files are


def test_ticker_home_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/xdg")
    monkeypatch.setenv("TICKER_HOME", "/own")
    assert data_folder() == Path("/own")


@pytest.mark.parametrize(
    ("platform", "xdg", "folder"),
    [
        ("linux", "/xdg", "/xdg/ticker"),
        ("linux", "", "/users/ann/.local/share/ticker"),
        ("linux", "relative", "/users/ann/.local/share/ticker"),
        ("darwin", "", "/users/ann/Library/Application Support/ticker"),
    ],
)
def test_without_ticker_home_the_platform_says_where(
    platform: str, xdg: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKER_HOME")
    monkeypatch.setenv("HOME", "/users/ann")
    monkeypatch.setenv("XDG_DATA_HOME", xdg)
    monkeypatch.setattr(sys, "platform", platform)
    assert data_folder() == Path(folder)


def test_a_user_without_a_home_is_told_to_set_ticker_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TICKER_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match="set TICKER_HOME"):
        data_folder()


# The server's side


def test_the_two_sides_agree_on_tls_1_3_and_http_1_1(development: DevelopmentCertificate) -> None:
    for end in handshake(*development_contexts("localhost", development)):
        assert end.version() == "TLSv1.3"
        assert end.selected_alpn_protocol() == "http/1.1"


def test_tls_1_2_works_with_ephemeral_keys_and_authenticated_encryption_only(
    development: DevelopmentCertificate,
) -> None:
    server, client = development_contexts("localhost", development)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    handshake(server, client)
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA256")  # CBC
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        handshake(server, client)
    for cipher in server.get_ciphers():
        assert cipher["protocol"] == "TLSv1.3" or (cipher["name"].startswith("ECDHE-") and cipher["aead"])


def test_tls_1_1_is_refused(development: DevelopmentCertificate) -> None:
    client = client_context("localhost", development.authority)
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lenient.load_cert_chain(development.cert, development.key)
    for context in (client, lenient):
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert handshake(lenient, client)[0].version() == "TLSv1.1"  # so it is not the client that cannot
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        handshake(server_context(development.cert, development.key), client)


def test_a_tls_1_3_handshake_ends_without_tickets(development: DevelopmentCertificate) -> None:
    client, server = handshake(*development_contexts("localhost", development))
    server.write(b"first")
    assert client.read() == b"first"  # whatever came before it has been processed by now
    assert client.session is not None
    assert not client.session.has_ticket


def test_compression_and_renegotiation_are_off(development: DevelopmentCertificate) -> None:
    context = server_context(development.cert, development.key)
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_chain_is_sent_whole(tmp_path: Path) -> None:
    ca = trustme.CA()
    cert, key = save(tmp_path, ca.create_child_ca().issue_cert("localhost"))
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    handshake(server_context(cert, key), client_context("localhost", tmp_path / "ca.pem"))


def test_certificate_and_key_may_share_a_file(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    server_context(both, both)


def test_a_missing_file_is_named_with_its_flag(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    nowhere = tmp_path / "nowhere.pem"
    reason = f"cannot read {nowhere} (No such file or directory); pass a readable file with"
    assert rejected(nowhere, key) == f"{reason} --tls-cert"
    assert rejected(cert, nowhere) == f"{reason} --tls-key"


def test_a_folder_is_no_certificate_and_no_key(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    assert f"cannot read {tmp_path} (Is a directory)" in rejected(tmp_path, key)
    assert f"cannot read {tmp_path} (Is a directory)" in rejected(cert, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_garbage_is_named(content: bytes, tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(content)
    assert rejected(garbage, key).startswith(f"{garbage} holds no PEM certificate; ")
    assert rejected(cert, garbage).startswith(f"{garbage} holds no PEM private key; ")


def test_swapped_files_are_named(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    assert rejected(key, cert).startswith(f"{key} holds no PEM certificate; ")


def test_a_key_of_another_certificate_is_named_and_spoils_no_later_context(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path / "one")
    _, _, other = issued(tmp_path / "two")
    assert rejected(cert, other).startswith(f"{other} is not the private key of {cert}; ")
    server_context(cert, key)


def test_an_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path)
    key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    assert rejected(cert, key).startswith(f"the private key in {key} is encrypted; ")


def test_a_key_that_is_encrypted_at_the_last_moment_is_refused_without_asking_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cert, key = issued(tmp_path)
    encrypted = pem(ec.generate_private_key(ec.SECP256R1()), b"secret")
    monkeypatch.setattr("ticker.tls._check_dates", lambda *_: key.write_bytes(encrypted))
    assert rejected(cert, key).startswith(f"OpenSSL refuses {cert} with {key} (")


def test_an_expired_certificate_is_refused_with_its_date(tmp_path: Path) -> None:
    end = datetime(2020, 2, 3, 4, 5, tzinfo=UTC)
    _, cert, key = issued(tmp_path, not_before=end - DAY, not_after=end)
    assert rejected(cert, key) == f"the certificate in {cert} expired at 2020-02-03 04:05 UTC; renew it"


def test_a_certificate_from_the_future_is_refused_with_its_date(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path, not_before=NOW + DAY, not_after=NOW + 2 * DAY)
    assert f"{cert} is not valid before {NOW + DAY:%Y-%m-%d %H:%M} UTC" in rejected(cert, key)


# The client's side


def test_a_client_finds_the_development_authority_by_itself(development: DevelopmentCertificate) -> None:
    server = server_context(development.cert, development.key)
    for host in ("localhost", "127.0.0.1", "::1"):
        handshake(server, client_context(host, None), host)


def test_the_development_authority_counts_for_loopback_hosts_only(development: DevelopmentCertificate) -> None:
    authority = x509.load_pem_x509_certificate(development.authority.read_bytes())
    der = authority.public_bytes(serialization.Encoding.DER)
    assert der in client_context("localhost", None).get_ca_certs(binary_form=True)
    assert der not in client_context("example.com", None).get_ca_certs(binary_form=True)


@pytest.mark.parametrize("host", ["localhost", "example.com"])
@pytest.mark.parametrize("with_development", [False, True])
def test_the_systems_authorities_count_for_every_host(
    host: str, *, with_development: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_development:
        development_certificate(home)
    ca = trustme.CA()
    cert, key = save(tmp_path, ca.issue_cert(host))
    ca.cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    handshake(server_context(cert, key), client_context(host, None), host)


def test_an_authority_that_is_given_is_the_only_one(tmp_path: Path, development: DevelopmentCertificate) -> None:
    ca, cert, key = issued(tmp_path)
    ca.cert_pem.write_to_path(tmp_path / "given.pem")
    client = client_context("localhost", tmp_path / "given.pem")
    handshake(server_context(cert, key), client)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(server_context(development.cert, development.key), client)
    assert len(client.get_ca_certs()) == 1


@pytest.mark.parametrize(
    "content",
    [None, b"", b"garbage", pem(ec.generate_private_key(ec.SECP256R1()))],
    ids=["missing", "empty", "garbage", "a key"],
)
def test_a_file_without_authorities_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"authority\.pem \(.*--ca") as caught:
        client_context("localhost", file)
    assert "\n" not in str(caught.value)


def test_a_broken_development_authority_is_named(home: Path) -> None:
    home.mkdir()
    (home / "ca.pem").write_bytes(b"garbage")
    with pytest.raises(ConfigError, match=r"home/ca\.pem \("):
        client_context("localhost", None)


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "::",
        "126.255.255.255",
        "128.0.0.1",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "127.1",
    ],
)
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)

"""ticker/net/tls.py, by real handshakes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.net.certificates import (
    DAY,
    NOW,
    development_contexts,
    handshake,
    issued,
    pem,
    rejected,
    save,
)
from ticker.errors import ConfigError
from ticker.net.devcert import DevelopmentCertificate, development_certificate
from ticker.net.tls import client_context, is_loopback, server_context

pytestmark = pytest.mark.usefixtures("home")


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
    assert client.read() == b"first"  # tickets sent before it are processed by now
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
    monkeypatch.setattr("ticker.net.tls._check_dates", lambda *_: key.write_bytes(encrypted))
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
    home.mkdir(mode=0o700)
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

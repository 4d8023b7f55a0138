"""`ticker.net.devcert`: the development certificate and where its files are."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import ssl
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Barrier

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.net.certificates import (
    DAY,
    NOW,
    contents,
    development_contexts,
    handshake,
    mode,
    pem,
    signed_by,
)
from ticker.errors import ConfigError
from ticker.net.devcert import DevelopmentCertificate, data_folder, development_certificate
from ticker.net.tls import client_context, server_context

pytestmark = pytest.mark.usefixtures("home")


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
    home.mkdir(mode=0o700)
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
        (home / file).chmod(0o600)
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
        ((5 * 365 - 89) * DAY, False, False),  # it would expire before a certificate signed now
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


@pytest.mark.parametrize("bits", [0o770, 0o702, 0o777, 0o1777], ids=oct)
def test_a_folder_that_others_may_write_is_refused_with_the_remedy(bits: int, home: Path) -> None:
    home.mkdir()
    home.chmod(bits)
    with pytest.raises(ConfigError, match=r"others may write to .*home, where Ticker keeps keys: `chmod go-w .*home`$"):
        development_certificate(home)
    assert not list(home.iterdir()), "nothing is written to it"


def test_a_client_trusts_no_authority_that_others_may_have_put_there(
    home: Path, development: DevelopmentCertificate
) -> None:
    client_context("localhost", None)
    home.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write to"):
        client_context("localhost", None)
    client_context("localhost", development.authority)
    client_context("example.com", None)


def test_a_folder_that_others_may_replace_is_refused_with_the_remedy(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(
        ConfigError, match=r"others may write to .*shared, and so replace .*home.*: `chmod o-w .*shared`"
    ):
        development_certificate(shared / "home")
    shared.chmod(0o1777)
    development_certificate(shared / "home")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(home: Path) -> None:
    home.mkdir(mode=0o700)
    os.chown(home, 12_345, -1)
    with pytest.raises(ConfigError, match="home belongs to another user: set TICKER_HOME to a folder of your own"):
        development_certificate(home)


@pytest.mark.parametrize("file", ["ca-key.pem", "server-key.pem"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620], ids=oct)
def test_a_private_key_that_others_may_read_is_refused_with_the_remedy(
    file: str, bits: int, home: Path, development: DevelopmentCertificate
) -> None:
    before = contents(development)
    (home / file).chmod(bits)
    with pytest.raises(
        ConfigError, match=rf"others may read the private key .*{file}: `chmod 600 .*{file}`, or delete"
    ):
        development_certificate(home)
    (home / file).chmod(0o600)
    assert contents(development_certificate(home)) == before


@pytest.mark.parametrize("file", ["lock", "ca.pem", "ca-key.pem", "server.pem", "server-key.pem"])
def test_a_link_where_a_file_belongs_is_refused_and_not_followed(
    file: str, home: Path, development: DevelopmentCertificate, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (home / file).replace(elsewhere)
    before = elsewhere.read_bytes()
    (home / file).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match=rf"\(a link where a file belongs, delete it: .*{file}\)"):
        development_certificate(home)
    assert elsewhere.read_bytes() == before
    (home / file).unlink()
    handshake(*development_contexts("localhost", development_certificate(home)))
    assert development.cert.exists()


def test_a_lock_that_leads_to_a_file_that_is_not_there_makes_none(home: Path, tmp_path: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match="a link where a file belongs"):
        development_certificate(home)
    assert not (tmp_path / "victim").exists()


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

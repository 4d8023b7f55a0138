"""`ticker trust`: which authority, the system's store, notes, Ctrl-C. Databases of browsers: test_trust_browsers.py."""

from __future__ import annotations

import os
import shlex
import ssl
import time
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509

from tests.bounds import HANG_SECONDS
from tests.commands.conftest import RunTicker
from tests.commands.stores import debian_store, put_authority
from tests.net.certificates import handshake
from ticker.commands import trust_system
from ticker.commands.trust_store import Authority, StoreError, run_program
from ticker.commands.trust_system import LINUX_STORES, LinuxStore
from ticker.net.devcert import development_certificate
from ticker.net.tls import server_context

LOCALHOST = x509.DNSName("localhost")
LOOPBACK = x509.IPAddress(ip_network("127.0.0.1/32"))


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user without browsers, on a system without a store; nothing of this machine's is touched."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    for name in ("SUDO_USER", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(trust_system, "LINUX_STORES", ())
    return tmp_path / "user"


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LinuxStore:
    monkeypatch.setenv("PATH", os.defpath)
    store = debian_store(tmp_path / "system")
    monkeypatch.setattr(trust_system, "LINUX_STORES", (store,))
    # `user` has no browser, though the machine may.
    monkeypatch.setattr("ticker.commands.trust_nss._CHROMIUM", ())
    return store


def accepts(bundle: Path, folder: Path) -> bool:
    """Whether a program that reads this bundle accepts the development certificate of the folder."""
    files = development_certificate(folder)
    try:
        handshake(server_context(files.cert, files.key), ssl.create_default_context(cafile=bundle))
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_the_systems_store_trusts_the_authority_and_gives_it_back(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    ended = run_ticker("trust")
    assert ended.code == 0, ended.stdout
    assert f"the system, {debian.folder}: trusts it now\n" in ended.stdout
    assert f"{home}/ca.pem\n" in ended.stdout
    assert accepts(debian.bundle, home)
    files = sorted(debian.folder.iterdir())
    assert [file.name[:22] for file in files] == ["administrator.crt", "ticker-development-ca-"]
    assert files[1].stat().st_mode & 0o777 == 0o644

    again = run_ticker("trust")
    assert again.code == 0
    assert f"the system, {debian.folder}: trusts it already\n" in again.stdout
    assert "restart" not in again.stdout

    removed = run_ticker("trust", "--remove")
    assert removed.code == 0
    assert f"the system, {debian.folder}: no longer has it\n" in removed.stdout
    assert not accepts(debian.bundle, home)
    assert list(debian.folder.iterdir()) == files[:1], "what the administrator put there stays"
    links = {path.resolve() for path in (debian.bundle.parent).iterdir() if path.is_symlink()}
    assert links == {files[0].resolve()}, "no link leads nowhere"

    removed = run_ticker("trust", "--remove")
    assert removed.code == 0
    assert f"the system, {debian.folder}: does not have it\n" in removed.stdout


def test_a_start_that_was_killed_before_the_update_is_made_good(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    run_ticker("trust")
    debian.bundle.unlink()
    assert run_ticker("trust").code == 0
    assert accepts(debian.bundle, home)


def test_where_only_root_may_write_the_commands_are_printed(home: Path) -> None:
    made = development_certificate(home).authority
    with TemporaryDirectory() as shared:  # in a folder that every user may enter
        folder, path = Path(shared), Path(shared) / "ca.pem"
        path.write_bytes(made.read_bytes())
        folder.chmod(0o555)
        store = LinuxStore(folder, ".crt", ("update",), ("update", "--fresh"), folder / "bundle")
        authority = Authority(path, "Ticker development CA", "0123456789abcdef" * 4, "none")
        root = os.geteuid() == 0
        if root:
            os.seteuid(65_534)
        try:
            with pytest.raises(StoreError, match="only root may change it") as caught:
                store.add(authority)
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
    file = f"{folder}/ticker-development-ca-0123456789abcdef.crt"
    assert caught.value.by_hand == (f"sudo install -m 644 {path} {file} && sudo update",)


def test_an_update_that_adds_nothing_is_not_taken_for_done(
    debian: LinuxStore, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker
) -> None:
    useless = LinuxStore(debian.folder, ".crt", ("false",), ("false",), debian.bundle)
    monkeypatch.setattr(trust_system, "LINUX_STORES", (useless,))
    ended = run_ticker("trust")
    assert ended.code == 1
    assert f"not done: false did not add it to {debian.bundle}: it gave no cause; by hand:\n    sudo " in ended.stdout


def test_an_authority_that_the_administrator_added_too_is_said_to_stay(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    authority = development_certificate(home).authority
    (debian.folder / "copied.crt").write_bytes(authority.read_bytes())
    run_ticker("trust")
    ended = run_ticker("trust", "--remove")
    assert ended.code == 1
    assert f"not done: it is in {debian.bundle} still, from another file" in ended.stdout
    assert (debian.folder / "copied.crt").exists()


def test_ctrl_c_ends_the_program_that_runs_and_a_further_run_does_what_is_left(
    debian: LinuxStore, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker, tmp_path: Path
) -> None:
    # More than a pipe holds: it is written only when somebody reads.
    script = f"echo $$ > {tmp_path}/pid; head -c 200000 /dev/zero; kill -INT $PPID; exec sleep 1000"
    slow = LinuxStore(debian.folder, ".crt", ("sh", "-c", script), ("true",), debian.bundle)
    monkeypatch.setattr(trust_system, "LINUX_STORES", (slow,))
    assert run_ticker("trust").code == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    monkeypatch.setattr(trust_system, "LINUX_STORES", (debian,))
    assert run_ticker("trust").code == 0


def test_a_program_that_hangs_is_ended_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    started = f"trap 'echo > {tmp_path}/told; exit' TERM; sleep 1000 & wait"
    with pytest.raises(StoreError, match=r"^sh did not end within 0\.5 seconds$") as caught:
        run_program(["sh", "-c", f"sh -c {shlex.quote(started)} & trap '' TERM; wait"], seconds=0.5)
    assert caught.value.by_hand
    deadline = time.monotonic() + HANG_SECONDS
    while not (tmp_path / "told").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(StoreError, match="nowhere cannot be run: No such file"):
        run_program(["nowhere"])


def test_without_any_store_that_is_said_and_the_authority_is_made(home: Path, run_ticker: RunTicker) -> None:
    ended = run_ticker("trust")
    assert ended.code == 0
    assert (home / "ca.pem").exists()
    assert "the system: its store of authorities is not known" in ended.stdout
    assert "no browser of this user keeps certificates yet" in ended.stdout


def test_each_known_system_is_told_by_its_folder_and_its_program() -> None:
    assert len({store.folder for store in LINUX_STORES}) == len(LINUX_STORES)
    assert not any(store.usable() for store in LINUX_STORES if not store.folder.exists())


# Which authority


def test_two_authorities_have_different_names(tmp_path: Path) -> None:
    names = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        pem = development_certificate(folder).authority.read_bytes()
        names.add(x509.load_pem_x509_certificate(pem).subject.rfc4514_string())
    assert len(names) == 2
    assert all(name.startswith("CN=Ticker development CA ") for name in names)


@pytest.mark.parametrize(
    "constraints",
    [
        None,
        x509.NameConstraints(permitted_subtrees=[LOCALHOST], excluded_subtrees=None),  # any address
        x509.NameConstraints(permitted_subtrees=[LOOPBACK], excluded_subtrees=None),  # any name
        x509.NameConstraints([LOCALHOST, LOOPBACK, x509.DNSName("example.com")], excluded_subtrees=None),
        x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[x509.DNSName("example.com")]),
    ],
    ids=["none", "names only", "addresses only", "another host", "all but one"],
)
@pytest.mark.parametrize("flags", [[], ["--remove"]], ids=["trust", "remove"])
def test_an_authority_that_could_sign_for_other_hosts_is_refused(
    constraints: x509.NameConstraints | None, flags: list[str], debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    put_authority(home, constraints)
    before = (home / "ca.pem").read_bytes()
    refused = run_ticker("trust", *flags)
    assert refused.code == 2
    assert refused.stdout == ""
    assert "it could sign for any host on the Internet. Delete it and ca-key.pem beside it" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (home / "ca.pem").read_bytes() == before
    assert [file.name for file in debian.folder.iterdir()] == ["administrator.crt"]


def test_an_authority_whose_constraints_a_program_may_ignore_is_refused(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    put_authority(home, x509.NameConstraints([LOCALHOST, LOOPBACK], excluded_subtrees=None), critical=False)
    assert run_ticker("trust").code == 2
    put_authority(home, x509.NameConstraints([LOCALHOST, LOOPBACK], excluded_subtrees=None))
    assert run_ticker("trust").code == 0
    assert len(list(debian.folder.iterdir())) == 2


def test_an_authority_whose_key_others_may_read_is_refused(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    development_certificate(home)
    (home / "ca-key.pem").chmod(0o644)
    refused = run_ticker("trust")
    assert refused.code == 2
    assert f"others may read the private key {home}/ca-key.pem: `chmod 600 {home}/ca-key.pem`" in refused.stderr
    assert [file.name for file in debian.folder.iterdir()] == ["administrator.crt"]


def test_an_authority_without_its_key_is_the_copy_of_a_containers(
    debian: LinuxStore, home: Path, run_ticker: RunTicker
) -> None:
    container = home.with_name("container")
    home.mkdir(mode=0o700)
    (home / "ca.pem").write_bytes(development_certificate(container).authority.read_bytes())
    assert run_ticker("trust").code == 0
    assert accepts(debian.bundle, container)
    assert [file.name for file in home.iterdir()] == ["ca.pem"]
    assert run_ticker("trust", "--remove").code == 0
    assert not accepts(debian.bundle, container)


def test_removing_makes_no_authority(home: Path, run_ticker: RunTicker) -> None:
    home.mkdir(mode=0o700)
    refused = run_ticker("trust", "--remove")
    assert refused.code == 2
    assert refused.stderr.startswith(f"ticker: there is no {home}/ca.pem, and so nothing to remove;")
    assert list(home.iterdir()) == []


def test_removing_an_authority_that_is_no_certificate_says_so(home: Path, run_ticker: RunTicker) -> None:
    home.mkdir(mode=0o700)
    (home / "ca.pem").write_text("nonsense")
    refused = run_ticker("trust", "--remove")
    assert refused == (2, "", f"ticker: {home}/ca.pem is no certificate in PEM: delete it, and a new one is made\n")


# Notes


@pytest.mark.skipif(os.geteuid() != 0, reason="sudo makes one root")
def test_with_sudo_it_says_whose_authority_that_was(monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert (
        "this was root's authority, for services that root runs: for your own run it as ann"
        in run_ticker("trust").stdout
    )


@pytest.mark.parametrize(
    ("flags", "command"),
    [([], '-addstore Root "$(wslpath -w '), (["--remove"], "-delstore Root ")],
    ids=["add", "remove"],
)
def test_within_windows_the_command_for_windows_is_printed(
    flags: list[str], command: str, home: Path, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker
) -> None:
    development_certificate(home)
    monkeypatch.setattr("platform.release", lambda: "5.15.167.4-microsoft-standard-WSL2")
    assert f"by hand:\n    certutil.exe -user {command}" in run_ticker("trust", *flags).stdout

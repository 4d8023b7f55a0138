"""`ticker trust`: the databases of Firefox and Chromium, by the real certutil, in the home of a user of the test's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509
from playwright.sync_api import Error, sync_playwright

from tests.commands.conftest import RunTicker
from tests.commands.stores import Database, firefox_profile, put_authority
from tests.programs import CERTUTIL, require
from tests.web.browser import chromium, market
from ticker.commands import trust_nss, trust_store, trust_system
from ticker.net.devcert import development_certificate, kept_authority


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user; the system has no store, so nothing of this machine's is touched."""
    require(CERTUTIL)
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("SUDO_USER", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(trust_system, "LINUX_STORES", ())
    monkeypatch.setattr(trust_nss, "_CHROMIUM", ())  # the machine may have one
    return folder


def name_of(home: Path) -> str:
    authority = kept_authority(home)
    assert authority is not None
    return authority.subject.rfc4514_string().removeprefix("CN=")


def test_every_profile_trusts_the_authority_and_gives_it_back(home: Path, user: Path, run_ticker: RunTicker) -> None:
    other = development_certificate(home.with_name("other"))
    profiles = [firefox_profile(user, "a.default").make(), firefox_profile(user, "b (work)").make()]
    profiles.append(Database(user / "snap/firefox/common/.mozilla/firefox/c").make())
    profiles.append(Database(user / ".pki/nssdb").make())
    for each in profiles:
        each.certutil("-A", "-t", "C,,", "-n", "another", "-i", other.authority)
    before = profiles[0].authorities()

    ended = run_ticker("trust")
    assert ended.code == 0, ended.stdout
    assert ended.stdout.count(": trusts it now\n") == 4
    assert all(each.authorities() == {**before, name_of(home): "C,,"} for each in profiles)

    again = run_ticker("trust")
    assert again.code == 0
    assert again.stdout.count(": trusts it already\n") == 4

    removed = run_ticker("trust", "--remove")
    assert removed.code == 0
    assert removed.stdout.count(": no longer has it\n") == 4
    assert all(each.authorities() == before for each in profiles), "what others have put there stays"
    assert run_ticker("trust", "--remove").stdout.count(": does not have it\n") == 4


def test_an_authority_that_a_browser_was_told_to_distrust_is_trusted(
    home: Path, user: Path, run_ticker: RunTicker
) -> None:
    profile = firefox_profile(user).make()
    run_ticker("trust")
    profile.certutil("-M", "-t", "p,,", "-n", name_of(home))
    assert run_ticker("trust").code == 0
    assert profile.authorities() == {name_of(home): "C,,"}


def test_a_database_with_a_password_is_left_as_it_was_and_the_command_printed(
    home: Path, user: Path, run_ticker: RunTicker
) -> None:
    profile = firefox_profile(user).make("secret")
    ended = run_ticker("trust")
    assert ended.code == 1
    path = require(CERTUTIL)
    expected = f"not done: it is protected by a password, which certutil asks for; by hand:\n    {path} -A -d "
    assert expected in ended.stdout
    assert profile.authorities() == {}
    (by_hand,) = [line.split() for line in ended.stdout.splitlines() if line.startswith("    ")]
    assert by_hand[-2:] == ["-i", str(home / "ca.pem")]


def test_a_damaged_database_is_not_taken_for_an_empty_one(user: Path, run_ticker: RunTicker) -> None:
    profile = firefox_profile(user)
    profile.folder.mkdir(parents=True)
    (profile.folder / "cert9.db").write_text("damaged")
    for flags in ([], ["--remove"]):
        ended = run_ticker("trust", *flags)
        assert ended.code == 1
        assert f"Firefox, {profile.folder}: not done: certutil cannot read it: " in ended.stdout


def test_two_authorities_of_one_name_are_not_confused(home: Path, user: Path, run_ticker: RunTicker) -> None:
    profile = firefox_profile(user).make()
    made = kept_authority(development_certificate(home).authority.parent)
    assert made is not None
    constraints = made.extensions.get_extension_for_class(x509.NameConstraints).value
    put_authority(home.with_name("other"), constraints)
    put_authority(home, constraints)
    profile.certutil("-A", "-t", "C,,", "-n", "mine", "-i", home.with_name("other") / "ca.pem")
    assert run_ticker("trust").code == 0
    ended = run_ticker("trust", "--remove")
    assert ended.code == 1
    assert "it has several authorities with the name Ticker development CA" in ended.stdout


@pytest.mark.parametrize(("manager", "line"), [("apt", "sudo apt install libnss3-tools"), (None, None)])
def test_without_certutil_the_package_is_named(
    manager: str | None,
    line: str | None,
    user: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_ticker: RunTicker,
) -> None:
    firefox_profile(user).make()
    programs = tmp_path / "bin"
    programs.mkdir()
    if manager is not None:
        (programs / manager).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(trust_store, "_SYSTEM_FOLDERS", ())
    ended = run_ticker("trust")
    assert ended.code == 1
    expected = "not done: certutil of NSS is not installed" + (f"; by hand:\n    {line}\n" if line else "\n")
    assert expected in ended.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_database_of_another_user_is_left_alone(user: Path, run_ticker: RunTicker) -> None:
    profile = firefox_profile(user).make()
    os.chown(profile.folder, 12_345, -1)
    ended = run_ticker("trust")
    assert ended.code == 1
    assert "not done: it belongs to another user, who has to run `ticker trust`, without sudo\n" in ended.stdout
    assert profile.authorities() == {}


def test_chromium_accepts_the_page_then(
    user: Path, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker, tmp_path: Path
) -> None:
    monkeypatch.setattr(trust_nss, "_CHROMIUM", (chromium(),))
    other = tmp_path / "other user"
    Database(other / "data/pki/nssdb").make()
    with market(tmp_path, {"EURUSD": {"bid": "1.08"}}) as served:
        # Chromium has never been started: it takes the database that it finds.
        assert run_ticker("trust").code == 0
        assert opened(served.url, {"HOME": str(user)}) == "200"
        assert run_ticker("trust", "--remove").code == 0
        assert "ERR_CERT_AUTHORITY_INVALID" in opened(served.url, {"HOME": str(user)})
        # It has been: its database is where the XDG Base Directory Specification puts it.
        monkeypatch.setenv("HOME", str(other))
        monkeypatch.setenv("XDG_DATA_HOME", str(other / "data"))
        assert run_ticker("trust").code == 0
        assert not (other / ".pki").exists()
        assert opened(served.url, {"HOME": str(other), "XDG_DATA_HOME": str(other / "data")}) == "200"


def opened(url: str, variables: dict[str, str]) -> str:
    """The status of a page in a Chromium that ignores no errors, started anew by this user; or its error."""
    environment: dict[str, str | float | bool] = {**os.environ, **variables}
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"], env=environment)
        try:
            answer = started.new_page().goto(f"{url}healthz", wait_until="commit")
        except Error as error:
            return error.message
        else:
            return str(answer.status if answer is not None else None)
        finally:
            started.close()

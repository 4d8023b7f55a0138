"""The databases of NSS, in which Firefox and, on Linux, Chromium and its kin keep the authorities of one user.

They are changed with `certutil`, which is a package of its own (not the `certutil` of Windows).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from ticker.commands.trust_store import Authority, StoreError, find_program, last_line, run_program

_SHARED = ".pki/nssdb"
_CHROMIUM_FOLDERS = (_SHARED, "snap/chromium/current/.pki/nssdb")
_FIREFOX_FOLDERS = (
    ".mozilla/firefox/*",
    ".config/mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    ".var/app/org.mozilla.firefox/.mozilla/firefox/*",
    "Library/Application Support/Firefox/Profiles/*",
)
_CHROMIUM = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
)
_PACKAGES = {
    "apt": "sudo apt install libnss3-tools",
    "dnf": "sudo dnf install nss-tools",
    "pacman": "sudo pacman -S nss",
    "zypper": "sudo zypper install mozilla-nss-tools",
    "apk": "sudo apk add nss-tools",
    "brew": "brew install nss",
}
_BREWED = ("/opt/homebrew/opt/nss/bin/certutil", "/usr/local/opt/nss/bin/certutil")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def databases(home: Path) -> list[NssDatabase]:
    """Return the databases of a user's browsers.

    That of a Chromium which has never been started is among them, though it does not exist: adding makes it.
    """
    places = [home / each for each in _CHROMIUM_FOLDERS]
    # Where a newer Chromium makes its own, if there is none at the old place.
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    places.append((data if data.is_absolute() else home / ".local/share") / "pki/nssdb")
    chromium = [each for each in places if (each / "cert9.db").exists()]
    if not chromium and sys.platform.startswith("linux") and find_program(*_CHROMIUM):
        chromium = [home / _SHARED]
    firefox = [path.parent for each in _FIREFOX_FOLDERS for path in sorted(home.glob(f"{each}/cert9.db"))]
    return [NssDatabase("Chromium", each) for each in chromium] + [NssDatabase("Firefox", each) for each in firefox]


class NssDatabase:
    """A database in a folder."""

    def __init__(self, browser: str, folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    def __repr__(self) -> str:
        return f"<NssDatabase: {self.place}>"

    @property
    def place(self) -> str:
        """The browser and the folder."""
        return f"{self._browser}, {self._folder}"

    def trusts(self, authority: Authority) -> bool:
        """Whether the database has the authority as one of TLS servers. Raises `StoreError`."""
        if not self.has(authority):
            return False
        code, _ = run_program(self._command("-V", "-u", "L", "-n", authority.name))
        return code == 0

    def has(self, authority: Authority) -> bool:
        """Whether the database has the certificate, trusted or not. Raises `StoreError`."""
        return authority.body in self._named(authority)

    def add(self, authority: Authority) -> None:
        """Add the certificate, trusted for TLS servers (C) alone. Raises `StoreError`."""
        self._make()
        had = self.has(authority)
        command = self._command("-A", "-t", "C,,", "-n", authority.name, "-i", str(authority.path))
        code, output = run_program(command)
        if code == 0 and self.trusts(authority):
            return
        if not had and self.has(authority):
            self.remove(authority)  # a database with a password takes the certificate, but not the trust
        if "SEC_ERROR_BAD_PASSWORD" in output:
            raise StoreError("it is protected by a password, which certutil asks for", shlex.join(command))
        raise StoreError(last_line(output), shlex.join(command))

    def remove(self, authority: Authority) -> None:
        """Remove the certificate. Raises `StoreError`."""
        if len(set(self._named(authority))) > 1:
            raise StoreError(
                f"it has several authorities with the name {authority.name}, and certutil removes any of them: "
                "remove it in the browser's settings"
            )
        command = self._command("-D", "-n", authority.name)
        _, output = run_program(command)
        if self.has(authority):
            raise StoreError(last_line(output), shlex.join(command))

    def _named(self, authority: Authority) -> Iterator[str]:
        """Return the certificates that have the authority's name."""
        if not (self._folder / "cert9.db").exists():
            return iter(())
        _, output = run_program(self._command("-L", "-n", authority.name, "-a"))
        if "could not find" not in output.lower() and not _PEM.search(output):
            raise StoreError(f"certutil cannot read it: {last_line(output)}")
        return ("".join(found[1].split()) for found in _PEM.finditer(output))

    def _make(self) -> None:
        """Make the database of a browser that has not been started yet."""
        if (self._folder / "cert9.db").exists():
            return
        command = self._command("-N", "--empty-password")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder cannot be made: {error.strerror}", shlex.join(command)) from error
        code, output = run_program(command)
        if code != 0:
            raise StoreError(last_line(output), shlex.join(command))

    def _command(self, *arguments: str) -> list[str]:
        """Return the command line of certutil with these arguments. Raises `StoreError` if it cannot be run."""
        program = find_program("certutil", *_BREWED)
        if program is None:
            install = next((line for name, line in _PACKAGES.items() if find_program(name)), None)
            raise StoreError("certutil of NSS is not installed", *([install] if install else []))
        if self._folder.exists() and self._folder.stat().st_uid != os.geteuid():
            raise StoreError("it belongs to another user, who has to run `ticker trust`, without sudo")
        return [program, arguments[0], "-d", f"sql:{self._folder}", *arguments[1:]]

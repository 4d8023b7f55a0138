"""The system's own store: folders and programs of the families of Linux, and the keychain of macOS."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ticker.commands.trust_store import Authority, StoreError, find_program, last_line, run_program

PASSWORD_SECONDS = 300
"""macOS asks the user for a password in a window, which is given up then."""


@dataclass(frozen=True, slots=True)
class LinuxStore:
    """A folder for the administrator's certificates, and the program that puts them into the system's bundle."""

    folder: Path
    suffix: str
    update: tuple[str, ...]
    update_after_removal: tuple[str, ...]
    bundle: Path
    """The file that TLS libraries read: in the end, only what is in there counts."""

    @property
    def place(self) -> str:
        """The folder."""
        return f"the system, {self.folder}"

    def usable(self) -> bool:
        """Whether this is the store of this system."""
        return self.folder.is_dir() and find_program(self.update[0]) is not None

    def file(self, authority: Authority) -> Path:
        """Return the file of the authority in the folder."""
        return self.folder / f"ticker-development-ca-{authority.fingerprint[:16]}{self.suffix}"

    def trusts(self, authority: Authority) -> bool:
        """Whether the authority is in the bundle. Raises `StoreError`."""
        try:
            return authority.body in "".join(self.bundle.read_text("utf-8", "replace").split())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"cannot read {self.bundle}: {error.strerror}") from error

    def has(self, authority: Authority) -> bool:
        """Whether the authority's file is in the folder, or it is in the bundle still. Raises `StoreError`."""
        return os.path.lexists(self.file(authority)) or self.trusts(authority)

    def add(self, authority: Authority) -> None:
        """Put the certificate into the folder, and update the bundle. Raises `StoreError`."""
        file = self.file(authority)
        copy = f"sudo install -m 644 {shlex.quote(str(authority.path))} {shlex.quote(str(file))}"
        by_hand = f"{copy} && sudo {shlex.join(self.update)}"
        try:
            new = file.with_suffix(".new")  # no program takes it for a certificate
            new.unlink(missing_ok=True)
            new.write_bytes(authority.path.read_bytes())
            new.chmod(0o644)
            new.replace(file)
        except PermissionError:
            raise StoreError("only root may change it", by_hand) from None
        except OSError as error:
            raise StoreError(f"cannot write {file}: {error.strerror}", by_hand) from error
        output = self._run(self.update)
        if not self.trusts(authority):
            raise StoreError(f"{self.update[0]} did not add it to {self.bundle}: {last_line(output)}", by_hand)

    def remove(self, authority: Authority) -> None:
        """Remove the certificate from the folder, and update the bundle. Raises `StoreError`."""
        file = self.file(authority)
        by_hand = f"sudo rm -f {shlex.quote(str(file))} && sudo {shlex.join(self.update_after_removal)}"
        try:
            file.unlink(missing_ok=True)
        except PermissionError:
            raise StoreError("only root may change it", by_hand) from None
        except OSError as error:
            raise StoreError(f"cannot remove {file}: {error.strerror}", by_hand) from error
        output = self._run(self.update_after_removal)
        if self.trusts(authority):
            raise StoreError(f"it is in {self.bundle} still, from another file: {last_line(output)}", by_hand)

    def _run(self, command: tuple[str, ...]) -> str:
        program = find_program(command[0])
        if program is None:
            raise StoreError(f"{command[0]} is not installed", f"sudo {shlex.join(command)}")
        return run_program([program, *command[1:]])[1]


LINUX_STORES = (
    # Without --fresh, Debian's script leaves links behind that lead to the removed file.
    LinuxStore(
        Path("/usr/local/share/ca-certificates"),
        ".crt",
        ("update-ca-certificates",),
        ("update-ca-certificates", "--fresh"),
        Path("/etc/ssl/certs/ca-certificates.crt"),
    ),
    LinuxStore(
        Path("/etc/pki/ca-trust/source/anchors"),
        ".pem",
        ("update-ca-trust", "extract"),
        ("update-ca-trust", "extract"),
        Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ),
    LinuxStore(
        Path("/etc/ca-certificates/trust-source/anchors"),
        ".crt",
        ("update-ca-trust",),
        ("update-ca-trust",),
        Path("/etc/ca-certificates/extracted/tls-ca-bundle.pem"),
    ),
    LinuxStore(
        Path("/usr/share/pki/trust/anchors"),
        ".pem",
        ("update-ca-certificates",),
        ("update-ca-certificates", "--fresh"),
        Path("/var/lib/ca-certificates/ca-bundle.pem"),
    ),
)
"""Of Debian, Ubuntu and Alpine; Fedora and its kin; Arch; openSUSE."""


@dataclass(frozen=True, slots=True)
class LoginKeychain:
    """The keychain of a user of macOS, for Safari, Chrome, Firefox and curl. It needs no root."""

    keychain: Path

    @property
    def place(self) -> str:
        """The keychain."""
        return f"the login keychain, {self.keychain}"

    def trusts(self, authority: Authority) -> bool:
        """Whether macOS accepts the certificate that the authority signed for the service. Raises `StoreError`."""
        signed = authority.path.with_name("server.pem")
        code, _ = run_program(
            ["security", "verify-cert", "-l", "-L", "-c", str(signed), "-p", "ssl", "-s", "localhost"]
        )
        return code == 0

    def has(self, authority: Authority) -> bool:
        """Whether the certificate is in the keychain, trusted or not. Raises `StoreError`."""
        _, output = run_program(["security", "find-certificate", "-a", "-Z", "-c", authority.name, str(self.keychain)])
        return authority.fingerprint.upper() in output.upper()

    def add(self, authority: Authority) -> None:
        """Add the certificate, trusted for TLS alone; the user is asked for a password. Raises `StoreError`."""
        settings = ["-r", "trustRoot", "-p", "ssl", "-k", str(self.keychain)]
        self._run("add-trusted-cert", *settings, str(authority.path))

    def remove(self, authority: Authority) -> None:
        """Remove the trust and the certificate. Raises `StoreError`."""
        if self.trusts(authority):
            self._run("remove-trusted-cert", str(authority.path))
        self._run("delete-certificate", "-Z", authority.fingerprint.upper(), str(self.keychain))

    def _run(self, *arguments: str) -> None:
        command = ["security", *arguments]
        code, output = run_program(command, PASSWORD_SECONDS)
        if code != 0:
            raise StoreError(last_line(output), shlex.join(command))


def system_store(home: Path) -> LinuxStore | LoginKeychain | None:
    """Return the store of this system, or None if it is not known."""
    if sys.platform == "darwin":
        return LoginKeychain(home / "Library/Keychains/login.keychain-db")
    return next((each for each in LINUX_STORES if each.usable()), None)

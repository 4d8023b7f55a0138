"""Stores of authorities for tests of `ticker trust`: real programs, in folders of the test's own."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.net.certificates import NOW, pem
from tests.programs import CERTUTIL, UPDATE_CA, require
from ticker.commands.trust_system import LinuxStore


class Database(NamedTuple):
    """A database of NSS."""

    folder: Path

    def certutil(self, *arguments: str | Path) -> str:
        command = [require(CERTUTIL), arguments[0], "-d", f"sql:{self.folder}", *map(str, arguments[1:])]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def authorities(self) -> dict[str, str]:
        """The trust of each certificate by its name."""
        lines = self.certutil("-L").splitlines()[4:]
        return {name.strip(): trust for name, trust in (line.rsplit(maxsplit=1) for line in lines if line.strip())}

    def make(self, password: str = "") -> Database:
        self.folder.mkdir(parents=True)
        if password:
            (self.folder / "password").write_text(f"{password}\n")
            self.certutil("-N", "-f", self.folder / "password")
        else:
            self.certutil("-N", "--empty-password")
        return self


def firefox_profile(home: Path, name: str = "abc.default") -> Database:
    """The place of a profile of Firefox."""
    return Database(home / ".mozilla" / "firefox" / name)


def debian_store(folder: Path) -> LinuxStore:
    """A store as Debian has it, with an authority of the administrator's."""
    for name in ("local", "etc", "packaged"):
        (folder / name).mkdir(parents=True)
    (folder / "conf").write_text("# no packaged authorities\n")
    trustme.CA().cert_pem.write_to_path(folder / "local" / "administrator.crt")
    options = {
        "certsconf": "conf",
        "certsdir": "packaged",
        "localcertsdir": "local",
        "etccertsdir": "etc",
        "hooksdir": "hooks",
    }
    update = [require(UPDATE_CA)]
    for option, name in options.items():
        update += [f"--{option}", str(folder / name)]
    bundle = folder / "etc" / "ca-certificates.crt"
    return LinuxStore(folder / "local", ".crt", tuple(update), (*update, "--fresh"), bundle)


def put_authority(folder: Path, constraints: x509.NameConstraints | None, *, critical: bool = True) -> None:
    """Put an authority into a data folder that Ticker would not make like that."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ticker development CA")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(hours=1)).not_valid_after(NOW + timedelta(days=1000))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=critical)
    (folder / "ca.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "ca-key.pem").write_bytes(pem(key))
    (folder / "ca-key.pem").chmod(0o600)

"""`ticker trust`: the browsers of this machine accept the development certificate, or no longer."""

from __future__ import annotations

import base64
import os
import platform
import shlex
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from cyclopts import Parameter

from ticker.commands.trust_nss import databases
from ticker.commands.trust_store import Authority, Store, StoreError
from ticker.commands.trust_system import LoginKeychain, system_store
from ticker.errors import ConfigError
from ticker.net.devcert import (
    AUTHORITY_FILE,
    AUTHORITY_KEY_FILE,
    NAMES_COVERED,
    data_folder,
    development_certificate,
    kept_authority,
    signs_for_this_machine_only,
)
from ticker.texts import printable


def trust(*, remove: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Have this machine's browsers and tools accept the certificate that `ticker serve` makes itself on localhost.

    It puts the development authority (`ca.pem` in `~/.local/share/ticker`, or in `$TICKER_HOME`; made if there is none)
    into the store of the system, for curl and most programs, and into the databases of your Firefox and Chromium
    (Chrome, Edge, Brave). That authority can sign for localhost, 127.0.0.1 and ::1 and for nothing else; one that could
    sign for more, or whose key others may read, is refused.

    Run it as yourself, without sudo: browsers keep certificates for each user. Where only root may write, or a program
    is missing, it prints the commands. It may be run again at any time. Running browsers know it after a restart.

    The exit code is 0 if everything trusts the authority (with --remove: if nothing has it any more), and 1 if
    something is left to do, with the reason and a command for each.

    Parameters
    ----------
    remove
        Take the authority out of all of them again; what others have put there stays.
    """
    authority = _authority(data_folder(), make=not remove)
    print(f"{authority.name}, {authority.path}")
    print(f"SHA-256 {authority.fingerprint}; it can sign for {', '.join(NAMES_COVERED)} only")
    home = Path.home()
    system = system_store(home)
    browsers = databases(home)
    stores: list[Store] = [*([system] if system is not None else []), *browsers]
    act = _remove if remove else _add
    outcomes = [_reported(act, store, authority) for store in stores]
    if system is None:
        print(
            "the system: its store of authorities is not known, or its program not installed (package ca-certificates)"
        )
    if not browsers and not isinstance(system, LoginKeychain):
        print("no browser of this user keeps certificates yet: start Firefox once, then run this again")
    if _Outcome.CHANGED in outcomes:
        print("browsers that are open know it after a restart")
    _print_notes(authority, remove=remove)
    return int(_Outcome.LEFT in outcomes)


def _authority(folder: Path, *, make: bool) -> Authority:
    """Return the authority, made first if that is wanted. Raises `ConfigError` if it is none of Ticker's."""
    path = folder / AUTHORITY_FILE
    copied = path.exists() and not (folder / AUTHORITY_KEY_FILE).exists()
    if make and not copied:
        development_certificate(folder)
    certificate = kept_authority(folder)
    if certificate is None:
        raise ConfigError(
            f"there is no {path}, and so nothing to remove; an authority whose file was deleted is removed in the "
            "settings of the browser: its name begins with `Ticker development CA`"
        )
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not signs_for_this_machine_only(certificate):
        raise ConfigError(
            f"{path} is no authority of Ticker's: it could sign for any host on the Internet. Delete it and ca-key.pem "
            "beside it, and one for this machine alone is made"
        )
    return Authority(
        path=path.absolute(),
        name=printable(str(names[0].value)),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        body=base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
    )


class _Outcome(Enum):
    """How it ended for one store."""

    UNCHANGED = auto()
    CHANGED = auto()
    LEFT = auto()
    """It is left to be done, by hand or after something else."""


def _add(store: Store, authority: Authority) -> tuple[_Outcome, str]:
    if store.trusts(authority):
        return _Outcome.UNCHANGED, "trusts it already"
    store.add(authority)
    return _Outcome.CHANGED, "trusts it now"


def _remove(store: Store, authority: Authority) -> tuple[_Outcome, str]:
    if not store.has(authority):
        return _Outcome.UNCHANGED, "does not have it"
    store.remove(authority)
    return _Outcome.CHANGED, "no longer has it"


def _reported(act: Callable[[Store, Authority], tuple[_Outcome, str]], store: Store, authority: Authority) -> _Outcome:
    """Change a store; print how that went, and the commands that are left to the user."""
    try:
        outcome, text = act(store, authority)
    except StoreError as error:
        outcome, text = _Outcome.LEFT, f"not done: {error}"
        if error.by_hand:
            text += "; by hand:" + "".join(f"\n    {line}" for line in error.by_hand)
    print(f"{store.place}: {text}", flush=True)
    return outcome


def _print_notes(authority: Authority, *, remove: bool) -> None:
    """Print what this command cannot do for the user at all."""
    if os.geteuid() == 0 and (user := os.environ.get("SUDO_USER", "root")) != "root":
        print(f"this was root's authority, for services that root runs: for your own run it as {printable(user)}")
    if "microsoft" in platform.release().lower():
        act = f"-delstore Root {authority.fingerprint}" if remove else f"-addstore Root {_windows_path(authority.path)}"
        print(f"the browsers of Windows are not told from here; by hand:\n    certutil.exe -user {act}")


def _windows_path(path: Path) -> str:
    """Return shell text for the name that a file of WSL has in Windows."""
    return f'"$(wslpath -w {shlex.quote(str(path))})"'

"""A place in which programs look for the authorities that they trust, seen from `ticker trust`."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ticker.texts import excerpt

PROGRAM_SECONDS = 60
"""A program of the system that has not ended by then is killed, and its store counts as not done."""

END_SECONDS = 2
"""A program that was told to end and has not by then is killed for good."""

_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate of a development authority."""

    path: Path
    name: str
    """Its common name: other authorities of Ticker have others."""
    fingerprint: str
    """SHA-256, in hex."""
    body: str
    """The certificate itself in base64, as between the lines of PEM, without white space."""

    def __repr__(self) -> str:
        return f"<Authority: {self.name}>"


class StoreError(Exception):
    """A store could not be changed, and why; `by_hand` are the shell commands that do it."""

    def __init__(self, cause: str, *by_hand: str) -> None:
        super().__init__(cause)
        self.by_hand = by_hand


class Store(Protocol):
    """A store of trusted authorities. Each method but `place` raises `StoreError`."""

    @property
    def place(self) -> str:
        """What it is and where, for people."""
        ...

    def trusts(self, authority: Authority) -> bool:
        """Whether its programs accept what the authority signs."""
        ...

    def has(self, authority: Authority) -> bool:
        """Whether there is anything of the authority to remove."""
        ...

    def add(self, authority: Authority) -> None:
        """Make it trust the authority."""
        ...

    def remove(self, authority: Authority) -> None:
        """Take the authority out, and nothing else."""
        ...


def find_program(*names: str) -> str | None:
    """Return the path of the first program that there is, also one of administrators, or None."""
    for name in names:
        for path in (None, *_SYSTEM_FOLDERS):
            if found := shutil.which(name, path=path):
                return found
    return None


def run_program(command: list[str], seconds: float = PROGRAM_SECONDS) -> tuple[int, str]:
    """Run a program that can ask nobody anything; return its exit code and all that it printed. Raises `StoreError`.

    It has a session of its own: certutil would otherwise open the terminal, and ask there for a password.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # programs of the system, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise StoreError(f"{command[0]} cannot be run: {error.strerror}", shlex.join(command)) from error
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise StoreError(f"{command[0]} did not end within {seconds:g} seconds", shlex.join(command)) from None
    finally:  # also after Ctrl-C, which does not reach another session
        _end(process)
    return process.returncode, output


def _end(process: subprocess.Popen[str]) -> None:
    """End a program that still runs, and what it has started: a script first gets a chance to remove its files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
    if process.stdout is not None:
        process.stdout.close()


def last_line(output: str) -> str:
    """Return the last line that a failed program printed, as a cause."""
    lines = output.split("\n")
    return next((excerpt(line.strip()) for line in reversed(lines) if line.strip()), "it gave no cause")

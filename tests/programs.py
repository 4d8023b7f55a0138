"""Programs for tests, found and installed: Node, Chromium and certutil, proxies, Redis, promtool, systemd and jq.

`python -m tests.programs` installs missing programs with apt-get, if it runs as root. Where that is not possible, or
fails, the tests that need the program are skipped; with TICKER_REQUIRE_BROWSERS=1 they fail instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest


class Program(NamedTuple):
    """A program that is not a Python package."""

    name: str
    variable: str
    """Environment variable with its path."""
    commands: tuple[str, ...]
    """Names in PATH, by system."""
    package: str
    """Package of Debian and Ubuntu."""

    def path(self) -> str | None:
        """Return the path of the program, or None if this machine has none."""
        named = os.environ.get(self.variable)
        candidates = (named,) if named else self.commands
        return next((path for candidate in candidates if (path := shutil.which(candidate))), None)

    def remedy(self) -> str:
        return (
            f"{self.name} is not installed: run `apt-get install {self.package}`, "
            f"or set {self.variable} to the path of the program"
        )


_POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by the scripts of packages whether a service may be started."""

NODE = Program("Node", "TICKER_NODE", ("node", "nodejs"), "nodejs")
NPM = Program("npm", "TICKER_NPM", ("npm",), "npm")
CHROMIUM = Program(
    "Chromium",
    "TICKER_CHROMIUM",
    ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "chromium",
)
PROMTOOL = Program("promtool", "TICKER_PROMTOOL", ("promtool",), "prometheus")
SYSTEMD_ANALYZE = Program("systemd-analyze", "TICKER_SYSTEMD_ANALYZE", ("systemd-analyze",), "systemd")
NGINX = Program("nginx", "TICKER_NGINX", ("nginx", "/usr/sbin/nginx"), "nginx")
HAPROXY = Program("HAProxy", "TICKER_HAPROXY", ("haproxy", "/usr/sbin/haproxy"), "haproxy")

CURL = Program("curl", "TICKER_CURL", ("curl",), "curl")
JQ = Program("jq", "TICKER_JQ", ("jq",), "jq")

CERTUTIL = Program("NSS's certutil", "TICKER_CERTUTIL", ("certutil",), "libnss3-tools")
UPDATE_CA = Program(
    "update-ca-certificates",
    "TICKER_UPDATE_CA",
    ("update-ca-certificates", "/usr/sbin/update-ca-certificates"),
    "ca-certificates",
)

RSCRIPT = Program("R", "TICKER_RSCRIPT", ("Rscript",), "r-base-core")
"""It is large, and not installed: what needs it is tested where it is."""

REDIS = Program("Redis", "TICKER_REDIS", ("redis-server",), "redis-server")
SENTINEL = Program("Redis's sentinel", "TICKER_SENTINEL", ("redis-sentinel",), "redis-sentinel")
VALKEY = Program("Valkey", "TICKER_VALKEY", ("valkey-server",), "valkey-server")
"""Debian has it from release 13 on: it is not installed, and tested where it is."""


def require(program: Program) -> str:
    """Return the path of the program; skip the test if there is none."""
    path = program.path()
    if path is None:
        missing(program.remedy())
    return path


def missing(reason: str) -> NoReturn:
    """Skip the test for this reason, which names the remedy; fail it if TICKER_REQUIRE_BROWSERS is 1."""
    if os.environ.get("TICKER_REQUIRE_BROWSERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def install() -> None:
    """Install missing programs, one by one; print a warning for each that could not be installed."""
    apt = shutil.which("apt-get") if os.geteuid() == 0 else None
    programs = [NODE, NPM, CHROMIUM, NGINX, HAPROXY, PROMTOOL, SYSTEMD_ANALYZE, REDIS, SENTINEL]
    programs += [CURL, JQ, CERTUTIL, UPDATE_CA]
    absent = [program for program in programs if program.path() is None]
    if apt is not None and absent:
        _apt_get(apt, "update")
    for program in absent:
        if apt is not None and program.path() is None:  # NodeSource's package of Node contains npm
            print(f"installing {program.name} with apt-get", flush=True)
            with _no_services():
                _apt_get(apt, "install", "-y", "--no-install-recommends", program.package)
        if program.path() is None:
            print(f"warning: {program.remedy()}; the tests that need it are skipped", file=sys.stderr)


@contextmanager
def _no_services() -> Iterator[None]:
    """Have packages start no services (Debian Policy, section 9.3.3.1): the tests only need their programs."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _apt_get(apt: str, *arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        [apt, "-q", *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    )


if __name__ == "__main__":
    install()

"""Installs peers by package name into a cache folder when they are first measured."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLOOR = ROOT / "benchmarks" / "peers" / "floor.c"


@dataclass(frozen=True, slots=True)
class Needs:
    """Packages and programs that a server needs."""

    python: Sequence[str] = ()
    """Packages to install with pip; `node`: with npm."""
    node: Sequence[str] = ()
    tools: Sequence[str] = ()
    """Programs that must be in PATH."""
    floor: bool = False
    """Whether the floor in C has to be compiled."""

    @property
    def folder(self) -> Path | None:
        """The working folder for the server, or None."""
        return node_folder() if self.node else None


def cache_folder() -> Path:
    """Return the folder for peers: `$TICKER_BENCHMARKS`, or one below the user's cache folder."""
    own = os.environ.get("TICKER_BENCHMARKS")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else shared / "ticker-benchmarks"


def python_folder(package: str) -> Path:
    """Return the folder of a package and its dependencies: one each, so that no peer changes another's versions."""
    return cache_folder() / "python" / package


def node_folder() -> Path:
    """Return the folder with the `node_modules` of Node and bun."""
    return cache_folder() / "node"


def floor_binary() -> Path:
    """Return the path of the floor in C, named by the digest of its source."""
    return cache_folder() / f"floor-{hashlib.sha256(FLOOR.read_bytes()).hexdigest()[:12]}"


def program(name: str) -> str:
    """Return the path of a program, also of a server that a user's PATH leaves out; its name if there is none."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin") or name


def environment(needs: Needs) -> dict[str, str]:
    """Return a server's environment, in which it finds its own cached Python packages and no others."""
    own = {name: value for name, value in os.environ.items() if name != "OPENSSL_CONF"}  # for the load client only
    return {**own, "PYTHONPATH": os.pathsep.join([str(ROOT), *(str(python_folder(each)) for each in needs.python)])}


def install(needs: Needs) -> str:
    """Install a server's missing packages; return the reason if one is unavailable, else an empty text."""
    if missing := [tool for tool in needs.tools if program(tool) == tool]:
        return f"{missing[0]} is not in PATH"
    for package in needs.python:
        if not python_folder(package).exists() and (failure := _pip(package)):
            return failure
    missing = [name for name in needs.node if not (node_folder() / "node_modules" / name).exists()]
    if missing:
        node_folder().mkdir(parents=True, exist_ok=True)
        failure = _run(
            "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(node_folder()), *missing
        )
        if failure:
            return failure
    if needs.floor and not floor_binary().exists():
        floor_binary().parent.mkdir(parents=True, exist_ok=True)
        return _run("cc", "-O2", str(FLOOR), "-o", str(floor_binary()), "-lssl", "-lcrypto")
    return ""


def versions(needs: Needs) -> dict[str, str]:
    """Return the versions of the installed packages."""
    return {
        **{name: version for package in needs.python for name, version in _python_versions(package) if name == package},
        **{name: _node_version(name) for name in needs.node},
    }


def _pip(package: str) -> str:
    target = python_folder(package)
    failure = _run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(target),
        package,
    )
    if failure:
        shutil.rmtree(target, ignore_errors=True)
    return failure


def _run(*command: str) -> str:
    """Run a command; return the last line of its stderr if it fails, else an empty text."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{Path(command[0]).name} failed: {error}"
    last = done.stderr.strip().splitlines()[-1:] or ["no reason was given"]
    return "" if done.returncode == 0 else f"{Path(command[0]).name} failed: {last[0][:200]}"


def _python_versions(package: str) -> Iterator[tuple[str, str]]:
    return ((each.name, each.version) for each in distributions(path=[str(python_folder(package))]))


def _node_version(name: str) -> str:
    version: str = json.loads((node_folder() / "node_modules" / name / "package.json").read_text())["version"]
    return version

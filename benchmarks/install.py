"""Peers are installed by package name into a cache folder, when a benchmark that needs them first runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def cache_folder() -> Path:
    """Where peers are kept: `$TICKER_BENCHMARKS`, or below the user's cache folder."""
    own = os.environ.get("TICKER_BENCHMARKS")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else shared / "ticker-benchmarks"


def environment() -> dict[str, str]:
    """The environment that a peer runs in: it finds the cached Python packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(cache_folder() / "python")])}


def node_folder() -> Path:
    """The folder whose `node_modules` hold the cached packages for Node and bun."""
    return cache_folder() / "node"


def install(python: Sequence[str], node: Sequence[str], tools: Sequence[str]) -> str:
    """Install what a peer needs, unless it is there; returns what is missing, or an empty text."""
    for tool in tools:
        if shutil.which(tool) is None:
            return f"{tool} is not on this machine"
    missing = [name for name in python if not (cache_folder() / "python" / name).exists()]
    if missing:
        target = str(cache_folder() / "python")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", target, *missing]
        if not _succeeds(command):
            return f"pip cannot install {' '.join(missing)}"
    missing = [name for name in node if not (node_folder() / "node_modules" / name).exists()]
    if missing:
        node_folder().mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(node_folder()), *missing]
        if not _succeeds(command):
            return f"npm cannot install {' '.join(missing)}"
    return ""


def _succeeds(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False

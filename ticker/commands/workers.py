"""The number of workers: what a flag says, and what this machine has."""

from __future__ import annotations

import os
from pathlib import Path

from ticker.config import MAX_WORKERS, Config
from ticker.errors import ConfigError

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU time of a container in each period, both in microseconds (cgroups, version 2)."""


def parse_workers(text: str | None) -> str | int | None:
    """Return what `--workers` says. Raises `ConfigError`."""
    if text is None or text == "auto":
        return text
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_WORKERS:
        return int(text)
    raise ConfigError(f"--workers {text}: give 1 to {MAX_WORKERS} processes, or auto")


def count_workers(config: Config) -> int:
    """Return the number of workers; `auto` is one for each core that this process may use."""
    if isinstance(config.workers, int):
        return config.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(_QUOTA), MAX_WORKERS))


def _quota(file: Path) -> int:
    """Return the number of cores that the CPU time of a container amounts to, at least 1."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # none, or `max`
        return MAX_WORKERS

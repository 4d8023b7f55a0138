"""The memory of this process."""

from __future__ import annotations

from pathlib import Path

_PAGE_BYTES = 4096


def resident_bytes() -> int | None:
    """Return the resident memory (proc(5)); None where the system has no such file."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None

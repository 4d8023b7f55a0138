"""Whether files have changed, by what the file system says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ticker.net.blocking import read_files


async def stamp_of(files: Sequence[Path]) -> list[object]:
    """Return a value that differs whenever one of the files was written or replaced, or stops to answer."""
    try:
        return await read_files(read_stamp, files) if files else []
    except TimeoutError as error:
        return [error.errno]


def read_stamp(files: Sequence[Path]) -> list[object]:
    """Return that value. Blocks while the file system does."""
    stamps: list[object] = []
    for path in files:
        try:
            status = path.stat()
            stamps.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except OSError as error:
            stamps.append(error.errno)
    return stamps

"""Files and named pipes that are read as they are, or as they grow."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import trio

from ticker_feeds.file_thread import Closer, FileThread

T = TypeVar("T")

_CHUNK = 32_768


class OpenFile:
    """A file, or a named pipe, that is open for reading in an `async with` block."""

    def __init__(self, path: str, thread: FileThread) -> None:
        self._path = path
        self._thread = thread
        self._closer = Closer(self._close)
        self._descriptor: int | None = None
        self._identity = (0, 0)
        self._is_pipe = False
        self._position = 0

    def __repr__(self) -> str:
        return f"<OpenFile {self._path} at byte {self._position}>"

    async def __aenter__(self) -> Self:
        try:
            await self._call(self._open)
        except BaseException:
            self._closer.end()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._closer.end()

    @property
    def _opened(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self._path} is not open")
        return self._descriptor

    async def read(self) -> bytes:
        """Return the next bytes; none at the end, which a pipe has when all its writers have closed it."""
        if self._is_pipe:
            return await read_descriptor(self._opened, self._thread)
        data = await self._call(self._read)
        self._position += len(data)
        return data

    async def is_replaced(self) -> bool:
        """Return whether another file has this one's name."""
        return await self._call(self._has_other_identity)

    async def is_truncated(self) -> bool:
        """Return whether the file is shorter than the part that was read; it is then read from its beginning."""
        if self._is_pipe or not await self._call(self._begin_if_shorter):
            return False
        self._position = 0
        return True

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._thread.call(self._closer.use, function)

    def _open(self) -> None:
        # Opening a named pipe would otherwise block until a writer comes.
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        self._identity = found.st_dev, found.st_ino
        self._is_pipe = not stat.S_ISREG(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(f"{self._path} is a folder")

    def _read(self) -> bytes:
        return os.read(self._opened, _CHUNK)

    def _has_other_identity(self) -> bool:
        try:
            found = Path(self._path).stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) != self._identity

    def _begin_if_shorter(self) -> bool:
        shorter = os.fstat(self._opened).st_size < self._position
        if shorter:
            os.lseek(self._opened, 0, os.SEEK_SET)
        return shorter

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def read_descriptor(descriptor: int, thread: FileThread) -> bytes:
    """Return the next bytes of a descriptor, or none at its end; other tasks run until there are some."""
    while True:
        try:
            await trio.lowlevel.wait_readable(descriptor)
        except PermissionError:  # a plain file: there is nothing to wait for
            return await thread.call(os.read, descriptor, _CHUNK)
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            continue

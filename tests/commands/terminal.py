"""A pseudo-terminal in which a command draws its table, read back row by row as a person sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pyte
import trio

Rows: TypeAlias = dict[str, list[str]]
"""The words of every line, by the first one."""

COLUMNS, LINES = 150, 30


class Terminal:
    """The screen of a command; `raw` is its whole output."""

    def __init__(self, process: trio.Process, descriptor: int) -> None:
        self.process = process
        self.raw = b""
        self._descriptor = descriptor
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    def rows(self) -> Rows:
        """The words of every line now."""
        return {words[0]: words[1:] for words in map(str.split, self._screen.display) if words}

    async def until(self, shown: Callable[[Rows], bool]) -> None:
        """Read until the rows satisfy `shown`. Raises `EOFError` if the command ends first."""
        while not shown(self.rows()):
            if not await self.read():
                raise EOFError(f"the command has ended; it wrote {self.raw[-2000:]!r}")

    async def rest(self) -> None:
        """Read until the command has ended."""
        while await self.read():
            pass

    async def read(self) -> bool:
        """Read some more; False at the end."""
        await trio.lowlevel.wait_readable(self._descriptor)
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # the writing end is closed
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@asynccontextmanager
async def in_terminal(*arguments: str, kind: str = "xterm") -> AsyncIterator[Terminal]:
    """`ticker` with these arguments, in a terminal of this kind; it is killed if it still runs at the end."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": kind, "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    try:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "ticker", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
    finally:
        os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()

"""A wait that works in a task of Trio and, where Trio is a guest of asyncio, in a task of asyncio.

Both libraries then run in one thread, one step at a time, so that one of them can wake a task of the other directly.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from ticker.errors import ConfigError

if TYPE_CHECKING:
    import asyncio


class Wake:
    """Wakes the tasks that wait, all of them, and remembers nothing: they look for themselves at what there is."""

    def __init__(self) -> None:
        self._event: trio.Event | asyncio.Event | None = None
        """That of the tasks that wait now."""

    def set(self) -> None:
        """Wake the tasks that wait."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait until somebody calls `set`."""
        if self._event is None:
            self._event = trio.Event() if trio.lowlevel.in_trio_task() else _asyncio_event()
        await self._event.wait()


def wake_trio(event: trio.Event) -> None:
    """Set an event that a task of Trio waits for.

    From a task of asyncio this is left to Trio: Ctrl-C, which interrupts the program anywhere outside of Trio, would
    leave that task neither asleep nor awake.
    """
    if trio.lowlevel.in_trio_task():
        event.set()
    else:
        with suppress(RuntimeError):  # Trio has ended: nothing waits
            trio.lowlevel.current_trio_token().run_sync_soon(event.set)


async def checkpoint() -> None:
    """Let other tasks run, and a cancellation take effect."""
    if trio.lowlevel.in_trio_task():
        await trio.lowlevel.checkpoint()
    else:
        await _asyncio_checkpoint()


def check_trio() -> None:
    """Check that a task of Trio runs here. Raises `ConfigError`."""
    if not trio.lowlevel.in_trio_task():
        raise ConfigError("connect: no task of Trio runs here; with asyncio use ticker.aio.connect, otherwise trio.run")


def _asyncio_event() -> asyncio.Event:
    import asyncio  # noqa: PLC0415  # programs with Trio alone do not need it

    return asyncio.Event()


async def _asyncio_checkpoint() -> None:
    import asyncio  # noqa: PLC0415

    await asyncio.sleep(0)

"""SIGINT and SIGTERM as an orderly end of a command."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def on_stop_signal(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM within the block; a second one ends the process as usual."""

    async def wait(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                stop()
                break

    async with trio.open_nursery() as nursery:
        await nursery.start(wait)
        yield
        nursery.cancel_scope.cancel()

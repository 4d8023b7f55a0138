"""SIGINT and SIGTERM as an orderly end of a command."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import trio

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def on_stop_signal(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM within the block; a second one ends the process at once."""

    async def wait(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*_STOPPING) as signals:
            task_status.started()
            async for _ in signals:
                stop()
                break

    async with trio.open_nursery() as nursery:
        await nursery.start(wait)
        yield
        nursery.cancel_scope.cancel()


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Within the block, the first SIGINT or SIGTERM raises `SystemExit`, so that `finally` clauses clean up.

    But not within Trio, whose loop such an exception would break: there, and for every further signal, the handlers
    from before are called. An ignored signal stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _STOPPING}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def unwind(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if trio.lowlevel.in_trio_run():
            handler(number, frame) if callable(handler) else os._exit(128 + number)
        restore()
        raise SystemExit(128 + number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, unwind)
    try:
        yield
    finally:
        restore()

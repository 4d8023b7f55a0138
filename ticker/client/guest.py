"""Trio as a guest of asyncio: one run of Trio on the loop that runs, shared by all clients in it.

Trio's guest mode waits for sockets in a thread of its own and runs every task in the loop's thread, in callbacks of the
loop. The run begins with the first client and ends with the last. What it still has to do is kept here and not in the
loop alone: so a run whose loop was closed too early can still be ended, by the next client in this thread.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import outcome
import trio

from ticker.client.interrupts import Interrupts
from ticker.errors import ConfigError
from ticker.net.clocks import RunningClock

Step: TypeAlias = Callable[[], object]
"""A callback of Trio for the loop."""

_END_SECONDS = 10.0
"""Time for a run to end whose loop is closed; it has only to cancel its tasks."""


class _Here(threading.local):
    """The guest run of this thread: Trio allows one."""

    run: GuestRun | None = None


_here = _Here()


def present() -> GuestRun | None:
    """Return the guest run of this thread."""
    return _here.run


class GuestRun:
    """A run of Trio on one asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.users = 0
        self.over: asyncio.Future[outcome.Outcome[None]] = loop.create_future()
        """Done when the run has ended; with an error, if Trio has failed."""
        self._stop = trio.CancelScope()
        self._steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self.interrupts = Interrupts()
        """The context in which the loop's side calls functions of Trio."""

    def __repr__(self) -> str:
        return f"<GuestRun users={self.users}{' ended' * self.over.done()}>"

    def start(self) -> None:
        """Start Trio. Raises `ConfigError` if it runs in this thread already."""
        self.interrupts.install()
        try:
            with self.interrupts:
                trio.lowlevel.start_guest_run(
                    self._main,
                    run_sync_soon_threadsafe=self._soon_from_thread,
                    run_sync_soon_not_threadsafe=self._soon,
                    done_callback=self._ended,
                    host_uses_signal_set_wakeup_fd=True,
                    clock=RunningClock(),
                )
                _here.run = self
        except RuntimeError as error:
            self.interrupts.remove()
            raise ConfigError(f"ticker.aio: Trio runs in this thread already ({error}); use ticker.connect") from None

    def stop(self) -> None:
        """Cancel all tasks; the run ends soon."""
        with self.interrupts:
            self._stop.cancel()

    def end_without_loop(self) -> None:
        """End this run, whose loop is closed, right now."""
        self.stop()
        try:
            while present() is self:
                self._steps.get(timeout=_END_SECONDS)()
        except queue.Empty:
            raise ConfigError("ticker.aio: the clients of a loop that was closed under them do not end") from None

    async def _main(self) -> None:
        with self._stop:
            await trio.sleep_forever()

    def _soon(self, step: Step) -> None:
        self._steps.put(step)
        if not self.loop.is_closed():
            self.loop.call_soon(self._next)

    def _soon_from_thread(self, step: Step) -> None:
        self._steps.put(step)
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._next)

    def _next(self) -> None:
        with self.interrupts, suppress(queue.Empty):
            self._steps.get_nowait()()

    def _ended(self, result: outcome.Outcome[None]) -> None:
        _here.run = None
        self.interrupts.remove()
        if self.loop.is_closed():
            return
        self.over.set_result(result)


@asynccontextmanager
async def guest_run(loop: asyncio.AbstractEventLoop) -> AsyncIterator[GuestRun]:
    """Share the guest run of this loop, which is running; it is started for the first user and ended after the last.

    Raises `ConfigError` if another loop of this thread has one.
    """
    run = await _present_run(loop)
    if run is None:
        run = GuestRun(loop)
        run.start()
    run.users += 1
    try:
        yield run
    finally:
        run.users -= 1
        if not run.users:
            run.stop()
            await settled(run.over)


async def _present_run(loop: asyncio.AbstractEventLoop) -> GuestRun | None:
    while (run := present()) is not None:
        if run.loop is loop:
            if run.users:
                return run
            await settled(run.over)
        elif run.loop.is_closed():
            run.end_without_loop()
        else:
            raise ConfigError("ticker.aio: clients of another asyncio loop are open in this thread; close them first")
    return None


async def settled(future: asyncio.Future[Any]) -> None:
    """Wait until a future is done, which is soon, whether or not this task is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled

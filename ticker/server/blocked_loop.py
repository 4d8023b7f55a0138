"""Interrupts a feed that blocks Trio's event loop, by sleeping, computing or reading without `await`.

A feed is foreign code in the service's own thread, so only a signal gets in its way: SIGALRM. It raises `FeedBlocked`
within the feed, if no task has run for `FEED_BLOCKED_SECONDS`. `serve` uses this; a recorder has one feed, and blocks
only itself.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import trio

from ticker.bounds import FEED_BLOCKED_SECONDS

_ALARMS = 2
"""Alarms in `FEED_BLOCKED_SECONDS`."""

_SCHEDULED = Path("/proc/thread-self/schedstat")

_feed_tasks: set[trio.lowlevel.Task] = set()


class FeedBlocked(Exception):
    """Raised within a feed that blocked the event loop."""


def own_time() -> float:
    """Return a monotonic clock, in seconds, that stands still while this thread waits for a core that others have.

    Linux tells that time (proc(5), `/proc/PID/schedstat`, in nanoseconds); elsewhere it is the usual clock.
    """
    try:
        waited = int(_SCHEDULED.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        waited = 0
    return time.monotonic() - waited / 1e9


@contextmanager
def interruptible() -> Iterator[None]:
    """Mark the current task as a feed's: it and the tasks that it starts may be interrupted."""
    task = trio.lowlevel.current_task()
    _feed_tasks.add(task)
    try:
        yield
    finally:
        _feed_tasks.discard(task)


@contextmanager
def interrupt_blocking_feeds() -> Iterator[Watchdog]:
    """Interrupt feeds that block the event loop, while the context lasts. For the main thread of a process."""
    watchdog = Watchdog(FEED_BLOCKED_SECONDS)
    before = signal.signal(signal.SIGALRM, watchdog.on_alarm)
    signal.setitimer(signal.ITIMER_REAL, watchdog.period, watchdog.period)
    try:
        yield watchdog
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Watchdog:
    """Sees whether Trio's event loop still turns."""

    def __init__(self, seconds: float, clock: Callable[[], float] = own_time) -> None:
        """`seconds` is the time after which the loop counts as blocked, on this clock."""
        self.seconds = seconds
        self.period = seconds / _ALARMS
        """Seconds between two alarms."""
        self._turned = True
        self._blocked = 0.0
        """Seconds without a turn of the loop, as the last alarm knew."""
        self._clock = clock
        self._alarm_at = clock()

    def __repr__(self) -> str:
        return f"<Watchdog: {self._blocked:g} of {self.seconds:g} s without a turn of the loop>"

    async def keep_turning(self) -> None:
        """Show that the loop turns."""
        while True:
            self._turned = True
            await trio.sleep(self.period / 2)

    def on_alarm(self, _signal: int, frame: FrameType | None) -> None:
        """Look whether the loop has turned since the last alarm. Raises `FeedBlocked` within a feed that blocks it.

        An alarm that comes late says nothing of the loop: the whole process was paused.
        """
        before, self._alarm_at = self._alarm_at, self._clock()
        elapsed = self._alarm_at - before
        if self._turned or elapsed > 1.5 * self.period:
            self._turned, self._blocked = False, 0.0
            return
        self._blocked += elapsed
        if self._blocked > self.seconds - self.period / 2 and _in_a_feed():  # alarms are not exactly in time
            self._blocked = 0.0
            raise FeedBlocked(f"it blocked the service for {self.seconds:g} s, at {_place(frame)}")


def _in_a_feed() -> bool:
    """Whether the running task is a feed's, or was started by one."""
    try:
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
    except RuntimeError:
        return False
    while task is not None:
        if task in _feed_tasks:
            return True
        task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
    return False


def _place(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"

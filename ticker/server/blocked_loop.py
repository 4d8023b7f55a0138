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
from types import FrameType

import trio

from ticker.bounds import FEED_BLOCKED_SECONDS

_ALARMS = 2
"""Alarms in `FEED_BLOCKED_SECONDS`; so many without a turn of the loop between them mean that it is blocked."""

_feed_tasks: set[trio.lowlevel.Task] = set()


class FeedBlocked(Exception):
    """Raised within a feed that blocked the event loop."""


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

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`seconds` is the time after which the loop counts as blocked, on this clock."""
        self.seconds = seconds
        self.period = seconds / _ALARMS
        """Seconds between two alarms."""
        self._turned = True
        self._missed = 0
        self._monotonic = monotonic
        self._alarm_at = monotonic()

    def __repr__(self) -> str:
        return f"<Watchdog: {self._missed} of {_ALARMS} alarms without a turn of the loop>"

    async def keep_turning(self) -> None:
        """Show that the loop turns."""
        while True:
            self._turned = True
            await trio.sleep(self.period / 2)

    def on_alarm(self, _signal: int, frame: FrameType | None) -> None:
        """Look whether the loop has turned since the last alarm. Raises `FeedBlocked` within a feed that blocks it.

        An alarm that comes late, or soon after a late one, says nothing of the loop: the whole process was paused.
        """
        before, self._alarm_at = self._alarm_at, self._monotonic()
        if not 0.5 <= (self._alarm_at - before) / self.period <= 1.5:
            self._turned, self._missed = False, 0
            return
        if self._turned:
            self._turned, self._missed = False, 0
            return
        self._missed += 1
        if self._missed >= _ALARMS and _in_a_feed():
            self._missed = 0
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

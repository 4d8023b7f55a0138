"""Feeds' lives: each runs in a task of its own, is started again when it fails, and can harm nothing but itself.

What it declared is marked stale as soon as it fails or ends, in the order in which the feed's own updates travel.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog
import trio

from feeds import Feed
from ticker.config import Limits
from ticker.outlet import Lapse, Outlet, Parcel, Source

_RESTART_SECONDS = (0.5, 30.0)
"""The first and the longest wait before a feed that failed is started again."""

BLOCKED_SECONDS = 2.0
"""A feed that keeps everything else from running for so long is interrupted."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.supervisor")


class FeedBlocked(Exception):
    """Raised within a feed that blocked the service: by sleeping, computing or reading without `await`."""


async def keep_running(source: Source, feed: Feed, parcels: trio.MemorySendChannel[Parcel], limits: Limits) -> None:
    """Run a feed, and again each time it fails, after longer and longer waits, until it ends."""
    spec, wait = source.name, _RESTART_SECONDS[0]
    while True:
        began = trio.current_time()
        try:
            await _run(feed, Outlet(source, parcels, limits.max_batch))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a feed is somebody's code; its fault must not reach the service
            if trio.current_time() - began > _RESTART_SECONDS[1]:
                wait = _RESTART_SECONDS[0]
            source.failures += 1
            _log.exception("feed failed", feed=spec, restart_in_seconds=wait)
            await _mark_stale(source, parcels, "feed_blocked" if _blocked(error) else "feed_down")
            await trio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311  # spread, not secret
            wait = min(wait * 2, _RESTART_SECONDS[1])
        else:
            _log.info("feed ended", feed=spec)
            await _mark_stale(source, parcels, "feed_ended")
            return


async def _run(feed: Feed, outlet: Outlet) -> None:
    """The one frame of this code on the stack of a feed that runs: `interrupt_blocking_feeds` looks for it."""
    await feed.run(outlet)


def _blocked(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(FeedBlocked) is not None
    return isinstance(error, FeedBlocked)


async def _mark_stale(source: Source, parcels: trio.MemorySendChannel[Parcel], reason: str) -> None:
    start = 0
    while start == 0 or start < len(source.symbols):
        lapse = Lapse(reason, start)
        await parcels.send((source, lapse))
        await lapse.done.wait()
        start += Lapse.PART


@contextmanager
def interrupt_blocking_feeds() -> Iterator[Watchdog]:
    """Interrupt a feed that blocks the service, while the block runs; for the main thread of a process of one's own.

    A feed is somebody's code in the service's own thread, so only a signal gets in its way: SIGALRM, once a second.
    """
    watchdog = Watchdog()
    before = signal.signal(signal.SIGALRM, watchdog.look)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        yield watchdog
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Watchdog:
    """Sees whether Trio's loop still turns."""

    def __init__(self) -> None:
        self._turned = True
        self._seconds = 0

    async def keep_turning(self) -> None:
        """Show that the loop turns."""
        while True:
            self._turned = True
            await trio.sleep(0.5)

    def look(self, _signal: int, frame: FrameType | None) -> None:
        """Called once a second, whatever runs. Raises `FeedBlocked` within a feed that has run for too long."""
        if self._turned:
            self._turned, self._seconds = False, 0
            return
        self._seconds += 1
        if self._seconds < BLOCKED_SECONDS:
            return
        culprit = frame
        while frame is not None:
            if frame.f_code is _run.__code__:
                self._seconds = 0
                raise FeedBlocked(f"it blocked the service for {BLOCKED_SECONDS:.0f} s, at {_place(culprit)}")
            frame = frame.f_back


def _place(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"

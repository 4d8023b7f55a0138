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

from ticker.config import Limits
from ticker.core.last_value import LastValueCache
from ticker.errors import sole
from ticker.server.feed_channel import FeedChannel, FeedMessage, FeedState, MarkStale
from ticker_feeds import Feed

_RESTART_SECONDS = (0.5, 30.0)
"""The first and the longest wait before a feed that failed is started again."""

BLOCKED_SECONDS = 2.0
"""A feed that keeps everything else from running for so long is interrupted."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.supervisor")


class FeedBlocked(Exception):
    """Raised within a feed that blocked the service: by sleeping, computing or reading without `await`."""


class FeedSilent(Exception):
    """A feed sent nothing, not even a sign of life, for longer than it said it would."""


class Supervisor:
    """One feed's life.

    Of the feed's attributes these count, if it has them: `silence_seconds` and `instrument_silence_seconds` (see
    `feeds`), and `counters`, what it counts itself.
    """

    def __init__(
        self,
        source: FeedState,
        feed: Feed,
        messages: trio.MemorySendChannel[FeedMessage],
        cache: LastValueCache,
        limits: Limits,
    ) -> None:
        self._source = source
        self._feed = feed
        self._messages = messages
        self._cache = cache
        self._max_batch = limits.max_batch
        source.counters = getattr(feed, "counters", source.counters)

    async def run(self) -> None:
        """Run the feed, and again each time it fails, after longer and longer waits, until it ends."""
        name, most = self._source.name, _RESTART_SECONDS[0]
        while True:
            began = trio.current_time()
            try:
                await self._run_watched()
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a feed is somebody's code: its fault stays here
                if trio.current_time() - began > _RESTART_SECONDS[1]:
                    most = _RESTART_SECONDS[0]
                self._source.failures += 1
                _log.error("feed failed", feed=name, restart_within_seconds=most, exc_info=sole(error))
                await self._mark_stale(_reason(error))
                await trio.sleep(random.uniform(0, most))  # noqa: S311  # spread, not secret
                most = min(most * 2, _RESTART_SECONDS[1])
                await self._mark_stale("reconnecting")
            else:
                _log.info("feed ended", feed=name)
                await self._mark_stale("feed_ended")
                return

    async def _run_watched(self) -> None:
        async with trio.open_nursery() as nursery:
            silence = getattr(self._feed, "silence_seconds", None)
            if silence is not None:
                nursery.start_soon(self._watch, silence)
            instrument_silence = getattr(self._feed, "instrument_silence_seconds", None)
            if instrument_silence is not None:
                nursery.start_soon(self._watch_instruments, instrument_silence)
            await _run(self._feed, FeedChannel(self._source, self._messages, self._max_batch))
            nursery.cancel_scope.cancel()

    async def _watch(self, seconds: float) -> None:
        """Raises `FeedSilent` when the feed has sent nothing for so long."""
        heard = trio.current_time()
        while True:
            await trio.sleep_until(heard + seconds)
            heard = max(heard, (self._source.heard_at or 0) / 1e6)
            if trio.current_time() >= heard + seconds:
                raise FeedSilent(f"nothing came from it for {seconds:g} s, not even a sign of life")

    async def _watch_instruments(self, seconds: float) -> None:
        """Mark stale what had no update for so long, as seen twice in that time."""
        seen: dict[str, tuple[int, float]] = {}
        while True:
            await trio.sleep(seconds / 2)
            now, quiet = trio.current_time(), []
            for symbol in self._source.symbols:
                record = self._cache.find(symbol)
                updates = record.updates if record is not None else 0
                before, since = seen.get(symbol, (-1, now))
                if updates != before:
                    seen[symbol] = updates, now
                elif now - since >= seconds:
                    quiet.append(symbol)
            if quiet:
                await self._messages.send((self._source, MarkStale("instrument_silent", symbols=quiet)))

    async def _mark_stale(self, reason: str) -> None:
        """Mark all that the feed has declared, some at a time, behind all that it sent."""
        start = 0
        while start == 0 or start < len(self._source.symbols):
            marks = MarkStale(reason, start)
            await self._messages.send((self._source, marks))
            await marks.done.wait()
            start += MarkStale.PART


async def _run(feed: Feed, outlet: FeedChannel) -> None:
    """Run a feed; whoever blocks the service is known by having this task among its ancestors."""
    task = trio.lowlevel.current_task()
    _running.add(task)
    try:
        await feed.run(outlet)
    finally:
        _running.discard(task)


_running: set[trio.lowlevel.Task] = set()


def _reason(error: BaseException) -> str:
    """The word that clients get."""
    for kind, word in ((FeedBlocked, "feed_blocked"), (FeedSilent, "feed_silent")):
        if isinstance(error, kind) or (isinstance(error, BaseExceptionGroup) and error.subgroup(kind) is not None):
            return word
    return "feed_down"


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
        if _in_a_feed():
            self._seconds = 0
            raise FeedBlocked(f"it blocked the service for {BLOCKED_SECONDS:.0f} s, at {_place(frame)}")


def _in_a_feed() -> bool:
    """Whether the task that runs now is a feed's, or one that a feed has started."""
    try:
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
    except RuntimeError:
        return False
    while task is not None:
        if task in _running:
            return True
        task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
    return False


def _place(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"

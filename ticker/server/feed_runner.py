"""A feed's life: it runs in a task of its own, is started again when it fails, and harms no other feed.

The rules:

1. A feed that raises, even `SystemExit`, is started again after a random wait. The bound of that wait doubles from
   failure to failure, from `FIRST_RESTART_SECONDS` to `LONGEST_RESTART_SECONDS`, and starts low after a long life.
2. `silence_seconds` without a publication or a sign of life is a failure.
3. An instrument of which this feed gave values, and none for `instrument_silence_seconds`, is marked stale; so is one
   of which it gave only the book, or nothing, and no levels for so long. Its book goes stale with it only if no levels
   came either. The feed goes on.
4. When a feed fails or ends, all its instruments are marked stale, behind everything it sent.

The service and the recorder run their feeds with this. They differ in the sink that takes the messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import structlog
import trio

from ticker.bounds import FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS, STALE_PER_MESSAGE
from ticker.errors import sole
from ticker.market import Reason
from ticker.net.clocks import hub_time
from ticker.net.failures import FailureLog
from ticker.server.blocked_loop import FeedBlocked, interruptible
from ticker.server.feed_channel import Applied, FeedChannel, FeedPhase, FeedSink, FeedState, MarkStale
from ticker.server.silence import InstrumentSilence
from ticker_feeds import Feed
from ticker_feeds.attributes import attributes_of, counts_in

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.feed_runner")


_NO_EXIT = (Exception, KeyboardInterrupt, trio.Cancelled, BaseExceptionGroup)
"""Exceptions of a feed that are its failures, or none of its doing. A group counts as its members do."""


class FeedSilent(Exception):
    """A feed sent nothing, not even a sign of life, for longer than its `silence_seconds`."""


class FeedExited(Exception):
    """A feed raised `SystemExit`, or another exception that is no `Exception`: it would end the whole service."""


class FeedRunner:
    """Runs one feed.

    Its optional attributes (see `ticker_feeds`) are read each time it starts; one that cannot be used is a failure.
    """

    def __init__(
        self, state: FeedState, feed: Feed, sink: FeedSink, applied_of: Callable[[str], Applied], max_batch: int
    ) -> None:
        """`applied_of` gives the numbers of publications of an instrument by this feed that the sink has applied."""
        self._state = state
        self._feed = feed
        self._sink = sink
        self._applied_of = applied_of
        self._max_batch = max_batch
        self._failures = FailureLog(_log)

    def __repr__(self) -> str:
        return f"<FeedRunner of {self._state!r}>"

    async def run(self) -> None:
        """Run the feed until it ends by itself, and start it again each time it fails."""
        bound = FIRST_RESTART_SECONDS
        while True:
            began = trio.current_time()
            self._state.phase, self._state.started_at = FeedPhase.RUNNING, hub_time()
            try:
                await self._run_once()
            except Exception as error:  # noqa: BLE001  # a feed is foreign code: its faults stay here
                if trio.current_time() - began > LONGEST_RESTART_SECONDS:
                    bound = FIRST_RESTART_SECONDS
                self._state.failures += 1
                self._state.blocked += isinstance(sole(error), FeedBlocked)
                self._state.phase = FeedPhase.DOWN
                wait = random.uniform(0, bound)  # noqa: S311  # spread, not secret
                self._failures.write("feed failed", sole(error), feed=self._state.name, retry_seconds=round(wait, 1))
                await self._mark_stale(_reason(error))
                await trio.sleep(wait)
                bound = min(bound * 2, LONGEST_RESTART_SECONDS)
                await self._mark_stale(Reason.RECONNECTING)
            else:
                self._state.phase = FeedPhase.ENDED
                _log.info("feed ended", feed=self._state.name)
                await self._mark_stale(Reason.FEED_ENDED)
                return

    async def _run_once(self) -> None:
        silence, instrument_silence, counters, self._state.faulty_symbols = attributes_of(self._feed)
        self._state.counts = partial(counts_in, counters)
        async with trio.open_nursery() as nursery:
            if silence is not None:
                nursery.start_soon(self._watch_silence, silence)
            if instrument_silence is not None:
                nursery.start_soon(self._watch_instruments, instrument_silence)
            channel = FeedChannel(self._state, self._sink, self._max_batch)
            try:
                with interruptible():
                    await self._feed.run(channel)
            except BaseException as error:
                _keep_within(error)
                raise
            finally:
                channel.end_run()
            nursery.cancel_scope.cancel()

    async def _watch_silence(self, seconds: float) -> None:
        """Raise `FeedSilent` once the feed has sent nothing for this long."""
        heard = trio.current_time()
        while True:
            await trio.sleep_until(heard + seconds)
            heard = max(heard, (self._state.heard_at or 0) / 1e6)
            if trio.current_time() >= heard + seconds:
                raise FeedSilent(f"nothing came from it for {seconds:g} s, not even a sign of life")

    async def _watch_instruments(self, seconds: float) -> None:
        """Mark instruments stale that have been silent for this long, as seen twice in that time."""
        silence = InstrumentSilence(self._applied_of, seconds)
        while True:
            await trio.sleep(seconds / 2)
            now, symbols = trio.current_time(), list(self._state.symbols)
            for start in range(0, len(symbols), STALE_PER_MESSAGE):
                for marks in silence.look(symbols[start : start + STALE_PER_MESSAGE], now):
                    await self._sink.send((self._state, marks))
                await trio.lowlevel.checkpoint()  # however many instruments there are, prices are sent in between

    async def _mark_stale(self, reason: str) -> None:
        """Mark all instruments of the feed, a part at a time, behind everything it sent."""
        start = 0
        while start == 0 or start < len(self._state.symbols):
            marks = MarkStale(reason, start)
            await self._sink.send((self._state, marks))
            await marks.done.wait()
            start += STALE_PER_MESSAGE


def _keep_within(error: BaseException) -> None:
    """Raise `FeedExited` for an exception that would end the service, but for Ctrl-C and Trio's cancellation."""
    group = error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup("", [error])
    exits, rest = group.split(lambda each: not isinstance(each, _NO_EXIT))
    if exits is None:
        return
    first = exits
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    exited = FeedExited(f"it raised {type(first).__name__}, which ends a program")
    raise (exited if rest is None else BaseExceptionGroup("", [exited, rest])) from error


def _reason(error: BaseException) -> str:
    """The `reason` that clients see after this failure."""
    for kind, reason in ((FeedBlocked, Reason.FEED_BLOCKED), (FeedSilent, Reason.FEED_SILENT)):
        if isinstance(error, kind) or (isinstance(error, BaseExceptionGroup) and error.subgroup(kind) is not None):
            return reason
    return Reason.FEED_DOWN

"""The history of a running service: bars loaded at the start, and written once a second by a thread of its own.

No price waits for it: bars that have changed are taken from the cache in steps, merged by symbol, period and start
while a write is under way or has to be tried again, and the oldest are dropped beyond a bound. The cache hands on by
itself those that it has no more room for. What was loaded goes
through the publisher, as everything that changes the cache. A fault of the file is one line in the log; without a file
there are charts from now on, and nothing else is different.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import structlog
import trio

from ticker.bounds import (
    BARS_PER_STEP,
    BARS_PER_TRANSACTION,
    HISTORY_FINISH_SECONDS,
    HISTORY_PRUNE_SECONDS,
    HISTORY_READ_SECONDS,
    HISTORY_RETRY_SECONDS,
    HISTORY_WRITE_SECONDS,
    MAX_HISTORY_READERS,
    MAX_HISTORY_READS,
    MAX_WAITING_BARS,
    RESTORED_PER_STEP,
    SERIES_PER_LOAD,
)
from ticker.config import History, Tables
from ticker.core.last_value import LastValueCache
from ticker.errors import HistoryFault
from ticker.history.bar_store import Bars, ChangedBar
from ticker.history.history_file import MOVED, HistoryFile, history_path
from ticker.history.reading import NO_BARS, read_bars
from ticker.net.clocks import wall_clock
from ticker.net.http1 import Refusal
from ticker.server.feed_channel import FeedSink, FeedState, RestoredBars

T = TypeVar("T")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.history")


class BarHistory:
    """The history of one service."""

    def __init__(
        self,
        cache: LastValueCache,
        settings: History,
        tables: Tables,
        messages: FeedSink,
        *,
        only_reads: bool = False,
    ) -> None:
        """`messages` goes to the publisher. With `only_reads` another process loads and writes the bars."""
        self._only_reads = only_reads
        self._settings = settings
        self._cache = cache
        self._enabled = settings.enabled and bool(tables.periods and tables.bars)
        self._tables = tables
        self._messages = messages
        if self._enabled and not only_reads:
            cache.hold_estimates()
        self._file = HistoryFile(settings, tables.day)
        self._path: Path | None = None
        """The file, once it can be read."""
        self._waiting: dict[tuple[str, str, object], ChangedBar] = {}
        """Bars to be written, by symbol, period and start, in the order in which they changed first."""
        self._under_way = 0
        """Number of bars that are being written."""
        self._only_here: set[tuple[str, str]] = set()
        """Symbols and periods of which bars wait that the cache does not have any more."""
        self._attempted = trio.Event()
        """Set after the next attempt to write."""
        self._loaded = trio.Event()
        """Set once bars can be written, or never will be."""
        self._turn = trio.Lock()
        self._thread, self._readers = trio.CapacityLimiter(1), trio.CapacityLimiter(MAX_HISTORY_READERS)
        self._reads = 0
        self._next_try = self._next_prune = -math.inf
        self._failing = self._dropping = self._refill = False
        self._last: dict[tuple[str, str], int] = {}
        """The start of the last bar in the file when it was loaded, by symbol and period."""
        self.written = 0
        """Number of bars written, each time they were."""
        self.lost = 0
        """Number of bars that were dropped."""
        self.failures: Counter[str] = Counter()
        """Numbers of failed attempts to write or to read, by cause."""
        self.file_bytes = 0
        """Size of the file and its log at the latest write."""

    def __repr__(self) -> str:
        return f"<BarHistory in {self._path}: {self.written} bars written, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """Number of bars that wait to be written."""
        return len(self._waiting) + self._under_way

    @property
    def writes(self) -> bool:
        """Whether this service writes the file."""
        return self._file.writes

    async def run(self) -> None:
        """Load the bars, and write those that change, until cancelled; or do nothing if it is switched off."""
        if not self._enabled or self._only_reads:
            self._path = history_path(self._settings) if self._enabled else None
            self._loaded.set()
            return
        self._cache.keep_changed_bars(self._take_displaced)
        try:
            loaded = await self._load()
            await self._messages.send((_FEED, RestoredBars("", "", 0, 0, (), trio.Event())))
            self._loaded.set()
            if loaded:
                await self._keep()
        except Exception:  # noqa: BLE001  # whatever it is, prices go on without a history
            self.failures["fault of code"] += 1
            _log.exception("the history has failed: candles are not kept any more")
        finally:
            self._loaded.set()
            self._cache.keep_changed_bars(None)
            self._waiting.clear()
            self._only_here.clear()
            if not self._thread.borrowed_tokens:  # no thread is at work in it
                self._file.close()

    async def loaded(self) -> None:
        """Wait until bars can be written, for a limited time: a file that is slow to open costs a quick stop nothing.

        The publisher has to run meanwhile, since it restores what is loaded.
        """
        with trio.move_on_after(HISTORY_FINISH_SECONDS):
            await self._loaded.wait()

    async def finish(self) -> None:
        """Write what has changed since the last time, as far as there is time for it."""
        with trio.move_on_after(HISTORY_FINISH_SECONDS):
            if self._file.writes:
                await self._take()
                await self._write()

    async def older(self, symbol: str, period: str, before: int, most: int) -> Bars:
        """Return the latest bars in the file that start before this time, in seconds. Raises `Refusal`."""
        if not self._enabled:
            return NO_BARS
        if self._reads >= MAX_HISTORY_READS:
            raise _unavailable("too many requests for older bars wait already")
        self._reads += 1
        try:
            with trio.move_on_after(HISTORY_READ_SECONDS):
                if self._path is None:
                    await self._loaded.wait()
                if self._path is None:
                    return NO_BARS
                await self._written(symbol, period)
                name = (symbol, period, self._tables.day)
                return await _in_thread(self._readers, read_bars, self._path, name, before, most)
            raise _unavailable("the file of the history does not answer")
        except HistoryFault as fault:
            self.failures[fault.cause] += 1
            raise _unavailable(f"the history cannot be read now ({fault.cause})") from None
        finally:
            self._reads -= 1

    async def _written(self, symbol: str, period: str) -> None:
        """Wait until no bars of a symbol and period wait that are nowhere else: an answer would lack them unsaid."""
        while (symbol, period) in self._only_here:
            if self._failing:
                raise _unavailable("the history cannot be written now, and bars of that time wait for it")
            await self._attempted.wait()

    async def _keep(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fill, self._cache.bars_since(self._last))
            while True:
                await trio.sleep(HISTORY_WRITE_SECONDS)
                await self._take()
                if self._refill:
                    self._refill = False
                    nursery.start_soon(self._fill, self._cache.all_bars())
                if not self._turn.locked() and trio.current_time() >= self._next_try:
                    nursery.start_soon(self._write)

    # Loading

    async def _load(self) -> bool:
        """Load the latest bars; return whether the file can be written to, now or later."""
        loaded = 0
        try:
            self._path = await self._blocking(self._file.open)
            self._report_moved()
            series = await self._blocking(self._file.series)
            known = [each for each in series if each.period in self._tables.periods]
            most = max(self._tables.bars, default=0)
            for at in range(0, len(known), SERIES_PER_LOAD):
                piece = known[at : at + SERIES_PER_LOAD]
                for each, bars in zip(piece, await self._blocking(self._file.latest, piece, most), strict=True):
                    await self._restore(each.symbol, each.period, bars)
                    loaded += len(bars.rows)
                    if bars.rows and isinstance(start := bars.rows[-1][0], int):
                        self._last[each.symbol, each.period] = start
        except HistoryFault as fault:
            self.failures[fault.cause] += 1
            if not (self._file.writes and fault.cause in MOVED and await self._moved_aside(fault)):
                _log.warning("no history in this run: candles begin now, and are not kept", cause=str(fault))
                return False
            return True
        if self._file.writes:
            _log.info("candles are kept", file=str(self._path), loaded=loaded)
        else:
            text = "another service writes the history: this one only reads it"
            _log.warning(text, file=str(self._path), loaded=loaded)
        return True

    async def _restore(self, symbol: str, period: str, bars: Bars) -> None:
        """Have the publisher put bars into the cache, and wait until it has: nothing may be written before."""
        for at in range(0, len(bars.rows), RESTORED_PER_STEP):
            rows = bars.rows[at : at + RESTORED_PER_STEP]
            restored = RestoredBars(symbol, period, bars.price_scale, bars.size_scale, rows, trio.Event())
            await self._messages.send((_FEED, restored))
            await restored.done.wait()

    # Writing

    async def _take(self) -> None:
        """Take the bars that have changed, in steps."""
        for bars in self._cache.take_changed_bars(BARS_PER_STEP):
            self._add(bars)
            await trio.lowlevel.checkpoint()

    def _take_displaced(self, bars: Sequence[ChangedBar]) -> None:
        """Take bars that the cache has no room for."""
        self._only_here.update((symbol, period) for symbol, period, *_ in bars)
        self._add(bars)

    def _add(self, bars: Iterable[ChangedBar]) -> None:
        """Have bars wait; of too many, the oldest are dropped."""
        self._waiting.update(((bar[0], bar[1], bar[4][0]), bar) for bar in bars)
        self._bound()

    def _bound(self) -> None:
        waiting = self._waiting
        excess = len(waiting) - MAX_WAITING_BARS
        if excess > 0:
            for key in list(islice(waiting, excess)):
                del waiting[key]
            self.lost += excess
            if not self._dropping:
                self._dropping = True
                text = "bars that wait for the history are dropped, the oldest first; further ones are only counted"
                _log.warning(text, waiting=len(waiting))

    async def _write(self) -> None:
        """Write the bars that wait; after a failure they wait on."""
        async with self._turn:
            try:
                await self._write_waiting()
            finally:
                self._attempted.set()
                self._attempted = trio.Event()

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch = {key: self._waiting.pop(key) for key in list(islice(self._waiting, BARS_PER_TRANSACTION))}
            self._under_way = len(batch)
            try:
                if not await self._blocking(self._file.reopen):
                    self._waiting.clear()  # the other service writes them itself
                    self._delay()
                    break
                await self._blocking(self._store, list(batch.values()))
            except HistoryFault as fault:
                self._waiting = batch | self._waiting
                self._bound()
                self.failures[fault.cause] += 1
                if fault.cause not in MOVED or not await self._moved_aside(fault):
                    self._report_failure(fault)
                self._delay()
                return
            else:
                self._report_success(len(batch))
            finally:
                self._under_way = 0
        self._only_here.clear()

    def _store(self, bars: Sequence[ChangedBar]) -> None:
        """Write bars, in the thread; delete old ones now and then."""
        now = wall_clock() // 1_000_000
        self._file.write(bars, now)
        if now >= self._next_prune:
            self._file.prune(now)
            self._next_prune = now + HISTORY_PRUNE_SECONDS
        self.file_bytes = self._file.size()

    async def _moved_aside(self, fault: HistoryFault) -> bool:
        """Move the file aside and begin a new one; return whether that worked."""
        try:
            await self._blocking(self._file.move_aside, fault)
        except HistoryFault as further:
            self.failures[further.cause] += 1
            return False
        self._report_moved()
        self._refill = True
        return True

    async def _fill(self, bars_in_memory: Iterable[Sequence[ChangedBar]]) -> None:
        """Have bars written that the file does not have."""
        for bars in bars_in_memory:
            self._add(bars)
            while self.waiting > MAX_WAITING_BARS // 2:  # noqa: ASYNC110  # the writer goes by the clock, too
                await trio.sleep(HISTORY_WRITE_SECONDS)
            await trio.lowlevel.checkpoint()

    def _delay(self) -> None:
        self._next_try = trio.current_time() + HISTORY_RETRY_SECONDS

    async def _blocking(self, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  # those of the function
        """Return the result of a function, in the history's one thread."""
        return await _in_thread(self._thread, function, *arguments)

    # The log

    def _report_moved(self) -> None:
        cause, self._file.moved_for = self._file.moved_for, ""
        if cause:
            _log.warning("a new history was begun", cause=cause, moved_to=str(self._file.moved_to or "nowhere"))

    def _report_failure(self, fault: HistoryFault) -> None:
        if not self._failing:
            self._failing = True
            text = "the history cannot be written: bars wait in memory, and further attempts follow"
            _log.warning(text, cause=str(fault), retry_seconds=HISTORY_RETRY_SECONDS)

    def _report_success(self, count: int) -> None:
        self.written += count
        if self._failing:
            _log.info("the history is written again", lost=self.lost)
        self._failing = self._dropping = False


_FEED = FeedState("history")
"""The sender of what was loaded."""


async def _in_thread(limiter: trio.CapacityLimiter, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401
    """Return the result of a function; when cancelled, at once, whatever the file system does with its thread."""
    return await trio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True, limiter=limiter)


def _unavailable(text: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, Retry_After="5")

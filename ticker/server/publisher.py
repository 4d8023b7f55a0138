"""From the feeds to every client in one task, so that order needs no locks.

Each pass takes the messages that wait in the channel, applies them to the cache, closes a cut and has the hub send it.
Meanwhile the channel fills: under load cuts grow by themselves, and the service sends fewer and fuller frames. Between
two groups of audiences a long pass folds in new messages, too. Groups that had their turn get those in the next pass,
which follows at once, so no price waits longer than one pass over all clients takes.

Idle clients get a heartbeat from here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import structlog
import trio

from ticker.bounds import STALE_PER_MESSAGE
from ticker.config import Limits
from ticker.core.field_reading import Unusable
from ticker.core.hub import Hub
from ticker.core.record import Source
from ticker.core.tables.instrument_tables import Dropped
from ticker.errors import BadPublication, count_cause
from ticker.market import Levels, Publication, Reason, Trade, Update
from ticker.net.clocks import hub_time, wall_clock
from ticker.server.feed_channel import DATA, FeedMessage, FeedState, MarkSilent, MarkStale, RestoredBars, batch_of
from ticker.texts import shown

_CHECKS_PER_HEARTBEAT = 4
"""Idle clients are looked for so often in a heartbeat interval: a heartbeat is late by at most a quarter of it."""

_LEVELS = 10
"""So many price levels take as long as an update."""

_OF_FIELDS = {Update, Trade}
"""Publications with new values of an instrument's fields."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.publisher")


class DelayHistogram:
    """Numbers of delays up to each bound, in seconds; the last number is those beyond all bounds."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<DelayHistogram: {sum(self.counts)} delays, {self.total:.6f} s in all>"

    def add(self, seconds: float) -> None:
        """Count a delay."""
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total += seconds


class Publisher:
    """The one task that writes to the cache and sends data."""

    def __init__(self, hub: Hub, limits: Limits, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` gives the time stamped on cuts, in microseconds since 1970 UTC."""
        self._hub = hub
        self._limits = limits
        self._clock = clock
        self._received: int | None = None
        """Receipt of the oldest publication that was not yet written to every ready client, on the hub's clock."""
        self.applied = 0
        """Number of publications applied, and of those refused. Each feed counts the causes."""
        self.refused = 0
        self.delays = DelayHistogram()
        """From the receipt of a cut's first publication until it was written to the last ready client."""

    def __repr__(self) -> str:
        return f"<Publisher at cut {self._hub.cache.cut}: {self.applied} applied, {self.refused} refused>"

    async def run(self, messages: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Publish until cancelled, or until every sender has closed the channel and all is sent."""
        hub, idle_us = self._hub, int(self._limits.heartbeat_seconds * 1_000_000)
        next_beat = hub_time() + idle_us
        refresh = partial(self._fold_waiting, messages)
        while True:
            if self._received is not None:
                await trio.lowlevel.checkpoint()  # other tasks run between two passes, even if nothing was written
                refresh()
            else:
                due = min(next_beat, hub.next_due() or next_beat)
                with trio.move_on_at(due / 1_000_000):
                    try:
                        self._fold(messages, await messages.receive())
                    except trio.EndOfChannel:
                        if hub.next_due() is None:
                            return
                        await trio.sleep(math.inf)
            now = hub_time()
            if now >= next_beat:
                self._hub.cache.close_cut(self._clock())  # a crossed book becomes stale although nothing comes
            received, self._received = self._received, None
            await _yield_between(hub.publish(now, refresh))
            if received is not None:
                self.delays.add((hub_time() - received) / 1_000_000)
            if now >= next_beat:
                next_beat = now + idle_us // _CHECKS_PER_HEARTBEAT
                await _yield_between(hub.heartbeat(now, idle_us))

    def _fold_waiting(self, messages: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Fold the waiting messages, if there are any, into one cut."""
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            self._fold(messages, messages.receive_nowait())

    def _fold(self, messages: trio.MemoryReceiveChannel[FeedMessage], message: FeedMessage) -> None:
        """Fold this message and those that wait behind it into one cut."""
        self._received = self._received or hub_time()
        room, tables = self._limits.updates_per_cut, self._hub.cache.tables
        while True:
            levels = tables.levels
            feed_state, item = message
            if isinstance(item, MarkStale):
                self._mark(item, feed_state)
                room -= STALE_PER_MESSAGE
                item.done.set()
            elif type(item) is RestoredBars:
                self._restore(item)
                room -= len(item.rows)
            else:
                batch = batch_of(item)
                feed_state.publications += len(batch)
                for publication in batch:
                    self._apply(publication, feed_state)
                room -= len(batch)
            room -= (tables.levels - levels) // _LEVELS
            if room <= 0:
                break
            try:
                message = messages.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        self._hub.cache.close_cut(self._clock())
        for source, dropped in tables.take_dropped().items():
            self._note_dropped(source, dropped)

    def _restore(self, bars: RestoredBars) -> None:
        if bars.symbol:
            self._hub.cache.restore_bars(bars.symbol, bars.period, bars.price_scale, bars.size_scale, bars.rows)
        else:
            self._hub.cache.release_estimates()
        bars.done.set()

    def _apply(self, publication: Publication, feed_state: FeedState) -> None:
        try:
            unusable = self._hub.cache.publish(publication, feed_state)
        except BadPublication as error:
            self._refuse(publication, error.cause, str(error), feed_state)
        except Exception as error:  # noqa: BLE001  # a publication is a feed's own object and can fail in any way
            cause = f"{type(error).__name__} while it was read"
            self._refuse(publication, cause, f"{cause}: {shown(error)}", feed_state)
            if type(publication) is Levels:
                self._mark_book_stale(publication, feed_state)
        else:
            self.applied += 1
            if type(publication) in DATA:
                feed_state.data_at = self._received
            if unusable:
                self._note_unusable(unusable, feed_state)
            symbols, symbol = feed_state.symbols, publication.symbol
            symbols[symbol] = symbols.get(symbol, 0) + (type(publication) in _OF_FIELDS)
            if type(publication) is Levels:
                feed_state.levels[symbol] = feed_state.levels.get(symbol, 0) + 1

    def _mark(self, item: MarkStale, feed_state: FeedState) -> None:
        for symbol in item.symbols_of(feed_state):
            if isinstance(item, MarkSilent):
                record = self._hub.cache.instrument(symbol)
                if record is not None:
                    self._hub.cache.mark_silent(record, feed_state, item.reason, book=item.books)
            else:
                self._mark_stale(symbol, item.reason, feed_state)

    def _mark_stale(self, symbol: str, reason: str, feed_state: FeedState) -> None:
        record = self._hub.cache.instrument(symbol)
        if record is not None:
            self._hub.cache.mark_stale(record, feed_state, reason)

    def _mark_book_stale(self, levels: Levels, feed_state: FeedState) -> None:
        symbol: object = levels.symbol
        record = self._hub.cache.instrument(symbol) if isinstance(symbol, str) else None
        if record is not None:
            self._hub.cache.tables.mark_stale(record, feed_state, Reason.BAD_DATA)

    def _note_unusable(self, unusable: Sequence[Unusable], feed_state: FeedState) -> None:
        for cause, detail in unusable:
            if count_cause(feed_state.refusals, cause):
                text = "part of an update left out; others like it are only counted"
                _log.warning(text, feed=feed_state.name, cause=detail)

    def _note_dropped(self, source: Source, dropped: Dropped) -> None:
        """Count each bar of a feed that began too far ahead; those of the history are nobody's."""
        if isinstance(source, FeedState):
            self._note_unusable([Unusable("bars from far ahead", dropped.detail)] * dropped.bars, source)

    def _refuse(self, publication: object, cause: str, detail: str, feed_state: FeedState) -> None:
        self.refused += 1
        if type(publication) is Update and isinstance(publication.symbol, str):
            # Whatever it was to say: nothing that the feed said before can be taken for current.
            self._mark_stale(publication.symbol, Reason.BAD_DATA, feed_state)
        if count_cause(feed_state.refusals, cause):
            _log.warning("publication refused; others like it are only counted", feed=feed_state.name, cause=detail)


async def _yield_between(steps: Iterator[None]) -> None:
    """Let other tasks run between the hub's bursts of writes."""
    for _ in steps:
        await trio.lowlevel.checkpoint()

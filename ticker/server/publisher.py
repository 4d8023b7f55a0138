"""From the feeds' channel to every client: one task, so that order needs no locks.

Each pass takes what waits in the channel, applies it to the cache, closes a cut and has the hub send it. While a pass
is sending, the channel fills; so under load cuts grow by themselves, and the service sends fewer and fuller frames. A
long pass takes what has come between two groups of audiences, too: those who had their turn get that in the next pass,
which follows at once, and nobody's price waits for longer than it takes to send to everybody else.

Nobody is shown a frozen price as if it were live: the instruments of a feed that is down, and one of which an update
was refused, get the status `stale` with the reason. The next good update makes them `live`, unless it says otherwise.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
import trio

from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.errors import BadPublication, count_cause
from ticker.market import Instrument, Publication, Update, Value, is_symbol, shown
from ticker.net.clocks import hub_time, wall_clock
from ticker.server.feed_channel import FeedMessage, FeedState, MarkStale

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.publisher")


class DelayHistogram:
    """A histogram: how many delays were at most so long, in seconds."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total += seconds


class Publisher:
    """The one task that writes to the cache and sends data."""

    def __init__(self, hub: Hub, limits: Limits, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` gives the time that cuts are stamped with, in microseconds since 1970 UTC."""
        self._hub = hub
        self._limits = limits
        self._clock = clock
        self._received: int | None = None
        """When the first publication came that has not been written to every ready client."""
        self._causes: Counter[str] = Counter()
        self._stale: set[str] = set()
        self.applied = 0
        """Publications that were applied, and that were refused."""
        self.refused = 0
        self.delays = DelayHistogram()
        """From the receipt of a cut's first publication until it was written to the last ready client."""

    async def run(self, messages: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Publish until cancelled, or until every sender has closed the channel and all is sent."""
        hub, idle_us = self._hub, int(self._limits.heartbeat_seconds * 1_000_000)
        next_beat = hub_time() + idle_us
        refresh = partial(self._fold_waiting, messages)
        while True:
            if self._received is not None:
                await trio.lowlevel.checkpoint()  # whatever waits for its turn, even where nothing had to be written
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
            received, self._received = self._received, None
            await _yield_between(hub.publish(now, refresh))
            if received is not None:
                self.delays.add((hub_time() - received) / 1_000_000)
            if now >= next_beat:
                # Looking four times per interval, an idle client waits for its sign of life at most a quarter longer.
                next_beat = now + idle_us // 4
                await _yield_between(hub.heartbeat(now, idle_us))

    def _fold_waiting(self, messages: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Fold what waits, if anything does."""
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            self._fold(messages, messages.receive_nowait())

    def _fold(self, messages: trio.MemoryReceiveChannel[FeedMessage], message: FeedMessage) -> None:
        """Fold this message and what waits behind it into one cut."""
        self._received = self._received or hub_time()
        room = self._limits.updates_per_cut
        while True:
            source, item = message
            if type(item) is MarkStale:
                for symbol in item.symbols_of(source):
                    self._mark_stale(symbol, item.reason)
                room -= MarkStale.PART
                item.done.set()
            else:
                batch = _batch(item)
                source.publications += len(batch)
                for publication in batch:
                    self._apply(publication, source)
                room -= len(batch)
            if room <= 0:
                break
            try:
                message = messages.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        self._hub.cache.close_cut(self._clock())

    def _apply(self, publication: Publication, source: FeedState) -> None:
        try:
            self._hub.cache.publish(publication)
        except BadPublication as error:
            self._refuse(publication, str(error), source)
        except Exception as error:  # noqa: BLE001  # the publication is a feed's own object and can fail in any way
            self._refuse(publication, f"{type(error).__name__} while it was read: {shown(error)}", source)
        else:
            self.applied += 1
            if type(publication) is Instrument:
                source.symbols[publication.symbol] = None
            elif self._stale and publication.symbol in self._stale:
                self._revive(publication)

    def _mark_stale(self, symbol: str, reason: str) -> None:
        """What is known of an instrument is not live any more."""
        if self._hub.cache.find(symbol) is not None:
            self._stale.add(symbol)
            self._hub.cache.mark(symbol, {"status": "stale", "reason": reason})

    def _revive(self, publication: Publication) -> None:
        """A stale instrument has fresh values: unless these say what it is, it is live."""
        self._stale.discard(publication.symbol)
        fresh = publication.fields if type(publication) is Update else {}
        marks: dict[str, Value] = {"status": "live", "reason": None}
        self._hub.cache.mark(publication.symbol, {name: value for name, value in marks.items() if name not in fresh})

    def _refuse(self, publication: object, cause: str, source: FeedState) -> None:
        self.refused += 1
        if type(publication) is Update and is_symbol(publication.symbol):
            self._mark_stale(publication.symbol, "bad_data")
        if count_cause(self._causes, cause[:40]):
            _log.warning("publication refused; others like it are only counted", feed=source.name, cause=cause)


def _batch(item: object) -> Sequence[Any]:
    """What a feed sent, as a batch; whether it holds publications is for the cache to say."""
    return item if type(item) in {list, tuple} else (item,)  # type: ignore[return-value]  # an Update is a tuple as well


async def _yield_between(steps: Iterator[None]) -> None:
    """Let other tasks run between the hub's bursts of writes."""
    for _ in steps:
        await trio.lowlevel.checkpoint()

"""From the feeds into the cache.

The messages of feeds that wait are applied to one cut. Where the service serves clients itself, the cut is closed at
once and sent (`passes`). A source on a bus leaves that to its `leader`, and serves nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from ticker.server.leader import Leader
from ticker.server.passes import Passes
from ticker.texts import shown

_LEVELS = 10
"""So many price levels take as long as an update."""

_OF_FIELDS = {Update, Trade}
"""Publications with new values of an instrument's fields."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.publisher")


class Publisher(Passes[FeedMessage]):
    """Writes what feeds publish to the cache, and has it sent."""

    def __init__(self, hub: Hub, limits: Limits, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` gives the time stamped on cuts, in microseconds since 1970 UTC."""
        super().__init__(hub, limits)
        self._clock = clock

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
                self._apply(batch, feed_state)
                room -= len(batch)
            room -= (tables.levels - levels) // _LEVELS
            if room <= 0:
                break
            try:
                message = messages.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        self._close_cut()

    def _close_cut(self) -> None:
        self._hub.cache.close_cut(self._clock())
        self._note_dropped_bars()

    def _note_dropped_bars(self) -> None:
        for source, dropped in self._hub.cache.tables.take_dropped().items():
            self._note_dropped(source, dropped)

    def _restore(self, bars: RestoredBars) -> None:
        if bars.symbol:
            self._hub.cache.restore_bars(bars.symbol, bars.period, bars.price_scale, bars.size_scale, bars.rows)
        else:
            self._hub.cache.release_estimates()
        bars.done.set()

    def _apply(self, batch: Sequence[Publication], feed_state: FeedState) -> None:
        publish, symbols = self._hub.cache.publish, feed_state.symbols
        for publication in batch:
            try:
                unusable = publish(publication, feed_state)
            except BadPublication as error:
                self._refuse(publication, error.cause, str(error), feed_state)
                continue
            except Exception as error:  # noqa: BLE001  # a publication is a feed's own object and can fail in any way
                cause = f"{type(error).__name__} while it was read"
                self._refuse(publication, cause, f"{cause}: {shown(error)}", feed_state)
                if type(publication) is Levels:
                    self._mark_book_stale(publication, feed_state)
                continue
            self.applied += 1
            kind, symbol = type(publication), publication.symbol
            if kind in DATA:
                feed_state.data_at = self._received
            if unusable:
                self._note_unusable(unusable, feed_state, meant=symbol in feed_state.faulty_symbols)
            symbols[symbol] = symbols.get(symbol, 0) + (kind in _OF_FIELDS)
            if kind is Levels:
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

    def _note_unusable(self, unusable: Sequence[Unusable], feed_state: FeedState, *, meant: bool = False) -> None:
        for cause, detail in unusable:
            if count_cause(feed_state.refusals, cause) and not meant:
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


class SourcePublisher(Publisher):
    """Writes what feeds publish to the cache; its leader closes the cuts."""

    def __init__(self, hub: Hub, limits: Limits, leader: Leader) -> None:
        super().__init__(hub, limits)
        self._leader = leader
        leader.on_closed = self._note_dropped_bars

    async def run(self, messages: trio.MemoryReceiveChannel[FeedMessage]) -> None:
        """Apply what comes, until cancelled."""
        async for message in messages:
            self._fold(messages, message)
            await trio.lowlevel.checkpoint()

    def _close_cut(self) -> None:
        self._leader.note_changes()

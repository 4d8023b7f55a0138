"""Recording: a capture takes everything that a feed publishes, or that a running service sends.

Each publication is in the kernel's hands before the feed goes on, so a recorder that dies loses only the moment it was
writing. The recording shows the source as clients of a service would see it: while a feed is down or a connection is
lost, its instruments are `Stale`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

import trio

from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Event
from ticker.client.fields import by_name
from ticker.client.subscription import Change
from ticker.commands.recorded_tables import RecordedTables
from ticker.market import Instrument, Levels, Publication, Reason, Stale, Trade, Update, is_symbol
from ticker.net.clocks import wall_clock
from ticker.server.feed_channel import Applied, FeedMessage, FeedState, MarkSilent, MarkStale, batch_of
from ticker.server.feed_runner import FeedRunner
from ticker_feeds import Feed
from ticker_feeds.recordings import CaptureWriter, Moment

_NOT_RECORDED = {Reason.RECONNECTING, Reason.FEED_ENDED}
"""Reasons for which a feed's runner marks instruments stale that are left out: a recording tells why a feed failed, and
a replay ends by itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RESTORE_SECONDS = 0.05
"""Seconds between two looks at whether the copy of a service is complete again."""


class Tally:
    """Counts of a recording."""

    def __init__(self, writer: CaptureWriter) -> None:
        self.writer = writer
        self.moments = 0
        self.publications = 0

    def __repr__(self) -> str:
        return f"<Tally: {self.publications} publications in {self.moments} moments, to {self.writer.path}>"

    def write(self, time: int, publications: Sequence[Publication]) -> None:
        """Record a moment; the first one behind the mark that an earlier recording ended."""
        if not self.moments:
            self.writer.end_earlier_run()
        self.writer.write([Moment(time, publications)])
        self.moments += 1
        self.publications += len(publications)


async def record_feed(feed: Feed, tally: Tally) -> None:
    """Record a feed until it ends; it is run as in a service, and started again when it fails.

    Raises the error of a disk that takes nothing more.
    """
    with trio.CancelScope() as scope:
        sink = CaptureSink(tally, scope.cancel)
        await FeedRunner(FeedState(type(feed).__name__), feed, sink, sink.applied_of, max_batch=sys.maxsize).run()
    if sink.failure is not None:
        raise sink.failure


class CaptureSink:
    """Writes the messages of a feed to a capture: a message is written when `send` returns."""

    def __init__(self, tally: Tally, cancel: Callable[[], None]) -> None:
        """`cancel` ends the recording; it is called when nothing more can be written."""
        self.failure: Exception | None = None
        """The error of the capture, which is not the feed's fault."""
        self._tally = tally
        self._cancel = cancel
        self._values: Counter[str] = Counter()
        self._levels: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<CaptureSink of {self._tally!r}, failure: {self.failure!r}>"

    def applied_of(self, symbol: str) -> Applied:
        """Return the numbers of publications of an instrument that were recorded."""
        return Applied(self._values[symbol], self._levels[symbol])

    async def send(self, value: FeedMessage, /) -> None:
        """Record a publication, a batch as one moment, or a mark."""
        await trio.lowlevel.checkpoint()
        self.send_nowait(value)
        if self.failure is not None:
            await trio.sleep_forever()  # it was cancelled

    def send_nowait(self, value: FeedMessage, /) -> None:
        """Record a publication, a batch as one moment, or a mark."""
        feed_state, item = value
        if isinstance(item, MarkStale):
            # A recording has no word for values that are silent while the book goes on.
            left_out = item.reason in _NOT_RECORDED or (isinstance(item, MarkSilent) and not item.books)
            symbols = () if left_out else item.symbols_of(feed_state)
            marks = [Stale(symbol, item.reason) for symbol in symbols]
            if marks:
                self._write(marks)
            item.done.set()
        else:
            batch = batch_of(item)
            feed_state.publications += len(batch)
            self._write(batch)
            for publication in batch:
                self._note(publication, feed_state)

    def _note(self, publication: Publication, feed_state: FeedState) -> None:
        if type(publication) is Instrument:
            feed_state.symbols.setdefault(publication.symbol, 0)
        elif isinstance(publication, Update | Levels | Trade) and is_symbol(publication.symbol):
            feed_state.symbols.setdefault(publication.symbol, 0)
            (self._levels if type(publication) is Levels else self._values)[publication.symbol] += 1

    def _write(self, publications: Sequence[Publication]) -> None:
        if self.failure is not None:
            return  # nothing may follow half a moment
        try:
            self._tally.write(wall_clock(), publications)
        except Exception as error:  # noqa: BLE001  # whatever it is, the feed is not to be blamed for it
            self.failure = error
            self._cancel()


class Open(Protocol):
    """Connects to a service, as `ticker.connect` with all but `on_event` given."""

    def __call__(self, *, on_event: Callable[[Event], None]) -> AbstractAsyncContextManager[Client]:
        """Return the connected client."""


async def record_service(
    open_client: Open, names: Sequence[str], on_event: Callable[[Event], None], tally: Tally
) -> None:
    """Record these symbols and patterns of a running service; `on_event` is called with the events of the connection.

    Raises `ConnectionFailed` if another attempt would be of no use.
    """
    changes = _ChangeWriter(tally)

    def note(event: Event) -> None:
        on_event(event)
        changes.note(event)

    async with open_client(on_event=note) as client, trio.open_nursery() as nursery:
        nursery.start_soon(_restore, client, changes)
        async for change in client.subscribe(*names):
            changes.record(client, change)
        nursery.cancel_scope.cancel()


async def _restore(client: Client, changes: _ChangeWriter) -> None:
    while True:
        await trio.sleep(_RESTORE_SECONDS)
        changes.restore(client)


class _ChangeWriter:
    """Records the changes of a client's copy as publications.

    Without a connection every instrument is `Stale`; with the next one, each is recorded anew with all its values once
    they are current, and so is each book.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._declared: dict[str, Instrument] = {}
        self._stale: dict[str, None] = {}
        self._tables = RecordedTables()
        self._lost = False

    def note(self, event: Event) -> None:
        """Mark everything stale when the connection is lost."""
        if isinstance(event, Disconnected) and not self._lost:
            self._lost = True
            self._stale = dict.fromkeys(self._declared)
            self._tables.lose()
            symbols = dict.fromkeys([*self._declared, *sorted(self._tables.symbols)])
            self._write(wall_clock(), [Stale(symbol, Reason.RECONNECTING) for symbol in symbols])
        elif isinstance(event, Connected):
            self._lost = False

    def record(self, client: Client, change: Change) -> None:
        """Record a change: declarations of instruments that are new or have changed, then trades, values and rows.

        A trade brings `last`, and the bar that it changed is recorded as it is behind it.
        """
        declared: list[Publication] = []
        said: list[Publication] = []
        rows: list[Publication] = []
        for name, changed in change.changes.items():
            if " " in name:
                if not self._lost:
                    rows += self._tables.changed(name, by_name(changed), by_name(client.values(name)))
                continue
            instrument = client.instrument(name)
            if instrument is not None and instrument != self._declared.get(name):
                self._declared[name] = instrument
                declared.append(instrument)
            if self._lost:
                self._stale[name] = None  # it is from before
            elif name in self._stale:
                del self._stale[name]
                said.append(Update(name, by_name(client.values(name))))
            else:
                said.append(Update(name, by_name(changed)))
        trades = [each for each in rows if isinstance(each, Trade)]
        others = [each for each in rows if not isinstance(each, Trade)]
        self._write((change.time - _EPOCH) // timedelta(microseconds=1), [*declared, *trades, *said, *others])

    def restore(self, client: Client) -> None:
        """Record the values that did not change while the connection was lost, once the copy is complete again."""
        if self._lost or not client.complete:
            return
        symbols, self._stale = self._stale, {}
        values = {symbol: by_name(client.values(symbol)) for symbol in symbols}
        said: list[Publication] = [Update(symbol, fields) for symbol, fields in values.items() if fields]
        for name in self._tables.books():
            said += self._tables.whole(name, by_name(client.values(name)))
        self._write(wall_clock(), said)

    def _write(self, time: int, publications: Sequence[Publication]) -> None:
        if publications:
            self._tally.write(time, publications)

"""Recording: everything that a feed publishes, or that a running service says, goes into a capture as it comes.

Whatever was published is in the kernel's hands before the next thing is taken, so nothing is lost when the recorder
dies but what it was just writing. What happens to the source is recorded as clients of a service would see it: while a
feed is down or a connection is lost, the instruments are `stale`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
import trio

from ticker.client.client import Client, Connected, Disconnected, Event
from ticker.client.subscription import Change
from ticker.errors import sole
from ticker.market import FeedItem, Instrument, Publication, Update, Value
from ticker.net.clocks import wall_clock
from ticker_feeds import Feed
from ticker_feeds.recordings.capture import CaptureWriter, Moment

_RESTART_SECONDS = (0.5, 30.0)
"""The first and the longest wait before a feed that failed is started again."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_UNMARKED: Mapping[str, Value] = {"status": None, "reason": None}

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.commands.recorder")


class FeedSilent(Exception):
    """A feed sent nothing, not even a sign of life, for longer than it said it would."""


class Tally:
    """What was recorded so far."""

    def __init__(self, writer: CaptureWriter) -> None:
        self.writer = writer
        self.moments = 0
        self.publications = 0

    def write(self, time: int, publications: Sequence[Publication]) -> None:
        """Record a moment."""
        self.writer.write([Moment(time, publications)])
        self.moments += 1
        self.publications += len(publications)


async def record_feed(feed: Feed, tally: Tally) -> None:
    """Record a feed until it ends; one that fails is started again, after longer and longer waits."""
    tap, most = _Tap(tally), _RESTART_SECONDS[0]
    while True:
        began = trio.current_time()
        try:
            await _run_watched(feed, tap)
        except Exception as error:  # noqa: BLE001  # a feed is somebody's code; only writing must not fail
            if tap.failure is not None:
                raise tap.failure from None
            if trio.current_time() - began > _RESTART_SECONDS[1]:
                most = _RESTART_SECONDS[0]
            _log.error("feed failed", restart_within_seconds=most, exc_info=sole(error))
            tap.lapse("feed_silent" if _is_silence(error) else "feed_down")
            await trio.sleep(random.uniform(0, most))  # noqa: S311  # spread, not secret
            most = min(most * 2, _RESTART_SECONDS[1])
        else:
            if tap.failure is not None:
                raise tap.failure
            return


async def _run_watched(feed: Feed, tap: _Tap) -> None:
    silence: float | None = getattr(feed, "silence_seconds", None)
    async with trio.open_nursery() as nursery:
        if silence is not None:
            nursery.start_soon(_watch, tap, silence)
        await feed.run(tap)
        nursery.cancel_scope.cancel()


async def _watch(tap: _Tap, seconds: float) -> None:
    due = trio.current_time() + seconds
    while True:
        await trio.sleep_until(due)
        due = tap.heard + seconds
        if trio.current_time() >= due:
            raise FeedSilent(f"nothing came from it for {seconds:g} s, not even a sign of life")


def _is_silence(error: Exception) -> bool:
    return isinstance(sole(error), FeedSilent)


class _Tap(trio.abc.SendChannel[FeedItem]):
    """What a feed publishes with while it is recorded."""

    def __init__(self, tally: Tally) -> None:
        self.heard = trio.current_time()
        self.failure: Exception | None = None
        """Why nothing more can be written; that is no fault of the feed."""
        self._tally = tally
        self._symbols: dict[str, None] = {}
        self._stale: set[str] = set()

    async def send(self, value: FeedItem) -> None:
        """Record a publication, or a batch as one moment."""
        await trio.lowlevel.checkpoint()
        self.heard = trio.current_time()
        # An update is a tuple as well, so the type itself counts; whether it holds publications, the capture says.
        batch = value if type(value) in {list, tuple} else [value]
        self._write(self._revived(batch))  # type: ignore[arg-type]  # see above

    async def aclose(self) -> None:
        """Nothing: the feed's end is told by `run`."""
        await trio.lowlevel.checkpoint()

    def lapse(self, reason: str) -> None:
        """The feed is gone: what it declared is not live."""
        self._stale.update(self._symbols)
        self._write([Update(symbol, {"status": "stale", "reason": reason}) for symbol in self._symbols])

    def _write(self, publications: Sequence[Publication]) -> None:
        try:
            self._tally.write(wall_clock(), publications)
        except Exception as error:
            self.failure = error
            raise

    def _revived(self, batch: Sequence[Publication]) -> list[Publication]:
        """The batch, in which instruments that were stale are live again where it says nothing else."""
        complete: list[Publication] = []
        for publication in batch:
            complete.append(publication)
            if type(publication) is Instrument:
                self._symbols[publication.symbol] = None
            elif self._stale and type(publication) is Update and publication.symbol in self._stale:
                self._stale.discard(publication.symbol)
                complete.append(Update(publication.symbol, _live(publication)))
        return complete


def _live(update: Update) -> dict[str, Value]:
    marks: dict[str, Value] = {"status": "live", "reason": None}
    return {name: value for name, value in marks.items() if name not in update.fields}


class Open(Protocol):
    """Connects to a service, as `ticker.connect` with all but `on_event` given."""

    def __call__(self, *, on_event: Callable[[Event], None]) -> AbstractAsyncContextManager[Client]:
        """The client, connected."""


async def record_service(open_client: Open, names: Sequence[str], tell: Callable[[Event], None], tally: Tally) -> None:
    """Record what a running service says of these symbols and patterns; `tell` is told what happens on the way.

    Raises `ConnectionFailed` where it is of no use to try again.
    """
    witness = _Witness(tally)

    def happened(event: Event) -> None:
        tell(event)
        witness.happened(event)

    async with open_client(on_event=happened) as client:
        async for change in client.subscribe(*names):
            witness.record(client, change)


class _Witness:
    """What a client sees, as publications."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._declared: dict[str, Instrument] = {}
        self._marks: dict[str, dict[str, Value]] = {}
        """The status and reason of each instrument."""
        self._lost = False

    def happened(self, event: Event) -> None:
        """While there is no connection, nothing is known to be live; afterwards, it is again what it was."""
        if isinstance(event, Disconnected) and not self._lost:
            self._lost = True
            self._mark({symbol: {"status": "stale", "reason": "reconnecting"} for symbol in self._declared})
        elif isinstance(event, Connected) and self._lost:
            self._lost = False
            if not event.resumed:
                self._marks.clear()  # they will be told anew
            self._mark({symbol: {**_UNMARKED, **self._marks.get(symbol, {})} for symbol in self._declared})

    def record(self, client: Client, change: Change) -> None:
        """A change: each instrument is declared before its first one, and again when its definition has changed."""
        publications: list[Publication] = []
        for symbol, fields in change.changes.items():
            instrument = client.instrument(symbol)
            if instrument is not None and instrument != self._declared.get(symbol):
                self._declared[symbol] = instrument
                publications.append(instrument)
            marks = {name: value for name, value in fields.items() if name in _UNMARKED}
            if marks:
                self._marks.setdefault(symbol, {}).update(marks)
            publications.append(Update(symbol, fields))
        self._tally.write((change.time - _EPOCH) // timedelta(microseconds=1), publications)

    def _mark(self, marks: Mapping[str, Mapping[str, Value]]) -> None:
        self._tally.write(wall_clock(), [Update(symbol, fields) for symbol, fields in marks.items()])

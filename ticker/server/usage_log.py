"""The usage log of a running service: what each client sees is noted when that changes, and written by a thread.

The rules:

1. A connection sees all instruments and tables of its audience, as soon as it is subscribed. So a line is due where it
   moves to another audience, and where instruments join one: nothing happens per price.
2. Connections with the same names and entitlement share a *view*, a numbered set that grows as instruments join. A view
   that nobody has any more is remembered for a while: clients that come back cost no names.
3. Requests over HTTP are connections of their own: one for all those of a sender with less than a minute between them,
   with a view of its own.
4. What was lost, because the disk took nothing for too long, is said in the log, the metrics and the readiness, and in
   the next file, which begins with all that is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
import trio

from ticker.bounds import (
    USAGE_ALIVE_SECONDS,
    USAGE_CHECK_SECONDS,
    USAGE_FINISH_SECONDS,
    USAGE_HTTP_SECONDS,
    USAGE_STALL_SECONDS,
)
from ticker.config import Usage
from ticker.core.audiences import Audience, Subscriber
from ticker.core.hub import Hub
from ticker.core.record import MarketRecord
from ticker.door.sender import Sender
from ticker.net.clocks import wall_clock
from ticker.server.usage_views import HttpReaders, Views, opened
from ticker.usage.events import Alive, Closed, Event, Names, NewFile, Opened, Sees, Stop, ViewChange
from ticker.usage.lines import EVERYTHING, NO_VIEW
from ticker.usage.writer import UsageWriter

_DAY_US = 86_400_000_000


_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.usage")


class UsageLog:
    """The usage log of one market."""

    def __init__(self, settings: Usage, clock: Callable[[], int] = wall_clock, *, delayed: bool = False) -> None:
        """`clock` returns microseconds since 1970 UTC. `delayed` is what all see that is noted here."""
        self._delayed = delayed
        self._records: Sequence[MarketRecord] = ()
        self._settings = settings
        self._clock = clock
        self._time = 0
        self.writer = UsageWriter(settings, lambda number: self._records[number].symbol)
        self._views = Views(self._put)
        self._readers = HttpReaders(self._put, self._views, delayed=delayed)
        self._connections: dict[Subscriber, tuple[Opened, int, bool]] = {}
        """Each connection with its view, and whether that is delayed."""
        self._followers: dict[object, Opened] = {}
        self._everything: int | None = None
        """The view of those, once there was one."""
        self._began = 0
        """When the present file began, and the number of files that were asked for."""
        self._files = 1
        self._alive_at = self._moved_at = 0.0
        self._done = 0
        self._said = ""
        self._over = False
        self._losing = False
        self._lost = self._lost_since = 0
        self.lost = 0
        """Number of events that are in no file."""

    def __repr__(self) -> str:
        return f"<UsageLog of {len(self._connections)} connections: {self.writer!r}>"

    @property
    def failing(self) -> str:
        """Why lines are not written now; empty if they are."""
        if self.writer.failure:
            return self.writer.failure
        if self._losing:
            return "events were lost, and there is no new file yet"
        stalled = self.writer.waiting > 0 and trio.current_time() - self._moved_at >= USAGE_STALL_SECONDS
        return "the disk does not answer" if stalled else ""

    async def begin(self) -> None:
        """Make the first file. Raises `ConfigError`."""
        self._began = self._now()
        await trio.to_thread.run_sync(self.writer.begin, NewFile(self._began))

    def begin_later(self) -> None:
        """Have the first file made once there is room for it: until then, what is noted waits."""
        self._began = self._now()
        self.writer.put(NewFile(self._began), beyond=True)

    def watch(self, hub: Hub) -> None:
        """Have all that its subscribers see noted from now on."""
        self._records = hub.cache.records
        hub.index.observer = self

    async def run(self) -> None:
        """Have what is noted written, until cancelled."""
        self.writer.start()
        _log.info("the usage of clients is logged", folder=str(self.writer.folder), run=self.writer.run)
        self._alive_at = self._moved_at = trio.current_time()
        try:
            while True:
                await trio.sleep(USAGE_CHECK_SECONDS)
                self._check()
        finally:
            self.writer.finish(0)

    async def finish(self) -> None:
        """Write what waits, and the end of all connections, as far as there is time for it."""
        self._put(Stop(self._now()))
        self._over = True
        await trio.to_thread.run_sync(self.writer.finish, USAGE_FINISH_SECONDS)
        if self._losing or self.writer.unwritten or self.writer.waiting:
            self.lost += self.writer.unwritten
            _log.error("the end of the usage log could not be written", cause=self.failing, lost=self.lost)

    # What clients do

    def opened(self, subscriber: Subscriber, session: str, sender: Sender, transport: str) -> None:
        """Note a new connection."""
        event = opened(self._now(), session, sender, transport)
        self._connections[subscriber] = event, NO_VIEW, self._delayed
        self._put(event)

    def moved(self, subscriber: Subscriber) -> None:
        """Note that a connection has other subscriptions now."""
        if subscriber not in self._connections:
            return
        event, former, delayed = self._connections[subscriber]
        at = self._now()
        view = self._views.enter(subscriber.audience, former, at)
        if view != former:
            self._connections[subscriber] = event, view, delayed
            self._put(Sees(at, event.session, view, delayed))
        self._views.leave(former)

    def joined(self, audience: Audience, bits: int) -> None:
        """Note that instruments or tables appear in the view of an audience."""
        self._views.join(audience, bits, self._now())

    def closed(self, subscriber: Subscriber) -> None:
        """Note the end of a connection."""
        event, view, _ = self._connections.pop(subscriber)
        self._views.leave(view)
        self._put(Closed(self._now(), event.session))

    def shown(self, sender: Sender, names: Sequence[str]) -> None:
        """Note what an answer over HTTP shows."""
        self._readers.shown(sender, names, self._now())

    def followed(self, connection: object, session: str, sender: Sender, transport: str) -> None:
        """Note another ticker that follows: it gets everything, of all times to come."""
        event = opened(self._now(), session, sender, transport)
        if self._everything is None:
            self._everything = self._views.new_number()
            self._put(ViewChange(event.at, self._everything, EVERYTHING))
        self._followers[connection] = event
        self._put(event)
        self._put(Sees(event.at, session, self._everything, self._delayed))

    def unfollowed(self, connection: object) -> None:
        """Note that it follows no more."""
        self._put(Closed(self._now(), self._followers.pop(connection).session))

    # What time does

    def _now(self) -> int:
        """Return the time, which does not go backwards within a run."""
        self._time = max(self._time, self._clock())
        return self._time

    def _put(self, event: Event) -> None:
        """Have an event written, unless some were lost: those behind them would be misunderstood."""
        if self._over or (not self._losing and self.writer.put(event)):
            return
        if not self._losing:
            self._losing, self._lost_since = True, event.at
            _log.error("the usage log is not written in time: events are lost", waiting_bytes=self.writer.waiting)
        self._lost += 1
        self.lost += 1

    def _check(self) -> None:
        now, writer = trio.current_time(), self.writer
        if writer.done != self._done or not writer.waiting:
            self._done, self._moved_at = writer.done, now
        self._report()
        if self._losing:
            if not writer.waiting:
                _log.warning("the usage log goes on in a new file", lost=self._lost)
                self._begin_file()
        elif self._file_is_over():
            self._begin_file()
        self._readers.end_idle(now - USAGE_HTTP_SECONDS, self._now())
        if now - self._alive_at >= USAGE_ALIVE_SECONDS:
            self._alive_at = now
            self._put(Alive(self._now()))

    def _report(self) -> None:
        """Log a failure once, and its end."""
        failing = self.failing
        if failing and not self._said:
            _log.error("the usage log cannot be written; the service is not ready", cause=failing)
        elif self._said and not failing:
            _log.info("the usage log is written again", lost=self.lost)
        self._said = failing
        if self.writer.deleted:
            deleted, self.writer.deleted = self.writer.deleted, []
            _log.info("old files of the usage log were deleted", count=len(deleted), first=deleted[0], last=deleted[-1])

    def _file_is_over(self) -> bool:
        writer = self.writer
        if writer.parts < self._files:
            return False
        if writer.vanished:
            _log.error("the file of the usage log was deleted by somebody else: a new one begins")
            return True
        # What it repeats of others may be large: then so is what follows, or files would hold little else.
        full = writer.file_bytes - writer.head_bytes >= max(self._settings.max_bytes, writer.head_bytes)
        return full or self._now() // _DAY_US != self._began // _DAY_US

    def _begin_file(self) -> None:
        self._began = at = self._now()
        self._readers.forget()
        lost_since = self._lost_since if self._losing else None
        connections, views = list(self._connections.values()), list[tuple[int, Names]](self._views.in_use())
        if self._everything is not None:
            connections += [(event, self._everything, self._delayed) for event in self._followers.values()]
            views.append((self._everything, EVERYTHING))
        new = NewFile(at, connections, views, self._lost, lost_since)
        self._losing, self._lost = False, 0
        self._files += 1
        self.writer.put(new, beyond=True)

"""Who watches what, who is owed what, and when it is sent.

The rules:

1. A subscriber has a cursor: the cut through which its client has been told everything it asked for. What it is owed is
   computed from that (`entries`), never queued.
2. Subscribers that watch the same symbols and patterns, with the same interval and encoding, have one `Audience`. Those
   of them that are *in step* get the same bytes, encoded once.
3. For every subscriber in step: its audience's cursor <= its own. So the next frame's `since` fits every client.
4. A subscriber whose socket did not take a whole frame falls out of step and is sent nothing. When the socket is free
   again, `catch_up` sends one merged delta from its cursor to now, and it is in step again. New subscribers and new
   subscriptions take the same way; their instruments without any data yet are the `pending_snapshot`, sent as complete
   records.
5. An audience is ready (it is sent a change at once) or it rests, because it was sent something in this step of its
   interval (`audiences`). A ready audience is owed nothing through the cut that its group was brought to, even where
   its own cursor, the last cut it was told of, is older.
6. `publish` yields after every few writes. Between two of its steps anybody may come, leave or change what they watch.
   Between two groups another cut may be closed: a price need not wait for the end of a long pass.

Time is an integer: microseconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ticker.config import WRITES_PER_BURST
from ticker.core.audiences import (
    NOTHING,
    Audience,
    ConflationScheduler,
    Group,
    Sink,
    Subscriber,
    SubscriptionSet,
    TrafficCounters,
    WatchIndex,
    pending_by_audience,
)
from ticker.core.encode_cache import EncodeCache
from ticker.core.last_value import LastValueCache
from ticker.market import is_symbol
from ticker.protocol.messages import Heartbeat
from ticker.protocol.symbols import Match, matcher
from ticker.protocol.wire import Encoding


class _Pattern(NamedTuple):
    """A pattern that somebody watches, what matches it so far, and who watches it."""

    match: Match
    ids: set[int]
    audiences: dict[Audience, None]


class Traffic(NamedTuple):
    """What a client was sent: data messages and heartbeats, their bytes, the updates of an instrument in them.

    `offered` is how many updates there were of the instruments it watched; `offered / updates` is its conflation ratio.
    """

    frames: int
    bytes: int
    updates: int
    offered: int


class Hub:
    """All subscribers of one cache."""

    def __init__(
        self,
        cache: LastValueCache,
        *,
        snapshot_part: int = 256,
        burst: int = WRITES_PER_BURST,
        group_audiences: int = 128,
    ) -> None:
        """`snapshot_part` is the most instruments in one part of a snapshot; `burst` the writes between two yields.

        `group_audiences` is the most audiences that never rest in one group. Smaller groups make a price wait less for
        a pass that is going on, and cost more: about 5 µs each for every pass.
        """
        self.cache = cache
        self._snapshot_part = snapshot_part
        self._burst = burst
        self.scanned = 0
        """How many instruments were compared with patterns so far: what makes a request expensive."""
        self._moves = 0
        """How often anybody joined or left the members of an audience."""
        self._audiences: dict[tuple[SubscriptionSet, Encoding], Audience] = {}
        self._watchers: list[WatchIndex] = []
        self._entries: dict[Encoding, EncodeCache] = {}
        self._users: Counter[Encoding] = Counter()
        """How many audiences each encoding has: what is kept for one that nobody uses is dropped."""
        self._sent_before = TrafficCounters()
        """What clients that have gone were sent."""
        self._pacing = ConflationScheduler(group_audiences)
        self._waiting_symbols: dict[str, dict[Audience, None]] = {}
        self._patterns: dict[str, _Pattern] = {}

    # Coming, going, asking

    def connect(self, sink: Sink, encoding: Encoding, now: int) -> Subscriber:
        """A client that watches nothing yet, and so has everything it asked for."""
        subscriber = Subscriber(sink, encoding, self._audience(NOTHING, encoding, now), self.cache.cut)
        subscriber.audience.size += 1
        self._join(subscriber)
        return subscriber

    def disconnect(self, subscriber: Subscriber) -> None:
        """The client has gone."""
        self._leave(subscriber)
        self._sent_before.join(subscriber.sent)

    def watch(
        self, subscriber: Subscriber, watch: SubscriptionSet, now: int, *, resume_from: int | None = None
    ) -> None:
        """Replace what a client watches, and send what it is owed for that.

        With `resume_from` the client has, from an earlier connection, everything of this watch through that cut.
        """
        held = subscriber.audience.ids.difference(subscriber.pending_snapshot or ())
        # In this order: the last subscriber of an audience that asks for the same again must not end it on the way.
        audience = self._audience(watch, subscriber.encoding, now)
        audience.size += 1
        subscriber.offered += self._updates(subscriber.audience) - self._updates(audience)
        self._leave(subscriber)
        subscriber.audience = audience
        if resume_from is None:
            subscriber.pending_snapshot = audience.ids - held or None
        else:
            subscriber.pending_snapshot = None
            subscriber.cursor = resume_from
            if resume_from < self.cache.cut and not self._send_pending(subscriber):
                return
        self.catch_up(subscriber)

    def pause_delivery(self, subscriber: Subscriber) -> None:
        """Its socket did not take all it was given: it gets nothing more until `catch_up`."""
        subscriber.slow_consumer_events += subscriber.in_step
        self._part(subscriber)
        subscriber.sink.catch_up_later()

    def catch_up(self, subscriber: Subscriber) -> bool:
        """Send the next part of what a subscriber out of step is owed, its socket being free. True once in step."""
        if subscriber.in_step:
            return True
        pending = subscriber.pending_snapshot or subscriber.cursor < subscriber.audience.cursor
        if pending and (not self._send_pending(subscriber) or subscriber.pending_snapshot):
            return False
        self._join(subscriber)
        return True

    def find(self, pattern: str) -> list[int]:
        """The ids of the instruments whose symbols match a pattern, or of the one with this symbol."""
        if is_symbol(pattern):
            record = self.cache.find(pattern)
            return [record.id] if record is not None else []
        match = matcher([pattern])
        self.scanned += len(self.cache.records)
        return [record.id for record in self.cache.records if match(record.symbol)]

    def traffic(self, subscriber: Subscriber) -> Traffic:
        """What a client was sent so far, and how many updates there were of what it watches."""
        audience, sent = subscriber.audience, TrafficCounters()
        sent.join(subscriber.sent)
        if subscriber.in_step:
            sent.join(audience.sent)
        return Traffic(sent.frames, sent.bytes, sent.updates, subscriber.offered + self._updates(audience))

    def sent(self, subscribers: Iterable[Subscriber]) -> TrafficCounters:
        """What was sent in all so far, these being the clients that there are."""
        total = TrafficCounters()
        total.join(self._sent_before)
        for subscriber in subscribers:
            total.join(subscriber.sent)
            if subscriber.in_step:
                total.join(subscriber.audience.sent)
        return total

    # Sending

    def publish(self, now: int, refresh: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Send everything that is owed and due at `now`, yielding between bursts of writes.

        To be called after each cut and at `next_due`, and to be exhausted before it is called again. `refresh` is
        called between groups of audiences, and may close another cut: those who had their turn before it are then sent
        that by the next pass, for which nobody should wait.
        """
        return self._write(self._frames(now, refresh), now)

    def heartbeat(self, now: int, idle_us: int) -> Iterator[None]:
        """Send a HEARTBEAT to the audiences that were sent nothing for `idle_us`; yields between bursts of writes."""
        return self._write(self._beats(now, idle_us), now, limit=self.cache.cut + 1)

    def next_due(self) -> int | None:
        """When `publish` has to be called next, even if there is no new cut."""
        return self._pacing.next_due()

    def _write(
        self, frames: Iterable[tuple[Audience, int, bytes]], now: int, *, limit: int | None = None
    ) -> Iterator[None]:
        """Write to each audience its frame (of so many entries), for the members whose cursor is lower than `limit`.

        A frame tells of the audience's cursor. Without `limit` it is for those who have not been told of that yet:
        whoever has joined since that cut was closed was brought to it on the way in.
        """
        room = self._burst
        for audience, entries, frame in frames:
            audience.sent_at, cut, moves = now, audience.cursor, self._moves
            below = cut if limit is None else limit
            sent = audience.sent  # as `sent.add(entries, frame)`, which would cost twice as much
            sent.frames += 1
            sent.bytes += len(frame)
            sent.updates += entries
            members = [each for each in audience.members if each.cursor < below]
            if len(members) != len(audience.members):
                for subscriber in audience.members:
                    if subscriber.cursor >= below:
                        subscriber.sent.take_back(entries, frame)
            for subscriber in members:
                if moves != self._moves and (subscriber not in audience.members or subscriber.cursor >= below):
                    subscriber.sent.take_back(entries, frame)
                    continue
                subscriber.cursor = cut
                push = subscriber.push  # called as `subscriber.push(frame)`, a slot costs several times as much
                if not push(frame):
                    self.pause_delivery(subscriber)
                room -= 1
                if not room:
                    room = self._burst
                    yield

    def _frames(self, now: int, refresh: Callable[[], None]) -> Iterator[tuple[Audience, int, bytes]]:
        """The frames of this pass, each made when it is asked for: its audience may have changed by then."""
        pacing = self._pacing
        self._adopt_new_instruments()
        for group in list(pacing.rested(now)):
            yield from self._frames_of(group, group.since, now)
            for audience in list(group.audiences):
                pacing.be_ready(audience)  # nothing was owed to it
        for number, group in enumerate(pacing.ready()):
            if number:
                refresh()
                self._adopt_new_instruments()
            if group.since != self.cache.cut:
                since, group.since = group.since, self.cache.cut
                yield from self._frames_of(group, since, now)

    def _frames_of(self, group: Group, since: int, now: int) -> Iterator[tuple[Audience, int, bytes]]:
        """The frames of a group's audiences that are owed any changes after `since`."""
        if not group.audiences:
            return  # all have gone since this pass began, and with them perhaps what was kept for their encoding
        entries, rest, cut = self._entries[group.encoding], self._pacing.rest, self.cache.cut
        window = entries.window(since)
        for audience, pending in pending_by_audience(group, window, self._watchers):
            if not audience.size:
                continue  # its last subscriber has gone since this pass began
            cursor, audience.cursor = audience.cursor, cut
            if audience.interval_us:
                rest(audience, now)
            if not audience.members:
                continue
            if window.redefined:
                yield audience, len(pending), entries.frame(cursor, window, audience.ids & window.changed)
            else:
                yield audience, len(pending), entries.delta(cursor, pending)

    def _beats(self, now: int, idle_us: int) -> Iterator[tuple[Audience, int, bytes]]:
        for audience in [audience for audience in self._audiences.values() if now - audience.sent_at >= idle_us]:
            if audience.group.due is None:
                audience.cursor = audience.group.since
            yield audience, 0, audience.encoding.frame(Heartbeat(audience.cursor, self.cache.time))

    def _send_pending(self, subscriber: Subscriber) -> bool:
        """Send one merged delta from the subscriber's cursor to now, with a part of what is fresh to it."""
        entries = self._entries[subscriber.encoding]
        window = entries.window(subscriber.cursor)
        missing = subscriber.pending_snapshot or set()
        changed = (subscriber.audience.ids & window.changed) - missing
        part = sorted(islice(missing, self._snapshot_part))
        missing.difference_update(part)
        subscriber.pending_snapshot = missing or None
        since, subscriber.cursor = subscriber.cursor, self.cache.cut
        frame = entries.frame(since, window, changed, part)
        subscriber.sent.add(len(changed) + len(part), frame)
        return subscriber.push(frame)

    # Audiences

    def _audience(self, watch: SubscriptionSet, encoding: Encoding, now: int) -> Audience:
        """The audience of a watch, made if there is none."""
        audience = self._audiences.get((watch, encoding))
        if audience is not None:
            return audience
        self._adopt_new_instruments()
        if encoding not in self._entries:
            self._entries[encoding] = EncodeCache(self.cache, encoding)
        self._users[encoding] += 1
        audience = Audience(watch, encoding, self._pacing.group_for(watch, encoding, self.cache.cut), now)
        for symbol in watch.symbols:
            record = self.cache.find(symbol)
            if record is not None:
                audience.ids.add(record.id)
            else:
                self._waiting_symbols.setdefault(symbol, {})[audience] = None
        for pattern in watch.patterns:
            if pattern not in self._patterns:
                self._patterns[pattern] = _Pattern(matcher([pattern]), set(self.find(pattern)), {})
            self._patterns[pattern].audiences[audience] = None
            audience.ids |= self._patterns[pattern].ids
        if watch.entitled is not None:
            records = self.cache.records
            audience.ids = {number for number in audience.ids if audience.sees(records[number].symbol)}
        for number in audience.ids:
            self._watchers[number].setdefault(audience.home, {})[audience] = None
        self._audiences[watch, encoding] = audience
        return audience

    def _discard(self, audience: Audience) -> None:
        """The last subscriber of an audience has gone."""
        del self._audiences[audience.watch, audience.encoding]
        self._pacing.discard(audience)
        self._users[audience.encoding] -= 1
        if not self._users[audience.encoding]:
            del self._users[audience.encoding]
            self._entries.pop(audience.encoding).forget()
            self._pacing.forget(audience.encoding)
        for number in audience.ids:
            watchers = self._watchers[number]
            del watchers[audience.home][audience]
            if not watchers[audience.home]:
                del watchers[audience.home]
        for symbol in audience.watch.symbols & self._waiting_symbols.keys():
            self._waiting_symbols[symbol].pop(audience, None)
            if not self._waiting_symbols[symbol]:
                del self._waiting_symbols[symbol]
        for pattern in audience.watch.patterns:
            del self._patterns[pattern].audiences[audience]
            if not self._patterns[pattern].audiences:
                del self._patterns[pattern]

    def _adopt_new_instruments(self) -> None:
        """Let instruments that were declared since the last time join the audiences that wait for them."""
        for record in self.cache.records[len(self._watchers) :]:
            watchers = dict(self._waiting_symbols.pop(record.symbol, {}))
            for pattern in self._patterns.values():
                if pattern.match(record.symbol):
                    pattern.ids.add(record.id)
                    watchers.update(pattern.audiences)
            by_home: WatchIndex = {}
            for audience in watchers:
                if audience.sees(record.symbol):
                    audience.take_in(record.id)
                    by_home.setdefault(audience.home, {})[audience] = None
            self._watchers.append(by_home)

    def _updates(self, audience: Audience) -> int:
        """How many updates there were so far of the instruments of an audience."""
        records = self.cache.records
        return sum([records[number].updates for number in audience.ids])

    def _join(self, subscriber: Subscriber) -> None:
        self._moves += 1
        subscriber.in_step = True
        subscriber.sent.part(subscriber.audience.sent)
        subscriber.audience.members[subscriber] = None

    def _part(self, subscriber: Subscriber) -> None:
        """A subscriber is no longer in step, if it was."""
        if subscriber.in_step:
            self._moves += 1
            subscriber.in_step = False
            del subscriber.audience.members[subscriber]
            subscriber.sent.join(subscriber.audience.sent)

    def _leave(self, subscriber: Subscriber) -> None:
        audience = subscriber.audience
        self._part(subscriber)
        audience.size -= 1
        if not audience.size:
            self._discard(audience)

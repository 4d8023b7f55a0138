"""Subscriptions, pending changes, and the frames that carry them to the subscribers.

The rules:

1. A subscriber has a cursor: its client has everything it is subscribed to through that cut. The pending changes are
   computed from the cursor (`encode_cache`), never queued.
2. Subscribers with equal subscriptions, interval and encoding have one `Audience`. Its *members* are sent the same
   bytes, encoded once.
3. For every member: cursor of the audience <= cursor of the member. So the `since` of the next frame fits every client.
4. A subscriber whose socket did not take a whole frame is no longer a member: its delivery is paused. When the socket
   is free again, `catch_up` sends one merged delta from its cursor to now, and it is a member again. New subscribers
   and new subscriptions take the same way; their instruments without any data yet are the `pending_snapshot`, sent as
   complete records.
5. An audience is ready (a change is sent at once), or throttled after a frame until the next multiple of its interval
   (`audiences`). A ready audience has no pending changes through the `since` of its group, even where its own cursor,
   the cut of its last frame, is older.
6. `publish` yields after every few writes. Between two of its steps, subscribers may connect, disconnect or change
   their subscriptions. Between two groups another cut may be closed: a price need not wait for the end of a long pass.

Time is an integer: microseconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain, islice
from typing import NamedTuple

from ticker.config import AUDIENCES_PER_GROUP, WRITES_PER_BURST
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
    """A subscribed pattern, the instruments that match it so far, and its audiences."""

    match: Match
    ids: set[int]
    audiences: dict[Audience, None]


class Traffic(NamedTuple):
    """Sent data messages and heartbeats, their bytes, and the instrument updates in them.

    `offered` is the number of updates that the feeds made of the client's instruments; `offered / updates` is its
    conflation ratio.
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
        group_audiences: int = AUDIENCES_PER_GROUP,
    ) -> None:
        """`snapshot_part` is the most instruments in one part of a snapshot; `burst` the writes between two yields.

        `group_audiences` is the most audiences without an interval in one group. With smaller groups a price waits less
        for a running pass, and each pass costs more: about 5 µs per group.
        """
        self.cache = cache
        self._snapshot_part = snapshot_part
        self._burst = burst
        self.scanned = 0
        """Number of instruments compared with patterns so far: the expensive part of a request."""
        self._membership_changes = 0
        """Number of changes in the membership of any audience."""
        self._audiences: dict[tuple[SubscriptionSet, Encoding], Audience] = {}
        self._watch_index: list[WatchIndex] = []
        self._encode_caches: dict[Encoding, EncodeCache] = {}
        self._encoding_uses: Counter[Encoding] = Counter()
        """Number of audiences with each encoding; the encode cache of an unused encoding is dropped."""
        self._departed = TrafficCounters()
        """Traffic of the clients that have disconnected."""
        self._scheduler = ConflationScheduler(group_audiences)
        self._waiting_symbols: dict[str, dict[Audience, None]] = {}
        self._patterns: dict[str, _Pattern] = {}

    def __repr__(self) -> str:
        clients = sum(len(audience.members) + len(audience.behind) for audience in self._audiences.values())
        return f"<Hub at cut {self.cache.cut}: {clients} clients in {len(self._audiences)} audiences>"

    # Connections and subscriptions

    def connect(self, sink: Sink, encoding: Encoding, now: int) -> Subscriber:
        """Add a client without subscriptions: it has no pending changes."""
        subscriber = Subscriber(sink, encoding, self._audience(NOTHING, encoding, now), self.cache.cut)
        self._add_member(subscriber)
        return subscriber

    def disconnect(self, subscriber: Subscriber) -> None:
        """Remove a client."""
        audience = subscriber.audience
        self._remove_member(subscriber)
        del audience.behind[subscriber]
        if audience.empty:
            self._discard(audience)
        self._departed.add(subscriber)

    def subscribe(
        self, subscriber: Subscriber, subscription_set: SubscriptionSet, now: int, *, resume_from: int | None = None
    ) -> None:
        """Replace the subscriptions of a client, and send the data that it lacks for them.

        With `resume_from` the client has, from an earlier connection, everything in these subscriptions through that
        cut.
        """
        held = subscriber.audience.ids.difference(subscriber.pending_snapshot or ())
        former, audience = subscriber.audience, self._audience(subscription_set, subscriber.encoding, now)
        subscriber.offered += self._updates(former) - self._updates(audience)
        self._remove_member(subscriber)
        del former.behind[subscriber]
        audience.behind[subscriber] = None
        subscriber.audience = audience
        if former.empty:
            self._discard(former)
        if resume_from is None:
            subscriber.pending_snapshot = audience.ids - held or None
        else:
            subscriber.pending_snapshot = None
            subscriber.cursor = resume_from
            if resume_from < self.cache.cut and not self._send_pending(subscriber):
                return
        self.catch_up(subscriber)

    def pause_delivery(self, subscriber: Subscriber) -> None:
        """Send nothing more to a subscriber, whose socket did not take a whole frame, until `catch_up`."""
        subscriber.slow_consumer_events += subscriber.is_member
        self._remove_member(subscriber)
        subscriber.sink.catch_up_later()

    def catch_up(self, subscriber: Subscriber) -> bool:
        """Send the next part of a subscriber's pending data, its socket being free. True once it is a member."""
        if subscriber.is_member:
            return True
        pending = subscriber.pending_snapshot or subscriber.cursor < subscriber.audience.cursor
        if pending and (not self._send_pending(subscriber) or subscriber.pending_snapshot):
            return False
        self._add_member(subscriber)
        return True

    def find(self, pattern: str) -> list[int]:
        """Return the ids of the instruments that match a pattern, or of the one with this symbol."""
        if is_symbol(pattern):
            record = self.cache.find(pattern)
            return [record.id] if record is not None else []
        match = matcher([pattern])
        self.scanned += len(self.cache.records)
        return [record.id for record in self.cache.records if match(record.symbol)]

    def traffic(self, subscriber: Subscriber) -> Traffic:
        """Return the traffic of a client so far."""
        offered = subscriber.offered + self._updates(subscriber.audience)
        return Traffic(subscriber.sent_frames, subscriber.sent_bytes, subscriber.sent_updates, offered)

    def total_traffic(self) -> TrafficCounters:
        """Return the traffic of all clients so far, with those that have disconnected."""
        total = copy(self._departed)
        for audience in self._audiences.values():
            for subscriber in chain(audience.members, audience.behind):
                total.add(subscriber)
        return total

    # Sending

    def publish(self, now: int, refresh: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Send all pending changes that are due at `now`, yielding between bursts of writes.

        Call it after each cut and at `next_due`, and exhaust it before the next call. `refresh` is called between
        groups of audiences, and may close another cut. The next pass, which should follow at once, then sends that cut
        to the groups before.
        """
        return self._write(self._frames(now, refresh), now)

    def heartbeat(self, now: int, idle_us: int) -> Iterator[None]:
        """Send a HEARTBEAT to the audiences without a frame for `idle_us`; yields between bursts of writes."""
        return self._write(self._heartbeats(now, idle_us), now, limit=self.cache.cut + 1)

    def next_due(self) -> int | None:
        """Return the time of the next necessary call of `publish`, even without a new cut."""
        return self._scheduler.next_due()

    def _write(
        self, frames: Iterable[tuple[Audience, int, bytes]], now: int, *, limit: int | None = None
    ) -> Iterator[None]:
        """Write each frame (with its number of updates) to the members of its audience whose cursor is below `limit`.

        The default limit is the cut of the frame. Members that joined after that cut was closed have it already.
        """
        room = self._burst
        for audience, updates, frame in frames:
            audience.sent_at, cut, changes = now, audience.cursor, self._membership_changes
            below, size, changed = cut if limit is None else limit, len(frame), False
            for subscriber in [each for each in audience.members if each.cursor < below]:
                if changed and (subscriber not in audience.members or subscriber.cursor >= below):
                    continue
                subscriber.cursor = cut
                subscriber.sent_frames += 1  # `subscriber.count(updates, frame)` would cost twice as much
                subscriber.sent_bytes += size
                subscriber.sent_updates += updates
                push = subscriber.push  # `subscriber.push(frame)`, a call of a slot, would cost several times as much
                if not push(frame):
                    self.pause_delivery(subscriber)
                room -= 1
                if not room:
                    room = self._burst
                    yield
                    changed = changes != self._membership_changes

    def _frames(self, now: int, refresh: Callable[[], None]) -> Iterator[tuple[Audience, int, bytes]]:
        """Return the frames of this pass, each made at the last moment: its audience may change between two steps."""
        scheduler = self._scheduler
        self._adopt_new_instruments()
        for group in list(scheduler.due(now)):
            yield from self._frames_of(group, group.since, now)
            for audience in list(group.audiences):
                scheduler.make_ready(audience)  # those without pending entries
        for number, group in enumerate(scheduler.ready()):
            if number:
                refresh()
                self._adopt_new_instruments()
            if group.since != self.cache.cut:
                since, group.since = group.since, self.cache.cut
                yield from self._frames_of(group, since, now)

    def _frames_of(self, group: Group, since: int, now: int) -> Iterator[tuple[Audience, int, bytes]]:
        """Return a frame for each audience of a group with pending changes after `since`."""
        if not group.audiences:
            return  # emptied during this pass; the encode cache may be gone, too
        encode_cache, throttle, cut = self._encode_caches[group.encoding], self._scheduler.throttle, self.cache.cut
        change_set = encode_cache.change_set(since)
        for audience, pending in pending_by_audience(group, change_set, self._watch_index):
            if not audience.members and audience.empty:
                continue  # discarded during this pass
            cursor, audience.cursor = audience.cursor, cut
            if audience.interval_us:
                throttle(audience, now)
            if not audience.members:
                continue
            if change_set.redefined:
                yield audience, len(pending), encode_cache.frame(cursor, change_set, audience.ids & change_set.changed)
            else:
                yield audience, len(pending), encode_cache.delta(cursor, pending)

    def _heartbeats(self, now: int, idle_us: int) -> Iterator[tuple[Audience, int, bytes]]:
        for audience in [audience for audience in self._audiences.values() if now - audience.sent_at >= idle_us]:
            if audience.group.due is None:
                audience.cursor = audience.group.since
            yield audience, 0, audience.encoding.frame(Heartbeat(audience.cursor, self.cache.time))

    def _send_pending(self, subscriber: Subscriber) -> bool:
        """Send one merged delta from the subscriber's cursor to now, with a part of its pending snapshot."""
        encode_cache = self._encode_caches[subscriber.encoding]
        change_set = encode_cache.change_set(subscriber.cursor)
        missing = subscriber.pending_snapshot or set()
        changed = (subscriber.audience.ids & change_set.changed) - missing
        part = sorted(islice(missing, self._snapshot_part))
        missing.difference_update(part)
        subscriber.pending_snapshot = missing or None
        since, subscriber.cursor = subscriber.cursor, self.cache.cut
        frame = encode_cache.frame(since, change_set, changed, part)
        subscriber.count(len(changed) + len(part), frame)
        return subscriber.push(frame)

    # Audiences

    def _audience(self, subscription_set: SubscriptionSet, encoding: Encoding, now: int) -> Audience:
        """Return the audience of a subscription set, a new one if there is none."""
        audience = self._audiences.get((subscription_set, encoding))
        if audience is not None:
            return audience
        self._adopt_new_instruments()
        if encoding not in self._encode_caches:
            self._encode_caches[encoding] = EncodeCache(self.cache, encoding)
        self._encoding_uses[encoding] += 1
        audience = Audience(
            subscription_set, encoding, self._scheduler.shard_for(subscription_set, encoding, self.cache.cut), now
        )
        for symbol in subscription_set.symbols:
            record = self.cache.find(symbol)
            if record is not None:
                audience.ids.add(record.id)
            else:
                self._waiting_symbols.setdefault(symbol, {})[audience] = None
        for pattern in subscription_set.patterns:
            if pattern not in self._patterns:
                self._patterns[pattern] = _Pattern(matcher([pattern]), set(self.find(pattern)), {})
            self._patterns[pattern].audiences[audience] = None
            audience.ids |= self._patterns[pattern].ids
        if subscription_set.entitled is not None:
            records = self.cache.records
            audience.ids = {number for number in audience.ids if audience.sees(records[number].symbol)}
        for number in audience.ids:
            self._watch_index[number].setdefault(audience.shard, {})[audience] = None
        self._audiences[subscription_set, encoding] = audience
        return audience

    def _discard(self, audience: Audience) -> None:
        """Remove an audience that has no subscribers any more."""
        del self._audiences[audience.subscription_set, audience.encoding]
        self._scheduler.discard(audience)
        self._encoding_uses[audience.encoding] -= 1
        if not self._encoding_uses[audience.encoding]:
            del self._encoding_uses[audience.encoding]
            self._encode_caches.pop(audience.encoding).release()
            self._scheduler.release(audience.encoding)
        for number in audience.ids:
            by_shard = self._watch_index[number]
            del by_shard[audience.shard][audience]
            if not by_shard[audience.shard]:
                del by_shard[audience.shard]
        for symbol in audience.subscription_set.symbols & self._waiting_symbols.keys():
            self._waiting_symbols[symbol].pop(audience, None)
            if not self._waiting_symbols[symbol]:
                del self._waiting_symbols[symbol]
        for pattern in audience.subscription_set.patterns:
            del self._patterns[pattern].audiences[audience]
            if not self._patterns[pattern].audiences:
                del self._patterns[pattern]

    def _adopt_new_instruments(self) -> None:
        """Add newly declared instruments to the audiences whose subscriptions they match."""
        for record in self.cache.records[len(self._watch_index) :]:
            matching = dict(self._waiting_symbols.pop(record.symbol, {}))
            for pattern in self._patterns.values():
                if pattern.match(record.symbol):
                    pattern.ids.add(record.id)
                    matching.update(pattern.audiences)
            by_shard: WatchIndex = {}
            for audience in matching:
                if audience.sees(record.symbol):
                    audience.add_instrument(record.id)
                    by_shard.setdefault(audience.shard, {})[audience] = None
            self._watch_index.append(by_shard)

    def _updates(self, audience: Audience) -> int:
        """Return the number of updates so far of an audience's instruments."""
        records = self.cache.records
        return sum([records[number].updates for number in audience.ids])

    def _add_member(self, subscriber: Subscriber) -> None:
        self._membership_changes += 1
        subscriber.audience.behind.pop(subscriber, None)
        subscriber.audience.members[subscriber] = None

    def _remove_member(self, subscriber: Subscriber) -> None:
        """End a subscriber's membership, if it is a member."""
        if subscriber.is_member:
            self._membership_changes += 1
            del subscriber.audience.members[subscriber]
            subscriber.audience.behind[subscriber] = None

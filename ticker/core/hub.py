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
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias

from ticker.bounds import (
    AUDIENCES_PER_GROUP,
    BYTES_PER_WRITE,
    CHECKSUM_IN_JOINS,
    COUNTED_PER_JOIN,
    FREED_PER_PASS,
    JOINED_PER_REQUEST_UNIT,
    SCANNED_PER_REQUEST_UNIT,
    WRITES_PER_BURST,
)
from ticker.core.audience_index import USUAL_STEP, AudienceIndex, Step
from ticker.core.audiences import (
    NOTHING,
    Audience,
    ConflationScheduler,
    Group,
    Sink,
    Subscriber,
    SubscriptionSet,
    TrafficCounters,
)
from ticker.core.checksums import Checksums
from ticker.core.discarded import Discarded
from ticker.core.encode_cache import EncodeCache, Share
from ticker.core.lacking import LackingData
from ticker.core.last_value import LastValueCache
from ticker.core.offer import features
from ticker.core.pending import pending_by_audience
from ticker.core.preparation import Preparation
from ticker.core.selections import differing
from ticker.core.table_index import ANYBODY, Opener
from ticker.core.traffic import Traffic, TrafficMeter
from ticker.protocol.messages import Heartbeat
from ticker.protocol.symbols import Match
from ticker.protocol.wire import Encoding

_Frame: TypeAlias = tuple[Audience, int, bytes]
"""A frame for an audience, with the number of updates in it."""

_Frames: TypeAlias = Iterable[_Frame]
"""Those of a group, each made when it is asked for: its audience may change between two steps."""


class Hub:
    """All subscribers of one cache."""

    def __init__(
        self,
        cache: LastValueCache,
        *,
        snapshot_part: int = 128,
        delay: int = 0,
        burst: int = WRITES_PER_BURST,
        group_audiences: int = AUDIENCES_PER_GROUP,
        step: Step = USUAL_STEP,
    ) -> None:
        """`snapshot_part` is the most instruments in one part of a snapshot; `burst` the writes between two yields.
        `delay` is what clients are told: the seconds by which the market is late.

        `group_audiences` is the most audiences without an interval in one group. With smaller groups a price waits less
        for a running pass, and each pass costs more: about 5 µs per group.
        """
        self.cache = cache
        self._burst = burst
        self._encoded = step.encoded
        self._passed_at = 0
        self.features = features(cache.tables.config, delay)
        self.delay = delay
        self._discarded = Discarded()
        self.checksums = Checksums(cache, self._discarded)
        self.index = AudienceIndex(cache, step)
        self._membership_changes = 0
        """Number of changes in the membership of any audience."""
        self._audiences: dict[tuple[SubscriptionSet, Encoding], Audience] = {}
        self._encode_caches: dict[Encoding, EncodeCache] = {}
        self._lacking = LackingData(cache, self._encode_caches, snapshot_part, step.encoded)
        self._encoding_uses: Counter[Encoding] = Counter()
        """Number of audiences with each encoding; the encode cache of an unused encoding is dropped."""
        self._meter = TrafficMeter(cache, self.index)
        self._scheduler = ConflationScheduler(group_audiences)

    def __repr__(self) -> str:
        clients = sum(len(audience.members) + len(audience.behind) for audience in self._audiences.values())
        return f"<Hub at cut {self.cache.cut}: {clients} clients in {len(self._audiences)} audiences>"

    # Connections and subscriptions

    def connect(self, sink: Sink, encoding: Encoding, now: int) -> Subscriber:
        """Add a client without subscriptions: it has no pending changes."""
        self._meet()
        subscriber = Subscriber(sink, encoding, self._audience(NOTHING, encoding, now), self.cache.cut)
        self._add_member(subscriber)
        return subscriber

    def disconnect(self, subscriber: Subscriber) -> None:
        """Remove a client."""
        audience = subscriber.audience
        self._lacking.forget(subscriber)
        self._remove_member(subscriber)
        del audience.behind[subscriber]
        if audience.empty:
            self._discard(audience)
        self._meter.departed.add(subscriber)

    def prepare(
        self, tabled: Collection[str], keys: Collection[str | frozenset[str]], sees: Match, opener: Opener = ANYBODY
    ) -> Iterator[None]:
        """Open those tables that these names need and `sees` allows, and match patterns and entitlements, in steps."""
        with self.index.tables.holding(tabled):  # so instruments that become visible meanwhile have them as well
            while tabled and self.index.behind:  # a table of an instrument that is not visible yet would not be opened
                self._adopt()
                yield
            for _ in self.index.open_tables(tabled, sees, opener):
                self._adopt()
                yield
            while self.index.tables.bits and self.index.behind:
                self._adopt()
                yield
            yield from self.index.prepare(keys)

    def subscribe(
        self,
        subscriber: Subscriber,
        subscription_set: SubscriptionSet,
        now: int,
        *,
        resume_from: int | None = None,
        forget: int = 0,
    ) -> None:
        """Replace the subscriptions of a client, and send the data that it lacks for them.

        With `resume_from` the client has, from an earlier connection, everything in these subscriptions through that
        cut, and of the records in the bitmap `forget` perhaps something, of whatever fields. Records of which it wants
        other fields from now on are sent whole: a complete record replaces what the client has of it.
        """
        self._meet()
        former, audience = subscriber.audience, self._audience(subscription_set, subscriber.encoding, now)
        before, after = former.bitmap(), audience.bitmap()
        either_selects = former.selecting or audience.selecting
        held, socket_is_free = (before & ~subscriber.pending_snapshot) | forget, subscriber.is_member
        refitted = differing(former.by_selection(), audience.by_selection()) if either_selects else 0
        self._remove(subscriber, (held | subscriber.perhaps_held) & ~after)
        if before != after:
            subscriber.offered += self._meter.updates(former) - self._meter.updates(audience)
        self._lacking.forget(subscriber)
        self._remove_member(subscriber)
        del former.behind[subscriber]
        audience.behind[subscriber] = None
        subscriber.audience = audience
        if former.empty:
            self._discard(former)
        if self.index.observer is not None:
            self.index.observer.moved(subscriber)
        if resume_from is None:
            subscriber.pending_snapshot = after & ~held | refitted
            subscriber.perhaps_held = subscriber.perhaps_held & after | refitted & held
        else:
            doubtful = self.cache.perhaps_unknown(resume_from)
            if audience.selecting:
                doubtful |= forget & ~audience.portions.get(None, 0)
            subscriber.pending_snapshot = subscriber.perhaps_held = after & doubtful
            subscriber.cursor = resume_from
            subscriber.resuming = resume_from < self.cache.cut
            subscriber.pending_definitions = after & self.index.tables.bits
        if socket_is_free and audience.count <= self._encoded:
            self.catch_up(subscriber)
        else:
            # A frame that was sent since the request came fills the socket: its task goes on with these subscriptions.
            # And to look through very many instruments, and to send the first of them, are a step each.
            subscriber.sink.catch_up_later()

    def _remove(self, subscriber: Subscriber, bits: int) -> None:
        """Have the client told that these records leave its copy."""
        if bits:
            subscriber.pending_removed |= bits
            self.index.joins += bits.bit_count() // COUNTED_PER_JOIN

    def pause_delivery(self, subscriber: Subscriber) -> None:
        """Send nothing more to a subscriber, whose socket did not take a whole frame, until `catch_up`."""
        subscriber.slow_consumer_events += subscriber.is_member
        self._remove_member(subscriber)
        subscriber.sink.catch_up_later()

    def catch_up(self, subscriber: Subscriber) -> bool:
        """Send the next part of a subscriber's pending data, its socket being free. True once it is a member."""
        if subscriber.is_member:
            return True
        self._meet()
        if not self._lacking.send_next(subscriber, through=subscriber.audience.cursor):
            return False
        self._add_member(subscriber)
        return True

    def bring_up_to_date(self, subscriber: Subscriber) -> bool:
        """Send a subscriber whatever it lacks at the present cut, an interval or not; True once it has that.

        Until then, `catch_up` goes on with it.
        """
        if not subscriber.is_member:
            return False
        self._meet()
        if subscriber.cursor < self.cache.cut:
            self._remove_member(subscriber)
            if not self._lacking.send_next(subscriber, through=self.cache.cut):
                subscriber.sink.catch_up_later()
                return False
            self._add_member(subscriber)
        return True

    @property
    def work(self) -> float:
        """The work that clients have caused so far by subscriptions and searches, in simple requests."""
        joins = self.index.joins + CHECKSUM_IN_JOINS * self.checksums.made
        return self.index.comparisons / SCANNED_PER_REQUEST_UNIT + joins / JOINED_PER_REQUEST_UNIT

    def traffic(self, subscriber: Subscriber) -> Traffic:
        """Return the traffic of a client so far."""
        return self._meter.of(subscriber)

    def total_traffic(self) -> TrafficCounters:
        """Return the traffic of all clients so far, with those that have disconnected."""
        return self._meter.total(self._audiences.values())

    # Sending

    def publish(self, now: int, refresh: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Send all pending changes that are due at `now`, yielding between bursts of writes.

        Call it after each cut and at `next_due`, and exhaust it before the next call. `refresh` is called between
        groups of audiences, and may close another cut. The next pass, which should follow at once, then sends that cut
        to the groups before.
        """
        self._passed_at = now
        self._discarded.free(FREED_PER_PASS)
        return self._write(self._frames(now, refresh), now)

    def heartbeat(self, now: int, idle_us: int) -> Iterator[None]:
        """Send a HEARTBEAT to the audiences without a frame for `idle_us`; yields between bursts of writes."""
        return self._write([self._heartbeats(now, idle_us)], now, limit=self.cache.cut + 1)

    def next_due(self) -> int | None:
        """Return the time of the next necessary call of `publish`, even without a new cut."""
        return max(self._passed_at, 1) if self.index.behind else self._scheduler.next_due()

    def _write(self, groups: Iterable[_Frames | None], now: int, *, limit: int | None = None) -> Iterator[None]:
        """Write each frame (with its number of updates) to the members of its audience whose cursor is below `limit`.

        Instead of a group's frames comes None where others have to have a turn. The default limit is the cut of the
        frame. Members that joined after that cut was closed have it already.
        """
        room = self._burst
        for frames in groups:
            if frames is None:
                room = self._burst
                yield
                continue
            for audience, updates, frame in frames:
                audience.sent_at, cut, size, changed = now, audience.cursor, len(frame), False
                below, writes = cut if limit is None else limit, 1 + size // BYTES_PER_WRITE
                for subscriber in tuple(audience.members):
                    if subscriber.cursor >= below or (changed and subscriber not in audience.members):
                        continue
                    subscriber.cursor = cut
                    subscriber.sent_frames += 1  # `subscriber.count(updates, frame)` would cost twice as much
                    subscriber.sent_bytes += size
                    subscriber.sent_updates += updates
                    push = subscriber.push  # calling the slot itself would cost several times as much
                    if not push(frame):
                        self.pause_delivery(subscriber)
                    room -= writes
                    if room <= 0:
                        room, before = self._burst, self._membership_changes
                        yield
                        changed = changed or before != self._membership_changes

    def _frames(self, now: int, refresh: Callable[[], None]) -> Iterator[_Frames | None]:
        """Return the frames of this pass, by group."""
        self._adopt()
        for group in list(self._scheduler.due(now)):
            if group.broad and len(group.audiences) > 1:
                for audience in list(group.broad):
                    if audience in group.audiences:
                        yield from self._frames_due(self._scheduler.isolate(audience), now, refresh)
            yield from self._frames_due(group, now, refresh)
        yield from self._frames_ready(now, refresh)

    def _frames_due(self, group: Group, now: int, refresh: Callable[[], None]) -> Iterator[_Frames | None]:
        """Return the frames of a throttled group that is due."""
        if group.broad and self.cache.many_changed(group.since, self._encoded):
            yield from self._frame_in_steps(group, now, refresh)
        else:
            yield self._frames_of(group, group.since, now)
        self._scheduler.rest(group, now)

    def _frame_in_steps(self, group: Group, now: int, refresh: Callable[[], None]) -> Iterator[_Frames | None]:
        """Return the frame of the broad audience that is alone in a group; between two steps goes out what is new."""
        (audience,) = group.broad
        encode_cache = self._encode_caches[group.encoding]
        preparation = Preparation(encode_cache, group.since)
        while not preparation.advance(audience.by_selection(), 0, self._encoded):
            yield None
            refresh()
            self._adopt()
            yield from self._frames_ready(now, refresh)
            if not group.audiences:
                return
        parts = preparation.parts()
        if parts:
            cursor, audience.cursor = audience.cursor, self.cache.cut
            if audience.members:
                yield [(audience, len(parts), encode_cache.frame(cursor, (), parts))]

    def _frames_ready(self, now: int, refresh: Callable[[], None]) -> Iterator[_Frames]:
        for number, group in enumerate(self._scheduler.ready()):
            if number:
                refresh()
                self._adopt()
            if group.since != self.cache.cut:
                since, group.since = group.since, self.cache.cut
                yield self._frames_of(group, since, now)

    def _frames_of(self, group: Group, since: int, now: int) -> Iterator[_Frame]:
        """Return a frame for each audience of a group with pending changes after `since`."""
        if not group.audiences:
            return  # emptied during this pass; the encode cache may be gone, too
        encode_cache, throttle, cut = self._encode_caches[group.encoding], self._scheduler.throttle, self.cache.cut
        change_set, is_ready = encode_cache.change_set(since), group.due is None
        steps, delta = change_set.steps, group.encoding.delta  # looked up once, not for each audience
        for audience, pending in pending_by_audience(group, change_set, self.index.watch_index):
            if not audience.members and audience.empty:
                continue  # discarded during this pass
            cursor, audience.cursor = audience.cursor, cut
            if is_ready and audience.interval_us:
                throttle(audience, now)
            if not audience.members:
                continue
            if change_set.redefined:
                changed = audience.changed_in(change_set)
                parts = audience.shares(changed) if audience.selecting else ((None, changed),)
                shares = [Share(change_set.of(selection), numbers) for selection, numbers in parts]
                yield audience, len(pending), encode_cache.frame(cursor, shares, steps=steps)
            else:
                yield audience, len(pending), delta(steps[cursor], pending)

    def _heartbeats(self, now: int, idle_us: int) -> Iterator[_Frame]:
        for audience in [audience for audience in self._audiences.values() if now - audience.sent_at >= idle_us]:
            if audience.group.due is None:
                audience.cursor = audience.group.since
            cursor = self.cache.wire_cut(audience.cursor)
            yield audience, 0, audience.encoding.frame(Heartbeat(cursor, self.cache.time))

    def _meet(self) -> None:
        """Look at new instruments that no pass has seen: a client that is sent data of their cut must not miss them."""
        if self.index.behind and not self.index.late:
            self._adopt()

    def _adopt(self) -> None:
        """Make new records visible; those that come late to it, and new tables, are in a cut of their own."""
        if self.index.behind and self.index.adopt():
            self._close_cut()

    def _close_cut(self, new: Audience | None = None) -> None:
        """Close a cut outside of the publisher's passes: of late instruments, or tables just opened or watched.

        If nobody but a `new` audience without members watches what is in it, all who were in step are in step with it.
        Otherwise the next pass sends it.
        """
        before = self.cache.cut
        if not self.cache.close_cut(self.cache.time):
            return
        changed, ready = self.cache.changed_since(before), self._scheduler.ready()
        if not self.index.watched(changed, ready, new):
            for group in ready:
                if group.since == before:
                    group.since = self.cache.cut

    # Audiences

    def _audience(self, subscription_set: SubscriptionSet, encoding: Encoding, now: int) -> Audience:
        """Return the audience of a subscription set, a new one if there is none."""
        audience = self._audiences.get((subscription_set, encoding))
        if audience is not None:
            return audience
        if encoding not in self._encode_caches:
            self._encode_caches[encoding] = EncodeCache(self.cache, encoding, self._discarded)
        self._encoding_uses[encoding] += 1
        audience = Audience(
            subscription_set, encoding, self._scheduler.shard_for(subscription_set, encoding, self.cache.cut), now
        )
        self.index.add(audience)
        self._close_cut(audience)  # if a table is watched that nobody watched before
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
        self.index.remove(audience)

    def _add_member(self, subscriber: Subscriber) -> None:
        self._membership_changes += 1
        audience = subscriber.audience
        audience.behind.pop(subscriber, None)
        if not audience.behind:
            audience.behind.clear()  # of its table, too: 160 bytes of each audience that one client was behind in
        audience.members[subscriber] = None

    def _remove_member(self, subscriber: Subscriber) -> None:
        """End a subscriber's membership, if it is a member."""
        if subscriber.is_member:
            self._membership_changes += 1
            del subscriber.audience.members[subscriber]
            subscriber.audience.behind[subscriber] = None

"""Subscribers, their audiences, and the conflation schedule: the times at which an audience may be sent a frame.

An audience is ready (the next change is sent at once), or throttled until the next multiple of its interval. If nothing
is pending then, it becomes ready. So no change waits longer than an interval, and n intervals bring at most n + 1
frames.

A `Group` is the unit of work: audiences with the same encoding, due at the same time, with pending changes after the
same cut. These are encoded once and found in one step. Each audience has one group for life, its *shard*, where it is
whenever it is ready; while throttled, it is in the group of its due time and cut. All audiences with an interval share
a shard. The others are spread over shards of a bounded size, so that a long pass can close another cut between two.

Time is an integer: microseconds of any clock that only goes forward.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeAlias

from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.encode_cache import ChangeSet
from ticker.core.selections import Portions, Selection
from ticker.protocol.symbols import Match, shared_matcher
from ticker.protocol.wire import Encoding


class Sink(Protocol):
    """The connection to one client."""

    @property
    def push(self) -> Callable[[bytes], bool]:
        """Send a frame without waiting; False if the socket took only a part of it."""
        ...

    def catch_up_later(self) -> None:
        """Arrange a call of `Hub.catch_up` for the time when no bytes are unsent."""
        ...


class SubscriptionSet(NamedTuple):
    """The subscriptions of one client; equal sets share an audience.

    Names are in their order: a tuple takes a fifth of a set's room, and each client may have one of its own.
    """

    symbols: tuple[str, ...]
    patterns: tuple[str, ...]
    interval_us: int
    entitled: frozenset[str] | None = None
    """The client's entitlement: symbols and patterns that it may see; None without a restriction."""
    selected: tuple[tuple[str, Selection], ...] = ()
    """The symbols and patterns of which only some fields are wanted, each with these."""


_NAMES_SHOWN = 3

_FEW = 16
"""Up to so many changes are looked up one by one in a bitmap."""

NOTHING = SubscriptionSet((), (), 0)


class TrafficCounters:
    """Counters of sent data messages and heartbeats, their bytes, and the instrument updates in them."""

    __slots__ = ("bytes", "frames", "updates")

    def __init__(self) -> None:
        self.frames = self.bytes = self.updates = 0

    def add(self, subscriber: Subscriber) -> None:
        """Add the traffic of a subscriber."""
        self.frames += subscriber.sent_frames
        self.bytes += subscriber.sent_bytes
        self.updates += subscriber.sent_updates


class Subscriber:
    """The hub's record of one client."""

    __slots__ = (
        "audience",
        "cost",
        "cursor",
        "encoding",
        "offered",
        "pending_definitions",
        "pending_removed",
        "pending_snapshot",
        "perhaps_held",
        "push",
        "resuming",
        "sent_bytes",
        "sent_frames",
        "sent_updates",
        "sink",
        "slow_consumer_events",
    )

    def __init__(self, sink: Sink, encoding: Encoding, audience: Audience, cursor: int) -> None:
        self.sink = sink
        self.push = sink.push
        self.encoding = encoding
        self.audience = audience
        self.cursor = cursor
        self.pending_definitions = 0
        """Bitmap of the tables that the client may hold from an earlier connection, under other ids."""
        self.pending_snapshot = 0
        """Bitmap of the instruments still to be sent as complete records."""
        self.perhaps_held = 0
        """Bitmap of those among these that the client may have, as of its cursor, from an earlier connection."""
        self.pending_removed = 0
        """Bitmap of the records that leave the client's copy, of which it is still to be told."""
        self.resuming = False
        """It is still to be sent the changes since the cursor that its client gave."""
        self.slow_consumer_events = 0
        """Number of pauses of its delivery."""
        self.sent_frames = self.sent_bytes = self.sent_updates = 0
        self.cost = 0.0
        """Cost of the data that were sent to it alone, in requests."""
        self.offered = 0
        """Updates of its instruments so far, minus the present total of those that it is subscribed to now."""

    def __repr__(self) -> str:
        state = "member" if self.is_member else "behind"
        missing = f", {self.pending_snapshot.bit_count()} instruments missing" if self.pending_snapshot else ""
        return f"<Subscriber at cut {self.cursor}, {state}{missing} of {self.audience!r}>"

    @property
    def is_member(self) -> bool:
        """Whether it is sent each frame of its audience: it is neither slow nor waits for a snapshot."""
        return self in self.audience.members

    def count(self, updates: int, frame: bytes) -> None:
        """Count a sent frame with the changes of `updates` instruments."""
        self.sent_frames += 1
        self.sent_bytes += len(frame)
        self.sent_updates += updates


class Audience:
    """The subscribers with one subscription set and one encoding."""

    __slots__ = (
        "_select",
        "behind",
        "bits",
        "broad",
        "cursor",
        "encoding",
        "group",
        "ids",
        "interval_us",
        "members",
        "portions",
        "sees",
        "sent_at",
        "shard",
        "subscription_set",
    )

    def __init__(self, subscription_set: SubscriptionSet, encoding: Encoding, shard: Group, now: int) -> None:
        self.subscription_set = subscription_set
        self.interval_us = subscription_set.interval_us
        self.encoding = encoding
        self.ids: Collection[int] = ()
        """Ids of the instruments that match so far; of a broad audience, `bits` says them."""
        self.broad = False
        """Whether it has a large share of all instruments, and is in no watch index."""
        self.bits = 0
        self.portions: Portions = {}
        """Its instruments by their selections, if it is selecting."""
        self._select: Callable[[list[bytes]], tuple[bytes, ...]] | None = None
        self.cursor = shard.since
        self.members: dict[Subscriber, None] = {}
        """The subscribers that are sent each frame of the audience."""
        self.behind: dict[Subscriber, None] = {}
        """Its other subscribers: paused, or waiting for a snapshot."""
        self.shard = shard
        """Its group whenever it is ready."""
        self.group = shard
        shard.audiences[self] = None
        self.sent_at = now
        self.sees: Match = (
            _everything if subscription_set.entitled is None else shared_matcher(subscription_set.entitled)
        )
        """Whether its subscribers may see a symbol."""

    def __repr__(self) -> str:
        all_names = sorted(self.subscription_set.symbols + self.subscription_set.patterns)
        names, more = ", ".join(all_names[:_NAMES_SHOWN]), len(all_names) - _NAMES_SHOWN
        return (
            f"<Audience of {names or 'nothing'}{f' and {more} more' if more > 0 else ''} at cut {self.cursor}: "
            f"{len(self.members)} members, {len(self.behind)} behind>"
        )

    @property
    def empty(self) -> bool:
        """Whether it has no subscribers."""
        return not self.members and not self.behind

    @property
    def selecting(self) -> bool:
        """Whether of some instruments only some fields are wanted."""
        return bool(self.subscription_set.selected)

    @property
    def count(self) -> int:
        """The number of its instruments."""
        return self.bits.bit_count() if self.broad else len(self.ids)

    def bitmap(self) -> int:
        """Return the bitmap of its instruments."""
        return self.bits if self.broad else bitmap_of(self.ids)

    def numbers(self) -> Collection[int]:
        """Return the ids of its instruments."""
        return numbers_in(self.bits) if self.broad else self.ids

    def changed_in(self, change_set: ChangeSet, without: int = 0) -> Collection[int]:
        """Return the ids of its changed instruments, without those in a bitmap."""
        if not self.broad and not without:
            return change_set.changed.intersection(self.ids)
        bits = self.bits
        if not without and len(change_set.changed) <= _FEW:
            return [number for number in change_set.changed if bits >> number & 1]
        wanted = self.bitmap() & ~without
        missing = change_set.bits & ~wanted
        return numbers_in(change_set.bits & wanted) if missing else change_set.changed

    def by_selection(self) -> Portions:
        """Return the bitmaps of its instruments by their selections."""
        return self.portions if self.selecting else {None: self.bitmap()}

    def shares(self, numbers: Collection[int]) -> Iterator[tuple[Selection, Collection[int]]]:
        """Return these ids, all of its instruments, by their selections."""
        if len(self.portions) <= 1:
            yield next(iter(self.portions), None), numbers
            return
        bitmap = bitmap_of(numbers) if len(numbers) > _FEW else 0
        for selection, bits in self.portions.items():
            some = numbers_in(bits & bitmap) if bitmap else [number for number in numbers if bits >> number & 1]
            if some:
                yield selection, some

    def make_broad(self, bits: int) -> None:
        """Make it a broad audience with these instruments, or give a broad one more of them."""
        self.broad, self.bits = True, bits
        self.group.broad[self] = None

    def set_ids(self, ids: Iterable[int]) -> None:
        """Have these as the instruments that match the subscriptions.

        A set of 50 takes 1.8 KB more than a tuple. It pays where all changes are looked up for each frame.
        """
        self.ids = frozenset(ids) if self.selecting else tuple(sorted(ids))
        self._select = None

    def select(self, entries: list[bytes]) -> tuple[bytes, ...]:
        """Return the elements of a list, indexed by instrument id, at its own instruments."""
        if len(self.ids) < 2:  # itemgetter needs an id, and with a single one returns no tuple
            return tuple([entries[number] for number in self.ids])
        if self._select is None:
            self._select = itemgetter(*self.ids)
        return self._select(entries)


def _everything(_symbol: str) -> bool:
    return True


_Lane: TypeAlias = tuple[Encoding, bool]
"""An encoding, and whether audiences are selecting."""

_Wait: TypeAlias = tuple[_Lane, int, int]
"""The lane, interval and cursor of throttled audiences."""


class Group:
    """Audiences with the same encoding, due time (None: ready) and pending changes: those after the cut `since`.

    Those of a throttled group have the same interval, too, and each has the cursor `since`.
    """

    __slots__ = ("audiences", "broad", "due", "encoding", "selecting", "since")

    def __init__(self, encoding: Encoding, due: int | None = None, since: int = 0, *, selecting: bool = False) -> None:
        self.encoding = encoding
        self.selecting = selecting
        """Whether all of its audiences are; otherwise none is."""
        self.due = due
        self.since = since
        self.audiences: dict[Audience, None] = {}
        self.broad: dict[Audience, None] = {}
        """The broad ones among these."""

    def __repr__(self) -> str:
        state = "ready" if self.due is None else f"due at {self.due}"
        return f"<Group {state}, changes since cut {self.since}: {len(self.audiences)} audiences>"


def _wait(audience: Audience) -> _Wait:
    return (audience.encoding, audience.group.selecting), audience.interval_us, audience.cursor


def _next_multiple(interval_us: int, now: int) -> int:
    return now - now % interval_us + interval_us


class ConflationScheduler:
    """All groups. Each audience is in exactly one."""

    def __init__(self, group_audiences: int) -> None:
        """`group_audiences` is the most audiences without an interval in one group."""
        self._group_audiences = group_audiences
        self._shards: dict[_Lane, list[Group]] = {}
        """The groups of ready audiences: of each lane, first that of all audiences with an interval."""
        self._throttled: dict[int, dict[_Wait, Group]] = {}
        """The groups of throttled audiences, by due time."""
        self._dues: list[int] = []
        """A heap of these due times, each once."""

    def ready(self) -> list[Group]:
        """Return the groups of ready audiences."""
        return [shard for shards in self._shards.values() for shard in shards]

    def due(self, now: int) -> Iterator[Group]:
        """Remove and return the groups due at `now`. The caller passes each to `rest`, once what is pending is sent."""
        while self._dues and self._dues[0] <= now:
            yield from self._throttled.pop(heapq.heappop(self._dues), {}).values()

    def next_due(self) -> int | None:
        """Return the next due time, None if there is none; those who were throttled until then may have left."""
        return self._dues[0] if self._dues else None

    def shard_for(self, subscription_set: SubscriptionSet, encoding: Encoding, cut: int) -> Group:
        """Return the shard of a new audience; `cut` is the present one."""
        selecting = bool(subscription_set.selected)
        shards = self._shards.setdefault((encoding, selecting), [])
        if not shards:
            shards.append(Group(encoding, since=cut, selecting=selecting))
        if subscription_set.interval_us:
            return shards[0]
        smallest = min(shards[1:], key=lambda shard: len(shard.audiences), default=None)
        if smallest is None or len(smallest.audiences) >= self._group_audiences:
            smallest = Group(encoding, since=cut, selecting=selecting)
            shards.append(smallest)
        return smallest

    def throttle(self, audience: Audience, now: int) -> None:
        """Hold back a ready audience that is sent a frame now, until the next multiple of its interval.

        Audiences with the same interval are due together, and share the encoded entries.
        """
        due = _next_multiple(audience.interval_us, now)
        groups, wait = self._due_at(due), _wait(audience)
        group = groups.get(wait)
        if group is None:
            (encoding, selecting), _, cursor = wait
            group = groups[wait] = Group(encoding, due, cursor, selecting=selecting)
        self._move(audience, group)

    def rest(self, group: Group, now: int) -> None:
        """Hold back those audiences of a due group that were sent a frame at `now`; the others become ready.

        The group as a whole waits for the next multiple: where many are sent something at each, as in a market that is
        never still, that saves moving each of them each time.
        """
        for audience in [each for each in group.audiences if each.cursor == group.since]:
            self._move(audience, audience.shard)
        sent = next(iter(group.audiences), None)
        if sent is None:
            return
        group.since, group.due = sent.cursor, _next_multiple(sent.interval_us, now)
        same = self._due_at(group.due).setdefault(_wait(sent), group)
        if same is not group:
            for audience in list(group.audiences):
                self._move(audience, same)

    def _due_at(self, due: int) -> dict[_Wait, Group]:
        groups = self._throttled.get(due)
        if groups is None:
            groups = self._throttled[due] = {}
            heapq.heappush(self._dues, due)
        return groups

    def isolate(self, audience: Audience) -> Group:
        """Move an audience that is due to a group of its own, which is due as well; return that."""
        before = audience.group
        group = Group(audience.encoding, before.due, before.since, selecting=before.selecting)
        self._move(audience, group)
        return group

    def discard(self, audience: Audience) -> None:
        """Remove an audience that has no subscribers any more."""
        group = audience.group
        del group.audiences[audience]
        group.broad.pop(audience, None)
        if group.audiences:
            return
        lane = group.encoding, group.selecting
        if group.due is None:
            if group is not self._shards[lane][0]:
                self._shards[lane].remove(group)
        else:
            # The due time stays until it has come, also without groups: in the heap it could not be found again.
            groups, wait = self._throttled.get(group.due, {}), _wait(audience)
            if groups.get(wait) is group:
                del groups[wait]

    def release(self, encoding: Encoding) -> None:
        """Drop an encoding that no audience has any more."""
        for selecting in (False, True):
            self._shards.pop((encoding, selecting), None)

    def _move(self, audience: Audience, group: Group) -> None:
        audience.group.audiences.pop(audience, None)
        group.audiences[audience] = None
        if audience.broad:
            audience.group.broad.pop(audience, None)
            group.broad[audience] = None
        audience.group = group

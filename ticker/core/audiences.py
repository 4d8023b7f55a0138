"""Subscribers, the audiences they make up, and when these may be sent something.

An audience is ready (it is sent a change at once), or it rests until the next multiple of its interval. If there is
nothing to send then, it is ready. So no change waits longer than an interval, and n of them bring at most n + 1 frames.

Audiences that are owed the changes after the same cut, in the same encoding, and may have them from the same moment on,
are a `Group`: what they need is encoded once, and found in one go. Those that rest are one for each end of a rest and
each cut they were brought to. The ready audiences of an encoding are one, too, but for those that never rest: they are
in groups of a bounded size, between which a pass can take in what has come since it began.

Time is an integer: microseconds of any clock that only goes forward.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeAlias

from ticker.core.encode_cache import ChangeSet
from ticker.protocol.symbols import Match, matcher
from ticker.protocol.wire import Encoding


class Sink(Protocol):
    """The way to one client's socket."""

    @property
    def push(self) -> Callable[[bytes], bool]:
        """Sends at once what the socket takes of a frame; False if a rest must wait."""
        ...

    def catch_up_later(self) -> None:
        """See to it that `Hub.catch_up` is called when nothing waits for the socket any more."""
        ...


class SubscriptionSet(NamedTuple):
    """What a subscriber asks for; equal watches share an audience."""

    symbols: frozenset[str]
    patterns: frozenset[str]
    interval_us: int
    entitled: frozenset[str] | None = None
    """The symbols and patterns that it may see of them, if not all."""


NOTHING = SubscriptionSet(frozenset(), frozenset(), 0)


class TrafficCounters:
    """Counts what was sent. An audience counts for its members, so that nothing has to be counted for each of them.

    What a member was sent is its own count and its audience's; so what the audience counted before is taken off the
    member's own when it joins, and put on it when it parts.
    """

    __slots__ = ("bytes", "frames", "updates")

    def __init__(self) -> None:
        self.frames = self.bytes = self.updates = 0

    def add(self, updates: int, frame: bytes) -> None:
        """A frame was sent, with the changes of so many instruments."""
        self.frames += 1
        self.bytes += len(frame)
        self.updates += updates

    def take_back(self, updates: int, frame: bytes) -> None:
        """A frame that the audience has counted did not go to this member."""
        self.frames -= 1
        self.bytes -= len(frame)
        self.updates -= updates

    def join(self, other: TrafficCounters, sign: int = 1) -> None:
        """Add another count."""
        self.frames += sign * other.frames
        self.bytes += sign * other.bytes
        self.updates += sign * other.updates

    def part(self, other: TrafficCounters) -> None:
        """Take another count off."""
        self.join(other, -1)


class Subscriber:
    """One client, as the hub knows it."""

    __slots__ = (
        "audience",
        "cursor",
        "encoding",
        "in_step",
        "offered",
        "pending_snapshot",
        "push",
        "sent",
        "sink",
        "slow_consumer_events",
    )

    def __init__(self, sink: Sink, encoding: Encoding, audience: Audience, cursor: int) -> None:
        self.sink = sink
        self.push = sink.push
        self.encoding = encoding
        self.audience = audience
        self.cursor = cursor
        self.pending_snapshot: set[int] | None = None
        """Instruments that it asked for and has nothing of yet, if any: an empty set would keep what it grew to."""
        self.in_step = False
        self.slow_consumer_events = 0
        """How often it fell out of step."""
        self.sent = TrafficCounters()
        self.offered = 0
        """The updates of what it watches, less those that the instruments it watches now have had in all."""


class Audience:
    """The subscribers with one watch and one encoding."""

    __slots__ = (
        "_select",
        "cursor",
        "encoding",
        "group",
        "home",
        "ids",
        "interval_us",
        "members",
        "pending_entries",
        "sees",
        "sent",
        "sent_at",
        "size",
        "watch",
    )

    def __init__(self, watch: SubscriptionSet, encoding: Encoding, group: Group, now: int) -> None:
        self.watch = watch
        self.interval_us = watch.interval_us
        self.encoding = encoding
        self.ids: set[int] = set()
        """The instruments that match the watch so far."""
        self._select: Callable[[list[bytes]], tuple[bytes, ...]] | None = None
        self.cursor = group.since
        self.members: dict[Subscriber, None] = {}
        """Those in step."""
        self.size = 0
        """All its subscribers, in step or not."""
        self.group = group
        group.audiences[self] = None
        self.home = None if watch.interval_us else group
        """The group that it never leaves, if it never rests."""
        self.pending_entries: list[bytes] = []
        """The entries of the frame that is being made for it."""
        self.sent_at = now
        self.sent = TrafficCounters()
        self.sees: Match = _everything if watch.entitled is None else matcher(watch.entitled)
        """Tells whether its subscribers may see a symbol."""

    def take_in(self, number: int) -> None:
        """An instrument has appeared that matches the watch."""
        self.ids.add(number)
        self._select = None

    def select(self, entries: list[bytes]) -> tuple[bytes, ...]:
        """Its instruments' elements of a list that is indexed by instrument id."""
        if len(self.ids) < 2:  # where itemgetter would give the element itself, or have nothing to get
            return tuple(entries[number] for number in self.ids)
        if self._select is None:
            self._select = itemgetter(*self.ids)
        return self._select(entries)


def _everything(_symbol: str) -> bool:
    return True


class Group:
    """Audiences with the same encoding that wait until `due` (None: they are ready) for what changed after `since`."""

    __slots__ = ("audiences", "due", "encoding", "since")

    def __init__(self, encoding: Encoding, due: int | None = None, since: int = 0) -> None:
        self.encoding = encoding
        self.due = due
        self.since = since
        self.audiences: dict[Audience, None] = {}


class ConflationScheduler:
    """All groups. An audience is in exactly one."""

    def __init__(self, group_audiences: int) -> None:
        """`group_audiences` is the most audiences that never rest in one group."""
        self._group_audiences = group_audiences
        self._ready: dict[Encoding, list[Group]] = {}
        self._resting: dict[int, dict[tuple[Encoding, int], Group]] = {}
        self._dues: list[int] = []

    def ready(self) -> list[Group]:
        """The groups of the ready audiences; of each encoding, that of those who rest at times comes first."""
        return [group for groups in self._ready.values() for group in groups]

    def rested(self, now: int) -> Iterator[Group]:
        """The groups whose rest is over. Each of their audiences is then given to `rest` or `be_ready`."""
        while self._dues and self._dues[0] <= now:
            yield from self._resting.pop(heapq.heappop(self._dues), {}).values()

    def next_due(self) -> int | None:
        """When the next rest is over."""
        return self._dues[0] if self._dues else None

    def group_for(self, watch: SubscriptionSet, encoding: Encoding, cut: int) -> Group:
        """Where a new audience begins; `cut` is the present one."""
        groups = self._ready.setdefault(encoding, [])
        if not groups:
            groups.append(Group(encoding, since=cut))
        if watch.interval_us:
            return groups[0]
        smallest = min(groups[1:], key=lambda group: len(group.audiences), default=None)
        if smallest is None or len(smallest.audiences) >= self._group_audiences:
            smallest = Group(encoding, since=cut)
            groups.append(smallest)
        return smallest

    def be_ready(self, audience: Audience) -> None:
        """An audience that has rested is to be sent a change at once."""
        self._move(audience, self._ready[audience.encoding][0])

    def rest(self, audience: Audience, now: int) -> None:
        """An audience that is sent something now is to rest until the next multiple of its interval.

        All audiences with the same interval meet there, and share what is encoded for them.
        """
        interval = audience.interval_us
        due = now - now % interval + interval
        groups = self._resting.get(due)
        if groups is None:
            groups = self._resting[due] = {}
            heapq.heappush(self._dues, due)
        key = audience.encoding, audience.cursor
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(audience.encoding, due, audience.cursor)
        self._move(audience, group)

    def discard(self, audience: Audience) -> None:
        """The last subscriber of an audience has gone."""
        group = audience.group
        del group.audiences[audience]
        if group.audiences:
            return
        if audience.home is not None:
            self._ready[group.encoding].remove(group)
        elif group.due is not None:
            groups = self._resting.get(group.due, {})
            key = group.encoding, group.since
            if groups.get(key) is group:
                del groups[key]
            if not groups:
                self._resting.pop(group.due, None)

    def forget(self, encoding: Encoding) -> None:
        """An encoding that no audience has any more."""
        del self._ready[encoding]

    def _move(self, audience: Audience, group: Group) -> None:
        audience.group.audiences.pop(audience, None)
        group.audiences[audience] = None
        audience.group = group


WatchIndex: TypeAlias = dict[Group | None, dict[Audience, None]]
"""Who watches an instrument, by the group that they never leave, if they never rest."""


def pending_by_audience(
    group: Group, window: ChangeSet, watchers: Sequence[WatchIndex]
) -> Iterator[tuple[Audience, list[bytes]]]:
    """Those of a group's audiences that are owed any entries of a window, with these.

    From the changed instruments to those who watch them, or from each audience's instruments to their entries,
    whichever is cheaper: a step of the first way costs three to four times as much as one of the second.
    """
    audiences = group.audiences
    if not audiences:
        return
    home = next(iter(audiences)).home
    watched = [(number, watchers[number][home]) for number in window.changed if home in watchers[number]]
    steps = sum([len(those) for _, those in watched])
    if steps > len(audiences) and 3 * steps > sum(len(audience.ids) for audience in audiences):
        entries = [b""] * len(watchers)
        for number, _ in watched:
            entries[number] = window[number]
        for audience in list(audiences):
            if pending := list(filter(None, audience.select(entries))):
                yield audience, pending
        return
    found = []
    for number, those in watched:
        entry = b""
        for audience in those:
            if audience.group is group:
                entry = entry or window[number]
                if not audience.pending_entries:
                    found.append(audience)
                audience.pending_entries.append(entry)
    for audience in found:
        pending, audience.pending_entries = audience.pending_entries, []
        yield audience, pending

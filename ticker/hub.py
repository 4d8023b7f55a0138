"""Who watches what, who is owed what, and when it is sent.

The rules:

1. A subscriber has a cursor: the cut through which its client has been told everything it asked for. What it is owed is
   computed from that (`entries`), never queued.
2. Subscribers that watch the same symbols and patterns, with the same interval and encoding, have one `Audience`. Those
   of them that are *in step* get the same bytes, encoded once.
3. For every subscriber in step: its audience's cursor <= its own. So the next frame's `since` fits every client.
4. A subscriber whose socket did not take a whole frame falls out of step and is sent nothing. When the socket is free
   again, `catch_up` sends one merged delta from its cursor to now, and it is in step again. New subscribers, and those
   that ask for more, come in the same way: what they have nothing of yet is `fresh`, and is sent as complete records.
5. An audience is `ready` (it is sent a change at once) or it rests until `due`, because it was sent something less than
   its interval ago. A ready audience is owed nothing of the cuts that were swept, even where its cursor, the last cut
   it was told of, is older.
6. `publish` yields after every few writes. Between two of its steps anybody may come, leave or change what they watch.

Time is an integer: microseconds of any clock that only goes forward.
"""

from __future__ import annotations

import fnmatch
import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias

from ticker.entries import Entries, Window
from ticker.last_value import LastValueCache
from ticker.messages import Heartbeat
from ticker.wire import Encoding


class Sink(Protocol):
    """The way to one client's socket."""

    @property
    def push(self) -> Callable[[bytes], bool]:
        """Sends at once what the socket takes of a frame; False if a rest must wait."""
        ...

    def catch_up_later(self) -> None:
        """See to it that `Hub.catch_up` is called when nothing waits for the socket any more."""
        ...


class Watch(NamedTuple):
    """What a subscriber asks for; equal watches share an audience."""

    symbols: frozenset[str]
    patterns: frozenset[str]
    interval_us: int


_Match: TypeAlias = Callable[[str], object]

NOTHING = Watch(frozenset(), frozenset(), 0)


class Audience:
    """The subscribers with one watch and one encoding."""

    __slots__ = ("cursor", "due", "encoding", "ids", "members", "ready", "sent_at", "size", "watch")

    def __init__(self, watch: Watch, encoding: Encoding, ids: set[int], cursor: int, now: int) -> None:
        self.watch = watch
        self.encoding = encoding
        self.ids = ids
        """The instruments that match the watch so far."""
        self.cursor = cursor
        self.members: dict[Subscriber, None] = {}
        """Those in step."""
        self.size = 0
        """All its subscribers, in step or not."""
        self.ready = True
        self.due = 0
        self.sent_at = now


class _Pattern(NamedTuple):
    """A pattern that somebody watches, what matches it so far, and who watches it."""

    match: _Match
    ids: set[int]
    audiences: dict[Audience, None]


class Subscriber:
    """One client, as the hub knows it."""

    __slots__ = ("audience", "cursor", "encoding", "fresh", "in_step", "lapses", "push", "sink")

    def __init__(self, sink: Sink, encoding: Encoding, audience: Audience, cursor: int) -> None:
        self.sink = sink
        self.push = sink.push
        self.encoding = encoding
        self.audience = audience
        self.cursor = cursor
        self.fresh: set[int] = set()
        """Instruments that it asked for and has nothing of yet."""
        self.in_step = False
        self.lapses = 0
        """How often it fell out of step."""


class Hub:
    """All subscribers of one cache."""

    def __init__(self, cache: LastValueCache, *, snapshot_part: int = 256, burst: int = 64) -> None:
        """`snapshot_part` is the most instruments in one part of a snapshot; `burst` the writes between two yields."""
        self.cache = cache
        self._snapshot_part = snapshot_part
        self._burst = burst
        self._writes = 0
        self._moves = 0
        """How often anybody joined or left the members of an audience."""
        self._audiences: dict[tuple[Watch, Encoding], Audience] = {}
        self._watchers: list[dict[Audience, None]] = []
        self._entries: dict[Encoding, Entries] = {}
        self._ready: dict[Audience, None] = {}
        self._resting: dict[int, dict[Audience, None]] = {}
        self._dues: list[int] = []
        self._swept = cache.cut
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

    def watch(self, subscriber: Subscriber, watch: Watch, now: int, *, resume_from: int | None = None) -> None:
        """Replace what a client watches, and send what it is owed for that.

        With `resume_from` the client has, from an earlier connection, everything of this watch through that cut.
        """
        held = subscriber.audience.ids - subscriber.fresh
        # In this order: the last subscriber of an audience that asks for the same again must not end it on the way.
        audience = self._audience(watch, subscriber.encoding, now)
        audience.size += 1
        self._leave(subscriber)
        subscriber.audience = audience
        if resume_from is None:
            subscriber.fresh = audience.ids - held
        else:
            subscriber.fresh = set()
            subscriber.cursor = resume_from
            if resume_from < self.cache.cut and not self._send_owed(subscriber):
                return
        self.catch_up(subscriber)

    def fall_behind(self, subscriber: Subscriber) -> None:
        """Its socket did not take all it was given: it gets nothing more until `catch_up`."""
        if subscriber.in_step:
            subscriber.in_step = False
            subscriber.lapses += 1
            self._moves += 1
            del subscriber.audience.members[subscriber]
        subscriber.sink.catch_up_later()

    def catch_up(self, subscriber: Subscriber) -> bool:
        """Send the next part of what a subscriber out of step is owed, its socket being free. True once in step."""
        if subscriber.in_step:
            return True
        owed = subscriber.fresh or subscriber.cursor < subscriber.audience.cursor
        if owed and (not self._send_owed(subscriber) or subscriber.fresh):
            return False
        self._join(subscriber)
        return True

    def find(self, pattern: str) -> list[int]:
        """The ids of the instruments whose symbols match a pattern."""
        match = _matcher(pattern)
        return [record.id for record in self.cache.records if match(record.symbol)]

    # Sending

    def publish(self, now: int) -> Iterator[None]:
        """Send everything that is owed and due at `now`, yielding between bursts of writes.

        To be called after each cut and at `next_due`, and to be exhausted before it is called again.
        """
        self._adopt_new_instruments()
        while self._dues and self._dues[0] <= now:
            due = heapq.heappop(self._dues)
            for audience in self._resting.pop(due, {}):
                if audience.size:
                    yield from self._end_rest(audience, now)
        if self._swept != self.cache.cut:
            since, self._swept = self._swept, self.cache.cut
            for audience, changed in self._changed_audiences(since):
                window = self._entries[audience.encoding].window(since)
                yield from self._send(audience, window, changed, now, now)

    def heartbeat(self, now: int, idle_us: int) -> Iterator[None]:
        """Send a HEARTBEAT to the audiences that were sent nothing for `idle_us`; yields between bursts of writes."""
        for audience in [audience for audience in self._audiences.values() if now - audience.sent_at >= idle_us]:
            if audience.ready:
                audience.cursor = self._swept
            beat = audience.encoding.frame(Heartbeat(audience.cursor, self.cache.time))
            yield from self._write(audience, beat, now, below=self.cache.cut + 1)

    def next_due(self) -> int | None:
        """When `publish` has to be called next, even if there is no new cut."""
        return self._dues[0] if self._dues else None

    def _changed_audiences(self, since: int) -> list[tuple[Audience, Iterable[int]]]:
        """The ready audiences for which something changed after `since`, found the cheaper way round."""
        changed = self.cache.changed_since(since)
        ready = self._ready
        if sum(len(self._watchers[number]) for number in changed) < len(ready):
            found: dict[Audience, list[int]] = {}
            for number in changed:
                for audience in self._watchers[number]:
                    if audience.ready:
                        found.setdefault(audience, []).append(number)
            return list(found.items())
        return [(audience, audience.ids & changed) for audience in ready if not audience.ids.isdisjoint(changed)]

    def _end_rest(self, audience: Audience, now: int) -> Iterator[None]:
        window = self._entries[audience.encoding].window(audience.cursor)
        changed = audience.ids & window.changed
        if changed:
            yield from self._send(audience, window, changed, now, audience.due)
        else:
            audience.ready = True
            self._ready[audience] = None

    def _send(self, audience: Audience, window: Window, changed: Iterable[int], now: int, start: int) -> Iterator[None]:
        """Send the changes of a window to an audience, which is due since `start`."""
        if not audience.size:
            return  # its last subscriber has gone since this pass began
        since, audience.cursor = audience.cursor, self.cache.cut
        interval = audience.watch.interval_us
        if interval:
            # A pass that comes a little late keeps to the grid all the same.
            self._rest(audience, start if now - start <= interval // 4 else now)
        if audience.members:
            frame = self._entries[audience.encoding].frame(since, window, changed)
            # Whoever has joined since this cut was closed was brought to it on the way in.
            yield from self._write(audience, frame, now, below=audience.cursor)

    def _write(self, audience: Audience, frame: bytes, now: int, *, below: int) -> Iterator[None]:
        """Write a frame that tells of an audience's cursor to those of its members whose own is lower than `below`."""
        cut = audience.cursor
        audience.sent_at = now
        waiting = iter([each for each in audience.members if each.cursor < below])
        while True:
            room = self._burst - self._writes
            chunk = list(islice(waiting, room))
            for subscriber in chunk:
                subscriber.cursor = cut
                if not subscriber.push(frame):
                    self.fall_behind(subscriber)
            self._writes += len(chunk)
            if len(chunk) < room:
                return
            self._writes, moves = 0, self._moves
            yield
            if moves != self._moves:
                waiting = iter([each for each in waiting if each in audience.members and each.cursor < below])

    def _send_owed(self, subscriber: Subscriber) -> bool:
        """Send one merged delta from the subscriber's cursor to now, with a part of what is fresh to it."""
        entries = self._entries[subscriber.encoding]
        window = entries.window(subscriber.cursor)
        changed = (subscriber.audience.ids & window.changed) - subscriber.fresh
        part = sorted(subscriber.fresh)[: self._snapshot_part]
        since, subscriber.cursor = subscriber.cursor, self.cache.cut
        subscriber.fresh.difference_update(part)
        return subscriber.push(entries.frame(since, window, changed, part))

    # Audiences

    def _audience(self, watch: Watch, encoding: Encoding, now: int) -> Audience:
        """The audience of a watch, made if there is none."""
        audience = self._audiences.get((watch, encoding))
        if audience is not None:
            return audience
        self._adopt_new_instruments()
        if encoding not in self._entries:
            self._entries[encoding] = Entries(self.cache, encoding)
        audience = Audience(watch, encoding, set(), self._swept, now)
        for symbol in watch.symbols:
            record = self.cache.find(symbol)
            if record is not None:
                audience.ids.add(record.id)
            else:
                self._waiting_symbols.setdefault(symbol, {})[audience] = None
        for pattern in watch.patterns:
            if pattern not in self._patterns:
                self._patterns[pattern] = _Pattern(_matcher(pattern), set(self.find(pattern)), {})
            self._patterns[pattern].audiences[audience] = None
            audience.ids |= self._patterns[pattern].ids
        for number in audience.ids:
            self._watchers[number][audience] = None
        self._audiences[watch, encoding] = audience
        self._ready[audience] = None
        return audience

    def _discard(self, audience: Audience) -> None:
        """The last subscriber of an audience has gone."""
        del self._audiences[audience.watch, audience.encoding]
        self._ready.pop(audience, None)
        resting = self._resting.get(audience.due, {})
        if audience in resting:
            del resting[audience]
            if not resting:
                del self._resting[audience.due]
        for number in audience.ids:
            del self._watchers[number][audience]
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
            for audience in watchers:
                audience.ids.add(record.id)
            self._watchers.append(watchers)

    def _join(self, subscriber: Subscriber) -> None:
        self._moves += 1
        subscriber.in_step = True
        subscriber.audience.members[subscriber] = None

    def _leave(self, subscriber: Subscriber) -> None:
        audience = subscriber.audience
        if subscriber.in_step:
            self._moves += 1
            subscriber.in_step = False
            del audience.members[subscriber]
        audience.size -= 1
        if not audience.size:
            self._discard(audience)

    def _rest(self, audience: Audience, start: int) -> None:
        """Let an audience rest until an interval after `start`.

        Those that started off the common grid of multiples of the interval are let drift onto it, a quarter of an
        interval at a time: audiences that are due together share their windows.
        """
        interval = audience.watch.interval_us
        due = start + interval
        due += min(-due % interval, interval // 4)
        audience.ready, audience.due = False, due
        self._ready.pop(audience, None)
        if due not in self._resting:
            self._resting[due] = {}
            heapq.heappush(self._dues, due)
        self._resting[due][audience] = None


def _matcher(pattern: str) -> _Match:
    return re.compile(fnmatch.translate(pattern)).match

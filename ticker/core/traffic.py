"""What was sent to each client, and what the feeds offered: counts, and nothing that is sent depends on them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from itertools import chain
from typing import NamedTuple

from ticker.bounds import COUNTED_PER_JOIN
from ticker.core.audience_index import AudienceIndex
from ticker.core.audiences import Audience, Subscriber, TrafficCounters
from ticker.core.bitmaps import numbers_in, selected
from ticker.core.last_value import LastValueCache


class Traffic(NamedTuple):
    """Sent data messages and heartbeats, their bytes, and the instrument updates in them.

    `offered` is the number of updates that the feeds made of the client's instruments; `offered / updates` is its
    conflation ratio.
    """

    frames: int
    bytes: int
    updates: int
    offered: int


class TrafficMeter:
    """The traffic of all clients of a hub, present and departed."""

    def __init__(self, cache: LastValueCache, index: AudienceIndex) -> None:
        self._cache = cache
        self._index = index
        self.departed = TrafficCounters()
        """Traffic of the clients that have disconnected."""

    def __repr__(self) -> str:
        return f"<TrafficMeter of {self._index!r}>"

    def of(self, subscriber: Subscriber) -> Traffic:
        """Return the traffic of a client so far."""
        offered = subscriber.offered + self.updates(subscriber.audience)
        return Traffic(subscriber.sent_frames, subscriber.sent_bytes, subscriber.sent_updates, offered)

    def total(self, audiences: Iterable[Audience]) -> TrafficCounters:
        """Return the traffic of the clients of these audiences so far, with those that have disconnected."""
        total = copy(self.departed)
        for audience in audiences:
            for subscriber in chain(audience.members, audience.behind):
                total.add(subscriber)
        return total

    def updates(self, audience: Audience) -> int:
        """Return the number of updates so far of an audience's instruments."""
        counts, records = self._cache.updates, self._cache.records
        self._index.joins += audience.count // COUNTED_PER_JOIN
        total = sum(selected(audience.bits, counts)) if audience.broad else sum([counts[each] for each in audience.ids])
        if tables := self._index.tables.bits:
            total += sum([records[each].updates for each in numbers_in(audience.bitmap() & tables)])
        return total

"""The data that one subscriber lacks and its audience does not: computed from its cursor, and sent to it alone.

The order is that of the client's copy: first what leaves it, then the changes since the cursor with a part of the
records that are new to it. Records that it may have already are sent whole, too, and at once where they have changed:
what it has is of its cursor. Each message is made of encoded entries; where many are missing, these are made in steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ticker.bounds import REMOVED_PER_PART, ROWS_PER_PART, SENT_BYTES_PER_REQUEST_UNIT, SENT_PER_REQUEST_UNIT
from ticker.core.audiences import Subscriber
from ticker.core.bitmaps import bitmap_of, numbers_in, take_lowest
from ticker.core.encode_cache import ChangeSet, EncodeCache, Parts, Share
from ticker.core.last_value import LastValueCache
from ticker.core.preparation import Preparation
from ticker.core.preparing import Preparer
from ticker.protocol.wire import Encoding


class LackingData:
    """Sends subscribers what they lack, in parts."""

    def __init__(
        self, cache: LastValueCache, encode_caches: Mapping[Encoding, EncodeCache], part: int, encoded: int
    ) -> None:
        """`part` is the most records in one message, `encoded` the most entries to encode in one step."""
        self._cache = cache
        self._encode_caches = encode_caches
        self._part = part
        self._encoded = encoded
        self._preparer = Preparer(encoded)

    def __repr__(self) -> str:
        return f"<LackingData of {self._cache!r}>"

    def send_next(self, subscriber: Subscriber, through: int) -> bool:
        """Send the next part of what a subscriber lacks through this cut, its socket being free.

        Return whether it has everything then, and its socket is still free.
        """
        if subscriber.pending_definitions and not self._send_definitions(subscriber):
            return False
        if subscriber.pending_removed and not self._send_removed(subscriber):
            return False
        if not subscriber.pending_snapshot and not subscriber.resuming and subscriber.cursor >= through:
            return True
        preparation = None
        if self._lacks_many(subscriber):
            preparation = self._preparer.prepared(subscriber, self._encode_caches[subscriber.encoding])
            if preparation is None:
                return False
        return self._send_data(subscriber, preparation) and not subscriber.pending_snapshot

    def forget(self, subscriber: Subscriber) -> None:
        """Give up what was prepared for a subscriber."""
        self._preparer.forget(subscriber)

    def _send_definitions(self, subscriber: Subscriber) -> bool:
        """Tell a client the ids that its tables have on this connection."""
        bits, subscriber.pending_definitions = subscriber.pending_definitions, 0
        frame = self._encode_caches[subscriber.encoding].definitions(numbers_in(bits))
        return not frame or subscriber.push(frame)  # names need no definitions

    def _send_removed(self, subscriber: Subscriber) -> bool:
        """Tell a client of the next part of the records that leave its copy; True if that was all, and is sent."""
        records = self._cache.records
        part, subscriber.pending_removed = take_lowest(subscriber.pending_removed, REMOVED_PER_PART)
        removed = [records[each] for each in part]
        frame = subscriber.encoding.removed(self._cache.wire_cut(subscriber.cursor), removed)
        return subscriber.push(frame) and not subscriber.pending_removed

    def _send_data(self, subscriber: Subscriber, preparation: Preparation | None) -> bool:
        """Send one merged delta from the subscriber's cursor to now, with a part of its pending snapshot."""
        encode_cache = self._encode_caches[subscriber.encoding]
        changed: Collection[int] = ()
        if preparation is not None:
            change_set, parts, outdated = preparation.change_set, preparation.parts(), []
            subscriber.pending_snapshot &= ~preparation.sent_whole()
        else:
            change_set, parts = self._change_set(subscriber, encode_cache), Parts()
            changed = subscriber.audience.changed_in(change_set, subscriber.pending_snapshot)
            outdated = _take_outdated(subscriber, change_set)
        part = [*outdated, *self._take_part(subscriber)]
        subscriber.resuming = False
        since, subscriber.cursor = subscriber.cursor, self._cache.cut
        updates = len(parts) + len(changed) + len(part)
        frame = encode_cache.frame(since, _shares(subscriber, change_set, changed, part), parts)
        subscriber.count(updates, frame)
        subscriber.cost += updates / SENT_PER_REQUEST_UNIT + len(frame) / SENT_BYTES_PER_REQUEST_UNIT
        return subscriber.push(frame)

    def _change_set(self, subscriber: Subscriber, encode_cache: EncodeCache) -> ChangeSet:
        audience, cursor = subscriber.audience, subscriber.cursor
        if not audience.broad and self._cache.many_changed(cursor, self._encoded):
            return encode_cache.change_set_among(cursor, audience.ids)
        return encode_cache.change_set(cursor)

    def _take_part(self, subscriber: Subscriber) -> list[int]:
        """Take the next part of a subscriber's pending records."""
        part, subscriber.pending_snapshot = take_lowest(subscriber.pending_snapshot, self._part)
        fitting = self._fitting(part)
        subscriber.pending_snapshot |= bitmap_of(part[fitting:])
        del part[fitting:]
        subscriber.perhaps_held &= subscriber.pending_snapshot
        return part

    def _fitting(self, part: list[int]) -> int:
        """Return how many of these records go into one message: a table is as much work as it has rows."""
        records, rows = self._cache.records, 0
        for place, number in enumerate(part):
            rows += records[number].most_rows
            if rows > ROWS_PER_PART and place:
                return place
        return len(part)

    def _lacks_many(self, subscriber: Subscriber) -> bool:
        """Return whether a subscriber perhaps lacks more changes than are encoded in one step."""
        return subscriber.audience.count > self._encoded and self._cache.many_changed(subscriber.cursor, self._encoded)


def _take_outdated(subscriber: Subscriber, change_set: ChangeSet) -> list[int]:
    """Take those of a subscriber's pending records that it may have, and that have changed."""
    if not subscriber.perhaps_held:
        return []
    bits = subscriber.pending_snapshot & subscriber.perhaps_held & change_set.bits
    subscriber.pending_snapshot &= ~bits
    return numbers_in(bits)


def _shares(
    subscriber: Subscriber, change_set: ChangeSet, changed: Collection[int], part: list[int]
) -> Iterator[Share]:
    """Return the parts of a message with these changes and complete records."""
    audience = subscriber.audience
    if not audience.selecting:
        yield Share(change_set, changed, part)
        return
    for selection, numbers in audience.shares(changed):
        yield Share(change_set.of(selection), numbers)
    for selection, numbers in audience.shares(part):
        yield Share(change_set.of(selection), (), list(numbers))

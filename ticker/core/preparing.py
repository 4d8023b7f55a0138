"""Messages with many changes for clients that are behind, encoded in steps: one message at a time.

Another client in need of one helps with this, and has its own turn next. A client whose socket is full, or that is
closing, does not come for its message: it loses its turn to one that has waited through a whole round of turns.
"""

from __future__ import annotations

from ticker.core.audiences import Subscriber
from ticker.core.encode_cache import EncodeCache
from ticker.core.preparation import Preparation
from ticker.core.selections import Portions


class Preparer:
    """Prepares the messages of one hub."""

    __slots__ = ("_most", "_owner", "_preparation", "_waited")

    def __init__(self, most: int) -> None:
        """`most` is the number of entries encoded in one step."""
        self._most = most
        self._owner: Subscriber | None = None
        self._preparation: Preparation | None = None
        self._waited: set[Subscriber] = set()
        """Those that came since the message was ready, and since the owner did."""

    def __repr__(self) -> str:
        return f"<Preparer of {self._preparation!r} for {self._owner!r}>"

    def prepared(self, subscriber: Subscriber, encode_cache: EncodeCache) -> Preparation | None:
        """Encode a part of the changes that a subscriber lacks; return them once its message can be made at once."""
        owner, preparation = self._owner, self._preparation
        if owner is None or preparation is None:
            owner = self._owner = subscriber
            preparation = self._preparation = Preparation(encode_cache, subscriber.cursor)
        ready = preparation.advance(*_wanted(owner), self._most)
        if owner is subscriber:
            self._waited.clear()
            if not ready:
                return None
            self._end()
            return preparation
        if ready and subscriber in self._waited:
            # Turns are in order: since this one was here last, the owner could have come.
            self._end()
            return self.prepared(subscriber, encode_cache)
        if ready:
            self._waited.add(subscriber)
        return None

    def forget(self, subscriber: Subscriber) -> None:
        """Give up the message of this subscriber, if it is the one that is prepared."""
        if self._owner is subscriber:
            self._end()

    def _end(self) -> None:
        self._owner = self._preparation = None
        self._waited.clear()


def _wanted(subscriber: Subscriber) -> tuple[Portions, int]:
    """Return the instruments whose changes a subscriber lacks, and the bitmap of those to be sent whole."""
    pending, portions = subscriber.pending_snapshot, subscriber.audience.by_selection()
    if not pending:
        return portions, 0
    whole = pending & subscriber.perhaps_held
    return {selection: bits & (~pending | whole) for selection, bits in portions.items()}, whole

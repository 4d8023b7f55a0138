"""Whether the service has data to serve: what `/readyz` and `ticker_ready` say."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ticker.server.feed_channel import FeedState


class Readiness:
    """The readiness of one service; made when it starts."""

    def __init__(self, feed_states: Sequence[FeedState], ready_seconds: float) -> None:
        """For `ready_seconds` it waits for feeds without data, once one has brought some."""
        self._feed_states = feed_states
        self._until = trio.current_time() + ready_seconds

    def __repr__(self) -> str:
        return f"<Readiness: {'waiting' if self.waiting_for() else 'ready'}>"

    def waiting_for(self) -> list[str]:
        """Return the names of the feeds that the service still waits for; it is ready if there are none.

        A feed that is down later leaves the service ready: clients still get its last prices, as stale, and those of
        the other feeds; another instance would have the same feeds.
        """
        without = [each.label for each in self._feed_states if each.data_at is None]
        if len(without) < len(self._feed_states) and trio.current_time() >= self._until:
            return []  # one has brought data, and the others have had their time
        return without

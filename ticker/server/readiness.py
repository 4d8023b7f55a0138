"""Whether the service has data to serve, and may serve them: what `/readyz` and `ticker_ready` say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from ticker.server.feed_channel import FeedState
from ticker.server.usage_log import UsageLog


class Readiness:
    """The readiness of one service; made when it starts."""

    def __init__(
        self,
        feed_states: Sequence[FeedState],
        ready_seconds: float,
        usage: UsageLog | None = None,
        more: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """For `ready_seconds` it waits for feeds without data, once one has brought some.

        `more` returns what else keeps the service from being ready.
        """
        self._more = more
        self._usage = usage
        self._feed_states = feed_states
        self._until = trio.current_time() + ready_seconds

    def __repr__(self) -> str:
        return f"<Readiness: {'; '.join(self.missing()) or 'ready'}>"

    def missing(self) -> list[str]:
        """Return what keeps the service from being ready; it is if that is nothing."""
        missing = [*self._more()]
        if waiting := self._waiting_for():
            missing.append(f"no data yet from {', '.join(waiting)}")
        if self._usage is not None and self._usage.failing:
            missing.append("the usage log is not written")
        return missing

    def _waiting_for(self) -> list[str]:
        """Return the names of the feeds that the service still waits for.

        A feed that is down later leaves the service ready: clients still get its last prices, as stale, and those of
        the other feeds; another instance would have the same feeds.
        """
        without = [each.label for each in self._feed_states if each.data_at is None]
        if len(without) < len(self._feed_states) and trio.current_time() >= self._until:
            return []  # one has brought data, and the others have had their time
        return without

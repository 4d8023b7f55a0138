"""The rate limit of one client's requests: a burst at once, and so many per second after that.

Requests beyond the rate are not refused on a stream: they are read later, so the excess waits at its sender.
"""

from __future__ import annotations

import math


class RateLimiter:
    """The token bucket of one client. Times are seconds of a monotonic clock."""

    __slots__ = ("_burst", "_least", "_left", "_per_second", "_updated_at")

    def __init__(self, per_second: float, burst: float, now: float, longest_wait: float = math.inf) -> None:
        """`longest_wait` is the most that a client has to wait, in seconds, however much was spent."""
        self._least = -longest_wait * per_second
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._updated_at = now

    def __repr__(self) -> str:
        return f"<RateLimiter: {self._left:g} of {self._burst:g} left, {self._per_second:g} per second>"

    def spend(self, cost: float, now: float) -> float:
        """Spend `cost`; return the seconds that the client has to wait before its next request."""
        earned = (now - self._updated_at) * self._per_second
        self._left = max(self._least, min(self._burst, self._left + earned) - cost)
        self._updated_at = now
        return max(0.0, -self._left / self._per_second)

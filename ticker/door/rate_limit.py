"""How much a client may ask for: so many requests at once, and so many per second after that.

Nothing is refused for being too fast. What comes too fast is read later, so that the excess waits at its sender.
"""

from __future__ import annotations


class RateLimiter:
    """One client's, as a token bucket. Times are seconds of any clock that only goes forward."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, cost: float, now: float) -> float:
        """Spend so much; how many seconds the client is to wait before it may go on."""
        earned = (now - self._at) * self._per_second
        self._left = min(self._burst, self._left + earned) - cost
        self._at = now
        return max(0.0, -self._left / self._per_second)

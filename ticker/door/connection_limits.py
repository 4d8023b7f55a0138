"""How many are inside, by address and by subject, and how many were turned away, by cause. Counts only; no I/O.

A connection is counted from the moment it is accepted. It is let *in* once its request is valid and its token good.
"""

from __future__ import annotations

from collections import Counter

from ticker.config import Limits
from ticker.errors import RefusalCause

_LOBBY = 1_000
"""So many more than may be inside, in all and from one address, are listened to, and told why they cannot come in."""


class ConnectionLimits:
    """The books of the front door."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._addresses: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self.arrived = 0
        """Connections there are, in or not."""
        self.inside = 0
        self.turned_away: Counter[RefusalCause] = Counter()

    def arrive(self, address: str) -> bool:
        """A connection was accepted; `leave` is to follow. False if there is no room even to talk to it."""
        self.arrived += 1
        self._addresses[address] += 1
        limits = self._limits
        if (
            self.arrived <= limits.max_connections + _LOBBY
            and self._addresses[address] <= limits.max_per_address + _LOBBY
        ):
            return True
        self.turned_away[RefusalCause.OVERRUN] += 1
        return False

    def leave(self, address: str) -> None:
        """A connection has ended."""
        self.arrived -= 1
        _count_down(self._addresses, address)

    def enter(self, address: str, subject: str | None) -> RefusalCause | None:
        """Let a connection in, `go` is to follow; or the cause why there is no place for it."""
        limits = self._limits
        if self.inside >= limits.max_connections:
            return RefusalCause.FULL
        if self._addresses[address] > limits.max_per_address:
            return RefusalCause.ADDRESS
        if subject is not None:
            if self._subjects[subject] >= limits.max_per_subject:
                return RefusalCause.SUBJECT
            self._subjects[subject] += 1
        self.inside += 1
        return None

    def go(self, subject: str | None) -> None:
        """A connection that was in is no longer."""
        self.inside -= 1
        if subject is not None:
            _count_down(self._subjects, subject)


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]

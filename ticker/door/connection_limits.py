"""Connection limits: in all, per address (of IPv6, /64) and per subject; and the number of refusals by cause. No I/O.

A connection is *open* from the moment it is accepted, and *admitted* once its request is valid and its token good.
"""

from __future__ import annotations

from collections import Counter

from ticker.bounds import MAX_KEPT_CONNECTIONS, MAX_PENDING_CONNECTIONS
from ticker.config import Limits
from ticker.door.memory import network_of
from ticker.errors import RefusalCause


class ConnectionLimits:
    """Counts the connections of a service, and refuses those beyond its limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._addresses: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()
        self.open = 0
        """Open connections, admitted or not."""
        self.admitted = 0
        self.accept_failures = 0
        """Attempts to accept a connection for which the system had no descriptor or memory."""
        self.refusals: Counter[RefusalCause] = Counter()
        self.not_kept = 0
        """Connections that ended behind a response, because there was no room to keep them."""

    def __repr__(self) -> str:
        return f"<ConnectionLimits: {self.admitted} admitted of {self.open} open>"

    def connected(self, address: str | None) -> bool:
        """Count an accepted connection, until `disconnected`. False if it is to be closed without an answer.

        `address` is None for a connection of a proxy, until it is `identified`.
        """
        self.open += 1
        identified = address is None or self.identified(address)
        if identified and self.open <= self._limits.max_connections + MAX_PENDING_CONNECTIONS:
            return True
        self.refusals[RefusalCause.OVERRUN] += 1
        return False

    def identified(self, address: str) -> bool:
        """Count a connection for the address that its client turned out to have; False if that has far too many."""
        address = network_of(address)
        self._addresses[address] += 1
        return self._addresses[address] <= self._limits.max_per_address + MAX_PENDING_CONNECTIONS

    def forget(self, address: str) -> None:
        """Count a connection no more for an address: its proxy has another client for it, or none at present."""
        _count_down(self._addresses, network_of(address))

    def may_keep(self, address: str) -> bool:
        """Whether there is room for a connection that is kept open for its client's next request."""
        pending = self.open - self.admitted
        of_address = self._addresses[network_of(address)]
        room = pending <= MAX_KEPT_CONNECTIONS and of_address <= self._limits.max_per_address
        self.not_kept += not room
        return room

    def disconnected(self, address: str | None) -> None:
        """Count a connection's end; `address` is None if it was never identified."""
        self.open -= 1
        if address is not None:
            self.forget(address)

    def admit(self, address: str, subject: str | None) -> RefusalCause | None:
        """Admit a connection, until `release`; or return the limit that it exceeds."""
        limits = self._limits
        if self.admitted >= limits.max_connections:
            return RefusalCause.FULL
        if self._addresses[network_of(address)] > limits.max_per_address:
            return RefusalCause.ADDRESS
        if subject is not None:
            if self._subjects[subject] >= limits.max_per_subject:
                return RefusalCause.SUBJECT
            self._subjects[subject] += 1
        self.admitted += 1
        return None

    def release(self, subject: str | None) -> None:
        """Count an admitted connection's end."""
        self.admitted -= 1
        if subject is not None:
            _count_down(self._subjects, subject)


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]

"""The clients of one phase, by read mode.

Most are *swept*: read in bulk a few times per second and decoded later. A few are *probes*: read as soon as they are
readable and decoded at once. Probes are spread evenly over the order of connection, since a server's loop serves some
clients first and some last. Deliberately slow clients are read by `slow.SlowClients`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmarks.client import Client

SWEEP_SECONDS = 0.1
KEPT_SWEEPS = 30
"""In a long phase a client's data is decoded after this many sweeps, staggered over the clients."""


class ClientPool:
    """All clients except those that are read elsewhere."""

    def __init__(
        self, clients: Sequence[Client], probes: float, apart: Collection[Client] = (), *, long: bool = False
    ) -> None:
        """`long`: decode during the phase, because undecoded data would grow too large until its end."""
        others = without(clients, apart)
        self.probes = spread(others, probes)
        self.swept = without(others, self.probes)
        self._position = self._count = 0
        self._long = long

    def sweep(self, now: float) -> None:
        """Read the clients that are due `now` seconds after the phase's start."""
        due = int(now * len(self.swept) / SWEEP_SECONDS)
        for sweep in range(due - min(due - self._count, len(self.swept)), due):
            client = self.swept[self._position]
            client.sweep()
            if self._long and (sweep // len(self.swept) + self._position) % KEPT_SWEEPS == 0:
                client.decode_kept()
            self._position = (self._position + 1) % len(self.swept)
        self._count = due


def spread(clients: Sequence[Client], share: float) -> list[Client]:
    """Return a share of the clients, at least one, evenly spread from the first to the last."""
    count = min(len(clients), max(1, round(len(clients) * share)))
    last = len(clients) - 1
    return [clients[each * last // max(1, count - 1)] for each in range(count)]


def without(clients: Sequence[Client], others: Collection[Client]) -> list[Client]:
    """Return the clients that are not among the others, in order."""
    excluded = set(others)
    return [client for client in clients if client not in excluded]

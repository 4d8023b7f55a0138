"""The clients of one phase, by how they are read.

Most are *swept*: read in bulk a few times per second, and what they got is only kept. A few are *probes*: read as soon
as something is there and decoded at once. They are spread evenly over the order of connection, since a server's loop
serves some first and some last. Clients that are slow on purpose are read by `slow.SlowClients`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmarks.client import Client

SWEEP_SECONDS = 0.1
KEPT_SWEEPS = 30
"""In a long phase, what a client got is decoded after so many sweeps, another client's at each."""


class Crowd:
    """All clients but those that somebody else reads."""

    def __init__(
        self, clients: Sequence[Client], probes: float, apart: Collection[Client] = (), *, long: bool = False
    ) -> None:
        """`long`: what sweeps keep would grow too large until the end of the phase."""
        others = without(clients, apart)
        self.probes = spread(others, probes)
        self.swept = without(others, self.probes)
        self._turn = self._count = 0
        self._long = long

    def sweep(self, now: float) -> None:
        """Read those whose turn has come at this time of the phase."""
        due = int(now * len(self.swept) / SWEEP_SECONDS)
        for sweep in range(due - min(due - self._count, len(self.swept)), due):
            client = self.swept[self._turn]
            client.sweep()
            if self._long and (sweep // len(self.swept) + self._turn) % KEPT_SWEEPS == 0:
                client.decode_kept()
            self._turn = (self._turn + 1) % len(self.swept)
        self._count = due


def spread(clients: Sequence[Client], share: float) -> list[Client]:
    """A share of the clients, one at least, evenly spread from the first to the last."""
    count = min(len(clients), max(1, round(len(clients) * share)))
    last = len(clients) - 1
    return [clients[each * last // max(1, count - 1)] for each in range(count)]


def without(clients: Sequence[Client], others: Collection[Client]) -> list[Client]:
    """The clients that are not among the others, in order."""
    left_out = set(others)
    return [client for client in clients if client not in left_out]

"""Deliberately slow clients: 1 % do not read from the first second to the last but one, 5 % read 10 kB/s."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence

from benchmarks.client import Client
from benchmarks.client_pool import spread, without
from benchmarks.readers import Price
from benchmarks.schedule import Schedule

STALLED_SHARE, TRICKLE_SHARE = 0.01, 0.05
TRICKLE_BYTES, TRICKLES = 10_000, 10
"""Per second."""
SMALL_BUFFER = 32_768
"""In bytes. By default Linux would buffer megabytes of old frames on the client's side."""
CURRENT_SECONDS = 1.0


class SlowClients:
    """Stalled and trickling clients, spread over the order of connection."""

    def __init__(self, clients: Sequence[Client], schedule: Schedule) -> None:
        self.stalled = spread(clients, STALLED_SHARE)
        self.trickling = spread(without(clients, self.stalled), TRICKLE_SHARE)
        for client in self.clients:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._schedule = schedule
        self._resume = schedule.phase.seconds - 1
        self._trickled = 0
        self.oldest_on_resume = self.behind_after_resume = self.trickle_age = 0.0
        """In seconds: age of the oldest price after a stalled client resumed; time until its prices were younger than a
        second; age of the newest price in a trickling client's last read."""

    @property
    def clients(self) -> list[Client]:
        """All slow clients."""
        return self.stalled + self.trickling

    def fileno(self) -> int:
        """Return -1: reads are timed."""
        return -1

    def over(self, now: float) -> bool:
        """Return whether the phase's time is over."""
        return now >= self._schedule.phase.seconds

    def step(self, now: float) -> None:
        """Read from the clients that may read at `now`."""
        if not 1 <= now < self._resume:
            for client in self.stalled:
                ages = self._ages(client.decode(client.receive()), now)
                if now >= self._resume and ages:
                    self.oldest_on_resume = max(self.oldest_on_resume, *ages)
                    if max(ages) > CURRENT_SECONDS:
                        self.behind_after_resume = now - self._resume
        if self.over(now):
            for client in self.trickling:
                client.decode(client.receive())
        elif int(now * TRICKLES) > self._trickled:
            self._trickled = int(now * TRICKLES)
            newest = []
            for client in self.trickling:
                ages = self._ages(client.decode(client.receive(TRICKLE_BYTES // TRICKLES)), now)
                newest += [min(ages)] if ages else []
            self.trickle_age = max(newest, default=self.trickle_age)

    def _ages(self, prices: Iterable[Price], now: float) -> list[float]:
        first, intended = self._schedule.first_price, self._schedule.intended
        return [now - intended[price - first] for _, price in prices if price >= first]

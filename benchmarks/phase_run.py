"""One phase: send the schedule to the server in open loop; read and time the prices that come back.

The latency of an update runs from its due time until a client has it or a newer price of the same instrument. So every
offered update counts once for each probe subscribed to it, whether or not the server conflates, and a stall counts
fully.
"""

from __future__ import annotations

import gc
import select
import time
from array import array
from typing import Protocol

from benchmarks.client import Client
from benchmarks.client_pool import ClientPool
from benchmarks.process import ServerProcess
from benchmarks.schedule import Schedule

LEAD_SECONDS = 0.05
MEMORY_READ_SECONDS = 0.1


class SideActivity(Protocol):
    """Further work during a phase. Times are seconds since the phase's start."""

    def fileno(self) -> int:
        """Return a descriptor to poll besides the probes' sockets, or -1."""
        ...

    def over(self, now: float) -> bool:
        """Return whether the phase may end."""
        ...

    def step(self, now: float) -> None:
        """Do the work that is due."""
        ...


class PhaseRun:
    """Executes one phase and holds its observations."""

    def __init__(self, process: ServerProcess, pool: ClientPool, schedule: Schedule) -> None:
        self.latencies = array("d")
        """One for each update and each probe subscribed to it, in seconds."""
        self.arrivals: dict[int, tuple[float, float]] = {}
        """For each update, its arrival at the first and at the last probe; only where all watchlists are equal."""
        self.peak_memory = process.memory()
        self.drained = 0.0
        """Seconds from the due time of the last update until the probes had everything."""
        self.complete = False
        self._process, self._pool, self._schedule = process, pool, schedule
        self._activity: SideActivity | None = None
        self._sent = 0
        self._next_update = {client: dict.fromkeys(client.numbers, 0) for client in pool.probes}
        self._memory_read_at = 0.0
        self._same_watchlists = len({tuple(client.numbers) for client in pool.probes}) == 1

    def spread(self) -> list[float]:
        """Return for each update the seconds from first to last arrival; only where all watchlists are equal."""
        return [last - first for first, last in self.arrivals.values()]

    @property
    def price(self) -> int:
        """The next price to be sent."""
        return self._schedule.first_price + self._sent

    def execute(self, activity: SideActivity | None = None) -> None:
        """Run the phase to its end. Raises `OSError` if a client's connection fails."""
        self._activity = activity
        lines = self._schedule.lines(time.time() + LEAD_SECONDS)
        start = time.monotonic() + LEAD_SECONDS
        probes = {client.socket.fileno(): client for client in self._pool.probes}
        poll = select.epoll()
        for number in probes:
            poll.register(number, select.EPOLLIN)
        if activity and activity.fileno() >= 0:
            poll.register(activity.fileno(), select.EPOLLIN)
        gc.collect()
        gc.disable()  # a collection in the load client would look like a stall of the server
        try:
            ended = 0.0
            while not ended or not self._drained(time.monotonic() - start, ended):
                now = time.monotonic() - start
                if not ended:
                    due = self._schedule.due(now)
                    self._process.feed(b"".join(lines[self._sent : due]))
                    self._sent = due
                    ended = now if self._over(now) else 0.0
                else:
                    self._process.feed(b"")
                self._read_others(now)
                for number, _ in poll.poll(0.001):
                    if number in probes:
                        self._read_probe(probes[number], start)
        finally:
            gc.enable()
            poll.close()

    def _over(self, now: float) -> bool:
        over = self._activity.over(now) if self._activity else now >= self._schedule.phase.seconds
        if over:
            self._schedule.truncate(self._sent)
            self._offered = sum(
                len(self._schedule.updates_of(number)) for client in self._pool.probes for number in client.numbers
            )
        return over

    def _drained(self, now: float, ended: float) -> bool:
        """Return whether the probes have everything or the drain time is over."""
        if not self.complete and not self._process.behind and len(self.latencies) >= self._offered:
            self.complete = True
            self.drained = now - self._schedule.intended[-1] if self._schedule.intended else 0.0
        return self.complete or now > ended + self._schedule.phase.drain

    def _read_others(self, now: float) -> None:
        if now < 0:
            return
        self._pool.sweep(now)
        if self._activity:
            self._activity.step(now)
        if now > self._memory_read_at + MEMORY_READ_SECONDS:
            self._memory_read_at = now
            self.peak_memory = max(self.peak_memory, self._process.memory())

    def _read_probe(self, client: Client, start: float) -> None:
        data = client.receive()
        now = time.monotonic() - start
        following, schedule = self._next_update[client], self._schedule
        for number, price in client.decode(data):
            latest, places = price - schedule.first_price, schedule.updates_of(number)
            at = following[number]
            while at < len(places) and places[at] <= latest:
                index = places[at]
                self.latencies.append(now - schedule.intended[index])
                if self._same_watchlists:
                    self.arrivals[index] = (self.arrivals.get(index, (now, now))[0], now)
                at += 1
            following[number] = at

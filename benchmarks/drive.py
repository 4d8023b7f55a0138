"""One phase: the schedule is played to the server, come what may, and what comes back is read and timed.

The latency of an update runs from the time at which it was due until a client had it or a newer price of the same
instrument. So every update that was offered counts once for each probe that watches it, whether or not the server
merges updates; and a stall is charged to whoever stalled.
"""

from __future__ import annotations

import gc
import select
import time
from array import array
from typing import Protocol

from benchmarks.client import Client
from benchmarks.crowd import Crowd
from benchmarks.process import ServerProcess
from benchmarks.schedule import Schedule

LEAD_SECONDS = 0.05
WATCH_SECONDS = 0.1


class Aside(Protocol):
    """Something else that goes on during a phase. Times are seconds since the phase's start."""

    def fileno(self) -> int:
        """What to wait for besides the probes' sockets; -1 for nothing."""
        ...

    def over(self, now: float) -> bool:
        """Whether the phase may end."""
        ...

    def step(self, now: float) -> None:
        """Go on for a moment."""
        ...


class Drive:
    """What was seen during a phase."""

    def __init__(self, process: ServerProcess, crowd: Crowd, schedule: Schedule) -> None:
        self.latencies = array("d")
        """One for each update and probe that watches it, in seconds."""
        self.arrivals: dict[int, tuple[float, float]] = {}
        """For each update, when the first and when the last probe had it; where all watch the same."""
        self.peak_memory = process.memory()
        self.drained = 0.0
        """How long after the last update was due the probes had everything."""
        self.complete = False
        self._process, self._crowd, self._schedule = process, crowd, schedule
        self._aside: Aside | None = None
        self._sent = 0
        self._next = {client: dict.fromkeys(client.numbers, 0) for client in crowd.probes}
        self._watched = 0.0
        self._alike = len({tuple(client.numbers) for client in crowd.probes}) == 1

    def spread(self) -> list[float]:
        """For each update, how long after the first probe the last one had it, in seconds; where all watch the same."""
        return [last - first for first, last in self.arrivals.values()]

    @property
    def price(self) -> int:
        """The next price that will be sent."""
        return self._schedule.first_price + self._sent

    def play(self, aside: Aside | None = None) -> None:
        """All of it. Raises `OSError` if a client was lost."""
        self._aside = aside
        lines = self._schedule.lines(time.time() + LEAD_SECONDS)
        start = time.monotonic() + LEAD_SECONDS
        probes = {client.socket.fileno(): client for client in self._crowd.probes}
        poll = select.epoll()
        for number in probes:
            poll.register(number, select.EPOLLIN)
        if aside and aside.fileno() >= 0:
            poll.register(aside.fileno(), select.EPOLLIN)
        gc.collect()
        gc.disable()  # a collection would look like a stall
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
        over = self._aside.over(now) if self._aside else now >= self._schedule.phase.seconds
        if over:
            self._schedule.cut_to(self._sent)
            self._offered = sum(
                len(self._schedule.places_of(number)) for client in self._crowd.probes for number in client.numbers
            )
        return over

    def _drained(self, now: float, ended: float) -> bool:
        """The probes have everything, or there was time enough."""
        if not self.complete and not self._process.behind and len(self.latencies) >= self._offered:
            self.complete = True
            self.drained = now - self._schedule.intended[-1] if self._schedule.intended else 0.0
        return self.complete or now > ended + self._schedule.phase.drain

    def _read_others(self, now: float) -> None:
        if now < 0:
            return
        self._crowd.sweep(now)
        if self._aside:
            self._aside.step(now)
        if now > self._watched + WATCH_SECONDS:
            self._watched = now
            self.peak_memory = max(self.peak_memory, self._process.memory())

    def _read_probe(self, client: Client, start: float) -> None:
        data = client.receive()
        now = time.monotonic() - start
        following, schedule = self._next[client], self._schedule
        for number, price in client.decode(data):
            latest, places = price - schedule.first_price, schedule.places_of(number)
            at = following[number]
            while at < len(places) and places[at] <= latest:
                index = places[at]
                self.latencies.append(now - schedule.intended[index])
                if self._alike:
                    self.arrivals[index] = (self.arrivals.get(index, (now, now))[0], now)
                at += 1
            following[number] = at

"""A large market: clients of a few of its instruments, beside visitors that ask for all of them.

`max` of a phase is the longest gap that the clients see: the time from the moment at which a price is due until a
client has it or a later one.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.client import Client
from benchmarks.floods import LAST, wait_until_declared
from benchmarks.phase_run import PhaseRun
from benchmarks.run import Run
from benchmarks.sample import Sample
from benchmarks.schedule import Schedule
from benchmarks.servers import SERVERS
from benchmarks.tables.run import feed_all
from benchmarks.visitors import VISITS, Visitor
from benchmarks.workloads import Phase

BUSY = 10
"""Instruments that have prices, all of which each client watches: the first ones."""
CHANGE_SECONDS = 5.0
"""Time for the server to take in a price of every instrument."""


class Visits:
    """Visits during a phase, from a process of their own that takes no time that the clients need (`nice`)."""

    def __init__(self, visitor: Visitor, seconds: float) -> None:
        self.count = 0
        self._seconds = seconds
        self._ended = False
        self._report, report = os.pipe()
        self._child = os.fork()
        if not self._child:
            with contextlib.suppress(BaseException):
                os.nice(LAST)
                began = time.monotonic()
                while time.monotonic() - began < seconds:
                    visitor.go()
                os.write(report, str(visitor.count).encode())
            os._exit(0)
        os.close(report)

    def fileno(self) -> int:
        """Return -1: the other process does the work."""
        return -1

    def over(self, now: float) -> bool:
        """Return whether the phase's time is over, and wait for the end of the last visit."""
        if now >= self._seconds and not self._ended:
            self._ended = bool(select.select([self._report], [], [], 0)[0])
            if self._ended:
                self.count = int(os.read(self._report, 32) or 0)
                os.close(self._report)
                os.waitpid(self._child, 0)
        return self._ended

    def step(self, now: float) -> None:
        """Do nothing: the other process does."""


class MarketRun(Run):
    """Clients of the busy instruments of a large market."""

    def new_clients(self, count: int) -> list[Client]:
        """Return clients of all busy instruments, not connected yet."""
        return [Client(SERVERS[self.job.server], self.port, self.context, range(BUSY)) for _ in range(count)]

    def schedule(self, phase: Phase) -> Schedule:
        """Return prices of the busy instruments."""
        return Schedule(phase, BUSY, first_price=self.next_price, seed=len(self.clients))

    def change_all(self) -> None:
        """Give every instrument that is not busy another price."""
        price = self.next_price
        lines = [b"%d %d %d\n" % (number, price, price) for number in range(BUSY, self.job.workload.symbols)]
        feed_all(self.process, b"".join(lines))


def run_market(run: Run) -> Iterator[Sample]:
    """Yield a sample without visitors, then one for each kind of visit."""
    wait_until_declared(run)
    market = MarketRun(run.job, run.process, run.port)
    try:
        market.connect(run.job.workload.clients)
        for phase in run.job.workload.phases:
            if not market.alive:
                return
            yield _visited(market, phase) if phase.label in VISITS else market.phase(phase)
    finally:
        market.close()


def _visited(market: MarketRun, phase: Phase) -> Sample:
    visitor = Visitor(market.port, VISITS[phase.label], list(VISITS).index(phase.label))
    if visitor.visit.resumes:
        visitor.note_position()
        market.change_all()
        time.sleep(CHANGE_SECONDS)
    begun: list[Visits] = []

    def begin(_phase_run: PhaseRun) -> Visits:
        begun.append(Visits(visitor, phase.seconds))
        return begun[0]

    sample = market.phase(phase, begin)
    if not sample.metrics:
        return sample
    if not begun[0].count:
        return replace(sample, void="no visit came to its end", metrics={})
    return replace(sample, metrics=sample.metrics | {"visits": begun[0].count})

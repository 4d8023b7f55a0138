"""How much one source takes in: quotes of four fields, in batches as large as feeds may send them.

The feed reads batches that were prepared beforehand (`feed.Batches`), so its own work is small. It is measured as well,
in a process that throws away what the feed publishes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.bus.following import feed_when_due
from benchmarks.process import ServerProcess
from benchmarks.run import Run
from benchmarks.sample import Sample
from benchmarks.schedule import Schedule
from benchmarks.servers import Server, Start
from benchmarks.workloads import Phase


class BatchSchedule(Schedule):
    """The same updates, each a quote of four fields, and each burst one line."""

    def lines(self, wall: float) -> list[bytes]:
        """Return the server's input: all of a burst with its first update, and nothing with the others."""
        found, burst = [b""] * len(self.numbers), self.phase.burst
        for first in range(0, len(found), burst):
            due = int((wall + self.intended[first]) * 1e6)
            numbers = self.numbers[first : first + burst]
            quotes = [_quote(number, self.first_price + first + each, due) for each, number in enumerate(numbers)]
            found[first] = msgspec.json.encode(quotes) + b"\n"
        return found


def _quote(number: int, price: int, due: int) -> tuple[str, dict[str, str | int]]:
    """Return an update whose `last` is the price that tells what a client has."""
    last, bid, ask = (f"{each // 100}.{each % 100:02}" for each in (price, price - 1, price + 1))
    return f"S{number}", {"last": last, "bid": bid, "ask": ask, "time": due}


class SourceRun(Run):
    """Clients of a market that is fed in batches."""

    def schedule(self, phase: Phase) -> Schedule:
        """Return the updates of a phase."""
        return BatchSchedule(phase, self.job.workload.symbols, first_price=self.next_price, seed=self._phases)


def run_source(run: Run) -> Iterator[Sample]:
    """Yield a sample for each phase, with the share of a core that the feed takes by itself."""
    batches = SourceRun(run.job, run.process, run.port)
    try:
        batches.connect(run.job.workload.clients)
        for phase in run.job.workload.phases:
            if not batches.alive:
                yield replace(run.job.sample(phase), void="not tried after that")
                continue
            sample = batches.phase(phase)
            if sample.metrics:
                sample = replace(sample, metrics=sample.metrics | {"cpu_feed": _feed_alone(batches, phase)})
            yield sample
    finally:
        batches.close()


def _feed_alone(run: SourceRun, phase: Phase) -> float:
    """Return the share of a core that the feed takes where nobody takes its updates."""
    symbols = str(run.job.workload.symbols)
    server = Server("the feed by itself", lambda _: [sys.executable, "-m", "benchmarks.peers.feed_alone", symbols])
    with ServerProcess(server, Start(0, Path(), Path(), run.job.workload.symbols, 0)) as process:
        before, began = process.cpu(), time.monotonic()
        feed_when_due(process, run.schedule(phase))
        return (process.cpu() - before) / (time.monotonic() - began)

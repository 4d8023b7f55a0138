"""What the parts of a service cost without any clients: the source that publishes, and the edges that follow it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.metrics import Stopwatch
from benchmarks.process import ServerProcess
from benchmarks.run import Run
from benchmarks.sample import Sample
from benchmarks.schedule import Schedule

WARM_SECONDS = 3.0


def run_following(run: Run) -> Iterator[Sample]:
    """Yield for each phase the shares of a core that the parts of the service take."""
    run.process.use_all_cores()
    for phase in run.job.workload.phases:
        feed_when_due(run.process, run.schedule(replace(phase, seconds=WARM_SECONDS)))
        began, before = Stopwatch.now(run.process.cpu()), run.process.cpu_by_part()
        feed_when_due(run.process, run.schedule(phase))
        found, after = Stopwatch.now(run.process.cpu()).since(began), run.process.cpu_by_part()
        parts = {f"cpu_{name}": (after[name] - before[name]) / found["seconds"] for name in after}
        behind = "the server did not take the updates in time" if run.process.behind else ""
        yield replace(run.job.sample(phase, 0), void=behind, metrics=found | parts)


def feed_when_due(process: ServerProcess, schedule: Schedule) -> None:
    """Give the updates of a phase to a process, each burst when it is due."""
    lines, began, sent = schedule.lines(time.time()), time.monotonic(), 0
    while sent < len(lines):
        due = schedule.due(time.monotonic() - began)
        process.feed(b"".join(lines[sent:due]))
        sent = due
        time.sleep(0.001)

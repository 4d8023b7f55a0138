"""Scenarios of a run: phase after phase, a ladder of rates, idle clients, a connection storm, workers, and others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from benchmarks.bus.following import run_following
from benchmarks.client import Client
from benchmarks.connector import Connector
from benchmarks.floods import run_floods, wait_until_declared
from benchmarks.market import run_market
from benchmarks.phase_run import PhaseRun
from benchmarks.process import CannotStart, ServerProcess, free_port
from benchmarks.publishing import run_publish
from benchmarks.run import Job, Run
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS, Start
from benchmarks.soak import run_soak
from benchmarks.source import run_source
from benchmarks.tables.run import run_bars, run_depth, run_tape
from benchmarks.workloads import Phase
from ticker.net.devcert import DevelopmentCertificate

LADDER = (100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 40_000)
RUNG_SECONDS = 1.2
CAPACITY_P99_MS = 50
STORM_SECONDS = 20.0
STORM_STEP = 2
"""Events of connecting clients handled per step: connected clients must not wait for the load client."""
CONNECTED_BEFORE = 300


def measure(job: Job, certificate: DevelopmentCertificate) -> Iterator[Sample]:
    """Start the server and yield the samples of its run."""
    if job.workload.scenario == "publish":
        yield run_publish(job)
        return
    workload, port = job.workload, free_port()
    start = Start(port, certificate.cert, certificate.key, workload.symbols, workload.budget_ms, workload.feed)
    try:
        with ServerProcess(SERVERS[job.server], start) as process:
            run = Run(job, process, port)
            with closing(run):
                yield from SCENARIOS[workload.scenario](run)
    except (CannotStart, OSError) as error:
        yield replace(job.sample(workload.phases[0]), void=str(error))


def run_phases(run: Run) -> Iterator[Sample]:
    """Yield a sample for each phase, as long as the server keeps up."""
    run.connect(run.job.workload.clients)
    for phase in run.job.workload.phases:
        yield (run.phase(phase) if run.alive else replace(run.job.sample(phase), void="not tried after that"))


def run_ladder(run: Run) -> Iterator[Sample]:
    """Measure at a common rate, then up to the highest rate with p99 below 50 ms, then at shares of it."""
    run.connect(run.job.workload.clients)
    (common,) = run.job.workload.phases
    yield run.phase(replace(common, label="common rate"))
    capacity = 0
    for rate in LADDER:
        sample = run.phase(Phase(rate, RUNG_SECONDS, drain=8.0, label=f"ladder {rate:,}/s"))
        yield sample
        if not run.alive:
            return
        if sample.problem or sample.metrics["p99"] >= CAPACITY_P99_MS:
            break
        capacity = rate
    for share in (0.3, 0.7) if capacity else ():
        sample = run.phase(replace(common, rate=int(capacity * share), label=f"{share:.0%} of capacity"))
        yield replace(sample, metrics=sample.metrics | {"capacity": capacity})


def run_idle(run: Run) -> Iterator[Sample]:
    """Connect more and more idle clients; at the end send an update, to check that all of them receive it."""
    yield from _idle(run, run.job.workload.clients // 10)


def run_watching(run: Run) -> Iterator[Sample]:
    """The same with as many clients to begin with as to end with, of a market that has values."""
    wait_until_declared(run)
    yield from _idle(run, run.job.workload.clients // 2)


def _idle(run: Run, first: int) -> Iterator[Sample]:
    """Yield samples of so many clients, and of all. The memory of a further client is that of those in between."""
    workload, process = run.job.workload, run.process
    (phase,) = workload.phases
    empty = process.memory()
    for clients in dict.fromkeys((max(1, first), workload.clients)):
        before, earlier, more = process.cpu(), process.memory(), clients - len(run.clients)
        run.connect(more)
        connect_ms = (process.cpu() - before) * 1000 / max(more, 1)
        time.sleep(1)
        memory, before = process.memory(), process.cpu()
        seconds = phase.seconds if clients == workload.clients else 2.0
        time.sleep(seconds)
        metrics = {
            "kb_per_client": (memory - empty) * 1000 / clients,
            "kb_per_further_client": (memory - earlier) * 1000 / max(more, 1),
            "cpu": (process.cpu() - before) / seconds,
            "connect_ms": connect_ms,
            "memory": memory,
        }
        check = run.phase(replace(phase, seconds=1.0, label=f"{clients:,} clients"))
        yield replace(check, clients=clients, metrics=metrics if run.alive else {})
        if not run.alive:
            return


class Storm:
    """Clients that all start to connect at once, during a phase."""

    def __init__(self, clients: list[Client], phase_run: PhaseRun) -> None:
        self._connector = Connector(clients, at_once=len(clients), price=lambda: phase_run.price)
        self.seconds = 0.0

    def fileno(self) -> int:
        """Return the descriptor of the connecting sockets."""
        return self._connector.fileno()

    def over(self, now: float) -> bool:
        """Return whether all are ready or the storm's time is over."""
        self.seconds = now
        return self._connector.done or now >= STORM_SECONDS

    def step(self, now: float) -> None:  # noqa: ARG002  # driven by its sockets
        """Continue with a few connections."""
        if not self._connector.done:
            self._connector.step(STORM_STEP)

    @property
    def remaining(self) -> int:
        """Number of clients that are not connected."""
        return self._connector.remaining


def run_storm(run: Run) -> Iterator[Sample]:
    """With some clients connected, let many connect at once; then cut these, and let all reconnect at once."""
    (usual,) = run.job.workload.phases
    run.connect(min(CONNECTED_BEFORE, run.job.workload.clients))
    yield run.phase(replace(usual, label="usual"))
    for label in ("all connect", "all reconnect"):
        if not run.alive:
            return
        yield _storm(run, replace(usual, seconds=STORM_SECONDS, drain=8.0, label=label))


def _storm(run: Run, phase: Phase) -> Sample:
    run.close_extra_clients()
    run.extra_clients = run.new_clients(run.job.workload.clients)
    storms: list[Storm] = []

    def begin(phase_run: PhaseRun) -> Storm:
        storms.append(Storm(run.extra_clients, phase_run))
        return storms[0]

    sample = run.phase(phase, begin)
    if not sample.metrics:
        remaining = storms[0].remaining
        return (
            replace(sample, void=f"{remaining} clients did not connect in {STORM_SECONDS:.0f} s")
            if remaining
            else sample
        )
    cpu = sample.metrics["cpu"] * sample.metrics["seconds"]
    storm_metrics = {"clients_per_core_second": len(run.extra_clients) / cpu, "storm_seconds": storms[0].seconds}
    return replace(sample, metrics=sample.metrics | storm_metrics)


def run_workers(run: Run) -> Iterator[Sample]:
    """Yield a sample for each phase, with the shares of a core that the parts of the service take."""
    run.connect(run.job.workload.clients)
    for phase in run.job.workload.phases:
        if not run.alive:
            return
        before = run.process.cpu_by_part()
        sample = run.phase(phase)
        after = run.process.cpu_by_part()
        if sample.metrics:
            seconds = sample.metrics["seconds"]
            parts = {f"cpu_{name}": (after[name] - before[name]) / seconds for name in after}
            sample = replace(sample, metrics=sample.metrics | parts)
        yield sample


SCENARIOS: Mapping[str, Callable[[Run], Iterator[Sample]]] = {
    "phases": run_phases,
    "ladder": run_ladder,
    "idle": run_idle,
    "watching": run_watching,
    "storm": run_storm,
    "soak": run_soak,
    "floods": run_floods,
    "market": run_market,
    "depth": run_depth,
    "tape": run_tape,
    "bars": run_bars,
    "following": run_following,
    "workers": run_workers,
    "source": run_source,
}

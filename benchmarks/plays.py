"""How the clients of a run spend it: phase after phase, up a ladder of rates, idle, or in a storm of connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from benchmarks.client import Client
from benchmarks.connector import Connector
from benchmarks.drive import Drive
from benchmarks.floods import play_floods
from benchmarks.process import CannotStart, ServerProcess, free_port
from benchmarks.run import Job, Run
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS, Start
from benchmarks.soak import play_soak
from benchmarks.workloads import Phase
from ticker.net.devcert import DevelopmentCertificate

LADDER = (100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 40_000)
RUNG_SECONDS = 1.2
CAPACITY_P99_MS = 50
STORM_SECONDS = 20.0
STORM_STEP = 2
"""So few events of connecting clients at a time: those that are there already must not wait for the load client."""
BYSTANDERS = 300


def measure(job: Job, certificate: DevelopmentCertificate) -> Iterator[Sample]:
    """All samples of a run, as they come."""
    workload, port = job.workload, free_port()
    start = Start(port, certificate.cert, certificate.key, workload.symbols, workload.budget_ms)
    try:
        with ServerProcess(SERVERS[job.server], start) as process:
            run = Run(job, process, port)
            with closing(run):
                yield from PLAYS[workload.play](run)
    except (CannotStart, OSError) as error:
        yield replace(job.sample(workload.phases[0]), void=str(error))


def play_phases(run: Run) -> Iterator[Sample]:
    """One after the other, as long as the server keeps up."""
    run.connect(run.job.workload.clients)
    for phase in run.job.workload.phases:
        yield run.phase(phase) if run.alive else replace(run.job.sample(phase), void="not tried after that")


def play_ladder(run: Run) -> Iterator[Sample]:
    """At a rate that all sustain; up to the highest rate with p99 below 50 ms; and at shares of that."""
    run.connect(run.job.workload.clients)
    (common,) = run.job.workload.phases
    yield run.phase(replace(common, label="common rate"))
    capacity = 0
    for rate in LADDER:
        sample = run.phase(Phase(rate, RUNG_SECONDS, drain=8.0, label=f"ladder {rate:,}/s"))
        yield sample
        if not run.alive:
            return
        if sample.problem or sample.figures["p99"] >= CAPACITY_P99_MS:
            break
        capacity = rate
    for share in (0.3, 0.7) if capacity else ():
        sample = run.phase(replace(common, rate=int(capacity * share), label=f"{share:.0%} of capacity"))
        yield replace(sample, figures=sample.figures | {"capacity": capacity})


def play_idle(run: Run) -> Iterator[Sample]:
    """More and more clients who only hold their connections; at last an update, to see that they all still live."""
    workload, process = run.job.workload, run.process
    (phase,) = workload.phases
    empty = process.memory()
    for clients in dict.fromkeys((workload.clients // 10, workload.clients)):
        before, more = process.cpu(), clients - len(run.clients)
        run.connect(more)
        connect_ms = (process.cpu() - before) * 1000 / max(more, 1)
        time.sleep(1)
        memory, before = process.memory(), process.cpu()
        seconds = phase.seconds if clients == workload.clients else 2.0
        time.sleep(seconds)
        figures = {
            "kb_per_client": (memory - empty) * 1000 / clients,
            "cpu": (process.cpu() - before) / seconds,
            "connect_ms": connect_ms,
            "memory": memory,
        }
        check = run.phase(replace(phase, seconds=1.0, label=f"{clients:,} clients"))
        yield replace(check, clients=clients, figures=figures if run.alive else {})
        if not run.alive:
            return


class Storm:
    """Guests that all start to connect at once, during a phase."""

    def __init__(self, guests: list[Client], drive: Drive) -> None:
        self._connector = Connector(guests, at_once=len(guests), price=lambda: drive.price)
        self.seconds = 0.0

    def fileno(self) -> int:
        """The connecting sockets."""
        return self._connector.fileno()

    def over(self, now: float) -> bool:
        """All are ready, or the phase has lasted long enough."""
        self.seconds = now
        return self._connector.done or now >= STORM_SECONDS

    def step(self, now: float) -> None:  # noqa: ARG002  # it goes by its sockets
        """Go on with a few."""
        if not self._connector.done:
            self._connector.step(STORM_STEP)

    @property
    def left(self) -> int:
        """So many did not get in."""
        return self._connector.left


def play_storm(run: Run) -> Iterator[Sample]:
    """Some clients are there; then many come at once; then these are cut, and all come back at once."""
    (usual,) = run.job.workload.phases
    run.connect(min(BYSTANDERS, run.job.workload.clients))
    yield run.phase(replace(usual, label="usual"))
    for label in ("all connect", "all reconnect"):
        if not run.alive:
            return
        yield _storm(run, replace(usual, seconds=STORM_SECONDS, drain=8.0, label=label))


def _storm(run: Run, phase: Phase) -> Sample:
    run.send_guests_away()
    run.guests = run.new_clients(run.job.workload.clients)
    storms: list[Storm] = []

    def begin(drive: Drive) -> Storm:
        storms.append(Storm(run.guests, drive))
        return storms[0]

    sample = run.phase(phase, begin)
    if not sample.figures:
        left = storms[0].left
        return replace(sample, void=f"{left} clients did not get in within {STORM_SECONDS:.0f} s") if left else sample
    cpu = sample.figures["cpu"] * sample.figures["seconds"]
    more = {"clients_per_core_second": len(run.guests) / cpu, "storm_seconds": storms[0].seconds}
    return replace(sample, figures=sample.figures | more)


PLAYS: Mapping[str, Callable[[Run], Iterator[Sample]]] = {
    "phases": play_phases,
    "ladder": play_ladder,
    "idle": play_idle,
    "storm": play_storm,
    "soak": play_soak,
    "floods": play_floods,
}

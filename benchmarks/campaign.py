"""A benchmark campaign: workload after workload, server after server, round after round."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.run import Job
from benchmarks.sample import Sample
from benchmarks.scenarios import measure
from benchmarks.servers import SERVERS
from benchmarks.workloads import MAIN_PEERS, WORKLOADS, Overrides, Workload
from ticker.net.devcert import development_certificate


class Campaign:
    """Runs workloads on servers. `samples` holds the measurements so far, even after an early end."""

    def __init__(self, console: Console, overrides: Overrides, named: Collection[str]) -> None:
        """`named`: the peers that were asked for by name, so all of them take part in every workload and round."""
        self.samples: list[Sample] = []
        self._console = console
        self._overrides = overrides
        self._named = named

    def run(self, workloads: Sequence[str], servers: Sequence[str]) -> None:
        """Measure every server on every workload."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # No thread that redraws: it would take time from the load client.
        with (
            tempfile.TemporaryDirectory() as folder,
            Progress(*columns, console=self._console, auto_refresh=False, transient=True) as progress,
        ):
            certificate = development_certificate(Path(folder))
            plan = self.plan(workloads, servers)
            task = progress.add_task("", total=len(plan))
            for key, round_index, server in plan:
                workload = self._overrides.apply(WORKLOADS[key])
                progress.update(task, description=f"{key}: {server}, round {round_index + 1} of {workload.rounds}")
                progress.refresh()
                if job := self._job(key, workload, server, round_index):
                    for sample in measure(job, certificate):
                        self.samples.append(sample)
                        self._console.print(_line(sample), highlight=False, soft_wrap=True)
                progress.advance(task)

    def plan(self, workloads: Sequence[str], servers: Sequence[str]) -> list[tuple[str, int, str]]:
        """Return the runs in order, each as workload, round (from 0 on) and server: the servers of a round in turn."""
        return [
            (key, round_index, server)
            for key in workloads
            for round_index in range(self._overrides.apply(WORKLOADS[key]).rounds)
            for server in servers
            if self._takes_part(server, WORKLOADS[key], round_index)
        ]

    def _job(self, key: str, workload: Workload, server: str, round_index: int) -> Job | None:
        """Return the run without the phases that this server failed before; None if no phase is left."""
        if workload.harder_than and self._failed(workload.harder_than, server):
            if round_index == 0:
                self._console.print(
                    f"{key} {server}: not tried, since it could not keep up with {workload.harder_than}"
                )
            return None
        failed = self._failed(key, server)
        phases = tuple(phase for phase in workload.phases if phase.name not in failed)
        return Job(key, replace(workload, phases=phases), server, round_index + 1) if phases else None

    def _takes_part(self, server: str, workload: Workload, round_index: int) -> bool:
        role = SERVERS[server].role
        if role == "ticker" or server in workload.also:
            return True
        if role == "hidden":
            return server in self._named
        if workload.ticker_only or (role == "floor" and not workload.floors):
            return False
        if self._named:
            return role == "floor" or server in self._named
        if server in workload.compared:
            return True
        main = role == "floor" or server in MAIN_PEERS or not workload.main_peers_only
        return main and round_index == 0 and not self._overrides.quick

    def _failed(self, key: str, server: str) -> set[str]:
        return {each.phase for each in self.samples if each.workload == key and each.server == server and each.problem}


def _line(sample: Sample) -> str:
    """Return the progress line for a sample."""
    metrics = sample.metrics
    named = {
        "us_per_offered": "{:.2f} µs per offered delivery",
        "p50": "p50 {:.1f} ms",
        "p99": "p99 {:.1f} ms",
        "kb_per_client": "{:.1f} KB per client",
        "us_per_update": "{:.2f} µs per update",
        "us_per_levels": "{:.1f} µs per event of 36 levels",
        "clients_per_core_second": "{:.0f} clients/s of core",
        "memory_slope": "{:+.2f} MB/minute",
        "load": "load client {:.0%}",
    }
    shown = ", ".join(form.format(metrics[name]) for name, form in named.items() if name in metrics)
    return f"{sample.workload} {sample.server} {sample.phase}: {sample.problem or shown}"

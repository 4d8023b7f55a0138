"""A session of measuring: workload after workload, the servers in turn, round after round."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.plays import measure
from benchmarks.run import Job
from benchmarks.sample import Sample
from benchmarks.servers import SERVERS
from benchmarks.workloads import FEW, REPEATED, WORKLOADS, Overrides, Workload
from ticker.net.devcert import development_certificate


class Session:
    """What was measured so far is in `samples`, even when it ends early."""

    def __init__(self, console: Console, overrides: Overrides, *, all_peers: bool) -> None:
        """`all_peers`: the peers were named, so all of them take part in everything."""
        self.samples: list[Sample] = []
        self._console = console
        self._overrides = overrides
        self._all_peers = all_peers

    def run(self, workloads: Sequence[str], servers: Sequence[str]) -> None:
        """Measure all of these servers on all of these workloads."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # Without a thread that redraws: it would take its time from the load client.
        with (
            tempfile.TemporaryDirectory() as folder,
            Progress(*columns, console=self._console, auto_refresh=False, transient=True) as progress,
        ):
            certificate = development_certificate(Path(folder))
            plan = [
                (key, self._overrides.apply(WORKLOADS[key]), turn, server)
                for key in workloads
                for turn in range(self._overrides.apply(WORKLOADS[key]).rounds)
                for server in servers
                if self._takes_part(server, WORKLOADS[key], turn)
            ]
            task = progress.add_task("", total=len(plan))
            for key, workload, turn, server in plan:
                progress.update(task, description=f"{key}: {server}, round {turn + 1} of {workload.rounds}")
                progress.refresh()
                if job := self._job(key, workload, server, turn):
                    for sample in measure(job, certificate):
                        self.samples.append(sample)
                        self._console.print(_line(sample), highlight=False, soft_wrap=True)
                progress.advance(task)

    def _job(self, key: str, workload: Workload, server: str, turn: int) -> Job | None:
        """The run, without phases that the server could not keep up with before; None if nothing is left of it."""
        if workload.harder_than and self._failed(workload.harder_than, server):
            if turn == 0:
                self._console.print(
                    f"{key} {server}: not tried, since it could not keep up with {workload.harder_than}"
                )
            return None
        failed = self._failed(key, server)
        phases = tuple(phase for phase in workload.phases if phase.name not in failed)
        return Job(key, replace(workload, phases=phases), server, turn + 1) if phases else None

    def _takes_part(self, server: str, workload: Workload, turn: int) -> bool:
        role = SERVERS[server].role
        if workload.alone and role not in {"ticker", "hidden"}:
            return False
        if role == "floor" and not workload.floors:
            return False
        if role == "peer" and workload.few and not self._all_peers and server not in FEW:
            return False
        return turn == 0 or self._all_peers or server in REPEATED

    def _failed(self, key: str, server: str) -> set[str]:
        return {each.phase for each in self.samples if each.workload == key and each.server == server and each.problem}


def _line(sample: Sample) -> str:
    """What is shown of a sample while the session runs."""
    figures = sample.figures
    named = {
        "us_per_offered": "{:.2f} µs per offered delivery",
        "p50": "p50 {:.1f} ms",
        "p99": "p99 {:.1f} ms",
        "kb_per_client": "{:.1f} KB per client",
        "clients_per_core_second": "{:.0f} clients/s of core",
        "memory_slope": "{:+.2f} MB/minute",
        "load": "load client {:.0%}",
    }
    shown = ", ".join(form.format(figures[name]) for name, form in named.items() if name in figures)
    return f"{sample.workload} {sample.server} {sample.phase}: {sample.problem or shown}"

"""`python -m benchmarks`: measure Ticker beside its peers, in turn, and print a table."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.install import install
from benchmarks.run import Result, Workload, measure
from benchmarks.servers import SERVERS
from ticker.devcert import development_certificate

WORKLOADS = {
    "W1": Workload("W1 hot", clients=1000, symbols=1, watched=1, rate=100, seconds=10.0),
    "W2": Workload("W2 watchlists", clients=1000, symbols=500, watched=50, rate=100, seconds=10.0),
    "W2-paced": Workload("W2 watchlists, paced", 1000, 500, 50, rate=1000, seconds=10.0, budget_ms=20),
    "W2-bursts": Workload("W2 watchlists, bursts", 1000, 500, 50, rate=1000, seconds=10.0, burst=100),
    "W3": Workload("W3 open, refresh 0", 1000, 500, 50, rate=10_000, seconds=10.0),
    "W3-20": Workload("W3 open, refresh 20 ms", 1000, 500, 50, rate=10_000, seconds=10.0, budget_ms=20),
    "W3-50": Workload("W3 open, refresh 50 ms", 1000, 500, 50, rate=10_000, seconds=10.0, budget_ms=50),
    "W7": Workload("W7 idle", clients=10_000, symbols=1, watched=1, rate=0, seconds=10.0),
    "W8": Workload("W8 storm", clients=2_000, symbols=500, watched=50, rate=100, seconds=5.0),
    "stall": Workload(
        "one of many stalls",
        clients=200,
        symbols=200,
        watched=20,
        rate=2000,
        seconds=30.0,
        stalled=1,
        stall_after=5.0,
        stall_seconds=20.0,
    ),
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS), help="default: all")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server, in turn (default: 3)")
    parser.add_argument("--clients", type=int, help="instead of the workload's own number")
    parser.add_argument("--rate", type=int, help="updates per second, instead of the workload's own")
    arguments = parser.parse_args()
    names = arguments.workloads or list(WORKLOADS)
    if unknown := [name for name in names if name not in WORKLOADS]:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            workload = WORKLOADS[name]
            workload = replace(
                workload, clients=arguments.clients or workload.clients, rate=arguments.rate or workload.rate
            )
            results = _run(console, workload, arguments.servers, arguments.rounds, Path(folder))
            console.print(_table(workload, results))


def _run(
    console: Console, workload: Workload, servers: Sequence[str], rounds: int, folder: Path
) -> dict[str, list[Result]]:
    certificate = development_certificate(folder)
    results: dict[str, list[Result]] = {server: [] for server in servers}
    for server in servers:
        missing = install(SERVERS[server].python, SERVERS[server].node, SERVERS[server].tools)
        if missing:
            console.print(f"{server} is skipped: {missing}")
            del results[server]
    for turn in range(rounds):
        for server, runs in results.items():
            console.print(f"{workload.name}: {server}, round {turn + 1} of {rounds}")
            runs.append(measure(SERVERS[server], workload, certificate))
    return results


def _table(workload: Workload, results: dict[str, list[Result]]) -> Table:
    table = Table(title=f"{workload.name}: {workload.clients} clients, {workload.rate} updates/s")
    for column in (
        "server",
        "CPU µs/delivery",
        "µs/frame",
        "frames/delivery",
        "p50 ms",
        "p99 ms",
        "bytes",
        "MB grown",
        "stale",
        "connect ms",
        "KB/client",
        "load client",
        "problem",
    ):
        table.add_column(column, justify="left" if column in {"server", "problem"} else "right")
    for server, runs in results.items():
        table.add_row(
            server,
            _spread([run.cpu_per_delivery for run in runs]),
            _spread([run.cpu_per_frame for run in runs]),
            f"{statistics.median(run.frames for run in runs) / runs[0].offered:.2f}",
            _spread([run.p50 for run in runs]),
            _spread([run.p99 for run in runs]),
            _spread([run.bytes_per_delivery for run in runs]),
            _spread([run.memory_growth for run in runs]),
            f"{max(run.stale for run in runs)} in {max(run.behind for run in runs):.2f} s",
            _spread([run.connect_ms for run in runs]),
            _spread([run.kb_per_client for run in runs]),
            f"{max(run.load_cpu for run in runs):.0%}",
            "; ".join(dict.fromkeys(run.problem for run in runs if run.problem)),
        )
    return table


def _spread(values: Sequence[float]) -> str:
    """The median, and the least and the largest where there are several."""
    median = f"{statistics.median(values):.1f}"
    return median if len(values) == 1 else f"{median} ({min(values):.1f}-{max(values):.1f})"


main()

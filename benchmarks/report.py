"""Reports: a table for each workload, one of the targets, and a JSON file with every sample."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.sample import Sample
from benchmarks.servers import SERVERS
from benchmarks.targets import Row
from benchmarks.workloads import WORKLOADS

COLUMNS: Mapping[str, tuple[str, str]] = {
    "cpu": ("CPU of its core", "{:.0%}"),
    "us_per_offered": ("CPU µs per offered delivery", "{:.2f}"),
    "us_per_frame": ("CPU µs per frame", "{:.1f}"),
    "values_per_offered": ("delivered of offered", "{:.0%}"),
    "p50": ("p50 ms", "{:.1f}"),
    "p99": ("p99 ms", "{:.1f}"),
    "p999": ("p99.9 ms", "{:.1f}"),
    "max": ("max ms", "{:.0f}"),
    "spread_p50": ("first to last client p50 ms", "{:.1f}"),
    "spread_p99": ("p99 ms", "{:.1f}"),
    "bytes_per_value": ("bytes per value", "{:.1f}"),
    "records_per_value": ("TLS records per value", "{:.3f}"),
    "memory": ("memory MB", "{:.0f}"),
    "peak_memory": ("memory MB at most", "{:.0f}"),
    "memory_growth": ("grown MB", "{:.1f}"),
    "drained": ("drained after s", "{:.2f}"),
    "capacity": ("capacity updates/s", "{:,.0f}"),
    "oldest_on_resume": ("oldest on resume s", "{:.1f}"),
    "behind_after_resume": ("behind for s", "{:.1f}"),
    "trickle_age": ("age at 10 kB/s s", "{:.1f}"),
    "kb_per_client": ("KB per client", "{:.1f}"),
    "kb_per_further_client": ("KB per further client", "{:.1f}"),
    "us_per_update": ("µs per update", "{:.2f}"),
    "us_per_levels": ("µs per event of 36 levels", "{:.1f}"),
    "connect_ms": ("CPU ms to connect one", "{:.2f}"),
    "clients_per_core_second": ("clients/s of core", "{:.0f}"),
    "storm_seconds": ("s to the last", "{:.1f}"),
    "memory_warm": ("memory MB after the warm-up", "{:.1f}"),
    "memory_end": ("memory MB at the end", "{:.1f}"),
    "memory_max": ("memory MB at most", "{:.1f}"),
    "memory_slope": ("slope of memory MB/minute, by least squares", "{:+.3f}"),
    "descriptors_start": ("descriptors before the churn", "{:,.0f}"),
    "descriptors_max": ("descriptors at most", "{:,.0f}"),
    "descriptors_end": ("descriptors after the churn", "{:,.0f}"),
    "churn_started": ("churn clients started", "{:,.0f}"),
    "churn_ended": ("churn clients ended", "{:,.0f}"),
    "churn_remaining": ("churn clients connected at the end", "{:,.0f}"),
    "churn_stalled": ("churn clients stalled", "{:,.0f}"),
    "bytes_per_delta": ("bytes per table in a delta", "{:.1f}"),
    "bytes_per_print": ("bytes per print", "{:.1f}"),
    "missed": ("prints missed", "{:,.0f}"),
    "open_ms": ("ms from the subscribe to all bars", "{:.1f}"),
    "open_bytes": ("bytes to open a chart", "{:,.0f}"),
    "resume_rows": ("bars on resume", "{:.0f}"),
    "resume_bytes": ("bytes on resume", "{:,.0f}"),
    "attacks_per_second": ("pings, handshakes, requests/s", "{:,.0f}"),
    "answered_per_second": ("answered/s", "{:,.0f}"),
    "visits": ("visits", "{:,.0f}"),
    **{
        f"cpu_{part}": (f"{part}: CPU of a core", "{:.1%}")
        for part in ("alone", "source", "edge", "supervisor", "engine")
    },
    "cpu_feed": ("of which the feed by itself", "{:.0%}"),
    "load": ("load client", "{:.0%}"),
    "others": ("a core's share of other processes", "{:.0%}"),
    "stolen": ("taken by the host", "{:.0%}"),
}
"""Heading and format of each metric."""

STOLEN_LIMIT = 0.03
"""Steal time, as a share of all cores, above which latencies are unreliable."""
OTHERS_LIMIT = 0.2
"""CPU time of processes that are not measured, as a share of a core, above which everything is."""

_LATENCY = ("p50", "p99", "p999", "max")
_COST = ("us_per_offered", "us_per_frame", "values_per_offered", *_LATENCY)
_USUAL = ("cpu", *_COST, "bytes_per_value", "records_per_value", "load")
_SHOWN: Mapping[str, Sequence[str]] = {
    "W1": ("cpu", *_COST, "spread_p50", "spread_p99", "load"),
    "W4": ("capacity", "cpu", *_LATENCY, "values_per_offered", "load"),
    "W5": ("cpu", *_LATENCY, "memory_growth", "oldest_on_resume", "behind_after_resume", "trickle_age", "load"),
    "W6": ("cpu", "drained", *_LATENCY, "values_per_offered", "memory", "memory_growth", "load"),
    "W7": ("kb_per_client", "cpu", "connect_ms", "memory"),
    "soak": (
        *("cpu", "p50", "p99", "max", "memory_warm", "memory_end", "memory_max", "memory_slope"),
        *("descriptors_start", "descriptors_max", "descriptors_end"),
        *("churn_started", "churn_ended", "churn_remaining", "churn_stalled", "load"),
    ),
    "floods": ("cpu", *_LATENCY, "attacks_per_second", "answered_per_second", "memory", "memory_growth", "load"),
    **dict.fromkeys(("attackers-5k", "attackers-50k"), ("cpu", *_LATENCY, "attacks_per_second", "peak_memory", "load")),
    "market-100k": ("cpu", *_LATENCY, "visits", "memory", "peak_memory", "load"),
    **dict.fromkeys(("depth", "depth-20"), ("cpu", *_COST, "bytes_per_delta", "memory", "load")),
    "tape": ("cpu", *_COST, "bytes_per_delta", "bytes_per_print", "missed", "load"),
    "bars": ("memory", "open_ms", "open_bytes", "resume_rows", "resume_bytes", "cpu"),
    "following": ("cpu_alone", "cpu_source", "cpu_edge", "cpu_supervisor", "cpu_engine", "load"),
    "W7-watching": ("kb_per_further_client", "kb_per_client", "cpu", "connect_ms", "memory"),
    "publish": ("us_per_update", "us_per_levels"),
    "source": ("cpu", "cpu_feed", *_COST, "load"),
    "workers": ("cpu", *_COST, "cpu_source", "cpu_edge", "cpu_supervisor", "load"),
    "W8": ("clients_per_core_second", "storm_seconds", *_LATENCY, "memory", "load"),
}


def workload_table(key: str, samples: Sequence[Sample]) -> Table:
    """Return the table of one workload: the median of its rounds, with minimum and maximum."""
    workload = WORKLOADS[key]
    table = Table(title=f"{key}: {workload.title}", title_justify="left", caption_justify="left")
    columns = _SHOWN.get(key, _USUAL)
    fill = _fill_transposed if workload.ticker_only else _fill
    fill(table, columns, samples)
    for problem in (*_problems(samples), *_disturbances(samples), *_quiet(samples)):
        table.caption = f"{table.caption}\n{problem}" if table.caption else problem
    return table


def _fill(table: Table, columns: Sequence[str], samples: Sequence[Sample]) -> None:
    """Add a row for each phase and server."""
    table.add_column("server")
    table.add_column("phase")
    for name in columns:
        table.add_column(COLUMNS[name][0], justify="right")
    for phase in dict.fromkeys(sample.phase for sample in samples if not sample.phase.startswith("ladder")):
        for server in SERVERS:
            runs = [sample for sample in samples if sample.phase == phase and sample.server == server]
            if runs:
                table.add_row(SERVERS[server].title, phase, *_cells(columns, runs))
        table.add_section()


def _fill_transposed(table: Table, columns: Sequence[str], samples: Sequence[Sample]) -> None:
    """Add a column for each phase, for workloads of a single server."""
    runs: dict[str, list[Sample]] = {}
    for sample in samples:
        runs.setdefault(f"{SERVERS[sample.server].title}, {sample.phase}", []).append(sample)
    table.add_column("")
    for heading in runs:
        table.add_column(heading, justify="right")
    cells = [list(_cells(columns, group)) for group in runs.values()]
    for index, name in enumerate(columns):
        # A sample without metrics has one cell, which names the problem in the first row.
        table.add_row(COLUMNS[name][0], *(column[index] if index < len(column) else "" for column in cells))


def _cells(columns: Sequence[str], runs: Sequence[Sample]) -> Iterable[str]:
    good = [run.metrics for run in runs if not run.problem]
    if not good:
        return ["WRONG" if any(run.wrong for run in runs) else "void"]
    return [_spread(COLUMNS[name][1], [metrics[name] for metrics in good if name in metrics]) for name in columns]


def _spread(form: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    median = form.format(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({form.format(min(values))}-{form.format(max(values))})"


def _problems(samples: Sequence[Sample]) -> Iterable[str]:
    """Return a line for each distinct problem."""
    return dict.fromkeys(
        f"{SERVERS[sample.server].title}, {sample.phase}: {sample.problem}" for sample in samples if sample.problem
    )


def _disturbances(samples: Sequence[Sample]) -> Iterable[str]:
    """Return lines that tell of disturbed samples: these count, but they are no measure of the server alone."""
    for sample in samples:
        stolen = sample.metrics.get("stolen", 0.0)
        if stolen > STOLEN_LIMIT:
            about = f"{SERVERS[sample.server].title}, {sample.phase}"
            yield f"{about}: this machine's host gave {stolen:.0%} of its cores' time to others; measure again"
    disturbed = sum(sample.metrics.get("others", 0.0) > OTHERS_LIMIT for sample in samples)
    if disturbed:
        much = f"more than {OTHERS_LIMIT:.0%} of a core"
        yield f"other processes took {much} in {disturbed} of {len(samples)}; measure again"


def _quiet(samples: Sequence[Sample]) -> Iterable[str]:
    """Return the line that says how quiet the machine was."""
    shares = {}
    for name in ("others", "stolen"):
        values = [sample.metrics[name] for sample in samples if name in sample.metrics]
        if values:
            shares[name] = f"{statistics.median(values):.1%} (at most {max(values):.1%})"
    if shares.keys() == {"others", "stolen"}:
        yield f"other processes took {shares['others']} of a core, the host {shares['stolen']} of all cores"


def targets_table(rows: Sequence[Row]) -> Table:
    """Return the table of targets and results."""
    table = Table(title="targets", title_justify="left")
    for heading in ("metric", "target", "measured", "least-largest", "rounds", ""):
        table.add_column(heading)
    for row in rows:
        style = {True: "[green]", False: "[bold red]", None: ""}[row.met]
        rounds = str(row.rounds or "")
        table.add_row(row.name, row.target, row.measured, row.spread, rounds, f"{style}{row.verdict}")
    return table


def write_json(path: Path, about: Mapping[str, Any], samples: Sequence[Sample], rows: Sequence[Row]) -> None:
    """Write every sample of every round."""
    content = {
        **about,
        "targets": [asdict(row) for row in rows],
        "samples": [asdict(sample) for sample in samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

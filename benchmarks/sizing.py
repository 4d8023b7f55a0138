"""`python -m benchmarks sizing`: how many edges, how much network and money so many dashboards take.

The costs are those of the latest results that have them (`benchmarks/results/*.json`); the arithmetic is in SIZING.md.
Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

DASHBOARDS = (10_000, 100_000, 1_000_000)
HEADROOM = 0.6
"""The share of its core that an edge uses usually: bursts, and the clients of a dead one, need the rest."""
PACKET_BYTES = 52
"""Of TCP with timestamps and IPv4, for each frame."""
MONTH_SECONDS = 30 * 86_400
NEEDED = "python -m benchmarks W2-paced W3-50 W7 W8 depth following --peers bus"


class NoResults(Exception):
    """The results lack something; the text says what, and how to get it."""


class Results:
    """Medians of the measured metrics of Ticker, of the newest file that has them."""

    def __init__(self, folder: Path) -> None:
        """Raises `NoResults` for a file that is none."""
        self._files = sorted(map(_read, folder.glob("*.json")), key=lambda content: str(content["began"]), reverse=True)
        self.used: dict[str, str] = {}
        """By workload, when it was measured."""

    def metric(self, workload: str, name: str, *, server: str = "ticker", phase: str = "") -> float:
        """Return a metric. Raises `NoResults`."""
        for content in self._files:
            found: list[float] = [
                sample["metrics"][name]
                for sample in content["samples"]
                if sample["workload"] == workload and sample["server"] == server and name in sample["metrics"]
                if sample["phase"].startswith(phase)
            ]
            if found:
                self.used[workload] = content["began"][:10]
                return statistics.median(found)
        raise NoResults(f"no result has {name} of {workload} ({server}): measure with `{NEEDED}`")

    def per_frame(self, workload: str, name: str) -> float:
        """Return a metric that is counted by values, by frame."""
        return self.metric(workload, name) * self.values_per_frame(workload)

    def values_per_frame(self, workload: str) -> float:
        """Return how many values a frame had."""
        return self.metric(workload, "values") / self.metric(workload, "frames")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoResults(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict) or not {"began", "samples"} <= content.keys():
        raise NoResults(f"{path} is no result of a campaign: give a folder of results with --results")
    return content


@dataclass(frozen=True, slots=True)
class Costs:
    """What things cost. CPU in seconds of a core, sizes in bytes."""

    frame: float
    """A frame without values, to a client with a watchlist of its own."""
    value: float
    frame_bytes: float
    value_bytes: float
    book: float
    """A frame with a changed `book:10`, with its share of reading and applying levels: so on an edge of few clients."""
    book_bytes: float
    connection_bytes: float
    """Resident memory of an idle client."""
    connects: float
    """Clients that connect per second of a core."""
    following: float
    """Share of a core for following a source on Redis at 10,000 updates a second."""
    engine: float
    """Share of a core of Redis, likewise, with one source and one edge."""

    @staticmethod
    def of(results: Results) -> Costs:
        """Take the costs from results: frames and values by the line through two workloads. Raises `NoResults`."""
        few, many = results.values_per_frame("W2-paced"), results.values_per_frame("W3-50")
        cpu = results.metric("W2-paced", "us_per_frame"), results.metric("W3-50", "us_per_frame")
        size = results.per_frame("W2-paced", "bytes_per_value"), results.per_frame("W3-50", "bytes_per_value")
        value, value_bytes = ((b - a) / (many - few) for a, b in (cpu, size))
        return Costs(
            frame=(cpu[0] - few * value) / 1e6,
            value=value / 1e6,
            frame_bytes=size[0] - few * value_bytes,
            value_bytes=value_bytes,
            book=results.metric("depth", "us_per_frame") / 1e6,
            book_bytes=results.metric("depth", "bytes_per_delta"),
            connection_bytes=results.metric("W7", "kb_per_client", phase="10,000") * 1000,
            connects=results.metric("W8", "clients_per_core_second", phase="all reconnect"),
            following=results.metric("following", "cpu_edge", server="bus", phase="10,000"),
            engine=results.metric("following", "cpu_engine", server="bus", phase="10,000"),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What one dashboard sees, and what things cost to buy."""

    frames: float
    """Frames a second: 4 with a refresh of 250 ms, if something of it changes in each."""
    values: float
    """Changed instruments in each."""
    books: float
    """Changes of a `book:10` a second."""
    core_price: float
    """Of a core with 4 GB, a month."""
    gb_price: float
    """Of a gigabyte to the internet."""


@dataclass(frozen=True, slots=True)
class Size:
    """What so many dashboards take."""

    dashboards: int
    per_edge: int
    edges: int
    """With one more than is needed."""
    edge_memory: float
    """In GB, of one."""
    return_seconds: float
    """Until the clients of a dead edge are back at the others."""
    services: int
    """Of a Redis with sources and edges each, because one Redis cannot feed more edges."""
    bits: float
    """To the dashboards, per second."""
    machines_price: float
    traffic_price: float


def size_of(dashboards: int, costs: Costs, usage: Usage) -> Size:
    """Do the arithmetic."""
    cpu = usage.frames * (costs.frame + usage.values * costs.value) + usage.books * costs.book
    per_edge = max(1, math.floor((HEADROOM - costs.following) / cpu)) if costs.following < HEADROOM else 1
    needed = math.ceil(dashboards / per_edge)
    edges = needed + 1
    fed_by_redis = max(1, math.floor(HEADROOM / costs.engine))
    services = math.ceil(edges / fed_by_redis)
    sent = usage.frames * (costs.frame_bytes + usage.values * costs.value_bytes + PACKET_BYTES)
    sent += usage.books * costs.book_bytes
    spare = max(edges - 1, 1) * (1 - HEADROOM)
    cores = edges + 4 * services  # two sources, and Redis with its replica
    traffic = dashboards * sent
    return Size(
        dashboards,
        per_edge,
        edges,
        per_edge * costs.connection_bytes / 1e9,
        min(dashboards, per_edge) / (costs.connects * spare),
        services,
        traffic * 8,
        cores * usage.core_price,
        traffic * MONTH_SECONDS / 1e9 * usage.gb_price,
    )


def main(given: Sequence[str], results: Path) -> int:
    """Print costs and sizes; return the exit code."""
    arguments = _arguments(given)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        found = Results(arguments.results or results)
        costs = Costs.of(found)
    except NoResults as error:
        print(error, file=sys.stderr)
        return 2
    usage = Usage(arguments.frames, arguments.values, arguments.books, arguments.core_price, arguments.gb_price)
    console.print(_costs_table(costs, found))
    console.print(_sizes_table([size_of(each, costs, usage) for each in arguments.dashboards], usage))
    return 0


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sizing", description=__doc__)
    parser.add_argument(
        "dashboards", nargs="*", type=_count, default=DASHBOARDS, metavar="DASHBOARDS", help="how many at once"
    )
    flags: dict[str, tuple[float, str]] = {
        "--frames": (4.0, "frames a second to each dashboard"),
        "--values": (10.0, "changed instruments in each"),
        "--books": (2.0, "changes a second of a book:10 on it"),
        "--core-price": (25.0, "of a core with 4 GB for a month: put in your own"),
        "--gb-price": (0.02, "of a gigabyte to the internet: put in your own"),
    }
    for flag, (default, text) in flags.items():
        parser.add_argument(flag, type=_amount, default=default, metavar="N", help=f"{text} ({default:g})")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="results (default: benchmarks/results)")
    return parser.parse_args(given)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return amount


def _costs_table(costs: Costs, results: Results) -> Table:
    rows = {
        "a frame to a dashboard": (f"{costs.frame * 1e6:.1f} µs, {costs.frame_bytes:.0f} bytes", "W2-paced"),
        "each value in it": (f"{costs.value * 1e6:.2f} µs, {costs.value_bytes:.1f} bytes", "W3-50"),
        "a change of a book:10": (f"{costs.book * 1e6:.1f} µs, {costs.book_bytes:.0f} bytes", "depth"),
        "a connection": (f"{costs.connection_bytes / 1000:.1f} KB", "W7"),
        "to connect": (f"{1e6 / costs.connects:.0f} µs, {costs.connects:.0f}/s of a core", "W8"),
        "to follow 10,000 updates/s": (f"{costs.following:.1%} of a core", "following"),
        "Redis, for a source and an edge": (f"{costs.engine:.1%} of a core", "following"),
    }
    table = Table("what", "measured", "by", title="costs", title_justify="left")
    for what, (text, workload) in rows.items():
        table.add_row(what, text, f"{workload}, {results.used[workload]}")
    return table


def _sizes_table(sizes: Sequence[Size], usage: Usage) -> Table:
    table = Table(title="sizes", title_justify="left", caption_justify="left")
    table.caption = (
        f"{usage.frames:g} frames/s of {usage.values:g} values and {usage.books:g} changes/s of a book each;"
        f" edges use {HEADROOM:.0%} of their core; a core {usage.core_price:g}, a gigabyte {usage.gb_price:g}"
    )
    table.add_column("dashboards")
    for size in sizes:
        table.add_column(f"{size.dashboards:,}", justify="right")
    rows = {
        "dashboards of an edge": [f"{size.per_edge:,}" for size in sizes],
        "edges of one core, one to spare": [f"{size.edges:,}" for size in sizes],
        "memory of its clients": [f"{size.edge_memory:.2f} GB" for size in sizes],
        "an edge dies: clients are back after": [f"{size.return_seconds:.1f} s" for size in sizes],
        "services, each with two sources and a Redis": [f"{size.services:,}" for size in sizes],
        "network to dashboards": [f"{size.bits / 1e9:.2f} Gbit/s" for size in sizes],
        "machines a month": [f"{size.machines_price:,.0f}" for size in sizes],
        "traffic a month": [f"{size.traffic_price:,.0f}" for size in sizes],
    }
    for what, cells in rows.items():
        table.add_row(what, *cells)
    return table

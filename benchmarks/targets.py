"""Ticker's performance targets, evaluated on the samples of one campaign."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.attackers import KINDS
from benchmarks.sample import Sample


@dataclass(frozen=True, slots=True)
class Row:
    """One target. `met` is None if it was not measured."""

    name: str
    target: str
    measured: str
    met: bool | None


class Measured:
    """Medians of the samples that count."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = [sample for sample in samples if not sample.problem]

    def get(self, workload: str, metric: str, server: str = "ticker", *, phase: str | None = None) -> float | None:
        """Return a server's median of a metric, by default in the workload's last phase."""
        found = [each for each in self._samples if each.workload == workload and each.server == server]
        wanted = phase or (found[-1].phase if found else "")
        values = [each.metrics[metric] for each in found if each.phase == wanted and metric in each.metrics]
        return statistics.median(values) if values else None


def targets(samples: Sequence[Sample]) -> list[Row]:
    """Return the targets of a full campaign, measured or not, and those of workloads by name only if measured."""
    measured = Measured(samples)
    groups = (_cost, _open, _trouble, _connections, _rates, _floods, _tables)
    return [row for group in groups for row in group(measured)]


def _cost(measured: Measured) -> Iterator[Row]:
    for server, title, limit in (
        ("trio-websocket", "trio-websocket, a task per client", 0.2),
        ("ws", "Node ws", 1.0),
        ("floor", "the floor in C", 1.3),
    ):
        for phase in ("10/s", "100/s"):
            ours = measured.get("W1", "us_per_frame", phase=phase)
            theirs = measured.get("W1", "us_per_frame", server, phase=phase)
            yield _ratio(f"W1, {phase}: CPU per frame, of {title}", limit, ours, theirs)
    for workload, limit in (("W2-paced", 0.8), ("W2-bursts", 1.0)):
        ours, theirs = (measured.get(workload, "us_per_offered", server) for server in ("ticker", "bun"))
        yield _ratio(f"{workload}: CPU per offered delivery, of bun", limit, ours, theirs)


def _open(measured: Measured) -> Iterator[Row]:
    for metric in ("p50", "p99"):
        ours, theirs = (measured.get("W3", metric, server) for server in ("ticker", "bun"))
        yield _ratio(f"W3, refresh 0: {metric}, of bun", 1.5, ours, theirs)
    ours = measured.get("W3-50", "us_per_offered")
    for workload, budget in (("W3", "refresh 0"), ("W3-50", "50 ms to collect as well")):
        theirs = measured.get(workload, "us_per_offered", "bun")
        yield _ratio(f"W3, refresh 50 ms: CPU per offered delivery, of bun with {budget}", 0.45, ours, theirs)
    yield _at_most("W3, refresh 50 ms: p99", measured.get("W3-50", "p99"), 80, "ms")
    yield _at_most("W3, refresh 0: bytes on the wire per value", measured.get("W3", "bytes_per_value"), 25, "bytes")


def _trouble(measured: Measured) -> Iterator[Row]:
    without, beside = (measured.get("W5", "p99", phase=phase) for phase in ("without", "with slow clients"))
    yield _ratio("W5: fast clients' p99 beside slow ones, of that without", 1.3, beside, without)
    yield _at_most("W5: memory growth", measured.get("W5", "memory_growth", phase="with slow clients"), 5, "MB")


def _connections(measured: Measured) -> Iterator[Row]:
    yield _at_most("W7: resident memory per idle client", measured.get("W7", "kb_per_client"), 40, "KB")
    cpu = measured.get("W7", "cpu", phase="10,000 clients")
    yield _at_most("W7: CPU of a core for 10,000 idle clients", None if cpu is None else cpu * 100, 3, "%")
    for phase in ("all connect", "all reconnect"):
        speed = measured.get("W8", "clients_per_core_second", phase=phase)
        met = None if speed is None else speed >= 350
        shown = "" if speed is None else f"{speed:.0f} /s"
        yield Row(f"W8, {phase}: clients per second of the server's core", "at least 350 /s", shown, met)
        usual, during = (measured.get("W8", "p99", phase=each) for each in ("usual", phase))
        yield _ratio(f"W8, {phase}: p99 of clients already there, of the usual", 3, during, usual)


def _rates(measured: Measured) -> Iterator[Row]:
    low, high = (measured.get("rates", "cpu", phase=f"{rate:,}/s") for rate in (5000, 20_000))
    yield _ratio("rates, refresh 50 ms: CPU at 20,000 updates/s, of that at 5,000", 1.6, high, low)


def _floods(measured: Measured) -> Iterator[Row]:
    """Yield targets only if measured: a full campaign has no floods and no attackers."""
    usual = measured.get("floods", "p99", phase="usual")
    for phase in ("pings", "handshakes"):
        during = measured.get("floods", "p99", phase=phase)
        if during is not None:
            yield _ratio(f"floods, {phase}: p99 of clients already there, of the usual", 3, during, usual)
    for workload in ("attackers-5k", "attackers-50k"):
        usual = measured.get(workload, "p99", phase="usual")
        for kind in KINDS:
            during = measured.get(workload, "p99", phase=kind)
            if during is not None:
                yield _ratio(f"{workload}, {kind}: p99 of the others, of the usual", 5, during, usual)
                yield _at_most(f"{workload}, {kind}: p99 of the others", during, 100, "ms")


def _tables(measured: Measured) -> Iterator[Row]:
    """Yield targets only if measured."""
    for name, workload, metric, limit, unit in (
        ("CPU of a core", "depth", "cpu", 60, "%"),
        ("p99", "depth", "p99", 50, "ms"),
        ("CPU of a core, refresh 20 ms", "depth-20", "cpu", 60, "%"),
        ("p99, refresh 20 ms", "depth-20", "p99", 50, "ms"),
        ("bytes per book:10 in a delta", "depth", "bytes_per_delta", 100, "bytes"),
        ("bytes per print", "tape", "bytes_per_print", 30, "bytes"),
        ("prints missed by clients that keep up", "tape", "missed", 0, ""),
        ("memory with books and bars of 500 instruments", "bars", "memory", 600, "MB"),
    ):
        value = measured.get(workload, metric)
        if value is not None:
            yield _at_most(f"{workload}: {name}", value * 100 if unit == "%" else value, limit, unit)
    opened, resumed = (measured.get("bars", metric) for metric in ("open_bytes", "resume_bytes"))
    if opened is not None:
        yield _ratio("bars: bytes to resume after ten minutes, of those to open the chart", 0.1, resumed, opened)


def _ratio(name: str, limit: float, ours: float | None, theirs: float | None) -> Row:
    target = f"at most {limit:g} x"
    if ours is None or not theirs:
        return Row(name, target, "", None)
    return Row(name, target, f"{ours / theirs:.2f} x ({ours:.2f} / {theirs:.2f})", ours <= limit * theirs)


def _at_most(name: str, value: float | None, limit: float, unit: str) -> Row:
    target = f"at most {limit:g} {unit}"
    return Row(name, target, "", None) if value is None else Row(name, target, f"{value:.1f} {unit}", value <= limit)

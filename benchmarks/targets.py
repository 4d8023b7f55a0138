"""Ticker's performance targets, evaluated on the samples of one campaign."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.attackers import KINDS
from benchmarks.sample import Sample
from benchmarks.workloads import ENOUGH_ROUNDS


@dataclass(frozen=True, slots=True)
class Row:
    """One target. `met` is None if it was not measured."""

    name: str
    target: str
    measured: str = ""
    """Of the medians of all rounds."""
    met: bool | None = None
    spread: str = ""
    """The least and the largest of the rounds."""
    rounds: int = 0

    @property
    def verdict(self) -> str:
        """Whether it is met; what rests on few rounds is said to do so."""
        if self.met is None:
            return "not measured"
        few = f" ({self.rounds} of {ENOUGH_ROUNDS} rounds)" if 0 < self.rounds < ENOUGH_ROUNDS else ""
        return f"{'met' if self.met else 'missed'}{few}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of one server in one phase."""

    rounds: Mapping[int, float] = field(default_factory=dict)
    """By round."""
    problem: str = ""
    """Why there is none, if it was tried."""

    @property
    def median(self) -> float:
        """The median of the rounds, of which there are some."""
        return statistics.median(self.rounds.values())

    def times(self, factor: float) -> Figure:
        """Return the same in another unit."""
        return Figure({number: value * factor for number, value in self.rounds.items()}, self.problem)

    def over(self, other: Figure) -> Figure:
        """Return the ratio in each round: its servers were measured in turn."""
        rounds = [number for number in self.rounds if other.rounds.get(number)]
        return Figure({number: self.rounds[number] / other.rounds[number] for number in rounds})

    @property
    def spread(self) -> str:
        """The least and the largest, if there are several."""
        if len(self.rounds) < 2:
            return ""
        return f"{min(self.rounds.values()):.2f}-{max(self.rounds.values()):.2f}"


class Measured:
    """The metrics of a campaign."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def get(self, workload: str, metric: str, server: str = "ticker", *, phase: str | None = None) -> Figure:
        """Return a server's metric, by default in the workload's last phase."""
        found = [each for each in self._samples if each.workload == workload and each.server == server]
        wanted = phase or (found[-1].phase if found else "")
        runs = [each for each in found if each.phase == wanted]
        values = {each.round: each.metrics[metric] for each in runs if not each.problem and metric in each.metrics}
        return Figure(values, next((each.problem for each in runs if each.problem), ""))

    def phases(self, workload: str) -> list[str]:
        """Return the phases of a workload that were tried."""
        return list(dict.fromkeys(each.phase for each in self._samples if each.workload == workload))


def targets(samples: Sequence[Sample]) -> list[Row]:
    """Return the targets of a full campaign, measured or not, and those of workloads by name only if measured."""
    measured = Measured(samples)
    groups = (_cost, _open, _trouble, _connections, _rates, _source, _workers, _market, _floods, _tables)
    return [row for group in groups for row in group(measured)]


def _cost(measured: Measured) -> Iterator[Row]:
    for server, title, limit in (
        ("trio-websocket", "trio-websocket, a task per client", 0.2),
        ("ws", "Node ws", 1.0),
        ("floor", "the floor in C", 1.25),
    ):
        for phase in ("10/s", "100/s"):
            ours = measured.get("W1", "us_per_frame", phase=phase)
            theirs = measured.get("W1", "us_per_frame", server, phase=phase)
            yield _ratio(f"W1, {phase}: CPU per frame, of {title}", limit, ours, theirs)
    for workload, phase, server, title, limit in (
        ("W2", "100/s", "bun", "bun", 1.5),
        ("W2", "500/s", "bun", "bun", 1.4),
        ("W2-paced", "1,000/s", "floor-python", "the floor in Python", 1.7),
        ("W2-bursts", "1,000/s", "bun", "bun", 1.3),
    ):
        ours, theirs = (measured.get(workload, "us_per_offered", each, phase=phase) for each in ("ticker", server))
        yield _ratio(f"{workload}, {phase}: CPU per offered delivery, of {title}", limit, ours, theirs)


def _open(measured: Measured) -> Iterator[Row]:
    for metric in ("p50", "p99"):
        ours, theirs = (measured.get("W3", metric, server) for server in ("ticker", "bun"))
        yield _ratio(f"W3, refresh 0: {metric}, of bun", 1.2, ours, theirs)
    ours = measured.get("W3-50", "us_per_offered")
    for workload, budget, limit in (("W3", "refresh 0", 0.45), ("W3-50", "50 ms to collect as well", 0.95)):
        theirs = measured.get(workload, "us_per_offered", "bun")
        yield _ratio(f"W3, refresh 50 ms: CPU per offered delivery, of bun with {budget}", limit, ours, theirs)
    yield _at_most("W3, refresh 50 ms: p99", measured.get("W3-50", "p99"), 80, "ms")
    yield _at_most("W3, refresh 0: bytes on the wire per value", measured.get("W3", "bytes_per_value"), 25, "bytes")


def _trouble(measured: Measured) -> Iterator[Row]:
    without, beside = (measured.get("W5", "p99", phase=phase) for phase in ("without", "with slow clients"))
    yield _ratio("W5: fast clients' p99 beside slow ones, of that without", 1.3, beside, without)
    yield _at_most("W5: memory growth", measured.get("W5", "memory_growth", phase="with slow clients"), 5, "MB")


def _connections(measured: Measured) -> Iterator[Row]:
    yield _at_most("W7: resident memory per idle client", measured.get("W7", "kb_per_client"), 32, "KB")
    further = measured.get("W7-watching", "kb_per_further_client")
    yield _at_most("W7-watching: resident memory per client with 50 of 4,000 instruments", further, 38, "KB")
    cpu = measured.get("W7", "cpu", phase="10,000 clients")
    yield _at_most("W7: CPU of a core for 10,000 idle clients", cpu.times(100), 3, "%")
    for phase in ("all connect", "all reconnect"):
        speed = measured.get("W8", "clients_per_core_second", phase=phase)
        yield _at_least(f"W8, {phase}: clients per second of the server's core", speed, 350, "/s")
        usual, during = (measured.get("W8", "p99", phase=each) for each in ("usual", phase))
        yield _ratio(f"W8, {phase}: p99 of clients already there, of the usual", 3, during, usual)


def _rates(measured: Measured) -> Iterator[Row]:
    low, high = (measured.get("rates", "cpu", phase=f"{rate:,}/s") for rate in (5000, 20_000))
    yield _ratio("rates, refresh 50 ms: CPU at 20,000 updates/s, of that at 5,000", 1.6, high, low)


def _source(measured: Measured) -> Iterator[Row]:
    yield _at_most("publish: an update of four fields", measured.get("publish", "us_per_update"), 4, "µs")
    yield _at_most("publish: 36 levels of a book", measured.get("publish", "us_per_levels"), 45, "µs")
    cpu, p99 = (measured.get("source", metric, phase="100,000/s") for metric in ("cpu", "p99"))
    yield _at_most("source, 100,000 updates/s: CPU of a core", cpu.times(100), 100, "%")
    # A source that falls behind would show here, before its core is full.
    yield _at_most("source, 100,000 updates/s: p99", p99, 150, "ms")


def _workers(measured: Measured) -> Iterator[Row]:
    """What two cores deliver with two workers and their source, and one core by itself: CPU of all processes counts."""
    for phase in ("200/s", "bursts"):
        one, two = (measured.get("workers", "us_per_offered", each, phase=phase) for each in ("ticker", "workers"))
        capacity = one.times(2).over(two)
        problem = two.problem or one.problem
        yield _at_least(f"workers, {phase}: deliveries of two, of one", Figure(capacity.rounds, problem), 1.8, "x")


def _market(measured: Measured) -> Iterator[Row]:
    """What the clients of a large market see while others ask for all of it."""
    for phase in measured.phases("market-100k") or [""]:
        if phase != "usual":
            longest = measured.get("market-100k", "max", phase=phase)
            about = f"market-100k, {phase}" if phase else "market-100k"
            yield _at_most(f"{about}: longest gap of the others", longest, 20, "ms")


def _floods(measured: Measured) -> Iterator[Row]:
    """Yield targets only if measured: a full campaign has no floods and no attackers."""
    usual = measured.get("floods", "p99", phase="usual")
    for phase in ("pings", "handshakes"):
        during = measured.get("floods", "p99", phase=phase)
        if during.rounds:
            yield _ratio(f"floods, {phase}: p99 of clients already there, of the usual", 3, during, usual)
    for workload in ("attackers-5k", "attackers-50k"):
        usual = measured.get(workload, "p99", phase="usual")
        for kind in KINDS:
            during = measured.get(workload, "p99", phase=kind)
            if during.rounds:
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
        figure = measured.get(workload, metric)
        if figure.rounds:
            yield _at_most(f"{workload}: {name}", figure.times(100) if unit == "%" else figure, limit, unit)
    opened, resumed = (measured.get("bars", metric) for metric in ("open_bytes", "resume_bytes"))
    if opened.rounds:
        yield _ratio("bars: bytes to resume after ten minutes, of those to open the chart", 0.1, resumed, opened)


def _ratio(name: str, limit: float, ours: Figure, theirs: Figure) -> Row:
    """Compare the medians; the spread is that of the ratios of each round."""
    target = f"at most {limit:g} x"
    if not ours.rounds:
        return _unmeasured(name, target, ours)
    if not theirs.rounds or not theirs.median:
        return Row(name, target, f"nothing to compare with: {theirs.problem}" if theirs.problem else "")
    ratio, each = ours.median / theirs.median, ours.over(theirs)
    measured = f"{ratio:.2f} x ({ours.median:.2f} / {theirs.median:.2f})"
    return Row(name, target, measured, ratio <= limit, each.spread, min(len(ours.rounds), len(theirs.rounds)))


def _at_most(name: str, figure: Figure, limit: float, unit: str) -> Row:
    return _limited(name, f"at most {limit:g} {unit}", figure, unit, lambda median: median <= limit)


def _at_least(name: str, figure: Figure, limit: float, unit: str) -> Row:
    return _limited(name, f"at least {limit:g} {unit}", figure, unit, lambda median: median >= limit)


def _limited(name: str, target: str, figure: Figure, unit: str, meets: Callable[[float], bool]) -> Row:
    if not figure.rounds:
        return _unmeasured(name, target, figure)
    measured = f"{figure.median:.2f} {unit}"
    return Row(name, target, measured, meets(figure.median), figure.spread, len(figure.rounds))


def _unmeasured(name: str, target: str, figure: Figure) -> Row:
    """Return the row of a metric that Ticker does not have: it is missed if that was tried."""
    return Row(name, target, figure.problem, False if figure.problem else None)

"""Three charts of a campaign's results, with the floors as dashed lines: cost against rate, latencies, memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sample import Sample
from benchmarks.servers import SERVERS

Points = list[tuple[float, float]]


def plot(samples: Sequence[Sample], folder: Path, stamp: str) -> list[Path]:
    """Write the charts that have samples; return their paths. Raises `ImportError` without matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415  # only `make bench` installs it

    mpl.use("Agg")
    good = [sample for sample in samples if not sample.problem]
    charts = [
        _lines(
            [each for each in good if each.workload == "rates"],
            ("updates per second", lambda each: each.rate),
            ("server CPU, µs per offered delivery", lambda each: each.metrics.get("us_per_offered")),
            "1,000 clients x 50 of 500 symbols, 50 ms to collect updates",
        ),
        _percentiles([each for each in good if each.workload == "W4" and each.phase == "common rate"]),
        _lines(
            [each for each in good if each.workload == "W7"],
            ("idle TLS clients", lambda each: each.clients),
            ("server memory, MB", lambda each: each.metrics.get("memory")),
            "memory against connections",
        ),
    ]
    written = []
    for name, figure in zip(("cost", "latency", "memory"), charts, strict=True):
        if figure is not None:
            path = folder / f"{stamp}-{name}.png"
            figure.savefig(path, dpi=130, bbox_inches="tight")
            written.append(path)
    return written


_Axis = tuple[str, Callable[[Sample], float | None]]


def _lines(samples: Sequence[Sample], across: _Axis, up: _Axis, title: str) -> Any:  # noqa: ANN401  # a matplotlib Figure
    """Draw a line for each server; both axes are logarithmic."""
    if not samples:
        return None
    figure, axes = _chart(title)
    for server in _servers(samples):
        places: dict[float, list[float]] = {}
        for sample in samples:
            x, y = across[1](sample), up[1](sample)
            if sample.server == server and x and y:
                places.setdefault(x, []).append(y)
        points = sorted((x, statistics.median(ys)) for x, ys in places.items())
        if points:
            axes.plot(*zip(*points, strict=True), **_style(server))
    axes.set(xlabel=across[0], ylabel=up[0], xscale="log", yscale="log")
    axes.legend(fontsize=8)
    return figure


def _percentiles(samples: Sequence[Sample]) -> Any:  # noqa: ANN401  # likewise
    """Draw p50, p99, p99.9 and the maximum of each server."""
    if not samples:
        return None
    rate = f"{samples[0].rate:,} updates/s"
    figure, axes = _chart(f"latency, 1,000 clients x 50 of 500 symbols, {rate}")
    names = ("p50", "p99", "p999", "max")
    for server in _servers(samples):
        runs = [sample.metrics for sample in samples if sample.server == server]
        axes.plot(names, [statistics.median(run[name] for run in runs) for name in names], **_style(server))
    axes.set(ylabel="ms", yscale="log")
    axes.set_xticks(range(len(names)), ("p50", "p99", "p99.9", "max"))
    axes.legend(fontsize=8)
    return figure


def _chart(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot(title=title)
    axes.grid(visible=True, which="both", alpha=0.3)
    return figure, axes


def _style(server: str) -> dict[str, Any]:
    role = SERVERS[server].role
    looks: dict[str, dict[str, Any]] = {
        "ticker": {"linewidth": 3, "marker": "o", "color": "black", "zorder": 3},
        "floor": {"linestyle": "--", "color": "dimgray" if server == "floor" else "darkgray"},
    }
    return {"label": SERVERS[server].title, **looks.get(role, {"linewidth": 1.2, "marker": "."})}


def _servers(samples: Sequence[Sample]) -> list[str]:
    return [server for server in SERVERS if any(sample.server == server for sample in samples)]

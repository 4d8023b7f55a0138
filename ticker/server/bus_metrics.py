"""What a process of a bus counts, in the Prometheus text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Part: TypeAlias = Literal["source", "standby", "edge"]
"""What a process is on the bus."""

_PARTS: Final[tuple[Part, ...]] = ("source", "standby", "edge")


class BusState(NamedTuple):
    """The state of a process on a bus."""

    part: Part
    trouble: str | None
    """Why the engine cannot be used."""
    term: int
    """That of the source which leads, as far as is known; 0 if none was heard."""
    committed: int
    """Cuts that the engine accepted from this process."""
    followed: int
    """Cuts that were applied to its copy."""
    keyframes: int
    """Keyframes that it has finished."""
    silent_seconds: float
    """For so long nothing was heard of the source; 0 while it is heard."""


class Anew:
    """Counts how often the process began anew, for all its roles."""

    def __init__(self) -> None:
        self.counts = Counter[str]({"deposed": 0, "lost": 0, "silent": 0})

    def __repr__(self) -> str:
        return f"<Anew: {dict(self.counts)}>"


class BusMetrics:
    """The metrics of one role; there are none without a bus."""

    def __init__(self, state: Callable[[], BusState | None], anew: Anew) -> None:
        self._state = state
        self._anew = anew

    def __repr__(self) -> str:
        return f"<BusMetrics: {self._state()}>"

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        state = self._state()
        if state is None:
            return
        role = GaugeMetricFamily("ticker_bus_role", "1 for what the process is on the bus.", labels=["role"])
        for part in _PARTS:
            role.add_metric([part], state.part == part)
        yield role
        yield GaugeMetricFamily("ticker_bus_up", "1 if the engine of the bus can be used.", state.trouble is None)
        yield GaugeMetricFamily(
            "ticker_bus_term", "The number of the source that leads: each takeover is one more.", state.term
        )
        yield GaugeMetricFamily(
            "ticker_bus_source_silent_seconds",
            "Since the last sign of life of the source, while it is silent; else 0.",
            state.silent_seconds,
        )
        yield CounterMetricFamily(
            "ticker_bus_cuts_committed", "Cuts that the engine has accepted from this process.", state.committed
        )
        yield CounterMetricFamily("ticker_bus_cuts_followed", "Cuts of others, applied to its copy.", state.followed)
        yield CounterMetricFamily("ticker_bus_keyframes", "Keyframes that this process has written.", state.keyframes)
        anew = CounterMetricFamily(
            "ticker_bus_begun_anew",
            "How often the process gave its copy up: another source leads, it could not follow, or nothing was heard.",
            labels=["cause"],
        )
        for cause, count in self._anew.counts.items():
            anew.add_metric([cause], count)
        yield anew

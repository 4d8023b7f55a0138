"""The metrics of a delay: the spool, and the series of the market beside, with the label `market`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from ticker.bus.delayed import DelayedEngine
from ticker.bus.spool_metrics import spool_metrics

_MARKET: Mapping[str, str] = {"market": "delayed"}
"""The label of the market beside: the series of the one in real time are as they are without it."""


class MarketMetrics(Protocol):
    """The metrics of a market."""

    def of_market(self) -> Iterator[Metric]:
        """Yield those that are of one market, not of the process."""
        ...


class DelayMetrics:
    """The metrics of the delay of one process."""

    def __init__(
        self, spooled: DelayedEngine | None = None, beside: Callable[[], MarketMetrics | None] = lambda: None
    ) -> None:
        """`beside` returns the metrics of the market beside, while it is served."""
        self._spooled = spooled
        self._beside = beside

    def __repr__(self) -> str:
        return f"<DelayMetrics of {self._spooled!r}>"

    def spool(self) -> Iterator[Metric]:
        """Yield those of the spool, if this process has it."""
        return iter(()) if self._spooled is None else spool_metrics(self._spooled)

    def with_beside(self, families: Iterable[Metric]) -> Iterator[Metric]:
        """Yield these, each with the series of the market beside."""
        beside = self._beside()
        more = {} if beside is None else {each.name: each.samples for each in beside.of_market()}
        for family in families:
            for sample in more.get(family.name, ()):
                family.samples.append(_labelled(sample))
            yield family


def _labelled(sample: Sample) -> Sample:
    return sample._replace(labels={**sample.labels, **_MARKET})

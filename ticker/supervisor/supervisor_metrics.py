"""The metrics of all processes on one page, with those of the supervisor itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import count

import trio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticker.bus.delayed import DelayedEngine
from ticker.bus.log import Log
from ticker.bus.spool_metrics import spool_metrics
from ticker.bus_bounds import WORKER_METRICS_SECONDS
from ticker.net.memory import resident_bytes
from ticker.net.queued_file import lines_lost
from ticker.supervisor.acceptor import Acceptor
from ticker.supervisor.child import Child
from ticker.supervisor.merged_metrics import merged
from ticker.supervisor.messages import Text, TextWanted
from ticker.supervisor.places import Places
from ticker.supervisor.pool import Pool

_SELF = "supervisor"
"""The supervisor's own label."""


class SupervisorMetrics:
    """Collects the metrics of all processes; who asks meanwhile gets the same page."""

    def __init__(self, pool: Pool, places: Places, acceptor: Acceptor, log: Log | None) -> None:
        """`log` is the one between the processes, if it is not elsewhere."""
        self._pool = pool
        self._log = log
        self.delayed: DelayedEngine | None = None
        """The spool of all workers, if there is one."""
        self._places = places
        self._acceptor = acceptor
        self._requests = count(1)
        self._wanted: dict[int, Child] = {}
        self._texts: dict[Child, bytes] = {}
        self._all_there = trio.Event()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def __repr__(self) -> str:
        return f"<SupervisorMetrics of {self._pool!r}>"

    async def page(self) -> bytes:
        """Return the whole page. Processes that do not answer in time are left out."""
        asked = dict(self._pool.labelled())
        self._texts, self._wanted, self._all_there = {}, {}, trio.Event()
        for child in asked.values():
            number = next(self._requests)
            self._wanted[number] = child
            child.post(TextWanted(number))
        with trio.move_on_after(WORKER_METRICS_SECONDS):
            if asked:
                await self._all_there.wait()
        texts = [(label, self._texts[child]) for label, child in asked.items() if child in self._texts]
        return merged([(None, generate_latest(self._registry)), *sorted(texts)])

    def take(self, text: Text) -> None:
        """Take a process's answer."""
        child = self._wanted.pop(text.request, None)
        if child is not None:
            self._texts[child] = text.text
            self._check()

    def forget(self, child: Child) -> None:
        """Wait no longer for a process that has ended."""
        for number in [number for number, each in self._wanted.items() if each is child]:
            del self._wanted[number]
            self._check()

    def _check(self) -> None:
        if not self._wanted:
            self._all_there.set()

    def collect(self) -> Iterator[Metric]:
        """Yield the supervisor's own metrics, for the registry."""
        info = GaugeMetricFamily("ticker_build_info", "The version that runs.", labels=["worker", "version"])
        info.add_metric([_SELF, metadata.version("ticker-push")], 1)
        yield info
        yield from self._processes()
        yield from self._connections()
        if self._log is not None:
            yield from _log_metrics(self._log)
        if self.delayed is not None:
            yield from spool_metrics(self.delayed)
        lost = CounterMetricFamily(
            "ticker_output_lines_lost", "Lines of the log that were not read in time.", labels=["worker"]
        )
        lost.add_metric([_SELF], lines_lost())
        yield lost
        resident = resident_bytes()
        if resident is not None:
            memory = GaugeMetricFamily(
                "ticker_resident_memory_bytes", "Resident memory of the process.", labels=["worker"]
            )
            memory.add_metric([_SELF], resident)
            yield memory

    def _processes(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("ticker_worker_up", "1 if the worker serves, and gave its metrics.", labels=["worker"])
        restarts = CounterMetricFamily(
            "ticker_worker_restarts", "How often a worker was replaced because it had ended.", labels=["worker"]
        )
        given = GaugeMetricFamily(
            "ticker_worker_connections", "Connections that a worker has, of all kinds.", labels=["worker"]
        )
        preferred = GaugeMetricFamily(
            "ticker_worker_preferred",
            "1 if the worker gets connections: at its last sign of life, which is not overdue, it was ready.",
            labels=["worker"],
        )
        for slot in self._pool.slots:
            child = slot.child
            up.add_metric([slot.name], child is not None and child in self._texts)
            restarts.add_metric([slot.name], slot.restarts)
            if slot.kinds:
                given.add_metric([slot.name], len(child.connections) if child is not None else 0)
                preferred.add_metric([slot.name], child is not None and child.preferred)
        leaving = sum(child.leaving for child in self._pool.children)
        yield from (up, restarts, given, preferred)
        yield GaugeMetricFamily("ticker_workers_leaving", "Workers whose clients are to leave.", leaving)
        yield CounterMetricFamily("ticker_rolls", "How often all workers were to be replaced.", self._pool.rolls)
        yield CounterMetricFamily(
            "ticker_rolls_failed",
            "How often that ended, because a new one did not become ready.",
            self._pool.rolls_failed,
        )

    def _connections(self) -> Iterator[Metric]:
        limits = self._places.limits
        yield GaugeMetricFamily("ticker_places_open", "Connections of all workers, admitted or not.", limits.open)
        yield GaugeMetricFamily(
            "ticker_places_admitted", "Connections of all workers that were admitted.", limits.admitted
        )
        yield CounterMetricFamily(
            "ticker_connections_not_handed_over",
            "Connections that were closed because no worker took them in time.",
            self._acceptor.not_handed_over,
        )
        failures = CounterMetricFamily(
            "ticker_accept_failures", "Attempts to accept without a free file descriptor.", labels=["worker"]
        )
        failures.add_metric([_SELF], limits.accept_failures)
        yield failures
        refused = CounterMetricFamily(
            "ticker_turned_away", "Connections not admitted, by cause.", labels=["worker", "cause"]
        )
        for cause, number in limits.refusals.items():
            refused.add_metric([_SELF, str(cause)], number)
        yield refused

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the names above are known to be unique."""
        return ()


def _log_metrics(log: Log) -> Iterator[Metric]:
    yield GaugeMetricFamily("ticker_bus_log_entries", "Entries in the log between the processes.", log.entries)
    yield GaugeMetricFamily("ticker_bus_log_bytes", "Their bytes.", log.bytes)
    yield CounterMetricFamily("ticker_bus_log_appended", "Entries and beats that were appended to it.", log.appended)
    yield CounterMetricFamily("ticker_bus_log_refused", "Those that came too late, after another's.", log.refused)
    yield CounterMetricFamily(
        "ticker_bus_log_dropped", "Entries that were dropped before a keyframe stood for them.", log.dropped
    )
    yield GaugeMetricFamily("ticker_bus_log_connections", "Connections to the log.", log.connections)
    failed = CounterMetricFamily("ticker_bus_log_connections_failed", "Those refused or ended.", labels=["cause"])
    failed.add_metric(["refused"], log.refused_connections)
    failed.add_metric(["failed"], log.failed_connections)
    yield failed

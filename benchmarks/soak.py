"""The soak scenario: churn beside connected clients, with readings of the server's memory and descriptors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.churn import ChurnClients
from benchmarks.phase_run import PhaseRun
from benchmarks.process import ServerProcess
from benchmarks.run import Run
from benchmarks.sample import Sample

WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 60.0
"""Warm-up: the first tenth of the time, at most one minute, does not count as growth."""
READING_SECONDS = 2.0
PROGRESS_SECONDS = 30.0
CLOSE_SECONDS = 10.0
"""Maximum time for the server to close the descriptors of the last churn clients."""


class Readings:
    """A series of readings of resident memory in MB and of open descriptors."""

    def __init__(self, process: ServerProcess, warm_up: float) -> None:
        self._process = process
        self._warm_up = warm_up
        self._times: list[float] = []
        self._memory: list[float] = []
        self._descriptors = [process.descriptors()]

    def take(self, now: float) -> str:
        """Read both; return them as a text."""
        self._times.append(now)
        self._memory.append(self._process.memory())
        self._descriptors.append(self._process.descriptors())
        return f"{self._memory[-1]:.1f} MB, {self._descriptors[-1]:,} descriptors"

    def metrics(self) -> dict[str, float]:
        """Return the metrics; the slope is by least squares over the readings after the warm-up."""
        start = next((index for index, now in enumerate(self._times) if now >= self._warm_up), len(self._times) - 1)
        times, memory = self._times[start:], self._memory[start:]
        slope = statistics.linear_regression(times, memory).slope if len(times) > 1 else 0.0
        return {
            "memory_warm": memory[0],
            "memory_end": memory[-1],
            "memory_max": max(self._memory),
            "memory_slope": slope * 60,
            "descriptors_start": self._descriptors[0],
            "descriptors_max": max(self._descriptors),
        }


class Soak:
    """The side activity: churn clients and readings."""

    def __init__(self, run: Run, seconds: float) -> None:
        numbers = range(run.job.workload.symbols)
        self.churn = ChurnClients(lambda: run.new_clients(1)[0], numbers)
        self.readings = Readings(run.process, min(WARM_UP_SECONDS, WARM_UP_SHARE * seconds))
        self._run = run
        self._seconds = seconds
        self._is_over = False
        self._read_at = 0.0
        self._shown_at = PROGRESS_SECONDS

    def fileno(self) -> int:
        """Return -1: churn is timed."""
        return -1

    def over(self, now: float) -> bool:
        """Return whether the phase's time is over; connected churn clients must then be exact like all others."""
        if now >= self._seconds:
            self._is_over = True
            self.churn.stop()
            self.readings.take(now)
            self._run.extra_clients = list(self.churn.subscribed)
        return self._is_over

    def step(self, now: float) -> None:
        """Continue the churn; take readings and show progress when due."""
        if self._is_over:
            return
        self.churn.step(now)
        if now < self._read_at:
            return
        self._read_at += READING_SECONDS
        shown = self.readings.take(now)
        if now >= self._shown_at:
            self._shown_at += PROGRESS_SECONDS
            churn = self.churn
            print(
                f"{now:.0f} of {self._seconds:.0f} s: {shown}; {churn.started:,} churn clients started,"
                f" {len(churn.subscribed)} are connected, {churn.stalled:,} stalled",
                flush=True,
            )


def run_soak(run: Run) -> Iterator[Sample]:
    """Run one long phase; then close the remaining churn clients, and count the descriptors left open."""
    (phase,) = run.job.workload.phases
    run.connect(run.job.workload.clients)
    soaks: list[Soak] = []

    def begin(_: PhaseRun) -> Soak:
        soaks.append(Soak(run, phase.seconds))
        return soaks[0]

    sample = run.phase(phase, begin)
    if not sample.metrics:
        yield sample
        return
    (soak,) = soaks
    remaining = len(run.extra_clients)
    run.close_extra_clients()
    churn = {"churn_started": soak.churn.started, "churn_ended": soak.churn.ended, "churn_remaining": remaining}
    metrics = soak.readings.metrics() | churn | {"churn_stalled": soak.churn.stalled}
    metrics["descriptors_end"] = _descriptors_after_churn(run.process, metrics["descriptors_start"])
    yield replace(sample, metrics=sample.metrics | metrics)


def _descriptors_after_churn(process: ServerProcess, before: float) -> int:
    """Return the number of open descriptors once it is back at `before`, or after a while."""
    until = time.monotonic() + CLOSE_SECONDS
    while (count := process.descriptors()) > before and time.monotonic() < until:
        time.sleep(0.1)
    return count

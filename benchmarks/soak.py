"""A long time: clients stay, guests come, stall and go, and the server's memory and descriptors are watched."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.drive import Drive
from benchmarks.guests import Guests
from benchmarks.process import ServerProcess
from benchmarks.run import Run
from benchmarks.sample import Sample

WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 60.0
"""What the server grows by in the first tenth of the time, or in its first minute, is not counted as growth."""
READING_SECONDS = 2.0
PROGRESS_SECONDS = 30.0
GONE_SECONDS = 10.0
"""So long after the last guest has gone its descriptor may still be open."""


class Readings:
    """Memory (resident, MB) and open descriptors, read again and again."""

    def __init__(self, process: ServerProcess, warm_up: float) -> None:
        self._process = process
        self._warm_up = warm_up
        self._times: list[float] = []
        self._memory: list[float] = []
        self._descriptors = [process.descriptors()]

    def take(self, now: float) -> str:
        """Read both; returns them as a text."""
        self._times.append(now)
        self._memory.append(self._process.memory())
        self._descriptors.append(self._process.descriptors())
        return f"{self._memory[-1]:.1f} MB, {self._descriptors[-1]:,} descriptors"

    def figures(self) -> dict[str, float]:
        """What came of it; the slope is by least squares over all that was read after the warm-up."""
        start = next((index for index, now in enumerate(self._times) if now >= self._warm_up), len(self._times) - 1)
        times, memory = self._times[start:], self._memory[start:]
        slope = statistics.linear_regression(times, memory).slope if len(times) > 1 else 0.0
        return {
            "memory_warm": memory[0],
            "memory_end": memory[-1],
            "memory_most": max(self._memory),
            "memory_slope": slope * 60,
            "descriptors_start": self._descriptors[0],
            "descriptors_most": max(self._descriptors),
        }


class Soak:
    """The guests' comings and goings during the phase, and the readings."""

    def __init__(self, run: Run, seconds: float) -> None:
        numbers = range(run.job.workload.symbols)
        self.guests = Guests(lambda: run.new_clients(1)[0], numbers)
        self.readings = Readings(run.process, min(WARM_UP_SECONDS, WARM_UP_SHARE * seconds))
        self._run = run
        self._seconds = seconds
        self._is_over = False
        self._read_at = 0.0
        self._shown_at = PROGRESS_SECONDS

    def fileno(self) -> int:
        """Nothing: guests go by the time."""
        return -1

    def over(self, now: float) -> bool:
        """When the phase's time is over; the guests who are present have to be exact then like all others."""
        if now >= self._seconds:
            self._is_over = True
            self.guests.stop()
            self.readings.take(now)
            self._run.guests = list(self.guests.present)
        return self._is_over

    def step(self, now: float) -> None:
        """Go on with the guests, and read and show what is due."""
        if self._is_over:
            return
        self.guests.step(now)
        if now < self._read_at:
            return
        self._read_at += READING_SECONDS
        shown = self.readings.take(now)
        if now >= self._shown_at:
            self._shown_at += PROGRESS_SECONDS
            guests = self.guests
            print(
                f"{now:.0f} of {self._seconds:.0f} s: {shown}; {guests.came:,} guests came,"
                f" {len(guests.present)} are there, {guests.stalled:,} stalled",
                flush=True,
            )


def play_soak(run: Run) -> Iterator[Sample]:
    """One long phase; then the guests who are still there go, and what they leave behind is counted."""
    (phase,) = run.job.workload.phases
    run.connect(run.job.workload.clients)
    soaks: list[Soak] = []

    def begin(_: Drive) -> Soak:
        soaks.append(Soak(run, phase.seconds))
        return soaks[0]

    sample = run.phase(phase, begin)
    if not sample.figures:
        yield sample
        return
    (soak,) = soaks
    stayed = len(run.guests)
    run.send_guests_away()
    guests = {"guests_came": soak.guests.came, "guests_left": soak.guests.left, "guests_stayed": stayed}
    figures = soak.readings.figures() | guests | {"guests_stalled": soak.guests.stalled}
    figures["descriptors_end"] = _descriptors_when_gone(run.process, figures["descriptors_start"])
    yield replace(sample, figures=sample.figures | figures)


def _descriptors_when_gone(process: ServerProcess, before: float) -> int:
    """How many are open once they are as few as before the guests came, or after a while."""
    until = time.monotonic() + GONE_SECONDS
    while (count := process.descriptors()) > before and time.monotonic() < until:
        time.sleep(0.1)
    return count

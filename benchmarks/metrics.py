"""Metrics of a phase, computed from readings before and after it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.client import Client
from benchmarks.machine import busy_and_stolen
from benchmarks.phase_run import PhaseRun
from benchmarks.process import ServerProcess
from benchmarks.sample import percentiles
from benchmarks.schedule import Schedule
from benchmarks.slow import SlowClients


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings at one moment: CPU time in seconds, memory in MB, and totals received by all clients."""

    cpu: float
    memory: float
    frames: int
    values: int
    bytes: int
    records: int

    @staticmethod
    def now(process: ServerProcess, clients: Sequence[Client]) -> Counts:
        """Read the counts now. Values and frames count once they are decoded."""
        return Counts(
            process.cpu(),
            process.memory(),
            sum(client.frames for client in clients),
            sum(client.values for client in clients),
            sum(client.bytes for client in clients),
            sum(client.records for client in clients),
        )


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Readings of the clock, and of CPU times: this process's, the measured ones', the machine's; steal time."""

    clock: float
    load: float
    servers: float
    busy: float
    stolen: float

    @staticmethod
    def now(servers: float) -> Stopwatch:
        """Read the clocks now; `servers` is the CPU time of the measured processes."""
        return Stopwatch(time.monotonic(), time.process_time(), servers, *busy_and_stolen())

    def since(self, began: Stopwatch) -> dict[str, float]:
        """Return the seconds since `began`, and shares: load client and others of a core, steal time of all cores."""
        seconds = self.clock - began.clock
        load, servers, busy = self.load - began.load, self.servers - began.servers, self.busy - began.busy
        return {
            "seconds": seconds,
            "load": load / seconds,
            "others": max(0.0, busy - load - servers) / seconds,
            "stolen": (self.stolen - began.stolen) / seconds / (os.cpu_count() or 1),
        }


def offered(schedule: Schedule, clients: Sequence[Client]) -> int:
    """Return the number of offered deliveries: each update once for each client subscribed to its instrument."""
    return sum(len(schedule.updates_of(number)) for client in clients for number in client.numbers)


def phase_metrics(
    before: Counts, after: Counts, phase_run: PhaseRun, schedule: Schedule, clients: Sequence[Client]
) -> dict[str, float]:
    """Return CPU times in microseconds, latencies in milliseconds, memory in MB."""
    offered_count = offered(schedule, clients)
    cpu_us = (after.cpu - before.cpu) * 1e6
    values = after.values - before.values
    frames = after.frames - before.frames
    found: dict[str, float] = {
        "offered": offered_count,
        "values": values,
        "conflated": max(0, offered_count - values),
        "frames": frames,
        "us_per_offered": cpu_us / max(offered_count, 1),
        "us_per_value": cpu_us / max(values, 1),
        "us_per_frame": cpu_us / max(frames, 1),
        "values_per_offered": values / max(offered_count, 1),
        "bytes_per_value": (after.bytes - before.bytes) / max(values, 1),
        "records_per_value": (after.records - before.records) / max(values, 1),
        "memory": after.memory,
        "peak_memory": max(phase_run.peak_memory, after.memory),
        "memory_growth": max(phase_run.peak_memory, after.memory) - before.memory,
        "drained": phase_run.drained,
    }
    return found | percentiles(phase_run.latencies) | percentiles(phase_run.spread(), "spread_")


def slow_client_metrics(slow: SlowClients) -> dict[str, float]:
    """Return the ages that slow clients observed, in seconds."""
    return {
        "oldest_on_resume": slow.oldest_on_resume,
        "behind_after_resume": slow.behind_after_resume,
        "trickle_age": slow.trickle_age,
    }

"""From readings before and after a phase to the figures of its sample."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.client import Client
from benchmarks.drive import Drive
from benchmarks.machine import stolen_seconds
from benchmarks.process import ServerProcess
from benchmarks.sample import percentiles
from benchmarks.schedule import Schedule
from benchmarks.slow import SlowClients


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings at one moment: CPU times in seconds, memory in MB, and what all clients together got."""

    cpu: float
    memory: float
    frames: int
    values: int
    bytes: int
    records: int

    @staticmethod
    def now(process: ServerProcess, clients: Sequence[Client]) -> Counts:
        """At this moment. Values and frames are those that were decoded."""
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
    """This process's own CPU time, the clock, and the time that the machine's host has given to others."""

    cpu: float
    clock: float
    stolen: float

    @staticmethod
    def now() -> Stopwatch:
        """At this moment."""
        return Stopwatch(time.process_time(), time.monotonic(), stolen_seconds())

    def since(self, began: Stopwatch) -> dict[str, float]:
        """The seconds between two of them, and which shares of a core and of all cores the others are of these."""
        seconds = self.clock - began.clock
        return {
            "seconds": seconds,
            "load": (self.cpu - began.cpu) / seconds,
            "stolen": (self.stolen - began.stolen) / seconds / (os.cpu_count() or 1),
        }


def offered(schedule: Schedule, clients: Sequence[Client]) -> int:
    """Update deliveries that were asked for: each update once for each client that watches its instrument."""
    return sum(len(schedule.places_of(number)) for client in clients for number in client.numbers)


def figures(
    before: Counts, after: Counts, drive: Drive, schedule: Schedule, clients: Sequence[Client]
) -> dict[str, float]:
    """CPU times in microseconds, latencies in milliseconds, memory in MB."""
    asked = offered(schedule, clients)
    cpu_us = (after.cpu - before.cpu) * 1e6
    values = after.values - before.values
    frames = after.frames - before.frames
    found: dict[str, float] = {
        "offered": asked,
        "values": values,
        "conflated": max(0, asked - values),
        "frames": frames,
        "us_per_offered": cpu_us / max(asked, 1),
        "us_per_value": cpu_us / max(values, 1),
        "us_per_frame": cpu_us / max(frames, 1),
        "values_per_offered": values / max(asked, 1),
        "bytes_per_value": (after.bytes - before.bytes) / max(values, 1),
        "records_per_value": (after.records - before.records) / max(values, 1),
        "memory": after.memory,
        "memory_growth": max(drive.peak_memory, after.memory) - before.memory,
        "drained": drive.drained,
    }
    return found | percentiles(drive.latencies) | percentiles(drive.spread(), "spread_")


def slow_figures(slow: SlowClients) -> dict[str, float]:
    """What the slow clients saw, in seconds."""
    return {
        "oldest_on_resume": slow.oldest_on_resume,
        "behind_after_resume": slow.behind_after_resume,
        "trickle_age": slow.trickle_age,
    }

"""The service's two clocks. The core has none: it is told the time."""

from __future__ import annotations

import time

import trio


def hub_time() -> int:
    """Microseconds of Trio's clock, which only goes forward: what intervals and waits are measured by."""
    return int(trio.current_time() * 1_000_000)


def wall_clock() -> int:
    """Microseconds since 1970 UTC: what cuts are stamped with."""
    return time.time_ns() // 1000

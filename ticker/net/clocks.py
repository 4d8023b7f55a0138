"""The service's two clocks. The core has none: its callers pass the time in."""

from __future__ import annotations

import time

import trio


def hub_time() -> int:
    """Return the microseconds of Trio's clock, which is monotonic: for intervals and waits."""
    return int(trio.current_time() * 1_000_000)


def wall_clock() -> int:
    """Return the microseconds since 1970 UTC: for the times of cuts and the expiry of tokens."""
    return time.time_ns() // 1000

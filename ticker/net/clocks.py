"""The service's two clocks. The core has none: its callers pass the time in.

`RunningClock` is the Trio clock of the service and of the clients that Ticker runs itself. A process may be paused as a
whole: a container that is stopped, a laptop that sleeps, a machine under such load that nothing runs for seconds. With
an ordinary clock every deadline has then passed when it goes on, before it has read the bytes in its sockets: pongs,
heartbeats, handshakes. So this clock leaves the pause out, and with it all waits, limits and deadlines count only time
in which this process could read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""A step of Trio's loop that takes so much longer than it should is a pause."""

_LONGEST_WAIT = 1.0
"""Trio's loop looks at the clock at least this often, and so no more than this is left out with a pause."""


class RunningClock(trio.abc.Clock):
    """Seconds in which this process ran: the system's monotonic clock without the pauses."""

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._seen = monotonic()
        """The time at the latest look."""
        self._expected = self._seen + PAUSE_SECONDS
        """The time by which the next look is due."""
        self._paused = 0.0

    def __repr__(self) -> str:
        return f"<RunningClock: {self._paused:g} s of pauses>"

    @property
    def paused(self) -> float:
        """The seconds of all pauses that were left out."""
        return self._paused

    def start_clock(self) -> None:
        """Nothing to do: it has always run."""

    def current_time(self) -> float:
        """Return the seconds of running."""
        now = self._monotonic()
        if now > self._expected:
            self._paused += now - self._seen
        self._seen = now
        self._expected = now + PAUSE_SECONDS
        return now - self._paused

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return the seconds for which Trio's loop may wait now."""
        seconds = min(deadline - self.current_time(), _LONGEST_WAIT)
        self._expected += max(0.0, seconds)
        return seconds


def on_running_clock(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return an ordinary function that runs this asynchronous one to its end, on a `RunningClock`."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return trio.run(partial(function, *args, **kwargs), clock=RunningClock())

    return run


def hub_time() -> int:
    """Return the microseconds of Trio's clock, which is monotonic: for intervals and waits."""
    return int(trio.current_time() * 1_000_000)


def wall_clock() -> int:
    """Return the microseconds since 1970 UTC: for the times of cuts and the expiry of tokens."""
    return time.time_ns() // 1000

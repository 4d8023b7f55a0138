"""ticker/net/clocks.py: the clocks in microseconds, and the one that leaves pauses of the process out."""

from __future__ import annotations

import math
import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from ticker.net.clocks import PAUSE_SECONDS, RunningClock, hub_time, on_running_clock, wall_clock


async def test_the_hubs_time_is_trios_in_microseconds(mock_clock: MockClock) -> None:
    before = hub_time()
    mock_clock.jump(2.5)
    assert hub_time() - before == 2_500_000


def test_the_wall_clock_is_the_systems_in_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(wall_clock() - time.time() * 1e6) < 60e6
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    assert wall_clock() == 1_700_000_000_123_456


class Machine:
    """A monotonic clock by hand, and the clock that stands on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = RunningClock(lambda: self.now)

    def step(self, seconds: float) -> float:
        """Let time pass, and look."""
        self.now += seconds
        return self.clock.current_time()


STEPS = st.lists(st.floats(0, PAUSE_SECONDS * 0.99), max_size=30)


@given(STEPS)
def test_without_pauses_it_is_the_monotonic_clock(steps: list[float]) -> None:
    machine = Machine()
    began = machine.clock.current_time()
    for seconds in steps:
        machine.step(seconds)
    assert machine.clock.current_time() - began == pytest.approx(sum(steps))


@given(STEPS, st.floats(2 * PAUSE_SECONDS, 1e6), STEPS)
def test_a_pause_is_left_out(before: list[float], pause: float, after: list[float]) -> None:
    machine = Machine()
    began = machine.clock.current_time()
    for seconds in before:
        machine.step(seconds)
    machine.step(pause)
    for seconds in after:
        machine.step(seconds)
    assert machine.clock.current_time() - began == pytest.approx(sum(before) + sum(after))


@given(st.floats(0.0, 0.9), st.floats(3, 1e6))
def test_a_pause_while_the_loop_waits_makes_no_deadline_due(into_the_wait: float, pause: float) -> None:
    machine = Machine()
    deadline = machine.clock.current_time() + 1.0
    assert machine.clock.deadline_to_sleep_time(deadline) == pytest.approx(1.0)
    assert machine.step(into_the_wait + pause) < deadline
    assert 0.0 < machine.clock.deadline_to_sleep_time(deadline) <= 1.0
    assert machine.step(1.0) >= deadline - 1e-6


def test_the_loops_own_wait_is_no_pause() -> None:
    machine = Machine()
    began = machine.clock.current_time()
    for _ in range(60):
        wait = machine.clock.deadline_to_sleep_time(math.inf)
        machine.step(wait + PAUSE_SECONDS * 0.9)
    assert machine.clock.current_time() - began == pytest.approx(60 * (1.0 + PAUSE_SECONDS * 0.9))


def test_a_deadline_that_has_passed_is_not_waited_for() -> None:
    machine = Machine()
    began = machine.clock.current_time()
    assert machine.clock.deadline_to_sleep_time(began - 5.0) == -5.0
    assert machine.step(0.5) == began + 0.5


def test_a_function_runs_on_it() -> None:
    async def function(number: int, *, to: int) -> str:
        await trio.lowlevel.checkpoint()
        return f"{number + to} {type(trio.lowlevel.current_clock()).__name__}"

    ordinary = on_running_clock(function)
    assert ordinary(1, to=2) == "3 RunningClock"
    assert ordinary.__name__ == "function"

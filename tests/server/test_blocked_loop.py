"""ticker/server/blocked_loop.py: a feed that blocks the event loop is interrupted, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from ticker.server.blocked_loop import FeedBlocked, Watchdog, interrupt_blocking_feeds, interruptible


class Alarms:
    """A watchdog and its alarms, in time."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.watchdog = Watchdog(seconds, lambda: self.now)

    def ring(self, count: int, *, late: float = 0.0) -> None:
        for _ in range(count):
            self.now += self.watchdog.period + late
            self.watchdog.on_alarm(signal.SIGALRM, None)


async def test_a_feed_is_interrupted_at_the_second_alarm_without_a_turn_of_the_loop() -> None:
    alarms = Alarms(4.0)
    assert alarms.watchdog.period == 2.0
    with interruptible():
        alarms.ring(2)  # the loop had turned before the first
        with pytest.raises(FeedBlocked, match=r"it blocked the service for 4 s, at \?"):
            alarms.ring(1)
        alarms.ring(1)
        with pytest.raises(FeedBlocked):
            alarms.ring(1)


async def test_a_feed_is_not_blamed_for_a_pause_of_the_whole_process() -> None:
    """The alarms of the pause come as one, late, and the next one may follow at once."""
    alarms = Alarms(4.0)
    with interruptible():
        for _ in range(5):
            alarms.ring(1, late=30.0)
            alarms.ring(1, late=-1.9)
            alarms.ring(1)
        with pytest.raises(FeedBlocked):
            alarms.ring(1)


async def test_a_feed_is_blamed_for_its_own_time_alone() -> None:
    """Where others have the core, alarms are in time, but its own clock has gone on little between them."""
    alarms = Alarms(4.0)
    with interruptible():
        alarms.ring(10, late=-1.75)
        with pytest.raises(FeedBlocked):
            alarms.ring(10, late=-1.75)


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="this kernel does not tell")
def test_the_own_time_stands_still_while_others_have_the_core() -> None:
    """Of a program that computes beside another one on the same core."""
    core = min(os.sched_getaffinity(0))
    compute = f"import os, time; os.sched_setaffinity(0, {{{core}}})\nend = time.monotonic() + 3\n"
    compute += "from ticker.server.blocked_loop import own_time\nbegan, own = time.monotonic(), own_time()\n"
    compute += "while time.monotonic() < end: pass\nprint((own_time() - own) / (time.monotonic() - began))"
    programs = [subprocess.Popen([sys.executable, "-c", compute], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shares = [float(each.communicate(timeout=HANG_SECONDS)[0]) for each in programs]
    assert 0 < min(shares) < 0.9


async def test_tasks_of_a_feed_are_interrupted_and_others_are_not() -> None:
    caught: list[str] = []

    async def block(name: str) -> None:
        try:
            Alarms(1.0).ring(10)
        except FeedBlocked:
            caught.append(name)

    async def feed() -> None:
        with interruptible():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(block, "a task of the feed")
        await block("a feed that has ended")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        nursery.start_soon(block, "a client")
    assert caught == ["a task of the feed"]


def test_outside_of_trio_nothing_is_interrupted() -> None:
    Alarms(1.0).ring(10)


async def test_a_loop_that_turns_is_not_blocked(autojump_clock: object) -> None:
    del autojump_clock
    alarms = Alarms(1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarms.watchdog.keep_turning)
        with interruptible():
            for _ in range(20):
                await trio.sleep(alarms.watchdog.period)
                alarms.ring(1)
        nursery.cancel_scope.cancel()


async def test_the_signal_reaches_a_feed_that_sleeps_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.blocked_loop.FEED_BLOCKED_SECONDS", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    with interrupt_blocking_feeds(), interruptible(), pytest.raises(FeedBlocked, match=r"test_blocked_loop\.py:\d+$"):
        time.sleep(60)  # noqa: ASYNC251  # as a bad feed does
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)

"""ticker/server/blocked_loop.py: a feed that blocks the event loop is interrupted, and nothing else is."""

from __future__ import annotations

import signal
import time

import pytest
import trio

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

"""ticker/server/blocked_loop.py: a feed that blocks the event loop is interrupted, and nothing else is."""

from __future__ import annotations

import signal
import time

import pytest
import trio

from ticker.server.blocked_loop import FeedBlocked, Watchdog, interrupt_blocking_feeds, interruptible


async def alarms(watchdog: Watchdog, count: int) -> None:
    for _ in range(count):
        watchdog.on_alarm(signal.SIGALRM, None)


async def test_a_feed_is_interrupted_at_the_second_alarm_without_a_turn_of_the_loop() -> None:
    watchdog = Watchdog(4.0)
    assert watchdog.period == 2.0
    with interruptible():
        await alarms(watchdog, 2)  # the loop had turned before the first
        with pytest.raises(FeedBlocked, match=r"it blocked the service for 4 s, at \?"):
            await alarms(watchdog, 1)
        await alarms(watchdog, 1)
        with pytest.raises(FeedBlocked):
            await alarms(watchdog, 1)


async def test_tasks_of_a_feed_are_interrupted_and_others_are_not() -> None:
    caught: list[str] = []

    async def block(name: str) -> None:
        try:
            await alarms(Watchdog(1.0), 10)
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
    watchdog = Watchdog(1.0)
    for _ in range(10):
        watchdog.on_alarm(signal.SIGALRM, None)


async def test_a_loop_that_turns_is_not_blocked(autojump_clock: object) -> None:
    del autojump_clock
    watchdog = Watchdog(1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watchdog.keep_turning)
        with interruptible():
            for _ in range(20):
                await trio.sleep(watchdog.period)
                watchdog.on_alarm(signal.SIGALRM, None)
        nursery.cancel_scope.cancel()


async def test_the_signal_reaches_a_feed_that_sleeps_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.blocked_loop.FEED_BLOCKED_SECONDS", 0.05)
    before = signal.getsignal(signal.SIGALRM)
    with interrupt_blocking_feeds(), interruptible(), pytest.raises(FeedBlocked, match=r"test_blocked_loop\.py:\d+$"):
        time.sleep(60)  # noqa: ASYNC251  # as a bad feed does
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)

"""ticker/server/feed_runner.py alone, with a sink that notes its messages: restarts, silence, marks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.conftest import Logs
from tests.support import update
from ticker.market import FeedItem, Instrument
from ticker.server.blocked_loop import FeedBlocked
from ticker.server.feed_channel import Applied, FeedMessage, FeedState, MarkStale
from ticker.server.feed_runner import FeedRunner, FeedSilent

Life = Callable[[trio.abc.SendChannel[FeedItem]], Awaitable[None]]


class Lives:
    """A feed that does something else each time it is run."""

    def __init__(self, *lives: Life) -> None:
        self._lives = list(lives)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        await self._lives.pop(0)(updates)


class Sink:
    """Notes the messages of a feed with the seconds at which they came."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, str, list[str]]] = []
        self.updates: Counter[str] = Counter()

    async def send(self, value: FeedMessage, /) -> None:
        await trio.lowlevel.checkpoint()
        self.send_nowait(value)

    def send_nowait(self, value: FeedMessage, /) -> None:
        state, item = value
        if isinstance(item, MarkStale):
            self.marks.append((round(trio.current_time(), 3), item.reason, list(item.symbols_of(state))))
            item.done.set()
        elif isinstance(item, Instrument):
            state.symbols[item.symbol] = 0
        elif item:
            self.updates[item.symbol] += 1  # type: ignore[union-attr]  # these feeds send single updates

    def applied_of(self, symbol: str) -> Applied:
        return Applied(self.updates[symbol], 0)

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.marks]


def runner(feed: Lives, sink: Sink) -> tuple[FeedRunner, FeedState]:
    state = FeedState("lives")
    return FeedRunner(state, feed, sink, sink.applied_of, 10), state


async def fail(_updates: object) -> None:
    raise OSError("the venue hung up")


async def end(_updates: object) -> None:
    pass


def after(seconds: float, then: Life = fail) -> Life:
    async def live(updates: trio.abc.SendChannel[FeedItem]) -> None:
        await trio.sleep(seconds)
        await then(updates)

    return live


def raising(error: BaseException) -> Life:
    async def live(_updates: object) -> None:
        raise error

    return live


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The bounds of the random waits; each wait is as long as it may be."""
    seen: list[float] = []

    def longest(low: float, high: float) -> float:
        assert low == 0
        seen.append(high)
        return high

    monkeypatch.setattr("ticker.server.feed_runner.random.uniform", longest)
    return seen


async def test_the_waits_before_restarts_double_up_to_half_a_minute(
    autojump_clock: MockClock, bounds: list[float], logs: Logs
) -> None:
    alone, state = runner(Lives(*[fail] * 8, end), Sink())
    await alone.run()
    assert bounds == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert autojump_clock.current_time() == sum(bounds)
    assert state.failures == 8
    failures = [entry for entry in logs if entry["event"] == "feed failed"]
    assert [entry["retry_seconds"] for entry in failures] == bounds
    assert all("the venue hung up" in entry["cause"] for entry in failures)


@pytest.mark.parametrize(("life", "bound"), [(30.0, 4), (30.1, 0.5)])
async def test_after_a_life_longer_than_the_longest_wait_the_waits_begin_anew(
    life: float, bound: float, autojump_clock: MockClock, bounds: list[float]
) -> None:
    del autojump_clock
    alone, _ = runner(Lives(fail, fail, fail, after(life), fail, end), Sink())
    await alone.run()
    assert bounds == [0.5, 1, 2, bound, 2 * bound]


async def test_a_failed_feed_is_marked_twice_and_an_ended_one_once(
    autojump_clock: MockClock, bounds: list[float]
) -> None:
    async def declare(updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send(Instrument("A"))
        await fail(updates)

    sink = Sink()
    alone, state = runner(Lives(declare, fail, end), sink)
    await alone.run()
    down, again = (0.0, "feed_down", ["A"]), (0.5, "reconnecting", ["A"])
    assert sink.marks == [
        down,
        again,
        (0.5, "feed_down", ["A"]),
        (1.5, "reconnecting", ["A"]),
        (1.5, "feed_ended", ["A"]),
    ]
    assert (state.failures, len(bounds)) == (2, 2)
    assert autojump_clock.current_time() == 1.5


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(1), "feed_down"),
        (BaseExceptionGroup("in its nursery", [SystemExit(1)]), "feed_down"),
        (asyncio.CancelledError(), "feed_down"),
        (GeneratorExit(), "feed_down"),
        (BaseExceptionGroup("two tasks", [asyncio.CancelledError(), OSError()]), "feed_down"),
        (FeedBlocked("for long"), "feed_blocked"),
        (FeedSilent("for long"), "feed_silent"),
        (ExceptionGroup("both", [OSError(), ExceptionGroup("inner", [FeedBlocked("for long")])]), "feed_blocked"),
        (ExceptionGroup("both", [OSError(), ValueError()]), "feed_down"),
    ],
    ids=repr,
)
async def test_clients_see_why_a_feed_failed(
    error: BaseException, reason: str, autojump_clock: MockClock, bounds: list[float]
) -> None:
    del autojump_clock, bounds
    sink = Sink()
    await runner(Lives(raising(error), end), sink)[0].run()
    assert sink.reasons == [reason, "reconnecting", "feed_ended"]


async def test_an_interrupt_from_the_keyboard_is_no_failure_of_the_feed() -> None:
    sink = Sink()
    alone, state = runner(Lives(raising(KeyboardInterrupt())), sink)
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # perhaps in a group, as nurseries make them
        await alone.run()
    error = caught.value
    assert isinstance(error, KeyboardInterrupt) or (
        isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt) is not None
    )
    assert (state.failures, sink.marks) == (0, [])


async def test_each_life_has_its_own_time_of_silence(autojump_clock: MockClock, bounds: list[float]) -> None:
    async def speak_twice(updates: trio.abc.SendChannel[FeedItem]) -> None:
        for _ in range(2):
            await trio.sleep(4)
            await updates.send([])
        await trio.sleep_forever()

    del autojump_clock
    feed = Lives(speak_twice, after(1000), end)
    feed.silence_seconds = 5.0  # type: ignore[attr-defined]  # it is optional
    sink = Sink()
    await runner(feed, sink)[0].run()
    silences = [at for at, reason, _ in sink.marks if reason == "feed_silent"]
    assert silences == [13.0, 13.0 + bounds[0] + 5.0]
    assert sink.reasons == ["feed_silent", "reconnecting"] * 2 + ["feed_ended"]


async def test_a_feed_without_limits_may_be_silent(autojump_clock: MockClock) -> None:
    sink = Sink()
    await runner(Lives(after(1e6, end)), sink)[0].run()
    assert sink.marks == [(1e6, "feed_ended", [])]
    assert autojump_clock.current_time() == 1e6


async def test_an_instrument_is_silent_after_its_time_without_an_update_of_its_own(autojump_clock: MockClock) -> None:
    async def live(updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send(Instrument("A"))
        await updates.send(Instrument("B"))
        for number in range(6):
            await updates.send(update("B", bid=number))
            if number < 2:
                await updates.send(update("A", bid=number))
            await trio.sleep(4)

    feed = Lives(live)
    feed.instrument_silence_seconds = 10.0  # type: ignore[attr-defined]  # it is optional
    sink = Sink()
    await runner(feed, sink)[0].run()
    # A is updated at 0 and 4; that is seen at 5, and at 15 nothing has come for ten seconds.
    assert sink.marks == [
        (15.0, "instrument_silent", ["A"]),
        (24.0, "feed_ended", ["A", "B"]),
    ]
    assert autojump_clock.current_time() == 24


async def test_many_silent_instruments_are_marked_a_part_at_a_time(autojump_clock: MockClock) -> None:
    async def declare(updates: trio.abc.SendChannel[FeedItem]) -> None:
        for number in range(2_001):
            await updates.send(Instrument(f"S{number}"))
        await trio.sleep(16)

    feed = Lives(declare)
    feed.instrument_silence_seconds = 10.0  # type: ignore[attr-defined]  # it is optional
    sink = Sink()
    await runner(feed, sink)[0].run()
    silent = [symbols for _, reason, symbols in sink.marks if reason == "instrument_silent"]
    assert [len(symbols) for symbols in silent] == [1_000, 1_000, 1]
    assert autojump_clock.current_time() == 16


async def test_many_instruments_are_marked_a_part_at_a_time() -> None:
    async def declare(updates: trio.abc.SendChannel[FeedItem]) -> None:
        for number in range(2_001):
            await updates.send(Instrument(f"S{number}"))

    sink = Sink()
    await runner(Lives(declare), sink)[0].run()
    assert [len(symbols) for _, _, symbols in sink.marks] == [1_000, 1_000, 1]
    assert [symbol for _, _, symbols in sink.marks for symbol in symbols] == [f"S{number}" for number in range(2_001)]


async def test_a_part_is_sent_when_the_one_before_was_applied() -> None:
    async def declare(updates: trio.abc.SendChannel[FeedItem]) -> None:
        for number in range(1_001):
            updates.send_nowait(Instrument(f"S{number}"))  # type: ignore[attr-defined]  # this channel has it

    class Late(Sink):
        def send_nowait(self, value: FeedMessage, /) -> None:
            if isinstance(value[1], MarkStale):
                waiting.append(value[1])
            else:
                super().send_nowait(value)

    waiting: list[MarkStale] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runner(Lives(declare), Late())[0].run)
        await trio.testing.wait_all_tasks_blocked()
        assert len(waiting) == 1
        waiting[0].done.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(waiting) == 2
        waiting[1].done.set()


async def test_the_counts_of_a_feed_are_those_of_its_state() -> None:
    counters: dict[Any, Any] = {"gaps": 3}
    feed = Lives(end)
    feed.counters = counters  # type: ignore[attr-defined]  # it is optional
    running, state = runner(feed, Sink())
    await running.run()
    assert state.counts() == {"gaps": 3}
    counters["gaps"] += 1
    counters[404] = 1
    counters["seconds"] = "many"  # such a count would end the page of all metrics
    counters["bytes"] = 10**400  # and so would this
    assert state.counts() == {"gaps": 4}
    running, state = runner(Lives(end), Sink())
    await running.run()
    assert state.counts() == {}


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("silence_seconds", "5", "'5': give None or a number above 0"),
        ("silence_seconds", 0, "0: give None or a number above 0"),
        ("instrument_silence_seconds", float("nan"), "nan: give None or a number above 0"),
        ("counters", 5, "5: give a mapping of names to numbers"),
        ("counters", {"gaps": "3"}, "{'gaps': '3'}: give a mapping of names to numbers"),
        ("faulty_symbols", 5, "5: give a collection of texts"),
        ("faulty_symbols", "A", "'A': give a collection of texts"),
        ("faulty_symbols", [1], "[1]: give a collection of texts"),
    ],
)
async def test_an_attribute_that_cannot_be_used_is_named_until_it_is_another(
    name: str, value: object, remedy: str, logs: Logs, autojump_clock: MockClock
) -> None:
    del autojump_clock
    feed, sink = Lives(end), Sink()
    setattr(feed, name, value)
    running, state = runner(feed, sink)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await trio.sleep(60)
        assert state.condition == "down"
        failed = [entry for entry in logs if entry["event"] == "feed failed"]
        assert len(failed) == state.failures > 1
        for entry in failed:
            assert (entry["feed"], entry["cause"]) == ("lives", f"its {name} is {remedy}")
            assert "exc_info" not in entry
        delattr(feed, name)
    assert state.condition == "ended"
    assert sink.reasons[0] == "feed_down"


async def test_the_batches_of_a_feed_are_bounded(bounds: list[float], autojump_clock: MockClock) -> None:
    async def flood(updates: trio.abc.SendChannel[FeedItem]) -> None:
        await updates.send([update("A", bid=1)] * 11)

    del autojump_clock
    sink = Sink()
    await runner(Lives(flood, end), sink)[0].run()
    assert sink.reasons == ["feed_down", "reconnecting", "feed_ended"]
    assert len(bounds) == 1

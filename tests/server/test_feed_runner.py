"""ticker/server/feed_runner.py, ticker/server/feed_channel.py: a bad feed harms its own instruments alone, and
their status shows it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import ticker
from tests.bounds import HANG_SECONDS
from tests.conftest import Peer, serving
from tests.support import update
from ticker import connect
from ticker.errors import BadPublication
from ticker.market import FeedItem, FieldKey, Instrument, Levels, Publication, Stale, Update, Withdrawal
from ticker.protocol.messages import Delta
from ticker.server.feed_channel import Applied, FeedChannel, FeedMessage, FeedState, MarkStale
from ticker.server.feed_runner import FeedRunner

MARKET: tuple[Publication, ...] = (Instrument("A"), Instrument("B"), update("A", bid="1.00"), update("B", bid="2.00"))
BID, ASK, STATUS, REASON, BIDS = 1, 3, 14, 15, 16


async def test_what_a_failed_feed_declared_is_stale_until_it_is_updated(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("A", "B")
        await service.script.send(RuntimeError("the venue hung up"))
        stale = {STATUS: "stale", REASON: "feed_down"}
        assert (await peer.until(Delta)).changes == [0, stale, 1, stale]
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        again = {REASON: "reconnecting"}
        assert (await peer.until(Delta)).changes == [0, again, 1, again]
        await service.publish(update("A", bid="1.10"))
        assert (await peer.until(Delta)).changes == [0, {BID: 110, STATUS: "live", REASON: None}]
        await service.publish(update("A", bid="1.20"))
        assert (await peer.until(Delta)).changes == [0, {BID: 120}]


async def statuses(peer: Peer, symbol: int, count: int) -> list[tuple[object, object]]:
    """The next so many changes of an instrument's status or reason, each as both are then."""
    seen: list[tuple[object, object]] = []
    status: object = None
    reason: object = None
    while len(seen) < count:
        changes = (await peer.until(Delta)).changes
        fields = dict(zip(changes[::2], changes[1::2], strict=True)).get(symbol, {})
        if STATUS in fields or REASON in fields:
            status, reason = fields.get(STATUS, status), fields.get(REASON, reason)
            seen.append((status, reason))
    return seen


async def test_a_feed_that_falls_silent_is_started_again_and_what_it_declared_is_stale(fast_clock: MockClock) -> None:
    async with serving(*MARKET, feed="Watched", settings_of_feed="silence_seconds=10") as service:
        peer = await service.watcher("A")
        for _ in range(3):
            await service.script.send([])  # a sign of life
            await wait_all_tasks_blocked()
            fast_clock.jump(7)
            await wait_all_tasks_blocked()
        fast_clock.jump(4)
        assert await statuses(peer, 0, 1) == [("stale", "feed_silent")]
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        assert await statuses(peer, 0, 1) == [(None, "reconnecting")]
        await service.publish(update("A", bid="1.10"))
        assert await statuses(peer, 0, 1) == [("live", None)]


async def test_an_instrument_that_falls_silent_is_stale_while_others_are_live(fast_clock: MockClock) -> None:
    async with serving(*MARKET, feed="Watched", settings_of_feed="instrument_silence_seconds=10") as service:
        peer = await service.watcher("A", "B")
        seen: dict[int, object] = {}
        for number in range(2, 8):
            await service.publish(update("B", bid=number))
            await wait_all_tasks_blocked()
            fast_clock.jump(5)
            await wait_all_tasks_blocked()
        with trio.fail_after(HANG_SECONDS):
            while 0 not in seen:
                changes = (await peer.until(Delta)).changes
                for symbol, fields in zip(changes[::2], changes[1::2], strict=True):
                    if REASON in fields:
                        seen[symbol] = fields[REASON]
        assert seen == {0: "instrument_silent"}
        await service.publish(update("A", bid="1.10"))
        assert await statuses(peer, 0, 1) == [("live", None)]


async def test_values_that_fall_silent_are_stale_while_their_book_goes_on(fast_clock: MockClock) -> None:
    book = Levels("A", [("1.00", 5)], [("1.01", 6)], complete=True)
    settings = "instrument_silence_seconds=10"
    async with serving(*MARKET, book, feed="Watched", settings_of_feed=settings) as service:
        peer = await service.watcher("A", "A book:10")
        for number in range(2, 7):
            await service.publish(Levels("A", [("1.00", number)], []))
            await wait_all_tasks_blocked()
            fast_clock.jump(5)
            await wait_all_tasks_blocked()
        seen: list[dict[FieldKey, object]] = []
        with trio.fail_after(HANG_SECONDS):
            while not any(REASON in fields for fields in seen):
                seen += (await peer.until(Delta)).changes[1::2]
        assert [fields[REASON] for fields in seen if REASON in fields] == ["instrument_silent"]
        await service.publish(Levels("A", [("1.00", 9)], []))
        of_book: dict[FieldKey, object] = {}
        with trio.fail_after(HANG_SECONDS):
            while of_book.get(BIDS) != [100, 9]:
                changes = (await peer.until(Delta)).changes
                of_book = dict(zip(changes[::2], changes[1::2], strict=True)).get(-1, {})
                assert STATUS not in of_book, "the book is live"


async def test_an_instrument_with_a_book_only_is_live_while_levels_come(fast_clock: MockClock) -> None:
    book = Levels("A", [("1.00", 5)], [("1.01", 6)], complete=True)
    settings = "instrument_silence_seconds=10"
    async with serving(Instrument("A"), book, feed="Watched", settings_of_feed=settings) as service:
        peer = await service.watcher("A", "A book:10")
        for number in range(2, 7):
            await service.publish(Levels("A", [("1.00", number)], []))
            await wait_all_tasks_blocked()
            fast_clock.jump(5)
            await wait_all_tasks_blocked()
            assert (await peer.until(Delta)).changes == [-1, {BIDS: [100, number]}]
        fast_clock.jump(5)
        await wait_all_tasks_blocked()
        fast_clock.jump(5)
        marks = (await peer.until(Delta)).changes
        assert sorted(marks[::2]) == [-1, 0]
        assert [fields[REASON] for fields in marks[1::2]] == ["instrument_silent"] * 2
        await service.publish(Levels("A", [("1.00", 9)], []))
        changes = (await peer.until(Delta)).changes
        assert dict(zip(changes[::2], changes[1::2], strict=True)) == {
            0: {STATUS: "live", REASON: None},
            -1: {BIDS: [100, 9], STATUS: "live", REASON: None},
        }


async def test_what_a_silent_feed_said_of_an_instrument_is_withdrawn_however_much_another_says() -> None:
    async with (
        serving(
            feed="Watched",
            settings_of_feed="instrument_silence_seconds=0.2",
            more_feeds=["tests.feeds_for_tests:Counting"],
        ) as service,
        connect(service.url) as client,
        client.subscribe("COUNT") as subscription,
    ):
        await service.script.send([Instrument("COUNT"), update("COUNT", bid="7.00")])
        had_bid = False
        async for _ in subscription:
            had_bid = had_bid or "bid" in client.values("COUNT")
            if had_bid and "bid" not in client.values("COUNT"):
                break
        # Between two changes of the other feed it was stale, which a client need not have seen.
        assert client.values("COUNT").get("status") == "live"


async def test_one_feeds_fault_touches_no_other() -> None:
    async with (
        serving(*MARKET, more_feeds=["tests.feeds_for_tests:Counting"]) as service,
        connect(service.url) as client,
        client.subscribe("A", "B", "COUNT") as subscription,
    ):
        await service.script.send(RuntimeError("the venue hung up"))
        counts: set[object] = set()
        async for change in subscription:
            assert "status" not in change.changes.get("COUNT", {})
            counts.add(client.values("COUNT").get("last"))
            if len(counts) > 10 and client.values("B").get("status") == "stale":
                break
        assert client.values("A")["status"] == "stale"


async def test_a_feed_that_comes_back_can_say_what_is(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("A", "B")
        await service.script.send(RuntimeError("the venue hung up"))
        await peer.until(Delta)
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        await peer.until(Delta)
        await service.publish(update("A", status="halted", reason="exchange_halt"), Withdrawal("B"))
        changes = (await peer.until(Delta)).changes
        assert changes[changes.index(0) + 1] == {BID: None, STATUS: "halted", REASON: "exchange_halt"}
        assert changes[changes.index(1) + 1] == {BID: None, STATUS: "live", REASON: None}


async def test_a_feed_that_comes_back_with_less_shows_nothing_of_before(fast_clock: MockClock) -> None:
    async with serving(Instrument("A"), update("A", bid="1.00", ask="1.10")) as service:
        peer = await service.watcher("A")
        await service.script.send(RuntimeError("the venue hung up"))
        assert (await peer.until(Delta)).changes == [0, {STATUS: "stale", REASON: "feed_down"}]
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        await peer.until(Delta)
        await service.publish(update("A", last="1.05"))
        changes = {BID: None, ASK: None, 5: 105, STATUS: "live", REASON: None}
        assert (await peer.until(Delta)).changes == [0, changes]
        await service.publish(update("A", bid="1.04"))
        assert (await peer.until(Delta)).changes == [0, {BID: 104}]


async def test_what_a_feed_declared_that_has_ended_is_stale() -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("A")
        await service.script.aclose()
        assert (await peer.until(Delta)).changes == [0, {STATUS: "stale", REASON: "feed_ended"}]


NONSENSE: dict[str, Any] = {
    "a float": 1.5,
    "not a number": "NaN",
    "infinite": Decimal("Infinity"),
    "huge": 10**400,
    "too fine": "0." + "1" * 41,
    "long": "9" * 10_000_000,
    "of another type": object(),
    "a list": [1],
}


@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE)
async def test_a_value_that_cannot_be_read_is_withdrawn(value: Any) -> None:  # noqa: ANN401
    async with serving(*MARKET) as service:
        peer = await service.watcher("A", "B")
        await service.publish(Update("A", {"bid": value, "ask": "1.20"}), update("B", bid="2.10"))
        changes = (await peer.until(Delta)).changes
        assert changes[changes.index(0) + 1] == {BID: None, ASK: 120}
        assert changes[changes.index(1) + 1] == {BID: 210}


@pytest.mark.parametrize(
    "publication",
    [Update("X" * 10_000_000, {"bid": 1}), Update(7, {}), Update("A", 7), Withdrawal([]), object(), None, "A", {}],  # type: ignore[arg-type]
    ids=["long symbol", "number as symbol", "no fields", "list as symbol", "object", "None", "text", "map"],
)
async def test_what_is_no_publication_is_refused_and_the_service_goes_on(publication: Any) -> None:  # noqa: ANN401
    async with serving(*MARKET) as service:
        await service.script.send([publication])
        await service.proves_alive()


async def test_an_instrument_that_is_full_of_fields_can_still_be_stale() -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("A")
        await service.publish(Update("A", {f"own_{number}": number for number in range(63)}))
        await peer.until(Delta)
        await service.publish(Update("A", {"one_more": 1}), Stale("A", "gap"))
        assert (await peer.until(Delta)).changes == [0, {STATUS: "stale", REASON: "gap"}]


async def test_a_batch_that_is_too_large_fails_its_feed(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        peer = await service.watcher("A")
        await service.script.send([update("A", bid=1)] * 10_001)
        assert (await peer.until(Delta)).changes == [0, {STATUS: "stale", REASON: "feed_down"}]
        await wait_all_tasks_blocked()
        fast_clock.jump(1)
        await service.proves_alive()


def channel(max_batch: int = 3) -> tuple[FeedChannel, trio.MemoryReceiveChannel[FeedMessage]]:
    send, receive = trio.open_memory_channel[FeedMessage](2)
    return FeedChannel(FeedState("mine"), send, max_batch), receive


async def test_a_feeds_channel_names_the_feed_of_each_publication() -> None:
    own, received = channel()
    batch: FeedItem = [Instrument("A"), update("A", bid=1)]
    await own.send(batch)
    own.send_nowait(update("A", bid=2))
    with pytest.raises(trio.WouldBlock):
        own.send_nowait(update("A", bid=3))
    source, item = received.receive_nowait()
    assert (source.name, item) == ("mine", batch)
    assert received.receive_nowait()[0] is source


async def test_a_closed_channel_takes_nothing_and_its_clone_does() -> None:
    own, received = channel()
    with own.clone() as clone:
        await own.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await own.send(Instrument("A"))
        with pytest.raises(trio.ClosedResourceError):
            own.clone()
        clone.send_nowait(Instrument("A"))
    assert received.statistics().current_buffer_used == 1


async def test_what_outlives_a_run_of_its_feed_says_nothing_more() -> None:
    late: list[trio.abc.SendChannel[FeedItem]] = []

    class Leaky:
        async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
            assert isinstance(updates, FeedChannel)
            late.extend([updates, updates.clone()])
            await updates.send([Instrument("A"), update("A", bid=1)])
            raise RuntimeError("the venue hung up")

    send, received = trio.open_memory_channel[FeedMessage](100)
    async with trio.open_nursery() as nursery:
        runner = FeedRunner(FeedState("leaky"), Leaky(), send, lambda _: Applied(0, 0), max_batch=10)
        nursery.start_soon(runner.run)
        with trio.fail_after(HANG_SECONDS):
            while not isinstance((await received.receive())[1], MarkStale):
                pass
        for each in late:
            with pytest.raises(trio.ClosedResourceError):
                await each.send(update("A", bid=2))
        nursery.cancel_scope.cancel()


async def test_a_channel_refuses_a_large_batch_where_it_is_sent() -> None:
    own, _ = channel()
    with pytest.raises(BadPublication, match="more than 3 publications"):
        await own.send([Instrument("A")] * 4)
    with pytest.raises(BadPublication):
        own.send_nowait((Instrument("A"),) * 4)


BLOCKING = """
import time
import trio
from ticker.market import Instrument, Update

class Sleeper:
    async def run(self, updates):
        await updates.send([Instrument("SLEEPY"), Update("SLEEPY", {"last": 1})])
        await trio.sleep(0.3)
        time.sleep(600)

class Spinner:
    async def run(self, updates):
        await updates.send([Instrument("DIZZY"), Update("DIZZY", {"last": 1})])
        await trio.sleep(0.3)
        while True:
            pass
"""

SERVE = """
import ticker.server.blocked_loop
from ticker.commands.cli import main

ticker.server.blocked_loop.FEED_BLOCKED_SECONDS = 0.5
main()
"""
"""`ticker`, with less patience than usual for a feed that blocks the loop."""


@pytest.mark.parametrize(("name", "symbol"), [("Sleeper", "SLEEPY"), ("Spinner", "DIZZY")])
def test_a_feed_that_blocks_the_service_is_interrupted(name: str, symbol: str, tmp_path: Path) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKING)
    command = [sys.executable, "-c", SERVE, "serve", "--listen", "127.0.0.1:0"]
    command += ["--feed", f"blocking:{name}", "--feed", "tests.feeds_for_tests:Counting"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        reasons: set[object] = set()
        counts = 0
        for change in ticker.watch(url, [symbol, "COUNT"]):
            reasons.add(change.changes.get(symbol, {}).get("reason"))
            # It is started again, and blocks again; the other feed goes on.
            counts += "feed_blocked" in reasons and "COUNT" in change.changes
            if counts == 3:
                break
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate()
    assert process.returncode == 0
    assert "it blocked the service for 0.5 s, at " in log
    assert "blocking.py:" in log

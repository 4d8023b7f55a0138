"""ticker/server/publisher.py: from the channel to the hub, cut by cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs
from tests.support import Sink, update
from ticker.bounds import STALE_PER_MESSAGE
from ticker.config import Limits
from ticker.core.audiences import SubscriptionSet
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.market import Candle, FeedItem, Field, Instrument, Level, Levels, Publication, Trade, Update, Withdrawal
from ticker.protocol.messages import Delta, Heartbeat, Snapshot
from ticker.protocol.tables import BOOK, TableName
from ticker.protocol.wire import MSGPACK
from ticker.server.feed_channel import FeedChannel, FeedMessage, FeedState, MarkStale
from ticker.server.passes import DelayHistogram
from ticker.server.publisher import Publisher

EVERYTHING = ("*",)


class Desk:
    """A publisher, the channel into it, and one client behind it."""

    def __init__(self, *, interval_us: int = 0, limits: Limits | None = None, queue: int = 1000) -> None:
        self.hub = Hub(LastValueCache("epoch"))
        self.publisher = Publisher(self.hub, limits or Limits(), clock=lambda: 777)
        send, self.items = trio.open_memory_channel[FeedMessage](queue)
        self.source = FeedState("test")
        self.updates = FeedChannel(self.source, send, 10_000)
        self.send = send
        self.sink = Sink()
        subscriber = self.hub.connect(self.sink, MSGPACK, 0)
        self.hub.subscribe(subscriber, SubscriptionSet((), EVERYTHING, interval_us), 0)

    async def play(self, *items: FeedItem) -> None:
        """Have the publisher run until all these, waiting in the channel together, are sent."""
        for item in items:
            self.updates.send_nowait(item)
        await self.end()
        with trio.fail_after(HANG_SECONDS):
            await self.publisher.run(self.items)

    async def end(self) -> None:
        """All feeds have ended."""
        await self.send.aclose()


async def test_what_waits_in_the_channel_becomes_one_cut() -> None:
    desk = Desk()
    await desk.play(Instrument("A"), update("A", bid="1.00"), update("A", bid="2.00", ask="3.00"))
    (snapshot,) = [message for message in desk.sink.take() if isinstance(message, Snapshot)]
    assert snapshot.records == [0, {1: 200, 3: 300}]
    assert (desk.hub.cache.cut, snapshot.time) == (1, 777)
    assert desk.publisher.applied == 3


async def test_a_cut_is_closed_when_it_holds_enough() -> None:
    desk = Desk(limits=Limits(updates_per_cut=2))
    await desk.play(Instrument("A"), *(update("A", bid=number) for number in range(1, 6)))
    assert desk.hub.cache.cut == 3


async def test_others_have_their_turn_between_passes_that_follow_at_once() -> None:
    desk = Desk(limits=Limits(updates_per_cut=1))
    rounds = 0

    async def other() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await desk.play(Instrument("A"), *(update("A", bid=number) for number in range(1, 101)))
        nursery.cancel_scope.cancel()
    assert rounds > 30


async def test_a_batch_is_never_split() -> None:
    desk = Desk(limits=Limits(updates_per_cut=2))
    batch: list[Publication] = [Instrument("A"), *(update("A", bid=number) for number in range(1, 6))]
    await desk.play(batch, update("A", ask="1.00"))
    assert desk.hub.cache.cut == 2
    assert desk.publisher.applied == 7


async def test_items_that_change_nothing_make_no_cut() -> None:
    desk = Desk()
    await desk.play(Instrument("A"), [], [])
    assert desk.hub.cache.cut == 1
    again = Desk()
    await again.play([], [])
    assert again.hub.cache.cut == 0
    assert again.sink.take() == []


async def test_refused_publications_are_counted_and_each_cause_is_logged_once(logs: Logs) -> None:
    desk = Desk()
    await desk.play(
        Instrument("A"),
        [update("B", bid="1.00"), update("A", bid="2.00"), update("B", bid="3.00")],
        update("A", bid="dear"),
        update("A", bid="dearer"),
        Withdrawal("B"),
    )
    assert desk.hub.cache.cut == 1
    assert (desk.publisher.applied, desk.publisher.refused) == (4, 3)
    assert desk.source.refusals == {"undeclared instrument": 3, "unreadable bid": 2}
    causes = [entry["cause"] for entry in logs]
    assert len(causes) == 2
    assert causes[0].startswith("'B' was not declared")
    assert "dear" in causes[1]


async def test_faults_on_purpose_are_counted_and_those_of_other_instruments_logged(logs: Logs) -> None:
    desk = Desk()
    desk.source.faulty_symbols = frozenset({"A"})
    await desk.play([Instrument("A"), Instrument("B")], update("A", bid="dear"), update("B", ask="dearer"))
    assert desk.source.refusals == {"unreadable bid": 1, "unreadable ask": 1}
    assert ["dearer" in entry["cause"] for entry in logs] == [True]


async def test_only_so_many_causes_are_logged(logs: Logs) -> None:
    desk = Desk()
    await desk.play(Instrument("A"), *(Update("A", {f"x{number}": 1.5}) for number in range(150)))  # type: ignore[dict-item]
    assert len(logs) == 100
    assert desk.source.refusals.total() == 150


@pytest.mark.parametrize("junk", [None, "A", {"A": 1}, 3.5, b"A", ["A"], [None]])
async def test_what_is_no_publication_at_all_is_refused(junk: object, logs: Logs) -> None:
    desk = Desk()
    await desk.play(Instrument("A"), cast("FeedItem", junk), update("A", bid="1.00"))
    assert (desk.publisher.applied, desk.publisher.refused) == (2, 1)
    assert len(logs) == 1


async def test_a_rest_ends_when_it_is_due_and_then_the_last_value_is_sent(fast_clock: MockClock) -> None:
    fast_clock.jump(1000)  # so that the first change does not come during a rest
    desk = Desk(interval_us=1_000_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.publisher.run, desk.items)
        await desk.updates.send([Instrument("A"), update("A", bid="1.00")])
        await wait_all_tasks_blocked()
        desk.sink.take()
        for number in (2, 3, 4):
            await desk.updates.send(update("A", bid=number))
            await wait_all_tasks_blocked()
        assert desk.sink.take() == []
        fast_clock.jump(2)
        await wait_all_tasks_blocked(0.05)
        (delta,) = desk.sink.take()
        assert isinstance(delta, Delta)
        assert delta.changes == [0, {1: 400}]
        nursery.cancel_scope.cancel()


async def test_when_the_feeds_have_ended_what_rests_is_still_sent(fast_clock: MockClock) -> None:
    fast_clock.jump(1000)
    desk = Desk(interval_us=1_000_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.publisher.run, desk.items)
        await desk.updates.send([Instrument("A"), update("A", bid="1.00")])
        await wait_all_tasks_blocked()
        await desk.updates.send(update("A", bid="2.00"))
        await desk.end()
        await wait_all_tasks_blocked()
        desk.sink.take()
        for _ in range(3):
            fast_clock.jump(2)
            await wait_all_tasks_blocked()
        (delta,) = desk.sink.take()
        assert isinstance(delta, Delta)
        assert delta.changes == [0, {1: 200}]


async def test_an_idle_client_gets_a_heartbeat(fast_clock: MockClock) -> None:
    desk = Desk(limits=Limits(heartbeat_seconds=8))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.publisher.run, desk.items)
        await wait_all_tasks_blocked()
        fast_clock.jump(5)
        await desk.updates.send(Instrument("A"))
        await wait_all_tasks_blocked()
        desk.sink.take()
        fast_clock.jump(3.1)
        await wait_all_tasks_blocked()
        assert desk.sink.take() == []  # something was sent less than 8 seconds ago
        fast_clock.jump(6)
        await wait_all_tasks_blocked()
        assert [type(message) for message in desk.sink.take()] == [Heartbeat]
        nursery.cancel_scope.cancel()


async def test_a_crossed_book_becomes_stale_although_nothing_else_comes(fast_clock: MockClock) -> None:
    desk = Desk(limits=Limits(heartbeat_seconds=8))
    async with trio.open_nursery() as nursery:
        desk.publisher = Publisher(desk.hub, Limits(heartbeat_seconds=8), lambda: int(trio.current_time() * 1_000_000))
        nursery.start_soon(desk.publisher.run, desk.items)
        await desk.updates.send(Instrument("A"))
        await wait_all_tasks_blocked()
        record = desk.hub.cache.open_table("A", TableName(BOOK, 10))
        record.watch()
        await desk.updates.send(Levels("A", [("2", "1")], [("1", "1")], complete=True))
        await wait_all_tasks_blocked()
        before = desk.hub.cache.cut
        assert record.present()[Field.STATUS] == "live"
        for _ in range(5):
            fast_clock.jump(2.1)
            await wait_all_tasks_blocked()
        assert (record.present()[Field.STATUS], record.present()[Field.REASON]) == ("stale", "crossed")
        assert desk.hub.cache.cut == before + 1
        nursery.cancel_scope.cancel()


class Raising(list[Level]):
    """Levels that fail while they are read."""

    def __iter__(self) -> Iterator[Level]:
        raise RuntimeError("no levels")


async def test_a_book_whose_levels_fail_while_they_are_read_is_not_live(logs: Logs) -> None:
    desk = Desk()
    whole = Levels("A", [("1", "1")], [], complete=True)
    await desk.play(Instrument("A"), whole, Levels("A", Raising(), []), Levels("B", Raising(), []))
    book = desk.hub.cache.book_of("A")
    assert book is not None
    assert book.status() == ("stale", "bad_data")
    assert desk.publisher.refused == 2
    assert len(logs) == 2


async def test_a_cut_is_closed_when_it_holds_enough_levels() -> None:
    desk = Desk(limits=Limits(updates_per_cut=10))
    many = [(str(price), "1") for price in range(1, 101)]
    whole = Levels("A", many, [], complete=True)
    await desk.play(Instrument("A"), whole, update("A", bid=1), whole, update("A", bid=2))
    assert desk.hub.cache.cut == 3


@pytest.mark.parametrize("data", [Trade("A", "1", "1"), Levels("A", [], [], complete=True)])
async def test_prints_and_levels_are_data_and_signs_of_life(data: Publication) -> None:
    desk = Desk()
    await desk.play(Instrument("A"), data)
    assert desk.source.alive_at is not None
    assert desk.source.condition == "live"
    assert desk.source.applied_of("A").values == (type(data) is Trade)


async def test_bars_from_far_ahead_are_counted_with_their_cause(logs: Logs) -> None:
    desk = Desk()
    ahead = [Candle("A", "1m", 60 * (70_000_000 + number), 1, 1, 1, 1) for number in range(3)]
    await desk.play(Instrument("A"), Instrument("B"), *ahead, Candle("B", "1h", 0, 1, 1, 1, 1))
    assert desk.source.refusals == {"bars from far ahead": 3}
    assert [entry["cause"] for entry in logs] == ["A: 3 bars begin more than 3600 s after now: dropped"]
    bars = desk.hub.cache.candles_of("A", "1m")
    assert bars is not None
    assert bars.latest(10) == []


async def test_a_publication_is_not_lost_when_a_deadline_passes(fast_clock: MockClock) -> None:
    desk = Desk(limits=Limits(heartbeat_seconds=0.5))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.publisher.run, desk.items)
        await desk.updates.send(Instrument("A"))
        for number in range(1, 51):
            await wait_all_tasks_blocked()
            fast_clock.jump(0.5)
            await desk.updates.send(update("A", bid=number))
        await desk.end()
    assert desk.publisher.applied == 51
    data = [message for message in desk.sink.take() if isinstance(message, Delta)]
    assert data[-1].changes == [0, {1: 5000}]


# Stale instruments


def statuses(desk: Desk, symbol: str) -> tuple[object, object]:
    record = desk.hub.cache.instrument(symbol)
    assert record is not None
    return record.values.get(Field.STATUS), record.values.get(Field.REASON)


async def marked(desk: Desk, *items: FeedItem | MarkStale) -> FeedState:
    """Publish these items of one feed, and return its state."""
    state = FeedState("test")
    for item in items:
        desk.send.send_nowait((state, item))
    await desk.play()
    return state


async def test_a_mark_applies_to_the_declared_instruments_of_its_feed() -> None:
    desk = Desk()
    mark = MarkStale("feed_down")
    state = await marked(desk, [Instrument("A"), Instrument("B")], update("A", bid=1, status="halted"), mark)
    assert mark.done.is_set()
    assert statuses(desk, "A") == statuses(desk, "B") == ("stale", "feed_down")
    assert (list(state.symbols), state.publications, desk.publisher.applied) == (["A", "B"], 3, 3)


async def test_a_mark_of_unknown_instruments_changes_nothing() -> None:
    desk = Desk()
    await marked(desk, Instrument("A"), MarkStale("instrument_silent", symbols=["A", "NOPE"]))
    assert statuses(desk, "A") == ("stale", "instrument_silent")
    assert desk.hub.cache.find("NOPE") is None


async def test_the_next_good_publication_makes_a_stale_instrument_live_and_no_other() -> None:
    desk = Desk()
    declared = [Instrument(symbol) for symbol in "ABCD"]
    again: list[FeedItem] = [update("A", bid=1), Withdrawal("B"), update("C", status="halted"), Instrument("D")]
    await marked(desk, declared, MarkStale("feed_down"), *again)
    assert statuses(desk, "A") == statuses(desk, "B") == ("live", None)
    assert statuses(desk, "C") == ("halted", None)
    assert statuses(desk, "D") == ("stale", "feed_down"), "a declaration is no price"


async def test_an_instrument_that_is_live_keeps_its_own_status() -> None:
    desk = Desk()
    await marked(desk, Instrument("A"), MarkStale("feed_down"), update("A", bid=1), update("A", status="closed"))
    assert statuses(desk, "A") == ("closed", None)
    again = Desk()
    await marked(
        again, Instrument("A"), MarkStale("feed_down"), update("A", bid=1, status="closed"), update("A", bid=2)
    )
    assert statuses(again, "A") == ("closed", None)


async def test_a_refused_update_marks_its_instrument_and_a_refused_withdrawal_does_not() -> None:
    desk = Desk()
    no_fields = Update("A", 7)  # type: ignore[arg-type]  # as a careless feed does
    await marked(desk, Instrument("A"), Instrument("B"), no_fields, Withdrawal("NOPE"), update("B", bid=1))
    assert statuses(desk, "A") == ("stale", "bad_data")
    assert statuses(desk, "B") == (None, None)
    assert (desk.publisher.applied, desk.publisher.refused) == (3, 2)


async def test_a_mark_counts_as_a_whole_part_of_instruments_in_its_cut() -> None:
    desk = Desk(limits=Limits(updates_per_cut=STALE_PER_MESSAGE))
    await marked(desk, Instrument("A"), MarkStale("feed_down"), update("A", bid=1), update("A", bid=2))
    assert desk.hub.cache.cut == 2


# Counts


async def test_updates_are_counted_by_instrument() -> None:
    desk = Desk()
    assert desk.source.applied_of("A").values == 0
    await desk.play(Instrument("A"), Instrument("B"), update("A", bid=1), update("A", bid=1), update("B", bid=1))
    assert (desk.source.applied_of("A").values, desk.source.applied_of("B").values) == (2, 1)


def test_a_delay_counts_up_to_the_bound_that_it_does_not_exceed() -> None:
    delays = DelayHistogram()
    for seconds in (0.0, 0.001, 0.0011, 2.5, 2.6, 100.0):
        delays.add(seconds)
    assert delays.counts == [2, 1, *[0] * 8, 1, 2]
    assert delays.total == pytest.approx(105.1021)


async def test_each_cut_has_its_delay_from_the_first_publication_to_the_last_write(fast_clock: MockClock) -> None:
    pushes = 0

    class SlowSink(Sink):
        def push(self, frame: bytes) -> bool:
            nonlocal pushes
            pushes += 1
            fast_clock.jump(3)
            return super().push(frame)

    fast_clock.jump(1000)
    desk = Desk(limits=Limits(updates_per_cut=1))
    slow = SlowSink()
    desk.hub.subscribe(desk.hub.connect(slow, MSGPACK, 0), SubscriptionSet(("A",), (), 0), 0)
    await desk.play(Instrument("A"), update("A", bid=1))
    assert sum(desk.publisher.delays.counts) == desk.hub.cache.cut == 2
    assert pushes > 0
    assert 3 * pushes <= desk.publisher.delays.total < 3 * pushes + 100

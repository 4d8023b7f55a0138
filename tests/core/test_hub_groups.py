"""ticker/core/hub.py, ticker/server/publisher.py: a pass closes further cuts between two groups of audiences."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import wait_all_tasks_blocked

from tests.core.harness import Client, Harness, bids
from tests.support import Sink, cut, update
from ticker.config import Limits
from ticker.core.audiences import SubscriptionSet
from ticker.core.hub import Hub
from ticker.core.last_value import LastValueCache
from ticker.market import FeedItem, Instrument, Publication
from ticker.protocol.messages import Delta, Snapshot
from ticker.protocol.wire import JSON, MSGPACK
from ticker.server.feed_channel import FeedChannel, FeedMessage, FeedState
from ticker.server.publisher import Publisher


class Passing(Harness):
    """A hub in which every audience without an interval is a group by itself."""

    def __init__(self, *instruments: str) -> None:
        super().__init__(*instruments)
        self.hub = Hub(self.cache, group_audiences=1)

    def three(self, interval_us: int = 0) -> list[Client]:
        """Clients that watch A, and each something else."""
        return [self.client("A", other, interval_us=interval_us) for other in ("B", "C", "D")]

    def run_with(self, *refreshes: Callable[[], object] | None) -> None:
        """A pass; between its groups these happen, in turn."""
        todo = list(refreshes)

        def refresh() -> None:
            happens = todo.pop(0) if todo else None
            if happens is not None:
                happens()

        for _ in self.hub.publish(self.now, refresh):
            pass

    def cut(self, *publications: Publication) -> Callable[[], object]:
        return lambda: cut(self.cache, *publications)


def test_groups_not_yet_served_get_a_newer_cut_at_once_and_the_others_in_the_next_pass() -> None:
    harness = Passing("A", "B", "C", "D")
    first, second, third = harness.three()
    cut(harness.cache, update("A", bid="1"))
    # The first refresh comes after the group of the audiences with an interval, which is empty.
    harness.run_with(None, harness.cut(update("A", bid="2")))
    assert [bids(client.take()) for client in (first, second, third)] == [[100], [200], [200]]
    harness.run()
    assert [bids(client.take()) for client in (first, second, third)] == [[200], [], []]
    harness.run()
    assert [client.take() for client in (first, second, third)] == [[], [], []]


def test_an_entry_without_a_later_change_is_encoded_once_for_all_groups() -> None:
    harness = Passing("A", "B", "C", "D")
    harness.three()
    cut(harness.cache, update("A", bid="1"))
    before = harness.hub._encode_caches[MSGPACK].encoded
    harness.run_with(None, harness.cut(update("C", bid="2")), harness.cut(update("D", bid="2")))
    assert harness.hub._encode_caches[MSGPACK].encoded == before + 3  # A for all of them, C and D for one each


def test_an_instrument_declared_in_the_middle_of_a_pass_reaches_its_subscribers() -> None:
    harness = Passing("A", "B", "C", "D")
    first, second, third = harness.three()
    waiting = harness.client("A", "NEW")
    cut(harness.cache, update("A", bid="1"))
    harness.run_with(None, None, harness.cut(Instrument("NEW"), update("NEW", bid="7")))
    (definitions, snapshot) = waiting.take()[-2:]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records == [4, {1: 700}]
    assert definitions is not snapshot
    assert [bids(client.take()) for client in (first, second, third)] == [[100], [100], [100]]


def test_audiences_with_an_interval_are_one_group_during_which_no_cut_is_closed() -> None:
    harness = Passing("A", "B", "C", "D")
    clients = harness.three(interval_us=50_000)
    now = cut(harness.cache, update("A", bid="1"))
    harness.run_with(harness.cut(update("A", bid="2")))
    assert [bids(client.take()) for client in clients] == [[100], [100], [100]]
    assert harness.cache.cut == now


def test_instruments_that_become_visible_in_the_middle_of_a_pass_do_not_disturb_it() -> None:
    """A table that a client opens between two steps has a number that was not there when the pass began."""
    names = ["A1", "A2", "A3"]
    harness = Harness(*names, burst=1)
    clients = [harness.client(*names[:count], "A* book:1", interval_us=50_000) for count in (2, 3)]
    steps = harness.begin(*[update(name, bid="2") for name in names])
    for _ in harness.hub.prepare(["A1 book:1"], (), lambda _symbol: True):
        pass
    for _ in steps:
        pass
    found = [[each.changes for each in client.take() if isinstance(each, Delta)] for client in clients]
    assert found == [[[0, {1: 200}, 1, {1: 200}]], [[0, {1: 200}, 1, {1: 200}, 2, {1: 200}]]]


def test_a_frame_says_the_cut_of_its_pass_also_where_a_table_was_opened_before_it_was_written() -> None:
    """Such a table is in a cut of its own, and comes with the next pass: a copy at that cut would lack it."""
    harness = Harness("A1", "A2", burst=1)
    clients = [harness.client(*names, "A* book:1") for names in (("A1",), ("A1", "A2"))]
    steps = harness.begin(update("A1", bid="2"))
    for _ in harness.hub.prepare(["A1 book:1"], (), lambda _symbol: True):
        pass
    harness.client("A1 book:1")
    for _ in steps:
        pass
    harness.run()
    for client in clients:
        change, whole = (each for each in client.take() if isinstance(each, Delta | Snapshot))
        assert isinstance(whole, Snapshot)
        assert change.cut == whole.since


def test_empty_groups_are_removed() -> None:
    harness = Passing("A", "B", "C", "D")
    clients = [*harness.three(), harness.client("A", encoding=JSON)]
    assert len([group for group in harness.hub._scheduler.ready() if group.audiences]) == 4
    for client in clients:
        client.leave()
    assert harness.hub._scheduler.ready() == []


class Telling(Sink):
    """Has something happen when it is sent its first frame."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act: Callable[[], None] | None = act

    def push(self, frame: bytes) -> bool:
        act, self._act = self._act, None
        if act is not None:
            act()
        return super().push(frame)


async def test_the_publisher_goes_on_until_all_clients_have_the_cuts_closed_during_its_passes() -> None:
    hub = Hub(LastValueCache("epoch"), group_audiences=1)
    publisher = Publisher(hub, Limits())
    send, messages = trio.open_memory_channel[FeedMessage](100)
    updates = FeedChannel(FeedState("test"), send, 100)
    items: list[FeedItem] = [[Instrument("A"), update("A", bid=1)], update("A", bid=2), update("A", bid=3)]
    sinks = [Telling(lambda: updates.send_nowait(items.pop(0))) for _ in range(2)]
    updates.send_nowait(items.pop(0))
    for number, sink in enumerate(sinks):
        subscriber = hub.connect(sink, MSGPACK, 0)
        hub.subscribe(subscriber, SubscriptionSet(("A", f"X{number}"), (), 0), 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.run, messages)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert items == []
    for sink in sinks:
        last = sink.take()[-1]
        assert isinstance(last, Delta)
        assert last.changes == [0, {1: 300}]
    assert sum(publisher.delays.counts) == 2  # passes

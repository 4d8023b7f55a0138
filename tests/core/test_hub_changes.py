"""ticker/core/hub.py: comings and goings, also in the middle of a pass, and signs of life."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.harness import MS, SECOND, Client, Harness, bids, leftovers
from tests.support import cut, update
from ticker.bounds import MAX_CHANGE_SETS
from ticker.core.audiences import NOTHING, SubscriptionSet
from ticker.core.pending import pending_by_audience
from ticker.market import Instrument
from ticker.protocol.messages import Delta, Instruments, Removed, Snapshot
from ticker.protocol.wire import JSON, MSGPACK

# Going


def test_an_audience_ends_with_its_last_subscriber() -> None:
    harness = Harness("A")
    first, second = harness.client("A", "Z", "A*"), harness.client("A", "Z", "A*")
    first.leave()
    assert len(harness.audiences()) == 1
    harness.hub.pause_delivery(second.subscriber)
    second.leave()
    assert not leftovers(harness.hub)


def test_an_audience_with_other_subscribers_stays() -> None:
    harness = Harness("A")
    staying, leaving = harness.client("A", "Z", "Y*"), harness.client("Z", "Y*", "A")
    other = harness.client("Z", "Y*")
    leaving.leave()
    other.leave()
    harness.publish(Instrument("Z"), Instrument("Y1"), update("A", bid="1"))
    assert [type(message) for message in staying.take()] == [Instruments, Snapshot]
    assert leaving.take() == other.take() == []
    staying.leave()
    assert not leftovers(harness.hub)


def test_a_client_gets_nothing_after_leaving() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    client.take()
    client.leave()
    harness.wait(1 * SECOND)
    harness.publish(update("A", bid="3"))
    harness.beat(0)
    assert client.take() == []
    assert not leftovers(harness.hub)


def test_a_client_that_returns_to_an_audience_discarded_while_throttled_gets_the_next_change_at_once() -> None:
    harness = Harness("A")
    harness.client("A", interval_us=100 * MS).leave()
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    client.leave()
    again = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="2"))
    assert bids(again.take()) == [200]
    harness.publish(update("A", bid="3"))
    harness.wait(100 * MS)
    assert bids(again.take()) == [300]
    assert harness.hub.next_due() == harness.now + 100 * MS


def test_a_client_that_keeps_changing_its_interval_does_not_fill_memory_with_throttled_audiences() -> None:
    harness = Harness("A")
    client = harness.client()
    for number in range(100):
        client.subscribe("A", interval_us=60 * SECOND + number)
        harness.publish(update("A", trade_count=number))
    groups = [group for groups in harness.hub._scheduler._throttled.values() for group in groups.values()]
    resting = [audience for group in groups for audience in group.audiences]
    assert resting == [client.subscriber.audience]


def test_clients_that_come_and_leave_do_not_fill_memory_with_due_times() -> None:
    harness = Harness("A")
    for number in range(100):
        client = harness.client("A", interval_us=60 * SECOND)
        harness.publish(update("A", trade_count=number))
        assert client.take(), "after which it is throttled"
        client.leave()
        assert len(harness.hub._scheduler._dues) == 1
    harness.wait(60 * SECOND)
    assert not leftovers(harness.hub)


# In the middle of a pass


def test_a_client_that_leaves_during_a_pass_gets_nothing_more() -> None:
    harness = Harness("A", burst=1)
    clients = [harness.client("A") for _ in range(3)]
    steps = harness.begin(update("A", bid="1"))
    clients[1].leave()
    list(steps)
    assert [len(client.take()) for client in clients] == [1, 0, 1]


def test_all_clients_may_leave_during_a_pass() -> None:
    harness = Harness("A", "B", burst=1)
    clients = [harness.client(name, interval_us=interval) for name in "AB" for interval in (0, 0, 100 * MS)]
    steps = harness.begin(update("A", bid="1"), update("B", bid="1"))
    for client in clients:
        client.leave()
    list(steps)
    assert sum(len(client.take()) for client in clients) == 1
    harness.wait(1 * SECOND)
    assert not leftovers(harness.hub)


def test_all_clients_may_leave_while_intervals_end() -> None:
    harness = Harness("A", "B", burst=1)
    clients = [harness.client(name, interval_us=100 * MS) for name in "ABAB"]
    harness.publish(update("A", bid="1"), update("B", bid="1"))
    harness.publish(update("A", bid="2"), update("B", bid="2"))
    harness.now += 100 * MS
    steps = harness.hub.publish(harness.now)
    next(steps)
    for client in clients:
        client.leave()
    list(steps)
    harness.wait(1 * SECOND)
    assert not leftovers(harness.hub)


def test_a_client_that_joins_during_a_pass_gets_its_cut_once() -> None:
    harness = Harness("A", burst=1)
    clients = [harness.client("A") for _ in range(2)]
    steps = harness.begin(update("A", bid="1"))
    new = harness.client()
    new.subscribe("A")
    list(steps)
    assert [type(message) for message in new.take()] == [Instruments, Snapshot]
    assert [bids(client.take()) for client in clients] == [[100], [100]]


def test_a_client_that_joins_an_audience_not_yet_reached_by_the_pass_gets_its_cut_once() -> None:
    harness = Harness("A", burst=1)
    harness.client("A")
    harness.client("*")
    steps = harness.begin(update("A", bid="1"))
    new = harness.client()
    new.subscribe("*")
    list(steps)
    assert [type(message) for message in new.take()] == [Instruments, Snapshot]


def test_a_client_that_blocks_during_a_pass_gets_nothing_of_it_until_it_has_room() -> None:
    harness = Harness("A", burst=1)
    first, second = harness.client("A"), harness.client("A")
    steps = harness.begin(update("A", bid="1"))
    assert bids(first.take()) == [100]
    harness.hub.pause_delivery(second.subscriber)
    list(steps)
    assert second.take() == []
    assert second.unblock()
    assert bids(second.take()) == [100]


def test_a_client_that_blocks_and_has_room_again_during_a_pass_gets_its_cut_once() -> None:
    harness = Harness("A", burst=1)
    clients = [harness.client("A") for _ in range(3)]
    steps = harness.begin(update("A", bid="1"))
    for client in clients:
        harness.hub.pause_delivery(client.subscriber)
        assert client.unblock()
    list(steps)
    assert [bids(client.take()) for client in clients] == [[100]] * 3


def test_a_client_that_changes_its_audience_during_a_pass_gets_its_cut_once() -> None:
    harness = Harness("A", "B", burst=1)
    clients = [harness.client("A") for _ in range(3)]
    steps = harness.begin(update("A", bid="1"))
    for client in clients:
        client.subscribe("A", interval_us=100 * MS)
    clients[2].subscribe("A")
    list(steps)
    assert [bids(client.take()) for client in clients] == [[100]] * 3


def test_a_symbol_unsubscribed_during_a_pass_is_not_sent() -> None:
    harness = Harness("A", "B", burst=1)
    harness.client("B")
    _, dropping = harness.client("A", "B"), harness.client("A", "B")
    steps = harness.begin(update("A", bid="1"))
    dropping.subscribe("B")
    list(steps)
    assert [type(message) for message in dropping.take()] == [Removed]


def test_an_audience_made_during_a_pass_is_part_of_the_next() -> None:
    harness = Harness("A", "B", burst=1)
    harness.client("A")
    steps = harness.begin(update("A", bid="1"))
    new = harness.client("B", "A")
    list(steps)
    assert new.take() == []
    harness.publish(update("B", bid="1"))
    assert new.take() == [Delta(2, 3, 3000, [1, {1: 100}])]


# The whole of it


def naive(harness: Harness, since: int) -> dict[SubscriptionSet, set[int]]:
    """Return the changed instruments of each ready audience, found by comparing all of them."""
    changed = {record.id for record in harness.cache.records if record.last_change > since}
    ready = [audience for audience in harness.audiences() if audience.group.due is None]
    held = {audience.subscription_set: set(audience.numbers()) for audience in ready}
    return {names: numbers & changed for names, numbers in held.items() if numbers & changed}


def found(harness: Harness, since: int) -> dict[SubscriptionSet, set[int]]:
    """The same, as the hub finds it."""
    hub, found = harness.hub, {}
    for group in hub._scheduler.ready():
        change_set = hub._encode_caches[group.encoding].change_set(since)
        for audience, pending in pending_by_audience(group, change_set, hub.index.watch_index):
            ids = {entry: number for number, entry in change_set.items()}
            found[audience.subscription_set] = {ids[entry] for entry in pending}
            assert len(pending) == len(found[audience.subscription_set])
    return found


watches = st.lists(st.sets(st.sampled_from(["A", "B", "C", "D", "E", "[AB]", "*"]), min_size=1), max_size=8)


@given(watches, st.sets(st.sampled_from("ABCDE")), st.integers(0, 100))
def test_changes_find_their_audiences_and_audiences_their_changes_alike(
    watched: list[set[str]], changed: set[str], rest: int
) -> None:
    harness = Harness(*"ABCDE")
    for number, names in enumerate(watched):
        harness.client(*names, interval_us=number % 2 * SECOND)
    harness.publish(update("ABCDE"[rest % 5], bid="1"))
    since = (
        cut(harness.cache) if not changed else cut(harness.cache, *(update(symbol, ask="1") for symbol in changed)) - 1
    )
    assert found(harness, since) == naive(harness, since)


def test_few_changes_and_many_audiences_are_found_from_the_changes_and_the_reverse_from_the_audiences() -> None:
    harness = Harness(*"ABCDE")
    for _ in range(5):
        harness.client("*")  # one audience, with ids 0 to 4
    harness.client("A")
    for encoding in (MSGPACK, JSON):
        harness.client("B", encoding=encoding)
    cut(harness.cache, update("B", bid="1"))
    assert found(harness, 1) == naive(harness, 1)
    cut(harness.cache, *(update(symbol, bid="1") for symbol in "ABCDE"))
    assert found(harness, 2) == naive(harness, 2)


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=True))
def test_a_thousand_comings_and_goings_leave_nothing_behind(random: Random) -> None:
    harness = Harness("AA", part=2, burst=2)
    names = ["AA", "AB", "BA", "BB", "ZZ", "A*", "*B", "*", "[A-B]?"]
    clients: list[Client] = []
    steps: Iterator[None] = iter(())
    for number in range(1000):
        act = random.randrange(9)
        if act == 0 or not clients:
            clients.append(Client(harness, random.choice([MSGPACK, JSON])))
        client = random.choice(clients)
        if act in {1, 2}:
            client.subscribe(
                *random.sample(names, random.randrange(4)), interval_us=random.choice([0, 0, 30 * MS, 1 * SECOND])
            )
        elif act == 3:
            clients.remove(client)
            client.leave()
        elif act == 4:
            client.full = not client.full
            if not client.full:
                client.unblock()
        elif act == 5:
            next(steps, None)
        else:
            list(steps)
            for audience in harness.audiences():
                assert all(audience.cursor <= member.cursor for member in audience.members), "rule 3"
            harness.now += random.randrange(50) * MS
            symbol = random.choice(names[:4])
            cut(
                harness.cache,
                Instrument(symbol, metadata={"n": str(number // 200)}),
                update(symbol, trade_count=number),
            )
            steps = harness.hub.publish(harness.now)
            next(steps, None)
        for audience in harness.audiences():
            assert all(member.is_member and member.audience is audience for member in audience.members)
            assert all(not each.is_member and each.audience is audience for each in audience.behind)
            assert not audience.empty
    list(steps)
    for client in clients:
        client.leave()
    harness.wait(2 * SECOND)
    assert not leftovers(harness.hub)


def test_the_same_request_again_keeps_the_audience_and_its_interval() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=1 * SECOND)
    harness.publish(update("A", bid="1"))
    assert bids(client.take()) == [100]
    (before,) = [audience for audience in harness.audiences() if audience.subscription_set != NOTHING]
    for number in range(2, 7):
        client.subscribe("A", interval_us=1 * SECOND)
        harness.publish(update("A", bid=str(number)))
    assert client.take() == []
    assert [audience for audience in harness.audiences() if audience.subscription_set != NOTHING] == [before]


def test_the_changes_missed_by_a_resumed_client_are_not_held_back_by_the_interval_of_others() -> None:
    harness = Harness("A")
    harness.client("A", interval_us=60 * SECOND)
    seen = harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    back = harness.client()
    watch = SubscriptionSet(("A",), (), 60 * SECOND)
    harness.hub.subscribe(back.subscriber, watch, harness.now, resume_from=seen)
    assert bids(back.take()) == [200]


def test_windows_of_one_cut_are_bounded() -> None:
    harness = Harness("A")
    client = harness.client("A")
    for number in range(200):
        harness.publish(update("A", bid=str(number)))
    watch = client.subscriber.audience.subscription_set
    for cursor in range(200):
        harness.hub.subscribe(client.subscriber, watch, harness.now, resume_from=cursor)
    assert len(harness.hub._encode_caches[MSGPACK]._change_sets) <= MAX_CHANGE_SETS


def test_the_last_client_of_an_encoding_may_leave_in_the_middle_of_a_pass() -> None:
    harness = Harness("A", burst=1)
    stays, leaves = Client(harness, MSGPACK), Client(harness, JSON)
    for client in (stays, leaves):
        client.subscribe("A")
    cut(harness.cache, update("A", bid="2.00"))
    steps = harness.hub.publish(harness.now)
    next(steps)
    leaves.leave()
    list(steps)
    assert stays.subscriber.cursor == harness.cache.cut
    late = Client(harness, JSON)
    late.subscribe("A")
    assert late.subscriber.cursor == harness.cache.cut


def test_an_encoding_without_subscribers_leaves_nothing_to_the_garbage_collector() -> None:
    harness = Harness("A")
    client = harness.client("A")
    harness.publish(update("A", bid="1"))
    (encode_cache,) = map(weakref.ref, harness.hub._encode_caches.values())
    gc.collect()
    gc.disable()
    try:
        harness.hub.disconnect(client.subscriber)
        assert encode_cache() is None
    finally:
        gc.enable()

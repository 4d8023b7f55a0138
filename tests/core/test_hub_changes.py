"""ticker/core/hub.py: comings and goings, also in the middle of a pass, and signs of life."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.floor import MS, SECOND, Client, Floor, bids, leftovers
from tests.support import cut, update
from ticker.config import MAX_CHANGE_SETS
from ticker.core.audiences import NOTHING, SubscriptionSet, pending_by_audience
from ticker.market import Instrument
from ticker.protocol.messages import Delta, Instruments, Snapshot
from ticker.protocol.wire import JSON, MSGPACK

# Going


def test_an_audience_ends_with_its_last_subscriber() -> None:
    floor = Floor("A")
    first, second = floor.client("A", "Z", "A*"), floor.client("A", "Z", "A*")
    first.leave()
    assert len(floor.audiences()) == 1
    floor.hub.pause_delivery(second.subscriber)
    second.leave()
    assert not leftovers(floor.hub)


def test_what_others_still_watch_stays() -> None:
    floor = Floor("A")
    staying, leaving = floor.client("A", "Z", "Y*"), floor.client("Z", "Y*", "A")
    other = floor.client("Z", "Y*")
    leaving.leave()
    other.leave()
    floor.publish(Instrument("Z"), Instrument("Y1"), update("A", bid="1"))
    assert [type(message) for message in staying.take()] == [Instruments, Snapshot]
    assert leaving.take() == other.take() == []
    staying.leave()
    assert not leftovers(floor.hub)


def test_nobody_gets_anything_after_leaving() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    client.take()
    client.leave()
    floor.wait(1 * SECOND)
    floor.publish(update("A", bid="3"))
    floor.beat(0)
    assert client.take() == []
    assert not leftovers(floor.hub)


def test_who_comes_back_to_a_watch_that_ended_while_resting_gets_the_next_change_at_once() -> None:
    floor = Floor("A")
    floor.client("A", interval_us=100 * MS).leave()
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    client.leave()
    again = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="2"))
    assert bids(again.take()) == [200]
    floor.publish(update("A", bid="3"))
    floor.wait(100 * MS)
    assert bids(again.take()) == [300]
    assert floor.hub.next_due() == floor.now + 100 * MS


def test_a_client_that_keeps_changing_its_mind_does_not_fill_memory_with_audiences_at_rest() -> None:
    floor = Floor("A")
    client = floor.client()
    for number in range(100):
        client.watch("A", interval_us=60 * SECOND + number)
        floor.publish(update("A", trade_count=number))
    groups = [group for groups in floor.hub._pacing._resting.values() for group in groups.values()]
    resting = [audience for group in groups for audience in group.audiences]
    assert resting == [client.subscriber.audience]


# In the middle of a pass


def test_who_leaves_during_a_pass_gets_nothing_more() -> None:
    floor = Floor("A", burst=1)
    clients = [floor.client("A") for _ in range(3)]
    steps = floor.begin(update("A", bid="1"))
    clients[1].leave()
    list(steps)
    assert [len(client.take()) for client in clients] == [1, 0, 1]


def test_everybody_may_leave_during_a_pass() -> None:
    floor = Floor("A", "B", burst=1)
    clients = [floor.client(name, interval_us=interval) for name in "AB" for interval in (0, 0, 100 * MS)]
    steps = floor.begin(update("A", bid="1"), update("B", bid="1"))
    for client in clients:
        client.leave()
    list(steps)
    assert sum(len(client.take()) for client in clients) == 1
    floor.wait(1 * SECOND)
    assert not leftovers(floor.hub)


def test_everybody_may_leave_while_rests_end() -> None:
    floor = Floor("A", "B", burst=1)
    clients = [floor.client(name, interval_us=100 * MS) for name in "ABAB"]
    floor.publish(update("A", bid="1"), update("B", bid="1"))
    floor.publish(update("A", bid="2"), update("B", bid="2"))
    floor.now += 100 * MS
    steps = floor.hub.publish(floor.now)
    next(steps)
    for client in clients:
        client.leave()
    list(steps)
    floor.wait(1 * SECOND)
    assert not leftovers(floor.hub)


def test_who_joins_during_a_pass_gets_its_cut_once() -> None:
    floor = Floor("A", burst=1)
    clients = [floor.client("A") for _ in range(2)]
    steps = floor.begin(update("A", bid="1"))
    new = floor.client()
    new.watch("A")
    list(steps)
    assert [type(message) for message in new.take()] == [Instruments, Snapshot]
    assert [bids(client.take()) for client in clients] == [[100], [100]]


def test_who_joins_an_audience_that_the_pass_has_not_reached_gets_its_cut_once() -> None:
    floor = Floor("A", burst=1)
    floor.client("A")
    floor.client("*")
    steps = floor.begin(update("A", bid="1"))
    new = floor.client()
    new.watch("*")
    list(steps)
    assert [type(message) for message in new.take()] == [Instruments, Snapshot]


def test_who_blocks_during_a_pass_gets_nothing_of_it_until_it_has_room() -> None:
    floor = Floor("A", burst=1)
    first, second = floor.client("A"), floor.client("A")
    steps = floor.begin(update("A", bid="1"))
    assert bids(first.take()) == [100]
    floor.hub.pause_delivery(second.subscriber)
    list(steps)
    assert second.take() == []
    assert second.unblock()
    assert bids(second.take()) == [100]


def test_who_blocks_and_has_room_again_during_a_pass_gets_its_cut_once() -> None:
    floor = Floor("A", burst=1)
    clients = [floor.client("A") for _ in range(3)]
    steps = floor.begin(update("A", bid="1"))
    for client in clients:
        floor.hub.pause_delivery(client.subscriber)
        assert client.unblock()
    list(steps)
    assert [bids(client.take()) for client in clients] == [[100]] * 3


def test_who_goes_to_another_audience_during_a_pass_gets_its_cut_once() -> None:
    floor = Floor("A", "B", burst=1)
    clients = [floor.client("A") for _ in range(3)]
    steps = floor.begin(update("A", bid="1"))
    for client in clients:
        client.watch("A", interval_us=100 * MS)
    clients[2].watch("A")
    list(steps)
    assert [bids(client.take()) for client in clients] == [[100]] * 3


def test_who_drops_a_symbol_during_a_pass_is_not_sent_it() -> None:
    floor = Floor("A", "B", burst=1)
    floor.client("B")
    _, dropping = floor.client("A", "B"), floor.client("A", "B")
    steps = floor.begin(update("A", bid="1"))
    dropping.watch("B")
    list(steps)
    assert dropping.take() == []


def test_an_audience_made_during_a_pass_is_part_of_the_next() -> None:
    floor = Floor("A", "B", burst=1)
    floor.client("A")
    steps = floor.begin(update("A", bid="1"))
    new = floor.client("B", "A")
    list(steps)
    assert new.take() == []
    floor.publish(update("B", bid="1"))
    assert new.take() == [Delta(2, 3, 3000, [1, {1: 100}])]


# The whole of it


def naive(floor: Floor, since: int) -> dict[SubscriptionSet, set[int]]:
    """Which ready audiences are to be told of what, found the long way."""
    changed = {record.id for record in floor.cache.records if record.last_change > since}
    ready = [audience for audience in floor.audiences() if audience.group.due is None]
    return {audience.watch: audience.ids & changed for audience in ready if audience.ids & changed}


def found(floor: Floor, since: int) -> dict[SubscriptionSet, set[int]]:
    """The same, as the hub finds it."""
    hub, found = floor.hub, {}
    for group in hub._pacing.ready():
        window = hub._entries[group.encoding].window(since)
        for audience, pending in pending_by_audience(group, window, hub._watchers):
            ids = {entry: number for number, entry in window.items()}
            found[audience.watch] = {ids[entry] for entry in pending}
            assert len(pending) == len(found[audience.watch])
    return found


watches = st.lists(st.sets(st.sampled_from(["A", "B", "C", "D", "E", "[AB]", "*"]), min_size=1), max_size=8)


@given(watches, st.sets(st.sampled_from("ABCDE")), st.integers(0, 100))
def test_changes_find_their_audiences_and_audiences_their_changes_alike(
    watched: list[set[str]], changed: set[str], rest: int
) -> None:
    floor = Floor(*"ABCDE")
    for number, names in enumerate(watched):
        floor.client(*names, interval_us=number % 2 * SECOND)
    floor.publish(update("ABCDE"[rest % 5], bid="1"))
    since = cut(floor.cache) if not changed else cut(floor.cache, *(update(symbol, ask="1") for symbol in changed)) - 1
    assert found(floor, since) == naive(floor, since)


def test_few_changes_and_many_audiences_are_found_from_the_changes_and_the_reverse_from_the_audiences() -> None:
    floor = Floor(*"ABCDE")
    for _ in range(5):
        floor.client("*")  # one audience, with ids 0 to 4
    floor.client("A")
    for encoding in (MSGPACK, JSON):
        floor.client("B", encoding=encoding)
    cut(floor.cache, update("B", bid="1"))
    assert found(floor, 1) == naive(floor, 1)
    cut(floor.cache, *(update(symbol, bid="1") for symbol in "ABCDE"))
    assert found(floor, 2) == naive(floor, 2)


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=True))
def test_a_thousand_comings_and_goings_leave_nothing_behind(random: Random) -> None:
    floor = Floor("AA", part=2, burst=2)
    names = ["AA", "AB", "BA", "BB", "ZZ", "A*", "*B", "*", "[A-B]?"]
    clients: list[Client] = []
    steps: Iterator[None] = iter(())
    for number in range(1000):
        act = random.randrange(9)
        if act == 0 or not clients:
            clients.append(Client(floor, random.choice([MSGPACK, JSON])))
        client = random.choice(clients)
        if act in {1, 2}:
            client.watch(
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
            for audience in floor.audiences():
                assert all(audience.cursor <= member.cursor for member in audience.members), "rule 3"
            floor.now += random.randrange(50) * MS
            symbol = random.choice(names[:4])
            cut(floor.cache, Instrument(symbol, metadata={"n": str(number // 200)}), update(symbol, trade_count=number))
            steps = floor.hub.publish(floor.now)
            next(steps, None)
        for audience in floor.audiences():
            assert all(member.in_step and member.audience is audience for member in audience.members)
            assert audience.size >= max(1, len(audience.members))
    list(steps)
    for client in clients:
        client.leave()
    floor.wait(2 * SECOND)
    assert not leftovers(floor.hub)


def test_the_same_request_again_keeps_the_audience_and_its_interval() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=1 * SECOND)
    floor.publish(update("A", bid="1"))
    assert bids(client.take()) == [100]
    (before,) = [audience for audience in floor.audiences() if audience.watch != NOTHING]
    for number in range(2, 7):
        client.watch("A", interval_us=1 * SECOND)
        floor.publish(update("A", bid=str(number)))
    assert client.take() == []
    assert [audience for audience in floor.audiences() if audience.watch != NOTHING] == [before]


def test_what_a_resumed_client_missed_is_not_held_back_by_the_interval_of_others() -> None:
    floor = Floor("A")
    floor.client("A", interval_us=60 * SECOND)
    seen = floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    back = floor.client()
    watch = SubscriptionSet(frozenset(["A"]), frozenset(), 60 * SECOND)
    floor.hub.watch(back.subscriber, watch, floor.now, resume_from=seen)
    assert bids(back.take()) == [200]


def test_windows_of_one_cut_are_bounded() -> None:
    floor = Floor("A")
    client = floor.client("A")
    for number in range(200):
        floor.publish(update("A", bid=str(number)))
    watch = client.subscriber.audience.watch
    for cursor in range(200):
        floor.hub.watch(client.subscriber, watch, floor.now, resume_from=cursor)
    assert len(floor.hub._entries[MSGPACK]._windows) <= MAX_CHANGE_SETS


def test_the_last_client_of_an_encoding_may_leave_in_the_middle_of_a_pass() -> None:
    floor = Floor("A", burst=1)
    stays, leaves = Client(floor, MSGPACK), Client(floor, JSON)
    for client in (stays, leaves):
        client.watch("A")
    cut(floor.cache, update("A", bid="2.00"))
    steps = floor.hub.publish(floor.now)
    next(steps)
    leaves.leave()
    list(steps)
    assert stays.subscriber.cursor == floor.cache.cut
    late = Client(floor, JSON)
    late.watch("A")
    assert late.subscriber.cursor == floor.cache.cut

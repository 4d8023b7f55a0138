"""ticker/core/hub.py: those who are not in step: slow clients, large snapshots, and what does not exist yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.floor import MS, Floor, bids, leftovers
from tests.support import cut, update
from ticker.core.audiences import NOTHING, SubscriptionSet
from ticker.market import Instrument
from ticker.protocol.messages import Definition, Delta, Instruments, Snapshot
from ticker.protocol.wire import MSGPACK

# Slow clients


def test_a_slow_client_skips_to_the_latest_price() -> None:
    floor = Floor("A", "B")
    slow, quick = floor.client("A", "B"), floor.client("A", "B")
    slow.block()
    floor.publish(update("A", bid="1"))
    assert bids(slow.take()) == [100]  # the frame that was not taken whole; its rest waits in the socket
    assert not slow.subscriber.in_step
    for price in ("2", "3"):
        floor.publish(update("A", bid=price))
    floor.publish(update("B", bid="7"))
    assert slow.take() == []
    assert slow.unblock()
    (delta,) = slow.take()
    assert isinstance(delta, Delta)
    assert (delta.since, delta.cut) == (2, 5)
    assert dict(zip(delta.changes[::2], delta.changes[1::2], strict=True)) == {0: {1: 300}, 1: {1: 700}}
    assert len(quick.take()) == 4
    floor.publish(update("A", bid="8"))
    assert slow.take() == quick.take() == [Delta(5, 6, 6000, [0, {1: 800}])]


def test_a_slow_client_that_missed_nothing_is_in_step_again_without_a_frame() -> None:
    floor = Floor("A", "B")
    slow = floor.client("A")
    slow.block()
    floor.publish(update("A", bid="1"))
    floor.publish(update("B", bid="1"))
    slow.take()
    assert slow.unblock()
    assert slow.take() == []
    floor.publish(update("A", bid="2"))
    assert slow.take() == [Delta(2, 4, 4000, [0, {1: 200}])]


def test_a_client_that_does_not_take_its_merged_delta_stays_behind() -> None:
    floor = Floor("A")
    slow = floor.client("A")
    slow.block()
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    assert not floor.hub.catch_up(slow.subscriber)
    floor.publish(update("A", bid="3"))
    assert bids(slow.take()) == [100, 200]
    assert slow.unblock()
    assert slow.take() == [Delta(3, 4, 4000, [0, {1: 300}])]


def test_catching_up_in_step_does_nothing() -> None:
    floor = Floor("A")
    client = floor.client("A")
    assert floor.hub.catch_up(client.subscriber)
    assert client.take() == []


def test_falling_behind_twice_is_one_lapse() -> None:
    floor = Floor("A")
    client = floor.client("A")
    floor.hub.pause_delivery(client.subscriber)
    floor.hub.pause_delivery(client.subscriber)
    assert client.subscriber.slow_consumer_events == 1


def test_what_nobody_watches_is_not_encoded() -> None:
    floor = Floor("A", "B", "C")
    clients = [floor.client("A"), floor.client("A", "B")]
    before = floor.hub._entries[MSGPACK].encoded
    floor.publish(update("C", bid="1"))
    assert floor.hub._entries[MSGPACK].encoded == before
    floor.publish(*(update(symbol, bid="2") for symbol in "ABC"))
    assert floor.hub._entries[MSGPACK].encoded == before + 2
    assert [len(client.take()) for client in clients] == [1, 1]


def test_an_audience_whose_members_are_all_behind_is_sent_nothing() -> None:
    floor = Floor("A")
    slow = floor.client("A")
    floor.hub.pause_delivery(slow.subscriber)
    floor.publish(update("A", bid="1"))
    assert slow.take() == []
    assert slow.unblock()
    assert bids(slow.take()) == [100]


def test_a_client_behind_may_change_what_it_watches_and_gets_all_it_is_owed() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="1"))
    slow = floor.client("A")
    floor.hub.pause_delivery(slow.subscriber)
    floor.publish(update("A", bid="2"))
    slow.watch("A", "B")
    assert slow.take()[1] == Snapshot(2, 3, 3000, [0, {1: 200}], [1, {1: 100}])


def test_who_leaves_a_resting_audience_is_sent_what_waited_there() -> None:
    floor = Floor("A", "B")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    client.take()
    client.watch("A")
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


# Large snapshots


def test_a_large_snapshot_comes_in_parts_and_ends_as_one_moment() -> None:
    symbols = [f"S{number}" for number in range(8)]
    floor = Floor(*symbols, part=3)
    floor.publish(*(update(symbol, bid="1") for symbol in symbols))
    client = floor.client()
    client.watch("*")
    assert not client.subscriber.in_step
    floor.publish(update("S0", bid="2"), update("S7", bid="2"))
    assert not floor.hub.catch_up(client.subscriber)
    floor.publish(update("S1", bid="3"))
    assert floor.hub.catch_up(client.subscriber)
    one = {1: 100}
    snapshots = [message for message in client.take() if isinstance(message, Snapshot)]
    assert snapshots == [
        Snapshot(2, 2, 2000, [], [0, one, 1, one, 2, one]),
        Snapshot(2, 3, 3000, [0, {1: 200}], [3, one, 4, one, 5, one]),
        Snapshot(3, 4, 4000, [1, {1: 300}], [6, one, 7, {1: 200}]),
    ]
    floor.publish(update("S5", bid="9"))
    assert client.take() == [Delta(4, 5, 5000, [5, {1: 900}])]


def test_definitions_come_with_the_part_that_needs_them() -> None:
    floor = Floor("A", "B", part=1)
    client = floor.client()
    client.watch("*")
    assert floor.hub.catch_up(client.subscriber)
    kinds = [type(message) for message in client.take()]
    assert kinds == [Instruments, Snapshot, Instruments, Snapshot]


def test_a_client_that_blocks_during_its_snapshot_goes_on_where_it_was() -> None:
    floor = Floor("A", "B", "C", part=1)
    client = floor.client()
    client.block()
    client.watch("*")
    assert len(client.take()) == 2
    assert not client.unblock()
    assert client.unblock()
    snapshots = [message for message in client.take() if isinstance(message, Snapshot)]
    assert [message.records[0] for message in snapshots] == [1, 2]


def test_who_changes_its_mind_during_a_snapshot_gets_the_rest_of_what_it_wants_now() -> None:
    floor = Floor("A", "B", "C", "D", part=2)
    client = floor.client()
    client.watch("*")
    client.take()
    client.watch("B", "C")
    (_, snapshot) = client.take()
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records[::2] == [2]
    assert client.subscriber.in_step


# Patterns and symbols that are not there yet


def test_a_pattern_takes_in_instruments_that_appear_later() -> None:
    floor = Floor("AA", "B")
    client = floor.client("A*")
    floor.publish(Instrument("AB", 3), Instrument("BA"))
    assert client.take() == [Instruments([Definition(2, "AB", 3, 0, {})]), Snapshot(1, 2, 2000, [], [2, {}])]
    floor.publish(update("AB", bid="1"), update("BA", bid="1"))
    assert client.take() == [Delta(2, 3, 3000, [2, {1: 1000}])]


def test_an_unknown_symbol_joins_when_its_instrument_appears() -> None:
    floor = Floor("A")
    client = floor.client("B")
    floor.publish(Instrument("C"))
    assert client.take() == []
    floor.publish(Instrument("B"), update("B", bid="1"))
    assert client.take()[1] == Snapshot(1, 3, 3000, [], [2, {1: 100}])
    assert not floor.hub._waiting_symbols


def test_an_instrument_that_a_symbol_and_two_patterns_name_comes_once() -> None:
    floor = Floor("A")
    client = floor.client("AB", "A*", "*B")
    client.take()
    floor.publish(Instrument("AB"))
    assert client.take()[1] == Snapshot(1, 2, 2000, [], [1, {}])
    floor.publish(update("AB", bid="1"))
    assert client.take() == [Delta(2, 3, 3000, [1, {1: 100}])]


def test_another_audience_of_a_pattern_has_what_matched_it_before_and_what_does_later() -> None:
    floor = Floor("AA")
    floor.client("A*")
    floor.publish(Instrument("AB"), Instrument("B"))
    other = floor.client("A*", "B")
    assert other.subscriber.audience.ids == {0, 1, 2}
    floor.publish(Instrument("AC"))
    assert other.take()[1] == Snapshot(2, 3, 3000, [], [3, {}])


def test_all_who_watch_everything_are_one_audience_also_of_what_comes_later() -> None:
    floor = Floor("A")
    for _ in range(100):
        floor.client("*")
    floor.publish(Instrument("B"), update("B", bid="1"))
    (audience,) = [audience for audience in floor.audiences() if audience.watch != NOTHING]
    assert audience.ids == {0, 1}
    assert len(audience.members) == audience.size == 100


def test_a_client_behind_gets_instruments_that_appeared_meanwhile() -> None:
    floor = Floor("A")
    client = floor.client("*")
    floor.hub.pause_delivery(client.subscriber)
    floor.publish(Instrument("B"), update("B", bid="1"))
    floor.publish(update("B", bid="2"))
    client.unblock()
    assert client.take()[1] == Snapshot(1, 3, 3000, [], [1, {1: 200}])


def test_who_comes_between_a_declaration_and_its_pass_gets_the_instrument_once() -> None:
    floor = Floor("A")
    old = floor.client("*")
    cut(floor.cache, Instrument("B"))
    new = floor.client()
    new.watch("*")
    floor.run()
    assert [type(message) for message in old.take()] == [Instruments, Snapshot]
    assert [message.records[::2] for message in new.take() if isinstance(message, Snapshot)] == [[0, 1]]


@pytest.mark.parametrize(
    ("pattern", "symbols"),
    [
        ("*", ["AA", "A.B", "a", "B"]),
        ("A*", ["AA", "A.B"]),
        ("?", ["a", "B"]),
        ("[Aa]*", ["AA", "A.B", "a"]),
        ("[!A]*", ["a", "B"]),
        ("A.*", ["A.B"]),
        ("A[A", []),
        ("AA", ["AA"]),
        ("", []),
    ],
)
def test_patterns_match_as_in_a_shell_and_regard_case(pattern: str, symbols: list[str]) -> None:
    floor = Floor("AA", "A.B", "a", "B")
    assert [floor.cache.records[number].symbol for number in floor.hub.find(pattern)] == symbols


@given(st.text("[]!^-&~|az\\{(*?#", max_size=10))
def test_any_pattern_can_be_watched(pattern: str) -> None:
    floor = Floor("A")
    client = floor.client()
    floor.hub.watch(client.subscriber, SubscriptionSet(frozenset(), frozenset([pattern]), 0), floor.now)
    floor.publish(Instrument("a"))
    client.leave()
    assert not leftovers(floor.hub)


def test_a_symbol_is_looked_up_and_only_patterns_are_compared_with_every_instrument() -> None:
    floor = Floor("A", "B", "C")
    before = floor.hub.scanned
    assert [floor.hub.find(name) for name in ("B", "NONE")] == [[1], []]
    assert floor.hub.scanned == before
    assert floor.hub.find("B*") == [1]
    assert floor.hub.scanned == before + 3

"""ticker/core/hub.py: paused delivery: slow clients, large snapshots, and instruments that do not exist yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.harness import MS, Harness, bids, leftovers
from tests.support import cut, update
from ticker.core.audiences import NOTHING, SubscriptionSet
from ticker.core.bitmaps import numbers_in
from ticker.market import Instrument
from ticker.protocol.messages import Definition, Delta, Instruments, Removed, Snapshot
from ticker.protocol.wire import MSGPACK

# Slow clients


def test_a_slow_client_skips_to_the_latest_price() -> None:
    harness = Harness("A", "B")
    slow, quick = harness.client("A", "B"), harness.client("A", "B")
    slow.block()
    harness.publish(update("A", bid="1"))
    assert bids(slow.take()) == [100]  # the frame that was not taken whole; its rest waits in the socket
    assert not slow.subscriber.is_member
    for price in ("2", "3"):
        harness.publish(update("A", bid=price))
    harness.publish(update("B", bid="7"))
    assert slow.take() == []
    assert slow.unblock()
    (delta,) = slow.take()
    assert isinstance(delta, Delta)
    assert (delta.since, delta.cut) == (2, 5)
    assert dict(zip(delta.changes[::2], delta.changes[1::2], strict=True)) == {0: {1: 300}, 1: {1: 700}}
    assert len(quick.take()) == 4
    harness.publish(update("A", bid="8"))
    assert slow.take() == quick.take() == [Delta(5, 6, 6000, [0, {1: 800}])]


def test_a_slow_client_that_missed_nothing_is_a_member_again_without_a_frame() -> None:
    harness = Harness("A", "B")
    slow = harness.client("A")
    slow.block()
    harness.publish(update("A", bid="1"))
    harness.publish(update("B", bid="1"))
    slow.take()
    assert slow.unblock()
    assert slow.take() == []
    harness.publish(update("A", bid="2"))
    assert slow.take() == [Delta(2, 4, 4000, [0, {1: 200}])]


def test_a_client_that_does_not_take_its_merged_delta_stays_behind() -> None:
    harness = Harness("A")
    slow = harness.client("A")
    slow.block()
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    assert not harness.hub.catch_up(slow.subscriber)
    harness.publish(update("A", bid="3"))
    assert bids(slow.take()) == [100, 200]
    assert slow.unblock()
    assert slow.take() == [Delta(3, 4, 4000, [0, {1: 300}])]


def test_a_member_that_catches_up_is_sent_nothing() -> None:
    harness = Harness("A")
    client = harness.client("A")
    assert harness.hub.catch_up(client.subscriber)
    assert client.take() == []


def test_a_second_pause_without_a_recovery_is_not_counted() -> None:
    harness = Harness("A")
    client = harness.client("A")
    harness.hub.pause_delivery(client.subscriber)
    harness.hub.pause_delivery(client.subscriber)
    assert client.subscriber.slow_consumer_events == 1


def test_an_instrument_without_subscribers_is_not_encoded() -> None:
    harness = Harness("A", "B", "C")
    clients = [harness.client("A"), harness.client("A", "B")]
    before = harness.hub._encode_caches[MSGPACK].encoded
    harness.publish(update("C", bid="1"))
    assert harness.hub._encode_caches[MSGPACK].encoded == before
    harness.publish(*(update(symbol, bid="2") for symbol in "ABC"))
    assert harness.hub._encode_caches[MSGPACK].encoded == before + 2
    assert [len(client.take()) for client in clients] == [1, 1]


def test_an_audience_without_members_is_sent_nothing() -> None:
    harness = Harness("A")
    slow = harness.client("A")
    harness.hub.pause_delivery(slow.subscriber)
    harness.publish(update("A", bid="1"))
    assert slow.take() == []
    assert slow.unblock()
    assert bids(slow.take()) == [100]


def test_a_slow_client_may_change_its_subscriptions_and_gets_all_pending_changes() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1"), update("B", bid="1"))
    slow = harness.client("A")
    harness.hub.pause_delivery(slow.subscriber)
    harness.publish(update("A", bid="2"))
    slow.subscribe("A", "B")
    assert slow.take() == [], "its socket is full"
    assert harness.hub.catch_up(slow.subscriber)
    assert slow.take()[1] == Snapshot(2, 3, 3000, [0, {1: 200}], [1, {1: 100}])


def test_a_client_that_leaves_a_throttled_audience_is_sent_its_pending_changes() -> None:
    harness = Harness("A", "B")
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    client.take()
    client.subscribe("A")
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


# Large snapshots


def test_a_large_snapshot_comes_in_parts_and_ends_as_one_moment() -> None:
    symbols = [f"S{number}" for number in range(8)]
    harness = Harness(*symbols, part=3)
    harness.publish(*(update(symbol, bid="1") for symbol in symbols))
    client = harness.client()
    client.subscribe("*")
    assert not client.subscriber.is_member
    harness.publish(update("S0", bid="2"), update("S7", bid="2"))
    assert not harness.hub.catch_up(client.subscriber)
    harness.publish(update("S1", bid="3"))
    assert harness.hub.catch_up(client.subscriber)
    one = {1: 100}
    snapshots = [message for message in client.take() if isinstance(message, Snapshot)]
    assert snapshots == [
        Snapshot(2, 2, 2000, [], [0, one, 1, one, 2, one]),
        Snapshot(2, 3, 3000, [0, {1: 200}], [3, one, 4, one, 5, one]),
        Snapshot(3, 4, 4000, [1, {1: 300}], [6, one, 7, {1: 200}]),
    ]
    harness.publish(update("S5", bid="9"))
    assert client.take() == [Delta(4, 5, 5000, [5, {1: 900}])]


def test_definitions_come_with_the_part_that_needs_them() -> None:
    harness = Harness("A", "B", part=1)
    client = harness.client()
    client.subscribe("*")
    assert harness.hub.catch_up(client.subscriber)
    kinds = [type(message) for message in client.take()]
    assert kinds == [Instruments, Snapshot, Instruments, Snapshot]


def test_a_client_that_blocks_during_its_snapshot_goes_on_where_it_was() -> None:
    harness = Harness("A", "B", "C", part=1)
    client = harness.client()
    client.block()
    client.subscribe("*")
    assert len(client.take()) == 2
    assert not client.unblock()
    assert client.unblock()
    snapshots = [message for message in client.take() if isinstance(message, Snapshot)]
    assert [message.records[0] for message in snapshots] == [1, 2]


def test_subscriptions_changed_during_a_snapshot_decide_over_its_remaining_parts() -> None:
    harness = Harness("A", "B", "C", "D", part=2)
    client = harness.client()
    client.subscribe("*")
    client.take()
    client.subscribe("B", "C")
    assert harness.hub.catch_up(client.subscriber)
    removed, _, snapshot = client.take()
    assert removed == Removed(1, 1, [0])  # B was sent before, and C is still to come
    assert isinstance(snapshot, Snapshot)
    assert snapshot.records[::2] == [2]
    assert client.subscriber.is_member


# Patterns and symbols that are not there yet


def test_a_pattern_takes_in_instruments_that_appear_later() -> None:
    harness = Harness("AA", "B")
    client = harness.client("A*")
    harness.publish(Instrument("AB", 3), Instrument("BA"))
    assert client.take() == [Instruments([Definition(2, "AB", 3, 0, {})]), Snapshot(1, 2, 2000, [], [2, {}])]
    harness.publish(update("AB", bid="1"), update("BA", bid="1"))
    assert client.take() == [Delta(2, 3, 3000, [2, {1: 1000}])]


def test_an_unknown_symbol_joins_when_its_instrument_appears() -> None:
    harness = Harness("A")
    client = harness.client("B")
    harness.publish(Instrument("C"))
    assert client.take() == []
    harness.publish(Instrument("B"), update("B", bid="1"))
    assert client.take()[1] == Snapshot(1, 3, 3000, [], [2, {1: 100}])
    assert not harness.hub.index.leftovers()["waiting"]


def test_an_instrument_that_a_symbol_and_two_patterns_name_comes_once() -> None:
    harness = Harness("A")
    client = harness.client("AB", "A*", "*B")
    client.take()
    harness.publish(Instrument("AB"))
    assert client.take()[1] == Snapshot(1, 2, 2000, [], [1, {}])
    harness.publish(update("AB", bid="1"))
    assert client.take() == [Delta(2, 3, 3000, [1, {1: 100}])]


def test_a_later_audience_of_a_pattern_has_its_earlier_and_later_matches() -> None:
    harness = Harness("AA")
    harness.client("A*")
    harness.publish(Instrument("AB"), Instrument("B"))
    other = harness.client("A*", "B")
    assert other.subscriber.audience.ids == (0, 1, 2)
    harness.publish(Instrument("AC"))
    assert other.take()[1] == Snapshot(2, 3, 3000, [], [3, {}])


def test_all_subscribers_of_everything_are_one_audience_also_of_later_instruments() -> None:
    harness = Harness("A")
    for _ in range(100):
        harness.client("*")
    harness.publish(Instrument("B"), update("B", bid="1"))
    (audience,) = [audience for audience in harness.audiences() if audience.subscription_set != NOTHING]
    assert audience.ids == (0, 1)
    assert (len(audience.members), audience.behind) == (100, {})


def test_a_client_behind_gets_instruments_that_appeared_meanwhile() -> None:
    harness = Harness("A")
    client = harness.client("*")
    harness.hub.pause_delivery(client.subscriber)
    harness.publish(Instrument("B"), update("B", bid="1"))
    harness.publish(update("B", bid="2"))
    client.unblock()
    assert client.take()[1] == Snapshot(1, 3, 3000, [], [1, {1: 200}])


def test_a_client_that_comes_between_a_declaration_and_its_pass_gets_the_instrument_once() -> None:
    harness = Harness("A")
    old = harness.client("*")
    cut(harness.cache, Instrument("B"))
    new = harness.client()
    new.subscribe("*")
    harness.run()
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
    harness = Harness("AA", "A.B", "a", "B")
    found = numbers_in(harness.hub.index.matching(pattern))
    assert [harness.cache.records[number].symbol for number in found] == symbols


@given(st.text("[]!^-&~|az\\{(*?#", max_size=10))
def test_any_pattern_can_be_watched(pattern: str) -> None:
    harness = Harness("A")
    client = harness.client()
    harness.hub.subscribe(client.subscriber, SubscriptionSet((), (pattern,), 0), harness.now)
    harness.publish(Instrument("a"))
    client.leave()
    assert not leftovers(harness.hub)


def test_a_symbol_is_looked_up_and_only_patterns_are_compared_with_every_instrument() -> None:
    harness = Harness("A", "B", "C")
    index = harness.hub.index

    def search(name: str) -> list[str]:
        return [symbol for piece in index.search(name, "", 10, lambda _: True) for symbol in piece]

    assert [search(name) for name in ("B", "NONE")] == [["B"], []]
    assert index.comparisons == 0
    assert search("B*") == ["B"]
    assert index.comparisons == 3

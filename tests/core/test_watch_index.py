"""ticker/core/watch_index.py: who is subscribed to an instrument, in little room."""

from __future__ import annotations

import sys

from tests.core.harness import MS, Harness, bids
from tests.core.talk import Talk
from tests.support import update
from ticker.core.watch_index import WatchIndex
from ticker.market import Instrument
from ticker.protocol.messages import Delta


def watchers(harness: Harness, number: int = 0) -> list[tuple[type, int]]:
    """The kind and number of those of an instrument, by shard."""
    index: WatchIndex = harness.hub.index.watch_index[number]
    return [(type(some), len(some)) for some in index.values()]


def test_audiences_without_an_interval_are_in_tuples_and_leave_them_in_any_order() -> None:
    harness = Harness("A", "B", "C", "D")
    clients = [harness.client("A", name) for name in "BCD"]
    assert watchers(harness) == [(tuple, 3)]
    clients[1].leave()
    assert watchers(harness) == [(tuple, 2)]
    harness.publish(update("A", bid="1"))
    assert [bids(each.take()) for each in clients] == [[100], [], [100]]
    clients[2].leave()
    clients[0].leave()
    assert watchers(harness) == []


def test_audiences_with_an_interval_whose_shard_has_no_bound_are_in_a_dictionary() -> None:
    harness = Harness("A", "B", "C")
    clients = [harness.client("A", name, interval_us=50 * MS) for name in "BC"]
    other = harness.client("A")
    assert sorted(watchers(harness), key=str) == [(dict, 2), (tuple, 1)]
    harness.publish(update("A", bid="1"))
    assert [bids(each.take()) for each in [*clients, other]] == [[100]] * 3
    clients[0].leave()
    assert sorted(watchers(harness), key=str) == [(dict, 1), (tuple, 1)]
    clients[1].leave()
    other.leave()
    assert watchers(harness) == []


def test_an_instrument_that_a_name_and_a_pattern_match_when_it_appears_is_watched_once() -> None:
    harness = Harness("B")
    client = harness.client("A", "A*", "?")
    harness.publish(Instrument("A"), update("A", bid="1"))
    assert watchers(harness, 1) == [(tuple, 1)]
    assert client.subscriber.audience.ids == (0, 1)
    client.take()
    harness.publish(update("A", bid="2"))
    (delta,) = client.take()
    assert isinstance(delta, Delta)
    assert delta.changes[::2] == [1]
    client.leave()
    assert watchers(harness, 1) == []


def test_names_of_clients_are_the_texts_of_the_instruments_and_those_of_an_audience_are_kept_once() -> None:
    talk = Talk()
    talk.ask("subscribe", symbols=["B", "AB", "Z"])
    names = talk.subscriber.audience.subscription_set.symbols
    assert names == ("AB", "B", "Z")
    records = [talk.cache.find(name) for name in names[:2]]
    assert all(record is not None and record.symbol is name for record, name in zip(records, names, strict=False))


def test_an_audience_in_which_nobody_is_behind_keeps_no_room_for_them() -> None:
    harness = Harness("A")
    client = harness.client("A")
    behind = client.subscriber.audience.behind
    assert (behind, sys.getsizeof(behind)) == ({}, sys.getsizeof({}))

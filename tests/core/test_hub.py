"""ticker/core/hub.py: who is sent what, when, and how little that costs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.floor import MS, SECOND, Client, Floor, bids
from tests.support import cut, update
from ticker.core.audiences import NOTHING
from ticker.market import Instrument, Withdrawal
from ticker.protocol.messages import Definition, Delta, Instruments, Snapshot
from ticker.protocol.wire import JSON, MSGPACK

# Coming and asking


def test_a_new_client_has_everything_it_asked_for_and_is_sent_nothing() -> None:
    floor = Floor("A")
    client = floor.client()
    assert client.subscriber.in_step
    assert client.subscriber.audience.watch == NOTHING
    assert client.subscriber.cursor == 1
    floor.publish(update("A", bid="1"))
    assert client.take() == []


def test_a_subscription_is_answered_with_a_snapshot_before_it_returns() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1.25"))
    client = floor.client()
    floor.publish(update("A", ask="2"))
    client.watch("A")
    assert client.take() == [
        Instruments([Definition(0, "A", 2, 0, {})]),
        Snapshot(2, 3, 3000, [], [0, {1: 125, 3: 200}]),
    ]
    assert client.subscriber.in_step


def test_who_asks_for_more_is_sent_only_what_is_new_to_it() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="2"))
    client = floor.client("A")
    client.watch("A", "B")
    assert client.take()[1] == Snapshot(2, 2, 2000, [], [1, {1: 200}])


def test_who_asks_for_less_or_the_same_is_sent_nothing() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="2"))
    client = floor.client("A", "B")
    client.watch("B")
    client.watch("B")
    assert client.take() == []
    floor.publish(update("A", bid="3"))
    assert client.take() == []


def test_what_was_dropped_and_asked_for_again_comes_complete() -> None:
    floor = Floor("A")
    floor.publish(update("A", bid="1"))
    client = floor.client("A")
    client.watch()
    client.watch("A")
    assert client.take()[1] == Snapshot(2, 2, 2000, [], [0, {1: 100}])


def test_a_client_gets_what_it_watches_in_its_own_encoding() -> None:
    floor = Floor("A", "B")
    clients = [floor.client("A"), floor.client("B"), floor.client("A", encoding=JSON)]
    floor.publish(update("A", bid="1"))
    assert [client.take() for client in clients] == [
        [Delta(1, 2, 2000, [0, {1: 100}])],
        [],
        [Delta(1, 2, 2000, [0, {1: 100}])],
    ]


def test_a_frame_holds_all_changes_of_a_cut_that_a_client_watches_and_no_others() -> None:
    floor = Floor("A", "B", "C")
    client = floor.client("A", "C")
    floor.publish(*(update(symbol, bid="1") for symbol in "ABC"))
    (delta,) = client.take()
    assert isinstance(delta, Delta)
    assert sorted(delta.changes[::2]) == [0, 2]


def test_a_cut_that_changed_nothing_for_an_audience_is_not_told() -> None:
    floor = Floor("A", "B")
    client = floor.client("A")
    floor.publish(update("B", bid="1"))
    floor.publish(update("B", bid="2"))
    assert client.take() == []
    floor.publish(update("A", bid="3"))
    assert client.take() == [Delta(1, 4, 4000, [0, {1: 300}])]


def test_a_withdrawn_instrument_is_a_change_to_nothing() -> None:
    floor = Floor("A")
    floor.publish(update("A", bid="1"))
    client = floor.client("A")
    floor.publish(Withdrawal("A"))
    assert client.take() == [Delta(2, 3, 3000, [0, {1: None}])]


# Resuming


def test_a_client_that_resumes_is_sent_what_changed_since_its_cursor() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="1"))
    for price in ("2", "3", "4"):
        floor.publish(update("A", bid=price))
    client = floor.client()
    client.watch("A", "B", resume_from=3)
    assert client.take() == [Delta(3, 5, 5000, [0, {1: 400}])]
    assert client.subscriber.in_step


def test_a_client_that_missed_nothing_resumes_without_a_frame() -> None:
    floor = Floor("A")
    floor.publish(update("A", bid="1"))
    client = floor.client()
    client.watch("A", resume_from=2)
    assert client.take() == []
    floor.publish(update("A", bid="2"))
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


def test_instruments_that_appeared_during_an_outage_come_complete() -> None:
    floor = Floor("A")
    floor.publish(Instrument("AB"), update("AB", bid="1"))
    client = floor.client()
    client.watch("A*", resume_from=1)
    assert client.take() == [Instruments([Definition(1, "AB", 2, 0, {})]), Snapshot(1, 2, 2000, [], [1, {1: 100}])]


def test_who_resumes_with_a_resting_audience_gets_its_next_frame() -> None:
    floor = Floor("A")
    floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    client = floor.client()
    client.watch("A", interval_us=100 * MS, resume_from=2)
    floor.publish(update("A", bid="2"))
    assert client.take() == []
    floor.wait(100 * MS)
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


# When: the leading edge and the rest after it


@pytest.mark.parametrize("interval_us", [0, 1, 50 * MS, 60 * SECOND])
def test_a_change_on_a_quiet_symbol_goes_out_at_once(interval_us: int) -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=interval_us)
    floor.publish(update("A", bid="1"))
    assert client.take() == [Delta(1, 2, 2000, [0, {1: 100}])]


def test_without_an_interval_every_cut_goes_out_at_once() -> None:
    floor = Floor("A")
    client = floor.client("A")
    for price in range(5):
        floor.publish(update("A", bid=price))
    assert bids(client.take()) == [0, 100, 200, 300, 400]
    assert floor.hub.next_due() is None


def test_changes_within_an_interval_are_merged_into_one_frame_at_its_end() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=100 * MS)
    for price in range(1, 6):
        floor.publish(update("A", bid=price))
    assert bids(client.take()) == [100]
    assert floor.hub.next_due() == floor.now + 100 * MS
    floor.wait(100 * MS - 1)
    assert client.take() == []
    floor.wait(1)
    assert client.take() == [Delta(2, 6, 6000, [0, {1: 500}])]


@pytest.mark.parametrize("others", [0, 3])
def test_an_audience_that_rested_without_a_change_is_sent_the_next_at_once(others: int) -> None:
    floor = Floor("A", "B")
    for number in range(others):
        floor.client("B", f"Z{number}")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("B", bid="1"))
    floor.wait(100 * MS)
    assert floor.hub.next_due() is None
    floor.now += 1
    floor.publish(update("A", bid="2"))
    assert client.take() == [Delta(1, 2, 2000, [0, {1: 100}]), Delta(2, 4, 4000, [0, {1: 200}])]


def test_a_change_at_the_very_end_of_a_rest_goes_out_once() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.now += 100 * MS
    floor.publish(update("A", bid="2"))
    floor.run()
    assert bids(client.take()) == [100, 200]


def test_a_rest_that_ends_brings_the_cut_of_the_same_pass() -> None:
    """A rest is over without a change, and in the same pass the sweep finds one: it is sent once, and at once."""
    floor = Floor("A", "B")
    rested, other = floor.client("A", interval_us=100 * MS), floor.client("B", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.now += 150 * MS
    floor.publish(update("A", bid="2"), update("B", bid="1"))
    assert bids(rested.take()) == [100, 200]
    assert len(other.take()) == 1


@given(
    interval=st.integers(1, 100_000),
    start=st.integers(0, 10**6),
    pauses=st.lists(st.integers(0, 150_000), min_size=1, max_size=40),
)
def test_n_intervals_bring_at_most_one_frame_more_than_n(interval: int, start: int, pauses: list[int]) -> None:
    floor = Floor("A")
    floor.now += start
    client = floor.client("A", interval_us=interval)
    times = frame_times(floor, client, pauses)
    for first, one in enumerate(times):
        for more, other in enumerate(times[first:]):
            assert other - one >= (more - 1) * interval
    floor.wait(interval)
    assert client.subscriber.cursor == floor.cache.cut, "a change waits at most for one interval"


@given(interval=st.integers(4, 100_000), start=st.integers(0, 10**6))
def test_under_constant_change_a_client_gets_a_frame_at_every_multiple_of_its_interval(
    interval: int, start: int
) -> None:
    floor = Floor("A")
    floor.now += start
    client = floor.client("A", interval_us=interval)
    times = frame_times(floor, client, [max(1, interval // 7)] * 100)
    assert times[0] == floor.now - 99 * max(1, interval // 7), "the first change goes out at once"
    # The first step may end before there is another change: then that goes out at once as well.
    assert all(time % interval == 0 for time in times[2:])
    assert all(later - earlier == interval for earlier, later in pairwise(times[2:]))


def frame_times(floor: Floor, client: Client, pauses: list[int]) -> list[int]:
    """When a client gets frames if A changes after each of these pauses, and every pass comes when it is due."""
    client.times.clear()
    for number, pause in enumerate(pauses):
        floor.wait(pause)
        floor.publish(update("A", trade_count=number + 1))
    return client.times


@pytest.mark.parametrize("late", [0, 20, 99])
def test_a_pass_that_comes_late_does_not_delay_the_next(late: int) -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    floor.now += (100 + late) * MS
    floor.run()
    assert bids(client.take()) == [100, 200]
    assert floor.hub.next_due() == 1 * SECOND + 200 * MS


def test_audiences_that_are_due_together_share_one_entry() -> None:
    floor = Floor("A", "B")
    for names in (["A"], ["A", "B"], ["*"]):
        floor.client(*names, interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    before = floor.hub._entries[MSGPACK].encoded
    floor.wait(100 * MS)
    assert floor.hub._entries[MSGPACK].encoded == before + 1


# How much it costs


def test_a_thousand_members_cost_one_encoding_and_get_the_same_bytes() -> None:
    floor = Floor("A")
    clients = [floor.client("A") for _ in range(1000)]
    before = floor.hub._entries[MSGPACK].encoded
    floor.publish(update("A", bid="1"))
    assert floor.hub._entries[MSGPACK].encoded == before + 1
    assert all(client.frames[0] is clients[0].frames[0] for client in clients)


def test_a_thousand_new_clients_cost_one_encoding_of_what_they_ask_for() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="1"))
    for _ in range(1000):
        floor.client("*")
    assert floor.hub._entries[MSGPACK].encoded == 2


def test_a_thousand_different_watches_share_the_entries_of_their_instruments() -> None:
    floor = Floor("A", *(f"S{number}" for number in range(1000)))
    clients = [floor.client("A", f"S{number}") for number in range(1000)]
    before = floor.hub._entries[MSGPACK].encoded
    floor.publish(update("A", bid="1"))
    assert floor.hub._entries[MSGPACK].encoded == before + 1
    assert all(bids(client.take()) == [100] for client in clients)


def test_equal_watches_are_one_audience_however_they_were_asked_for() -> None:
    floor = Floor("A", "B")
    one, other = floor.client("A", "B*"), floor.client("A")
    other.watch("B*", "A")
    assert one.subscriber.audience is other.subscriber.audience
    assert floor.client("A", "B*", encoding=JSON).subscriber.audience is not one.subscriber.audience
    assert floor.client("A", "B*", interval_us=1).subscriber.audience is not one.subscriber.audience


@pytest.mark.parametrize("burst", [1, 2, 3, 7])
def test_a_pass_yields_after_every_burst_of_writes(burst: int) -> None:
    floor = Floor("A", "B", burst=burst)
    for number in range(12):
        floor.client("A" if number % 2 else "B")
    cut(floor.cache, update("A", bid="1"), update("B", bid="1"))
    assert len(list(floor.hub.publish(floor.now))) == 12 // burst


def test_a_client_counts_its_frames_and_its_slow_consumer_events() -> None:
    floor = Floor("A")
    client = floor.client("A")
    floor.publish(update("A", bid="1"))
    client.block()
    floor.publish(update("A", bid="2"))
    client.unblock()
    assert client.subscriber.slow_consumer_events == 1

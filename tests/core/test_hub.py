"""ticker/core/hub.py: frames and their times, and how few parts are encoded for them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.harness import MS, SECOND, Client, Harness, bids
from tests.support import cut, update
from ticker.core.audiences import NOTHING
from ticker.market import Instrument, Withdrawal
from ticker.protocol.messages import Definition, Delta, Instruments, Removed, Snapshot
from ticker.protocol.wire import JSON, MSGPACK

# Coming and asking


def test_a_new_client_has_everything_it_asked_for_and_is_sent_nothing() -> None:
    harness = Harness("A")
    client = harness.client()
    assert client.subscriber.is_member
    assert client.subscriber.audience.subscription_set == NOTHING
    assert client.subscriber.cursor == 1
    harness.publish(update("A", bid="1"))
    assert client.take() == []


def test_a_subscription_is_answered_with_a_snapshot_before_it_returns() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1.25"))
    client = harness.client()
    harness.publish(update("A", ask="2"))
    client.subscribe("A")
    assert client.take() == [
        Instruments([Definition(0, "A", 2, 0, {})]),
        Snapshot(2, 3, 3000, [], [0, {1: 125, 3: 200}]),
    ]
    assert client.subscriber.is_member


def test_further_subscriptions_bring_only_the_new_instruments() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1"), update("B", bid="2"))
    client = harness.client("A")
    client.subscribe("A", "B")
    assert client.take()[1] == Snapshot(2, 2, 2000, [], [1, {1: 200}])


def test_fewer_subscriptions_bring_what_leaves_the_copy_and_the_same_bring_nothing() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1"), update("B", bid="2"))
    client = harness.client("A", "B")
    client.subscribe("B")
    assert client.take() == [Removed(2, 2, [0])]
    client.subscribe("B")
    assert client.take() == []
    harness.publish(update("A", bid="3"))
    assert client.take() == []


def test_an_instrument_unsubscribed_and_subscribed_again_comes_complete() -> None:
    harness = Harness("A")
    harness.publish(update("A", bid="1"))
    client = harness.client("A")
    client.subscribe()
    client.subscribe("A")
    removed, _, snapshot = client.take()
    assert removed == Removed(2, 2, [0])
    assert snapshot == Snapshot(2, 2, 2000, [], [0, {1: 100}])


def test_a_client_gets_its_instruments_in_its_own_encoding() -> None:
    harness = Harness("A", "B")
    clients = [harness.client("A"), harness.client("B"), harness.client("A", encoding=JSON)]
    harness.publish(update("A", bid="1"))
    assert [client.take() for client in clients] == [
        [Delta(1, 2, 2000, [0, {1: 100}])],
        [],
        [Delta(1, 2, 2000, [0, {1: 100}])],
    ]


def test_a_frame_holds_all_changes_of_a_cut_that_a_client_watches_and_no_others() -> None:
    harness = Harness("A", "B", "C")
    client = harness.client("A", "C")
    harness.publish(*(update(symbol, bid="1") for symbol in "ABC"))
    (delta,) = client.take()
    assert isinstance(delta, Delta)
    assert sorted(delta.changes[::2]) == [0, 2]


def test_a_cut_that_changed_nothing_for_an_audience_is_not_told() -> None:
    harness = Harness("A", "B")
    client = harness.client("A")
    harness.publish(update("B", bid="1"))
    harness.publish(update("B", bid="2"))
    assert client.take() == []
    harness.publish(update("A", bid="3"))
    assert client.take() == [Delta(1, 4, 4000, [0, {1: 300}])]


def test_a_withdrawn_instrument_is_a_change_to_nothing() -> None:
    harness = Harness("A")
    harness.publish(update("A", bid="1"))
    client = harness.client("A")
    harness.publish(Withdrawal("A"))
    assert client.take() == [Delta(2, 3, 3000, [0, {1: None}])]


# Resuming


def test_a_client_that_resumes_is_sent_the_changes_since_its_cursor() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1"), update("B", bid="1"))
    for price in ("2", "3", "4"):
        harness.publish(update("A", bid=price))
    client = harness.client()
    client.subscribe("A", "B", resume_from=3)
    assert client.take() == [Delta(3, 5, 5000, [0, {1: 400}])]
    assert client.subscriber.is_member


def test_a_client_that_missed_nothing_resumes_without_a_frame() -> None:
    harness = Harness("A")
    harness.publish(update("A", bid="1"))
    client = harness.client()
    client.subscribe("A", resume_from=2)
    assert client.take() == []
    harness.publish(update("A", bid="2"))
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


def test_instruments_that_appeared_during_an_outage_come_complete() -> None:
    harness = Harness("A")
    harness.publish(Instrument("AB"), update("AB", bid="1"))
    client = harness.client()
    client.subscribe("A*", resume_from=1)
    assert client.take() == [Instruments([Definition(1, "AB", 2, 0, {})]), Snapshot(1, 2, 2000, [], [1, {1: 100}])]


def test_a_client_that_resumes_into_a_throttled_audience_gets_its_next_frame() -> None:
    harness = Harness("A")
    harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    client = harness.client()
    client.subscribe("A", interval_us=100 * MS, resume_from=2)
    harness.publish(update("A", bid="2"))
    assert client.take() == []
    harness.wait(100 * MS)
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


# When: the leading edge and the rest after it


@pytest.mark.parametrize("interval_us", [0, 1, 50 * MS, 60 * SECOND])
def test_a_change_on_a_quiet_symbol_goes_out_at_once(interval_us: int) -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=interval_us)
    harness.publish(update("A", bid="1"))
    assert client.take() == [Delta(1, 2, 2000, [0, {1: 100}])]


def test_without_an_interval_every_cut_goes_out_at_once() -> None:
    harness = Harness("A")
    client = harness.client("A")
    for price in range(5):
        harness.publish(update("A", bid=price))
    assert bids(client.take()) == [0, 100, 200, 300, 400]
    assert harness.hub.next_due() is None


def test_changes_within_an_interval_are_merged_into_one_frame_at_its_end() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=100 * MS)
    for price in range(1, 6):
        harness.publish(update("A", bid=price))
    assert bids(client.take()) == [100]
    assert harness.hub.next_due() == harness.now + 100 * MS
    harness.wait(100 * MS - 1)
    assert client.take() == []
    harness.wait(1)
    assert client.take() == [Delta(2, 6, 6000, [0, {1: 500}])]


@pytest.mark.parametrize("others", [0, 3])
def test_an_audience_throttled_without_a_change_is_sent_the_next_at_once(others: int) -> None:
    harness = Harness("A", "B")
    for number in range(others):
        harness.client("B", f"Z{number}")
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.publish(update("B", bid="1"))
    harness.wait(100 * MS)
    assert harness.hub.next_due() is None
    harness.now += 1
    harness.publish(update("A", bid="2"))
    assert client.take() == [Delta(1, 2, 2000, [0, {1: 100}]), Delta(2, 4, 4000, [0, {1: 200}])]


def test_a_change_at_the_very_end_of_an_interval_goes_out_once() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.now += 100 * MS
    harness.publish(update("A", bid="2"))
    harness.run()
    assert bids(client.take()) == [100, 200]


def test_the_end_of_an_interval_brings_the_cut_of_the_same_pass() -> None:
    """A rest is over without a change, and in the same pass the sweep finds one: it is sent once, and at once."""
    harness = Harness("A", "B")
    rested, other = harness.client("A", interval_us=100 * MS), harness.client("B", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.now += 150 * MS
    harness.publish(update("A", bid="2"), update("B", bid="1"))
    assert bids(rested.take()) == [100, 200]
    assert len(other.take()) == 1


@given(
    interval=st.integers(1, 100_000),
    start=st.integers(0, 10**6),
    pauses=st.lists(st.integers(0, 150_000), min_size=1, max_size=40),
)
def test_n_intervals_bring_at_most_one_frame_more_than_n(interval: int, start: int, pauses: list[int]) -> None:
    harness = Harness("A")
    harness.now += start
    client = harness.client("A", interval_us=interval)
    times = frame_times(harness, client, pauses)
    for first, one in enumerate(times):
        for more, other in enumerate(times[first:]):
            assert other - one >= (more - 1) * interval
    harness.wait(interval)
    assert client.subscriber.cursor == harness.cache.cut, "a change waits at most for one interval"


@given(interval=st.integers(4, 100_000), start=st.integers(0, 10**6))
def test_under_constant_change_a_client_gets_a_frame_at_every_multiple_of_its_interval(
    interval: int, start: int
) -> None:
    harness = Harness("A")
    harness.now += start
    client = harness.client("A", interval_us=interval)
    times = frame_times(harness, client, [max(1, interval // 7)] * 100)
    assert times[0] == harness.now - 99 * max(1, interval // 7), "the first change goes out at once"
    # The first step may end before there is another change: then that goes out at once as well.
    assert all(time % interval == 0 for time in times[2:])
    assert all(later - earlier == interval for earlier, later in pairwise(times[2:]))


def frame_times(harness: Harness, client: Client, pauses: list[int]) -> list[int]:
    """When a client gets frames if A changes after each of these pauses, and every pass comes when it is due."""
    client.times.clear()
    for number, pause in enumerate(pauses):
        harness.wait(pause)
        harness.publish(update("A", trade_count=number + 1))
    return client.times


@pytest.mark.parametrize("late", [0, 20, 99])
def test_a_pass_that_comes_late_does_not_delay_the_next(late: int) -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    harness.now += (100 + late) * MS
    harness.run()
    assert bids(client.take()) == [100, 200]
    assert harness.hub.next_due() == 1 * SECOND + 200 * MS


def test_audiences_that_are_due_together_share_one_entry() -> None:
    harness = Harness("A", "B")
    for names in (["A"], ["A", "B"], ["*"]):
        harness.client(*names, interval_us=100 * MS)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    before = harness.hub._encode_caches[MSGPACK].encoded
    harness.wait(100 * MS)
    assert harness.hub._encode_caches[MSGPACK].encoded == before + 1


# How much it costs


def test_a_thousand_members_cost_one_encoding_and_get_the_same_bytes() -> None:
    harness = Harness("A")
    clients = [harness.client("A") for _ in range(1000)]
    before = harness.hub._encode_caches[MSGPACK].encoded
    harness.publish(update("A", bid="1"))
    assert harness.hub._encode_caches[MSGPACK].encoded == before + 1
    assert all(client.frames[0] is clients[0].frames[0] for client in clients)


def test_a_thousand_new_clients_cost_one_encoding_of_their_instruments() -> None:
    harness = Harness("A", "B")
    harness.publish(update("A", bid="1"), update("B", bid="1"))
    for _ in range(1000):
        harness.client("*")
    assert harness.hub._encode_caches[MSGPACK].encoded == 2


def test_a_thousand_different_watches_share_the_entries_of_their_instruments() -> None:
    harness = Harness("A", *(f"S{number}" for number in range(1000)))
    clients = [harness.client("A", f"S{number}") for number in range(1000)]
    before = harness.hub._encode_caches[MSGPACK].encoded
    harness.publish(update("A", bid="1"))
    assert harness.hub._encode_caches[MSGPACK].encoded == before + 1
    assert all(bids(client.take()) == [100] for client in clients)


def test_equal_watches_are_one_audience_however_they_were_asked_for() -> None:
    harness = Harness("A", "B")
    one, other = harness.client("A", "B*"), harness.client("A")
    other.subscribe("B*", "A")
    assert one.subscriber.audience is other.subscriber.audience
    assert harness.client("A", "B*", encoding=JSON).subscriber.audience is not one.subscriber.audience
    assert harness.client("A", "B*", interval_us=1).subscriber.audience is not one.subscriber.audience


@pytest.mark.parametrize("burst", [1, 2, 3, 7])
def test_a_pass_yields_after_every_burst_of_writes(burst: int) -> None:
    harness = Harness("A", "B", burst=burst)
    for number in range(12):
        harness.client("A" if number % 2 else "B")
    cut(harness.cache, update("A", bid="1"), update("B", bid="1"))
    assert len(list(harness.hub.publish(harness.now))) == 12 // burst


def test_a_client_counts_its_frames_and_its_slow_consumer_events() -> None:
    harness = Harness("A")
    client = harness.client("A")
    harness.publish(update("A", bid="1"))
    client.block()
    harness.publish(update("A", bid="2"))
    client.unblock()
    assert client.subscriber.slow_consumer_events == 1


def test_a_merged_delta_after_a_pause_counts_as_one_frame_with_its_bytes_and_updates() -> None:
    harness = Harness("A", "B")
    client = harness.client("A", "B")
    before = harness.hub.traffic(client.subscriber)
    client.block()
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"), update("B", bid="3"))
    client.unblock()
    after = harness.hub.traffic(client.subscriber)
    assert (after.frames - before.frames, after.updates - before.updates) == (2, 3)
    assert after.bytes > before.bytes

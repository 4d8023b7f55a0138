"""ticker/hub.py: who is sent what, when, and how little that costs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Sink, cut, market, update
from ticker.entries import MAX_WINDOWS
from ticker.hub import NOTHING, Audience, Hub, Watch
from ticker.market import Instrument, Publication, Withdrawal
from ticker.messages import Definition, Delta, Heartbeat, Instruments, ServerMessage, Snapshot
from ticker.wire import JSON, MSGPACK, Encoding

MS = 1000
SECOND = 1000 * MS
BID = 1


class Floor:
    """A hub with its cache, and a clock that goes as we say."""

    def __init__(self, *instruments: Instrument | str, part: int = 256, burst: int = 32) -> None:
        self.cache = market(*instruments)
        self.hub = Hub(self.cache, snapshot_part=part, burst=burst)
        self.now = 1 * SECOND

    def client(self, *names: str, interval_us: int = 0, encoding: Encoding = MSGPACK) -> Client:
        """A client that watches these, and has read what it was sent for that."""
        client = Client(self, encoding)
        if names:
            client.watch(*names, interval_us=interval_us)
            client.take()
        return client

    def publish(self, *publications: Publication) -> int:
        """One cut and its whole pass."""
        cut(self.cache, *publications)
        self.run()
        return self.cache.cut

    def run(self) -> None:
        for _ in self.hub.publish(self.now):
            pass

    def begin(self, *publications: Publication) -> Iterator[None]:
        """One cut, and its pass up to the first yield."""
        cut(self.cache, *publications)
        steps = self.hub.publish(self.now)
        next(steps)
        return steps

    def wait(self, us: int) -> None:
        """Let time pass, with a pass whenever one is due."""
        end = self.now + us
        while (due := self.hub.next_due()) is not None and due <= end:
            self.now = due
            self.run()
        self.now = end

    def beat(self, idle_us: int = 10 * SECOND) -> None:
        for _ in self.hub.heartbeat(self.now, idle_us):
            pass

    def audiences(self) -> list[Audience]:
        return list(self.hub._audiences.values())


class Client(Sink):
    """A client on this floor."""

    def __init__(self, floor: Floor, encoding: Encoding = MSGPACK) -> None:
        super().__init__(encoding)
        self.hub = floor.hub
        self.floor = floor
        self.times: list[int] = []
        """When it was sent each of its frames."""
        self.subscriber = floor.hub.connect(self, encoding, floor.now)

    def watch(self, *names: str, interval_us: int = 0, resume_from: int | None = None) -> None:
        self.hub.watch(
            self.subscriber, a_watch(*names, interval_us=interval_us), self.floor.now, resume_from=resume_from
        )

    def push(self, frame: bytes) -> bool:
        self.times.append(self.floor.now)
        return super().push(frame)

    def leave(self) -> None:
        self.hub.disconnect(self.subscriber)

    def block(self) -> None:
        """From now on its socket takes nothing; the hub learns of that with the next frame."""
        self.full = True

    def unblock(self) -> bool:
        self.full = False
        return self.hub.catch_up(self.subscriber)


def a_watch(*names: str, interval_us: int = 0) -> Watch:
    patterns = frozenset(name for name in names if set(name) & set("*?["))
    return Watch(frozenset(names) - patterns, patterns, interval_us)


def bids(messages: list[ServerMessage]) -> list[object]:
    """The bids of instrument 0 in these, for tests that need no more."""
    return [message.changes[1][BID] for message in messages if isinstance(message, Delta)]


def leftovers(hub: Hub) -> dict[str, object]:
    """What a hub without subscribers still holds of them."""
    held = {
        "audiences": hub._audiences,
        "ready": hub._ready,
        "resting": hub._resting,
        "dues": hub._dues,
        "waiting": hub._waiting_symbols,
        "patterns": hub._patterns,
        "watchers": [watchers for watchers in hub._watchers if watchers],
    }
    return {name: value for name, value in held.items() if value}


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
def test_between_two_frames_lies_at_least_the_interval(interval: int, start: int, pauses: list[int]) -> None:
    floor = Floor("A")
    floor.now += start
    client = floor.client("A", interval_us=interval)
    times = frame_times(floor, client, pauses)
    assert all(later - earlier >= interval for earlier, later in pairwise(times))
    floor.wait(2 * interval)
    assert client.subscriber.cursor == floor.cache.cut


@given(interval=st.integers(4, 100_000), start=st.integers(0, 10**6))
def test_under_constant_change_a_client_waits_at_most_a_quarter_longer_and_drifts_onto_the_grid(
    interval: int, start: int
) -> None:
    floor = Floor("A")
    floor.now += start
    client = floor.client("A", interval_us=interval)
    times = frame_times(floor, client, [max(1, interval // 7)] * 100)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(interval <= gap <= interval + interval // 4 for gap in gaps)
    assert [time % interval for time in times[-2:]] == [0, 0]


def frame_times(floor: Floor, client: Client, pauses: list[int]) -> list[int]:
    """When a client gets frames if A changes after each of these pauses, and every pass comes when it is due."""
    client.times.clear()
    for number, pause in enumerate(pauses):
        floor.wait(pause)
        floor.publish(update("A", trade_count=number + 1))
    return client.times


def test_a_pass_that_comes_a_little_late_does_not_move_the_grid() -> None:
    floor = Floor("A")
    floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    floor.now += 120 * MS
    floor.run()
    assert floor.hub.next_due() == 1 * SECOND + 200 * MS


def test_a_pass_that_comes_more_than_a_quarter_of_an_interval_late_begins_a_new_one() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=100 * MS)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    floor.now += 1 * SECOND
    floor.run()
    assert bids(client.take()) == [100, 200]
    assert floor.hub.next_due() == floor.now + 100 * MS


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


def test_a_client_counts_its_frames_and_its_lapses() -> None:
    floor = Floor("A")
    client = floor.client("A")
    floor.publish(update("A", bid="1"))
    client.block()
    floor.publish(update("A", bid="2"))
    client.unblock()
    assert client.subscriber.lapses == 1


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
    floor.hub.fall_behind(client.subscriber)
    floor.hub.fall_behind(client.subscriber)
    assert client.subscriber.lapses == 1


def test_an_audience_whose_members_are_all_behind_costs_no_frame() -> None:
    floor = Floor("A")
    slow = floor.client("A")
    floor.hub.fall_behind(slow.subscriber)
    before = floor.hub._entries[MSGPACK].encoded
    floor.publish(update("A", bid="1"))
    assert floor.hub._entries[MSGPACK].encoded == before
    assert slow.take() == []
    assert slow.unblock()
    assert bids(slow.take()) == [100]


def test_a_client_behind_may_change_what_it_watches_and_gets_all_it_is_owed() -> None:
    floor = Floor("A", "B")
    floor.publish(update("A", bid="1"), update("B", bid="1"))
    slow = floor.client("A")
    floor.hub.fall_behind(slow.subscriber)
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
    floor.hub.fall_behind(client.subscriber)
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
    floor.hub.watch(client.subscriber, Watch(frozenset(), frozenset([pattern]), 0), floor.now)
    floor.publish(Instrument("a"))
    client.leave()
    assert not leftovers(floor.hub)


# Going


def test_an_audience_ends_with_its_last_subscriber() -> None:
    floor = Floor("A")
    first, second = floor.client("A", "Z", "A*"), floor.client("A", "Z", "A*")
    first.leave()
    assert len(floor.audiences()) == 1
    floor.hub.fall_behind(second.subscriber)
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
    resting = [audience for audiences in floor.hub._resting.values() for audience in audiences]
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
    floor.hub.fall_behind(second.subscriber)
    list(steps)
    assert second.take() == []
    assert second.unblock()
    assert bids(second.take()) == [100]


def test_who_blocks_and_has_room_again_during_a_pass_gets_its_cut_once() -> None:
    floor = Floor("A", burst=1)
    clients = [floor.client("A") for _ in range(3)]
    steps = floor.begin(update("A", bid="1"))
    for client in clients:
        floor.hub.fall_behind(client.subscriber)
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


# Heartbeats


def test_only_audiences_that_were_sent_nothing_for_a_while_get_a_heartbeat() -> None:
    floor = Floor("A", "B")
    idle, busy, nothing = floor.client("A"), floor.client("B"), floor.client()
    floor.now += 9 * SECOND
    floor.publish(update("B", bid="1"))
    busy.take()
    floor.beat()
    assert idle.take() == busy.take() == nothing.take() == []
    floor.now += 1 * SECOND
    floor.beat()
    assert idle.take() == nothing.take() == [Heartbeat(2, 2000)]
    assert busy.take() == []
    floor.now += 9 * SECOND
    floor.beat()
    assert idle.take() == []
    assert busy.take() == [Heartbeat(2, 2000)]


def test_a_heartbeat_moves_the_cursor() -> None:
    floor = Floor("A", "B")
    client = floor.client("A")
    for number in range(3):
        floor.publish(update("B", trade_count=number))
    floor.now += 10 * SECOND
    floor.beat()
    assert client.take() == [Heartbeat(4, 4000)]
    floor.publish(update("A", bid="1"))
    assert client.take() == [Delta(4, 5, 5000, [0, {1: 100}])]


def test_the_heartbeat_of_a_resting_audience_promises_only_what_it_was_told() -> None:
    floor = Floor("A")
    client = floor.client("A", interval_us=60 * SECOND)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    client.take()
    floor.now += 10 * SECOND
    floor.beat()
    (beat,) = client.take()
    assert isinstance(beat, Heartbeat)
    assert beat.cut == 2
    floor.wait(75 * SECOND)
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


def test_who_joined_a_resting_audience_later_gets_its_heartbeats_too() -> None:
    """With an interval of a minute and a heartbeat every ten seconds, silence would mean a dead connection."""
    floor = Floor("A")
    floor.client("A", interval_us=60 * SECOND)
    floor.publish(update("A", bid="1"))
    floor.publish(update("A", bid="2"))
    late = floor.client("A", interval_us=60 * SECOND)
    assert late.subscriber.cursor == 3
    floor.now += 10 * SECOND
    floor.beat()
    (beat,) = late.take()
    assert isinstance(beat, Heartbeat)
    assert beat.cut <= 3
    floor.publish(update("A", bid="3"))
    floor.wait(75 * SECOND)
    assert bids(late.take()) == [300]


def test_a_client_that_is_behind_gets_no_heartbeat() -> None:
    floor = Floor("A")
    client = floor.client("A")
    floor.hub.fall_behind(client.subscriber)
    floor.now += 10 * SECOND
    floor.beat()
    assert client.take() == []


def test_a_client_whose_socket_does_not_take_a_heartbeat_falls_behind() -> None:
    floor = Floor("A")
    client = floor.client("A")
    client.block()
    floor.now += 10 * SECOND
    floor.beat()
    assert not client.subscriber.in_step
    client.take()
    assert client.unblock()
    assert client.take() == []


def test_heartbeats_yield_and_bear_that_people_leave_meanwhile() -> None:
    floor = Floor("A", "B", burst=1)
    clients = [floor.client(name) for name in "AABB"]
    floor.now += 10 * SECOND
    steps = floor.hub.heartbeat(floor.now, 10 * SECOND)
    next(steps)
    for client in clients[1:]:
        client.leave()
    list(steps)
    assert [client.take() for client in clients] == [[Heartbeat(1, 1000)], [], [], []]


# The whole of it


def naive(floor: Floor, since: int) -> dict[Watch, set[int]]:
    """Which ready audiences are to be told of what, found the long way."""
    changed = {record.id for record in floor.cache.records if record.last_change > since}
    ready = [audience for audience in floor.audiences() if audience.ready]
    return {audience.watch: audience.ids & changed for audience in ready if audience.ids & changed}


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
    found = {audience.watch: set(ids) for audience, ids in floor.hub._changed_audiences(since)}
    assert found == naive(floor, since)


def test_few_changes_and_many_audiences_are_found_from_the_changes_and_the_reverse_from_the_audiences() -> None:
    few = Floor(*"ABCDE")
    for symbol in "ABCDE":
        few.client(symbol)
    cut(few.cache, update("C", bid="1"))
    ((_, ids),) = few.hub._changed_audiences(1)
    assert ids == [2]
    many = Floor(*"ABCDE")
    many.client("*")
    cut(many.cache, *(update(symbol, bid="1") for symbol in "ABCDE"))
    ((_, ids),) = many.hub._changed_audiences(1)
    assert ids == {0, 1, 2, 3, 4}


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
    watch = Watch(frozenset(["A"]), frozenset(), 60 * SECOND)
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
    assert len(floor.hub._entries[MSGPACK]._windows) <= MAX_WINDOWS

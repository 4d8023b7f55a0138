"""ticker/core/hub.py: signs of life for audiences that were sent nothing for a while."""

from __future__ import annotations

from tests.core.harness import SECOND, Harness, bids
from tests.support import update
from ticker.protocol.messages import Delta, Heartbeat


def test_only_audiences_that_were_sent_nothing_for_a_while_get_a_heartbeat() -> None:
    harness = Harness("A", "B")
    idle, busy, nothing = harness.client("A"), harness.client("B"), harness.client()
    harness.now += 9 * SECOND
    harness.publish(update("B", bid="1"))
    busy.take()
    harness.beat()
    assert idle.take() == busy.take() == nothing.take() == []
    harness.now += 1 * SECOND
    harness.beat()
    assert idle.take() == nothing.take() == [Heartbeat(2, 2000)]
    assert busy.take() == []
    harness.now += 9 * SECOND
    harness.beat()
    assert idle.take() == []
    assert busy.take() == [Heartbeat(2, 2000)]


def test_a_heartbeat_moves_the_cursor() -> None:
    harness = Harness("A", "B")
    client = harness.client("A")
    for number in range(3):
        harness.publish(update("B", trade_count=number))
    harness.now += 10 * SECOND
    harness.beat()
    assert client.take() == [Heartbeat(4, 4000)]
    harness.publish(update("A", bid="1"))
    assert client.take() == [Delta(4, 5, 5000, [0, {1: 100}])]


def test_the_heartbeat_of_a_throttled_audience_has_the_cut_of_its_last_frame() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=60 * SECOND)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    client.take()
    harness.now += 10 * SECOND
    harness.beat()
    (beat,) = client.take()
    assert isinstance(beat, Heartbeat)
    assert beat.cut == 2
    harness.wait(75 * SECOND)
    assert client.take() == [Delta(2, 3, 3000, [0, {1: 200}])]


def test_a_client_that_joins_a_throttled_audience_later_gets_its_heartbeats_too() -> None:
    """With an interval of a minute and a heartbeat every ten seconds, silence would mean a dead connection."""
    harness = Harness("A")
    harness.client("A", interval_us=60 * SECOND)
    harness.publish(update("A", bid="1"))
    harness.publish(update("A", bid="2"))
    late = harness.client("A", interval_us=60 * SECOND)
    assert late.subscriber.cursor == 3
    harness.now += 10 * SECOND
    harness.beat()
    (beat,) = late.take()
    assert isinstance(beat, Heartbeat)
    assert beat.cut <= 3
    harness.publish(update("A", bid="3"))
    harness.wait(75 * SECOND)
    assert bids(late.take()) == [300]


def test_a_client_that_is_behind_gets_no_heartbeat() -> None:
    harness = Harness("A")
    client = harness.client("A")
    harness.hub.pause_delivery(client.subscriber)
    harness.now += 10 * SECOND
    harness.beat()
    assert client.take() == []


def test_delivery_is_paused_when_a_socket_does_not_take_a_heartbeat() -> None:
    harness = Harness("A")
    client = harness.client("A")
    client.block()
    harness.now += 10 * SECOND
    harness.beat()
    assert not client.subscriber.is_member
    client.take()
    assert client.unblock()
    assert client.take() == []


def test_heartbeats_yield_and_bear_that_people_leave_meanwhile() -> None:
    harness = Harness("A", "B", burst=1)
    clients = [harness.client(name) for name in "AABB"]
    harness.now += 10 * SECOND
    steps = harness.hub.heartbeat(harness.now, 10 * SECOND)
    next(steps)
    for client in clients[1:]:
        client.leave()
    list(steps)
    assert [client.take() for client in clients] == [[Heartbeat(1, 1000)], [], [], []]

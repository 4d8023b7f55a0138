"""ticker/core/hub.py: signs of life for audiences that were sent nothing for a while."""

from __future__ import annotations

from tests.core.floor import SECOND, Floor, bids
from tests.support import update
from ticker.protocol.messages import Delta, Heartbeat


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
    floor.hub.pause_delivery(client.subscriber)
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

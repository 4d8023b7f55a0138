"""ticker/core: the representation of its objects in a debugger."""

from __future__ import annotations

from tests.core.harness import MS, Harness
from tests.core.talk import Talk
from tests.support import cut, update
from ticker.protocol.wire import MSGPACK


def test_a_subscriber_shows_its_cursor_and_its_audience() -> None:
    harness = Harness("A", "B")
    client = harness.client("A", "B*")
    assert (
        repr(client.subscriber) == "<Subscriber at cut 1, member of <Audience of A, B* at cut 1: 1 members, 0 behind>>"
    )
    client.full = True
    harness.publish(update("A", bid="1"))
    assert (
        repr(client.subscriber) == "<Subscriber at cut 2, behind of <Audience of A, B* at cut 2: 0 members, 1 behind>>"
    )


def test_a_subscriber_shows_the_number_of_missing_instruments() -> None:
    harness = Harness("A", "B", "C", part=1)
    client = harness.client()
    client.subscribe("A", "B", "C")
    assert repr(client.subscriber).startswith(
        "<Subscriber at cut 1, behind, 2 instruments missing of <Audience of A, B, C"
    )


def test_an_audience_of_many_names_shows_three_of_them() -> None:
    harness = Harness()
    audience = harness.client("E", "D", "C", "B", "A").subscriber.audience
    assert repr(audience) == "<Audience of A, B, C and 2 more at cut 0: 1 members, 0 behind>"
    assert repr(harness.client().subscriber.audience) == "<Audience of nothing at cut 0: 1 members, 0 behind>"


def test_a_group_shows_its_due_time_and_its_cut() -> None:
    harness = Harness("A")
    client = harness.client("A", interval_us=100 * MS)
    assert repr(client.subscriber.audience.group) == "<Group ready, changes since cut 1: 1 audiences>"
    harness.publish(update("A", bid="1"))
    assert repr(client.subscriber.audience.group) == "<Group due at 1100000, changes since cut 2: 1 audiences>"


def test_the_hub_and_the_caches_show_their_size() -> None:
    harness = Harness("A", "B")
    harness.client("A")
    harness.client("A")
    harness.client("B")
    cut(harness.cache, update("A", bid="1", ask="2"))
    assert repr(harness.hub) == "<Hub at cut 2: 3 clients in 2 audiences>"
    assert repr(harness.cache) == "<LastValueCache epoch at cut 2: 2 instruments>"
    assert repr(harness.cache.records[0]) == "<Record 0 A: 2 fields, last change at cut 2>"
    change_set = harness.hub._encode_caches[MSGPACK].change_set(1)
    assert repr(change_set) == "<ChangeSet since cut 1: 1 changed, 0 encoded>"


def test_a_session_shows_its_subscriptions_and_its_grant() -> None:
    talk = Talk()
    talk.ask("subscribe", symbols=["A", "B", "A*"], interval_ms=50)
    assert (
        repr(talk.session) == "<ServerSession s1: 2 symbols and 1 patterns every 50 ms, <Grant of anyone: all symbols>>"
    )

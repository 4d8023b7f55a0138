"""ticker/client/client.py with several addresses: two ways to one service, and services that fail."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from trio.testing import MockClock

from tests.client.network import Script, proxied, scripted, settle
from tests.client.test_client_reconnects import DECLARED, until
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import (
    Client,
    ConfigError,
    Connected,
    ConnectionFailed,
    Disconnected,
    Event,
    SourceBack,
    SourceSilent,
    connect,
)
from ticker.errors import Code
from ticker.protocol.messages import Definition, Delta, Error, Heartbeat, Instruments, Reply, Snapshot, Source

NOBODY = "wss://127.0.0.1:1"


async def test_a_lost_connection_goes_on_at_the_next_address_with_its_copy(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as one,
        proxied(service) as other,
        connect([one.url, other.url], on_event=events.append) as client,
    ):
        subscription = client.subscribe("A", "B")
        async with client.book("A", 10) as book:
            await until(client, subscription, "B", bid=Decimal("2.00"))
            assert client.url == one.url
            one.open = False
            one.cut()
            await settle(fast_clock, events, Connected, 2)
            assert client.url == other.url
            await service.publish(update("A", bid="1.01"))
            await until(client, subscription, "A", bid=Decimal("1.01"))
            await book.complete()
            assert await client.verify()
            one.open = True
            fast_clock.jump(0.25)  # before that the other one could be ready sooner, by chance
            other.cut()
            await settle(fast_clock, events, Connected, 3)
            await subscription.complete()
            assert await client.verify()
    resumed = [event.resumed for event in events if isinstance(event, Connected)]
    assert resumed == [False, True, True]
    lost = [event for event in events if isinstance(event, Disconnected)]
    assert [event.url for event in lost] == [one.url, other.url]
    assert lost[0].retry_seconds == 0
    assert lost[1].retry_seconds == 0, "the first one's own pause is over"
    assert one.accepted == 2


async def test_after_a_goodbye_the_next_address_is_tried_at_once_and_another_epoch_brings_everything_anew(
    fast_clock: MockClock,
) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED, retry_ms=(60_000, 60_000)) as one,
        serving(*DECLARED, update("A", bid="7.00")) as other,
        connect([one.url, other.url], on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await until(client, subscription, "A", bid=Decimal("1.00"))
        one.stop.set()
        await settle(fast_clock, events, Connected, 2)
        await until(client, subscription, "A", bid=Decimal("7.00"))
    _, lost, connected = events
    assert isinstance(lost, Disconnected)
    assert (lost.reason, lost.retry_seconds) == ("the server is stopping", 0)
    assert isinstance(connected, Connected)
    assert (connected.url, connected.resumed) == (other.url, False)


async def test_the_first_connection_is_tried_at_each_address_once(fast_clock: MockClock) -> None:  # noqa: ARG001
    events: list[Event] = []
    async with serving(*DECLARED) as service, connect([NOBODY, service.url], on_event=events.append) as client:
        assert client.url == service.url
    (failed, connected) = events
    assert isinstance(failed, Disconnected)
    assert failed.url == f"{NOBODY}/v1/stream"
    assert isinstance(connected, Connected)
    with pytest.raises(ConnectionFailed) as caught:
        async with connect([NOBODY, "wss://127.0.0.1:2"]):
            pass
    assert str(caught.value).count("nobody listens there") == 2
    assert "wss://127.0.0.1:1/v1/stream: " in str(caught.value)
    assert "wss://127.0.0.1:2/v1/stream: " in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (["wss://a", "ws://b"], "url 'ws://b': give wss://HOST:PORT"),
        (["wss://a", 5], "url: 5 is a int; each address is a text"),
        ([], "url: the list is empty"),
        (b"wss://a", "give a text: wss://HOST:PORT, or a list"),
        ({"wss://a": 1}, "or a list of them"),
        (None, "None is a NoneType"),
    ],
)
async def test_an_address_that_cannot_be_used_is_named(url: list[str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        async with connect(url):
            pass


RECORDS = (
    Instruments([Definition(0, "A", 0, 0, {})]),
    Snapshot(0, 5, 5, [], [0, {1: 1}]),
    Reply(1, {"outcomes": [["A", 0, ""]]}),
)


async def test_a_copy_that_one_server_has_not_caught_up_with_goes_on_at_another(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    events: list[Event] = []
    first = Script(*RECORDS, code=1001)
    behind = Script(Heartbeat(2, 2), Error(2, Code.WRONG_EPOCH, "this server is behind", fatal=False), listens=True)
    third = Script(Delta(5, 6, 6, [0, {1: 2}]), Reply(3, {"outcomes": [["A", 0, ""]]}), listens=True)
    async with (
        scripted(contexts, first) as a,
        scripted(contexts, behind) as b,
        scripted(contexts, third) as c,
        connect([a, b, c], on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await settle(fast_clock, events, Connected, 3)
        await until(client, subscription, "A", bid=Decimal(2))
        assert client.cut == 6
    assert [event.resumed for event in events if isinstance(event, Connected)] == [False, True, True]
    reasons = [event.reason for event in events if isinstance(event, Disconnected)]
    assert reasons == ["the connection was lost", "this server has not caught up with the copy"]


async def test_a_silent_source_is_told_until_it_is_heard_or_a_new_connection_begins(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    events: list[Event] = []
    clients: list[Client] = []
    at_the_end: list[datetime | None] = []

    def note(event: Event) -> None:
        events.append(event)
        if isinstance(event, Disconnected):
            at_the_end.append(clients[0].source_silent_since)

    sources = [Source(5_000_000), Source(5_000_000), Source(None), Source(None), Source(7_000_000)]
    told, silent = Script(*RECORDS, *sources, code=1001), Script(listens=True)
    async with (
        scripted(contexts, told) as a,
        scripted(contexts, silent) as b,
        connect([a, b], on_event=note) as client,
    ):
        clients.append(client)
        client.subscribe("A")
        await settle(fast_clock, events, Connected, 2)
        assert client.source_silent_since is None
    five, seven = (datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (5, 7))
    said = [event for event in events if isinstance(event, SourceSilent | SourceBack)]
    assert said == [SourceSilent(five), SourceBack(), SourceSilent(seven)]
    assert at_the_end == [seven]

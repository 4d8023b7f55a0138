"""ticker/client/client.py and connection.py through a network that fails: a proxy that can be cut or stalled."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.client.network import proxied, settle
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import Client, Connected, Disconnected, Event, Subscription, connect
from ticker.config import Limits
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication

DECLARED: tuple[Publication, ...] = (
    Instrument("A"),
    Instrument("B"),
    update("A", bid="1.00", ask="1.10"),
    update("B", bid="2.00"),
)


async def until(client: Client, subscription: Subscription, symbol: str, **values: object) -> None:
    """Take changes until the client has these values."""
    with trio.fail_after(1000):
        while not values.items() <= client.values(symbol).items():
            await anext(subscription)


async def test_after_a_cut_only_what_changed_comes_again(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        subscription = client.subscribe("A", "B")
        await until(client, subscription, "B", bid=Decimal("2.00"))
        proxy.cut()
        await settle(fast_clock, events, Disconnected)
        assert client.values("A")["bid"] == Decimal("1.00")
        await service.publish(update("A", bid="1.01"))
        await service.publish(update("A", bid="1.02"))
        await settle(fast_clock, events, Connected, 2)
        assert (await anext(subscription)).changes == {"A": {"bid": Decimal("1.02")}}
        first, lost, again = events
    assert isinstance(first, Connected)
    assert not first.resumed
    assert isinstance(lost, Disconnected)
    assert lost.reason == "the connection was lost"
    assert (lost.status, lost.close_code) == (None, None)
    assert 0.125 <= lost.retry_seconds <= 0.25
    assert isinstance(again, Connected)
    assert again.resumed
    assert again.session != first.session


async def test_names_that_change_while_the_client_is_away_are_right_afterwards(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        a = client.subscribe("A")
        await until(client, a, "A", bid=Decimal("1.00"))
        proxy.cut()
        await settle(fast_clock, events, Disconnected)
        b = client.subscribe("B")
        a.close()
        await settle(fast_clock, events, Connected, 2)
        assert (await anext(b)).changes == {"B": {"bid": Decimal("2.00")}}
        assert client.values("A") == {}


async def test_the_waits_grow_while_there_is_no_way_back(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await until(client, subscription, "A", bid=Decimal("1.00"))
        proxy.open = False
        proxy.cut()
        await settle(fast_clock, events, Disconnected, 8)
        waits = [event.retry_seconds for event in events if isinstance(event, Disconnected)]
        tops = [0.25, 0.5, 1, 2, 4, 8, 15, 15]
        assert all(top / 2 <= wait <= top for wait, top in zip(waits, tops, strict=True))
        proxy.open = True
        await settle(fast_clock, events, Connected, 2)
        proxy.cut()
        await settle(fast_clock, events, Disconnected, 9)
        last = events[-1]
        assert isinstance(last, Disconnected)
        assert last.retry_seconds <= 0.25


async def test_a_connection_that_falls_silent_is_given_up(fast_clock: MockClock) -> None:
    events: list[Event] = []
    limits = Limits(heartbeat_seconds=4)
    async with (
        serving(*DECLARED, limits=limits) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await until(client, subscription, "A", bid=Decimal("1.00"))
        proxy.stall()
        await wait_all_tasks_blocked()
        fast_clock.jump(9.9)
        await wait_all_tasks_blocked()
        assert len(events) == 1
        await settle(fast_clock, events, Disconnected)
        lost = events[-1]
        assert isinstance(lost, Disconnected)
        assert lost.reason == "nothing was heard for 10 s"
        proxy.flow()
        await service.publish(update("A", bid="1.05"))
        await settle(fast_clock, events, Connected, 2)
        await until(client, subscription, "A", bid=Decimal("1.05"))


async def test_heartbeats_keep_an_idle_connection(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED, limits=Limits(heartbeat_seconds=4)) as service,
        connect(service.url, on_event=events.append),
    ):
        for _ in range(20):
            await wait_all_tasks_blocked()
            fast_clock.jump(2)
    assert [type(event) for event in events] == [Connected]


async def test_a_connect_that_hangs_is_given_up(fast_clock: MockClock) -> None:
    async def jump_later() -> None:
        await wait_all_tasks_blocked(0.05)
        fast_clock.jump(11)

    async with serving(*DECLARED) as service, proxied(service) as proxy, trio.open_nursery() as nursery:
        proxy.stall()
        nursery.start_soon(jump_later)
        with pytest.raises(ConnectionFailed, match="the connection was not completed"):
            async with connect(proxy.url):
                pytest.fail("it connected")
        nursery.cancel_scope.cancel()


async def test_a_server_that_restarts_is_a_new_epoch_and_what_it_lacks_is_withdrawn(fast_clock: MockClock) -> None:
    events: list[Event] = []
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        connect(proxy.url, on_event=events.append) as client,
    ):
        subscription = client.subscribe("A", "B")
        await until(client, subscription, "B", bid=Decimal("2.00"))
        service.stop.set()
        await settle(fast_clock, events, Disconnected)
        lost = events[-1]
        assert isinstance(lost, Disconnected)
        assert lost.reason == "the server is stopping"
        assert lost.retry_seconds >= 0.5
        await service.done.wait()
        async with serving(Instrument("A", price_scale=3), update("A", bid="9.000")) as successor:
            proxy.target = successor.port
            await settle(fast_clock, events, Connected, 2)
            seen: dict[str, dict[str, object]] = {}
            while "B" not in seen:
                for symbol, fields in (await anext(subscription)).changes.items():
                    seen.setdefault(symbol, {}).update(fields)
            assert seen == {"A": {"bid": Decimal("9.000"), "ask": None}, "B": {"bid": None}}
            assert client.values("B") == {}
            again = events[-2]
            assert isinstance(again, Connected)
            assert not again.resumed


def own(status: int) -> str:
    return f'{{"code": {status}, "message": "no"}}'


HTML = "<!DOCTYPE html><title>Please log in</title>"


@pytest.mark.parametrize(
    ("status", "body", "comes_back"),
    [
        (503, own(503), True),
        (429, own(429), True),
        (403, own(403), False),
        (404, own(404), False),
        (200, HTML, True),
        (302, "", True),
        (401, HTML, True),
        (404, HTML, True),
        (502, HTML, True),
        (511, HTML, True),
    ],
)
async def test_an_http_answer_after_a_loss_is_final_only_as_the_services_own(
    contexts: Contexts,
    fast_clock: MockClock,
    status: int,
    body: str,
    comes_back: bool,  # noqa: FBT001
) -> None:
    events: list[Event] = []
    answer = f"HTTP/1.1 {status} No\r\nLocation: https://login.example\r\nContent-Length: {len(body)}\r\n\r\n{body}"

    async def refuse(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.receive_some()
        await stream.send_all(answer.encode())
        await trio.aclose_forcefully(stream)

    async with serving(*DECLARED) as service, proxied(service) as proxy, trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, refuse, 0, contexts.server)
        transport = listeners[0].transport_listener
        async with connect(proxy.url, on_event=events.append) as client:
            subscription = client.subscribe("A")
            await until(client, subscription, "A", bid=Decimal("1.00"))
            proxy.target = transport.socket.getsockname()[1]
            proxy.cut()
            await settle(fast_clock, events, Disconnected)
            if comes_back:
                await settle(fast_clock, events, Disconnected, 3)
                last = events[-1]
                assert isinstance(last, Disconnected)
                assert f"HTTP status {status}" in last.reason
                assert ("something in between" in last.reason) == (body != own(status))
                assert (last.status, last.close_code) == (status, None)
            else:
                fast_clock.jump(1)
                with pytest.raises(ConnectionFailed, match=f"HTTP status {status}") as caught:
                    await anext(subscription)
                assert (caught.value.status, caught.value.retryable) == (status, False)
        nursery.cancel_scope.cancel()

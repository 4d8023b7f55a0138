"""ticker/client/client.py and connection.py through a network that fails: a proxy that can be cut or stalled."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conftest import BINARY, CLOSE, MSGPACK, Running, serving
from tests.net.pair import Contexts
from tests.support import update
from ticker import Client, Connected, Disconnected, Event, Subscription, connect
from ticker.config import Limits
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Goodbye, ServerMessage, Welcome
from ticker.protocol.wire import ENCODINGS

DECLARED: tuple[Publication, ...] = (
    Instrument("A"),
    Instrument("B"),
    update("A", bid="1.00", ask="1.10"),
    update("B", bid="2.00"),
)


class Proxy:
    """Forwards bytes between clients and a service, until it is cut or stalled."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.url = ""
        self.open = True
        """Whether new connections are accepted."""
        self.accepted = 0
        self._flowing = trio.Event()
        self._flowing.set()
        self._lines: set[trio.CancelScope] = set()

    def cut(self) -> None:
        """Drop all connections at once."""
        for scope in self._lines:
            scope.cancel()

    def stall(self) -> None:
        """Forward nothing from now on, and keep the connections."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        self._flowing.set()

    async def carry(self, client: trio.SocketStream) -> None:
        self.accepted += 1
        async with client:
            if not self.open:
                return
            async with await trio.open_tcp_stream("127.0.0.1", self.target) as server, trio.open_nursery() as nursery:
                self._lines.add(nursery.cancel_scope)
                nursery.start_soon(self._one_way, client, server, nursery.cancel_scope)
                nursery.start_soon(self._one_way, server, client, nursery.cancel_scope)
            self._lines.discard(nursery.cancel_scope)

    async def _one_way(self, source: trio.SocketStream, sink: trio.SocketStream, line: trio.CancelScope) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                await self._flowing.wait()
                await sink.send_all(data)
        line.cancel()


@asynccontextmanager
async def proxied(service: Running) -> AsyncIterator[Proxy]:
    proxy = Proxy(service.port)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, proxy.carry, 0)
        listener: trio.SocketListener = listeners[0]
        proxy.url = f"wss://127.0.0.1:{listener.socket.getsockname()[1]}/v1/stream"
        yield proxy
        nursery.cancel_scope.cancel()


async def settle(clock: MockClock, events: list[Event], kind: type[Event], count: int = 1) -> None:
    """Let time pass until the client has reported so many events of a kind."""
    for _ in range(200):
        await wait_all_tasks_blocked(0.001)
        if sum(isinstance(event, kind) for event in events) >= count:
            return
        clock.jump(0.25)
    raise AssertionError(events)


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


# A server that is not ours


class Script:
    """A WebSocket server that sends WELCOME, then the messages of the test, and closes with a code."""

    def __init__(self, *messages: ServerMessage | bytes, code: int | None = None, welcomes: bool = True) -> None:
        self.messages = (Welcome(1, "e", "s", 0, 0, 0, {}), *messages) if welcomes else messages
        self.code = code
        self.clients = 0

    async def serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.clients += 1
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        (key,) = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
        encoding = ENCODINGS[MSGPACK]
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept(key)}\r\nSec-WebSocket-Protocol: {MSGPACK}\r\n\r\n"
        )
        await stream.send_all(answer.encode())
        for message in self.messages:
            await stream.send_all(message if isinstance(message, bytes) else encoding.frame(message))
        if self.code is not None:
            await stream.send_all(bytes((CLOSE, 2)) + self.code.to_bytes(2, "big"))
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
        await trio.aclose_forcefully(stream)


def accept(key: bytes) -> str:
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@asynccontextmanager
async def scripted(contexts: Contexts, script: Script) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, script.serve, 0, contexts.server)
        listener: trio.SSLListener[trio.SocketStream] = listeners[0]
        assert isinstance(listener.transport_listener, trio.SocketListener)
        yield f"wss://127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009])
async def test_a_close_that_says_it_is_of_no_use_ends_the_subscriptions(contexts: Contexts, code: int) -> None:
    script = Script(code=code)
    async with scripted(contexts, script) as url, connect(url) as client:
        subscription = client.subscribe("A")
        with trio.fail_after(10), pytest.raises(ConnectionFailed) as caught:
            await anext(subscription)
    assert script.clients == 1
    assert (caught.value.status, caught.value.close_code, caught.value.retryable) == (None, code, False)


@pytest.mark.parametrize(("code", "retryable"), [(1002, False), (1008, True), (1011, True)])
async def test_a_close_before_the_welcome_carries_its_code(contexts: Contexts, code: int, *, retryable: bool) -> None:
    async with scripted(contexts, Script(code=code, welcomes=False)) as url:
        with trio.fail_after(10), pytest.raises(ConnectionFailed, match="the connection was not completed") as caught:
            async with connect(url):
                pytest.fail("it connected")
    assert (caught.value.status, caught.value.close_code, caught.value.retryable) == (None, code, retryable)


async def test_a_first_message_that_is_no_welcome_fails_the_connection(contexts: Contexts) -> None:
    async with scripted(contexts, Script(Goodbye("no", 0, come_back=True), welcomes=False)) as url:
        with trio.fail_after(10), pytest.raises(ConnectionFailed, match="broke the protocol: the first message"):
            async with connect(url):
                pytest.fail("it connected")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4008, 4999])
async def test_after_other_closes_the_client_comes_back(contexts: Contexts, fast_clock: MockClock, code: int) -> None:
    script, events = Script(code=code), list[Event]()
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Connected, 3)
    lost = [event for event in events if isinstance(event, Disconnected)]
    assert [(event.status, event.close_code) for event in lost[:2]] == [(None, code)] * 2


async def test_a_goodbye_for_good_ends_the_subscriptions_with_its_reason(contexts: Contexts) -> None:
    script = Script(Goodbye("moved to another place", 0, come_back=False), code=1001)
    async with scripted(contexts, script) as url, connect(url) as client:
        with trio.fail_after(10), pytest.raises(ConnectionFailed, match="moved to another place"):
            await anext(client.subscribe("A"))


@pytest.mark.parametrize("frame", [bytes((BINARY, 1, 0xC1)), bytes((BINARY, 0)), b"\x81\x02[]"])
async def test_a_server_that_breaks_the_protocol_is_left_and_tried_again(
    contexts: Contexts, fast_clock: MockClock, frame: bytes
) -> None:
    script, events = Script(frame), list[Event]()
    async with scripted(contexts, script) as url, connect(url, on_event=events.append):
        await settle(fast_clock, events, Connected, 2)
    lost = events[1]
    assert isinstance(lost, Disconnected)
    assert lost.reason.startswith("the server broke the protocol: ")


@pytest.mark.parametrize(("status", "comes_back"), [(503, True), (429, True), (403, False), (404, False)])
async def test_an_http_answer_after_a_loss_says_whether_to_try_again(
    contexts: Contexts,
    fast_clock: MockClock,
    status: int,
    comes_back: bool,  # noqa: FBT001
) -> None:
    events: list[Event] = []

    async def refuse(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await stream.receive_some()
        await stream.send_all(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
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
                assert last.reason == f"the server answered with HTTP status {status}"
                assert (last.status, last.close_code) == (status, None)
            else:
                fast_clock.jump(1)
                with pytest.raises(ConnectionFailed, match=f"HTTP status {status}") as caught:
                    await anext(subscription)
                assert (caught.value.status, caught.value.retryable) == (status, False)
        nursery.cancel_scope.cancel()

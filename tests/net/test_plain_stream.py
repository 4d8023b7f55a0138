"""ticker/net/plain_stream.py: a stream without TLS keeps the contract of Trio and of `PushStream`."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, check_one_way_stream, check_two_way_stream

from tests.bounds import HANG_SECONDS
from tests.net.pair import BLOCK, sockets
from ticker.net.fair_queue import FairQueue
from ticker.net.plain_stream import PlainStream
from ticker.net.records import RecordRate

Sockets = Callable[[], tuple[socket.socket, socket.socket]]
Ends = tuple[PlainStream, trio.SocketStream]


@pytest.fixture(params=[sockets, socket.socketpair], ids=["TCP", "Unix"])
def make(
    request: pytest.FixtureRequest, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Awaitable[Ends]]:
    monkeypatch.setattr("ticker.net.transport.TLS_CLOSE_SECONDS", 0.02)
    fair_queue = FairQueue()
    nursery.start_soon(fair_queue.hand_out)
    connect: Sockets = request.param

    async def made() -> Ends:
        await trio.lowlevel.checkpoint()
        server, client = connect()
        stream = PlainStream(server, fair_queue, RecordRate(1e9, 1e9))
        await stream.handshake()
        return stream, trio.SocketStream(trio.socket.from_stdlib_socket(client))

    return made


async def test_it_passes_trios_tests_of_a_stream(make: Callable[[], Awaitable[Ends]], nursery: trio.Nursery) -> None:
    async def clogged() -> Ends:
        server, client = await make()
        while server.push(BLOCK):
            pass
        return server, client

    with trio.fail_after(HANG_SECONDS):
        await check_two_way_stream(make, None)
        await check_one_way_stream(make, clogged)
    nursery.cancel_scope.cancel()


async def test_pushes_arrive_whole_and_in_order(make: Callable[[], Awaitable[Ends]], nursery: trio.Nursery) -> None:
    server, client = await make()
    pushed = b""
    for number in range(30):
        data = bytes((number,)) * 50_000
        server.push(data)
        pushed += data
    assert server.unsent
    received = bytearray()
    with trio.fail_after(HANG_SECONDS):
        nursery.start_soon(server.drain)
        while len(received) < len(pushed):
            received += await client.receive_some()
    assert received == pushed
    assert server.push(b"") is True
    server.abort()
    assert server.push(b"more") is False
    assert repr(server) == "<PlainStream -1: closed>"
    await client.aclose()
    nursery.cancel_scope.cancel()


async def test_bytes_that_were_read_before_come_first(nursery: trio.Nursery) -> None:
    fair_queue = FairQueue()
    nursery.start_soon(fair_queue.hand_out)
    server, client = socket.socketpair()
    with client:
        stream = PlainStream(server, fair_queue, RecordRate(1e9, 1e9), b"before")
        client.send(b"after")
        assert await stream.receive_some(4) == b"befo"
        assert await stream.receive_some(4) == b"re"
        assert await stream.receive_some(100) == b"after"
        stream.abort()
    nursery.cancel_scope.cancel()


async def test_reads_beyond_the_rate_come_later(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    del autojump_clock
    fair_queue, rate = FairQueue(), RecordRate(per_second=1, burst=5)
    nursery.start_soon(fair_queue.hand_out)
    server, client = socket.socketpair()
    with client:
        stream = PlainStream(server, fair_queue, rate)
        began = trio.current_time()
        for _ in range(15):
            client.send(b"x")
            assert await stream.receive_some() == b"x"
        assert 8 <= trio.current_time() - began <= 10
        assert rate.exceeded == 9
        stream.abort()
    nursery.cancel_scope.cancel()

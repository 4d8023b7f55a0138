"""ticker/net/transport.py keeps the contract of `trio.abc.Stream`, over real sockets and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
from trio.testing import check_one_way_stream, check_two_way_stream, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.net.pair import Contexts, Pair, sockets
from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordRate
from ticker.net.tls_stream import TlsStream

Ends = tuple[TlsStream, trio.SSLStream[trio.SocketStream]]
Maker = Callable[[], Awaitable[Ends]]


@pytest.fixture
async def make_ends(contexts: Contexts, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Maker]:
    monkeypatch.setattr("ticker.net.transport.TLS_CLOSE_SECONDS", 0.02)
    fair_queue = FairQueue()
    nursery.start_soon(fair_queue.hand_out)

    async def make() -> Ends:
        accepted, dialled = sockets()
        transport = trio.SocketStream(trio.socket.from_stdlib_socket(dialled))
        client = trio.SSLStream(transport, contexts.client, server_hostname="127.0.0.1")
        pair = Pair(TlsStream(accepted, contexts.server, fair_queue, RecordRate(1e9, 1e9)), client)
        await pair.shake_hands()
        return pair.server, pair.client

    yield make
    nursery.cancel_scope.cancel()


async def test_it_passes_trios_tests_of_a_stream_in_both_directions(make_ends: Maker) -> None:
    with trio.fail_after(HANG_SECONDS):
        await check_two_way_stream(make_ends, None)


async def test_it_passes_trios_tests_of_a_stream_whose_socket_is_full(make_ends: Maker) -> None:
    async def clogged() -> Ends:
        server, client = await make_ends()
        Pair(server, client).fill()
        return server, client

    with trio.fail_after(HANG_SECONDS):
        await check_one_way_stream(make_ends, clogged)


async def test_it_takes_one_sender_and_one_receiver_and_pushes_meanwhile(pair: Pair) -> None:
    pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.send_all, b"first")
        nursery.start_soon(pair.server.receive_some)
        await wait_all_tasks_blocked()
        for use in (
            pair.server.send_all(b"second"),
            pair.server.wait_send_all_might_not_block(),
            pair.server.receive_some(),
        ):
            with pytest.raises(trio.BusyResourceError):
                await use
        assert not pair.server.push(b"between")
        nursery.cancel_scope.cancel()
    with trio.move_on_after(0.01) as scope:
        await pair.server.send_all(b"after the first was cancelled")
    assert scope.cancelled_caught


async def test_a_stream_that_closes_sends_nothing_more(pair: Pair) -> None:
    pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.send_all(b"too late")
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.wait_send_all_might_not_block()
        nursery.cancel_scope.cancel()


async def test_its_repr_says_its_state(pair: Pair) -> None:
    assert repr(pair.server).endswith(": 0 bytes unsent>")
    pair.fill()
    assert f": {pair.server.unsent} bytes unsent>" in repr(pair.server)
    pair.reset()
    pair.server.push(b"x")
    assert repr(pair.server).endswith(": broken>")
    pair.server.abort()
    assert repr(pair.server) == "<TlsStream -1: closed>"

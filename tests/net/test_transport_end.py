"""ticker/net/transport.py: how a connection ends, from either side, in good order or not."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.net.pair import Contexts, Pair, connected
from tests.net.test_transport import jump


async def test_close_notify_ends_the_stream(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.aclose)
        assert await pair.server.receive_some() == b""
        await pair.server.aclose()


async def test_a_handshake_with_a_peer_that_has_hung_up_is_not_gone_on_with(contexts: Contexts) -> None:
    """It gave up while it waited for its turn: an answer would cost a signature, and be for nobody."""
    async with connected(contexts, handshake=False) as pair:
        outgoing = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            contexts.client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
        client = pair.client.transport_stream
        await client.send_all(outgoing.read())
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(trio.BrokenResourceError, match="has hung up"):
            await pair.server.handshake()
        pair.server.abort()
        assert await client.receive_some() == b"", "no ServerHello"


async def test_a_socket_that_ends_without_close_notify_ends_the_stream_too(pair: Pair) -> None:
    await pair.client.send_all(b"last words")
    await pair.client.transport_stream.aclose()
    assert await pair.server.receive_some() == b"last words"
    assert await pair.server.receive_some() == b""


async def test_a_peer_that_ends_its_half_still_gets_the_unsent_bytes(pair: Pair) -> None:
    pushed = pair.fill()
    pair.client.transport_stream.socket.shutdown(socket.SHUT_WR)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.drain)
        assert await pair.server.receive_some() == b""
        assert await pair.received(len(pushed)) == pushed


@pytest.mark.parametrize("_again", range(10))
async def test_a_stream_that_is_aborted_as_it_gets_room_is_closed_for_the_waiting_task(pair: Pair, _again: int) -> None:
    """Both may be woken in the same moment, in either order."""
    pair.fill()

    async def abort_with_the_next_byte() -> None:
        await pair.server.receive_some()
        pair.server.abort()

    async def drain() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(abort_with_the_next_byte)
        nursery.start_soon(drain)
        await wait_all_tasks_blocked()
        await pair.client.send_all(b"x")
        sock = pair.client.transport_stream.socket
        for _ in range(50):
            with suppress(BlockingIOError):
                os.read(sock.fileno(), 65_536)


@pytest.mark.parametrize("_again", range(10))
async def test_a_stream_that_is_aborted_as_a_task_begins_to_read_is_closed_for_it(pair: Pair, _again: int) -> None:
    """Both run in the same round, in either order."""
    told = False

    async def read() -> None:
        nonlocal told
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.receive_some()
        told = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.lowlevel.checkpoint()
        pair.server.abort()
    assert told


async def test_a_task_that_reads_while_the_stream_closes_is_told(pair: Pair) -> None:
    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        nursery.start_soon(pair.server.aclose)
        await wait_all_tasks_blocked()
        await read()  # and now, while it lingers
        await pair.client.aclose()


async def test_no_more_is_received_at_once_than_was_asked_for(pair: Pair) -> None:
    await pair.client.send_all(b"abcdef")
    assert [await pair.server.receive_some(2) for _ in range(3)] == [b"ab", b"cd", b"ef"]


async def test_after_a_reset_everything_says_that_the_connection_is_broken(pair: Pair) -> None:
    pair.reset()
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.receive_some()
    assert not pair.server.push(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.drain()
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.receive_some()
    await pair.server.aclose()


async def test_a_push_after_a_reset_finds_out_and_keeps_nothing(pair: Pair) -> None:
    pair.reset()
    assert not pair.server.push(b"x")
    assert pair.server.unsent == 0
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.drain()


async def test_a_reset_wakes_the_tasks_that_wait_to_send(pair: Pair) -> None:
    pair.fill()
    failed: list[int] = []

    async def drain(number: int) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.drain()
        failed.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, 1)
        nursery.start_soon(drain, 2)
        await wait_all_tasks_blocked()
        pair.reset()
    assert sorted(failed) == [1, 2]


async def test_bytes_that_are_no_tls_break_the_connection(pair: Pair) -> None:
    await pair.client.transport_stream.send_all(b"HTTP is not spoken here" * 10)
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.receive_some()
    assert not pair.server.push(b"x")


async def test_abort_wakes_the_waiting_tasks(pair: Pair) -> None:
    pair.fill()
    woken: list[str] = []

    async def sender(number: int) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.drain()
        woken.append(f"sender {number}")

    async def receiver() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await pair.server.receive_some()
        woken.append("receiver")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender, 1)
        nursery.start_soon(sender, 2)
        nursery.start_soon(receiver)
        await wait_all_tasks_blocked()
        pair.server.abort()
        pair.server.abort()
    assert sorted(woken) == ["receiver", "sender 1", "sender 2"]


async def test_a_closed_stream_takes_and_gives_nothing(pair: Pair) -> None:
    pair.server.abort()
    assert not pair.server.push(b"x")
    assert pair.server.unsent == 0
    for use in (
        pair.server.send_all(b"x"),
        pair.server.receive_some(),
        pair.server.drain(),
        pair.server.wait_send_all_might_not_block(),
    ):
        with pytest.raises(trio.ClosedResourceError):
            await use


async def test_closing_sends_unsent_bytes_and_then_close_notify(pair: Pair) -> None:
    pushed = pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        assert await pair.received(len(pushed)) == pushed
        assert await pair.client.receive_some() == b""  # without close_notify this would raise
        await pair.client.aclose()
    await pair.server.aclose()


async def test_a_push_while_the_stream_closes_is_refused_and_cuts_nothing_off(pair: Pair) -> None:
    pushed = pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        await wait_all_tasks_blocked()
        assert not pair.server.push(b"too late")
        assert await pair.received(len(pushed)) == pushed
        assert await pair.client.receive_some() == b""
        await pair.client.aclose()


async def test_a_client_that_closes_while_the_stream_closes_ends_it(pair: Pair) -> None:
    pushed = pair.fill()
    ended = trio.Event()

    async def receive() -> None:
        with suppress(trio.ClosedResourceError):  # if the other side finds out first
            assert await pair.server.receive_some() == b""
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(pair.server.aclose)
        await wait_all_tasks_blocked()
        nursery.start_soon(pair.client.aclose)
        await ended.wait()
        assert pushed


async def test_the_last_bytes_arrive_though_some_of_the_peers_are_unread(pair: Pair) -> None:
    await pair.client.send_all(b"x" * 50_000)
    pair.server.push(b"last words")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        await wait_all_tasks_blocked()
        await pair.client.send_all(b"more")
        assert await pair.received(10) == b"last words"
        assert await pair.client.receive_some() == b""
        await pair.client.aclose()


async def test_closing_waits_only_a_moment_for_a_peer_that_goes_on(pair: Pair, fast_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(jump, fast_clock, 1.5)
        await pair.server.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await pair.server.receive_some()


async def test_closing_waits_only_a_moment_for_a_client_that_does_not_read(pair: Pair, fast_clock: MockClock) -> None:
    pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(jump, fast_clock, 1.5)
        await pair.server.aclose()
    assert not pair.server.push(b"x")


async def test_a_close_that_is_cancelled_closes_all_the_same(pair: Pair) -> None:
    pair.fill()
    with trio.CancelScope() as scope:
        scope.cancel()
        await pair.server.aclose()
    with trio.fail_after(HANG_SECONDS), pytest.raises(trio.ClosedResourceError):
        await pair.server.receive_some()


async def test_closing_before_the_handshake_closes_the_socket(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        assert await pair.client.transport_stream.receive_some() == b""
        await pair.client.transport_stream.aclose()

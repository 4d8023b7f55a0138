"""ticker/transport.py: bytes through real sockets and real TLS, with the standard library's ssl on the other side."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import NamedTuple

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conftest import Contexts
from ticker.transport import RECORD, TlsStream

BLOCK = bytes(range(256)) * 128


class Pair(NamedTuple):
    server: TlsStream
    client: trio.SSLStream[trio.SocketStream]

    async def shake_hands(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.server.handshake)
            nursery.start_soon(self.client.do_handshake)

    async def received(self, size: int) -> bytes:
        """So many bytes, as they come at the client."""
        data = bytearray()
        while len(data) < size:
            more = await self.client.receive_some()
            assert more, f"the stream ended after {len(data)} of {size} bytes"
            data += more
        return bytes(data)

    def fill(self) -> bytes:
        """Push until the client's socket takes no more; what was pushed."""
        pushed = BLOCK
        while self.server.push(BLOCK):
            pushed += BLOCK
        return pushed

    def reset(self) -> None:
        """The client goes with a TCP reset."""
        sock = self.client.transport_stream.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def sockets() -> tuple[socket.socket, socket.socket]:
    """The server's and the client's end of a TCP connection; the client's keeps little unread."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client.connect(listener.getsockname())
        return listener.accept()[0], client


@asynccontextmanager
async def connected(contexts: Contexts, *, handshake: bool = True) -> AsyncIterator[Pair]:
    accepted, dialled = sockets()
    server = TlsStream(accepted, contexts.server)
    client = trio.SSLStream(
        trio.SocketStream(trio.socket.from_stdlib_socket(dialled)), contexts.client, server_hostname="127.0.0.1"
    )
    pair = Pair(server, client)
    try:
        with trio.fail_after(1000):  # of a clock that some tests let jump
            if handshake:
                await pair.shake_hands()
            yield pair
    finally:
        server.abort()
        await trio.aclose_forcefully(client)


@pytest.fixture
async def pair(contexts: Contexts) -> AsyncIterator[Pair]:
    async with connected(contexts) as made:
        yield made


# Handshake


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_after_the_handshake_both_ends_talk(contexts: Contexts, version: ssl.TLSVersion) -> None:
    client = ssl.create_default_context()
    client.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(contexts.client.get_ca_certs(binary_form=True)[-1]))
    client.maximum_version = version
    async with connected(Contexts(contexts.server, client)) as pair:
        assert pair.server.push(b"price")
        assert await pair.received(5) == b"price"
        await pair.client.send_all(b"request")
        assert await pair.server.receive_some() == b"request"
        assert pair.server.bytes_sent > 5
        assert pair.server.unsent == 0


async def test_a_client_that_speaks_no_tls_fails_the_handshake_and_gets_an_alert(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair:
        plain = pair.client.transport_stream
        await plain.send_all(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.handshake()
        assert (await plain.receive_some())[:1] == b"\x15"  # an alert (RFC 8446, section 5.1)


async def test_a_client_that_does_not_trust_the_certificate_fails_the_handshake(contexts: Contexts) -> None:
    untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with connected(Contexts(contexts.server, untrusting), handshake=False) as pair:

        async def refuse() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await pair.client.do_handshake()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            with pytest.raises(trio.BrokenResourceError, match="(?i)unknown.ca"):
                await pair.server.handshake()
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.send_all(b"x")


async def test_a_client_that_leaves_fails_the_handshake(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair:
        await pair.client.transport_stream.send_all(b"\x16\x03\x01")
        await pair.client.transport_stream.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.handshake()


async def test_a_client_that_resets_fails_the_handshake(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(wait_and_reset, pair)
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.handshake()


async def wait_and_reset(pair: Pair) -> None:
    await wait_all_tasks_blocked()
    pair.reset()


async def test_a_handshake_survives_a_socket_that_is_full(contexts: Contexts) -> None:
    accepted, dialled = sockets()
    with dialled:
        accepted.setblocking(False)
        stream = TlsStream(accepted, contexts.server)
        filler = b""
        try:
            while True:
                filler += bytes(accepted.send(BLOCK))
        except BlockingIOError:
            pass
        client = contexts.client.wrap_bio(incoming := ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        dialled.sendall(outgoing.read())
        dialled.setblocking(False)
        finished = False

        async def rest_of_the_client() -> None:
            await wait_all_tasks_blocked()
            assert stream.unsent
            plain = trio.socket.from_stdlib_socket(dialled)
            skip = len(filler)
            while True:
                data = await plain.recv(65_536)
                skip, data = max(0, skip - len(data)), data[skip:]
                incoming.write(data)
                try:
                    client.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                await plain.send(outgoing.read())
                return

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rest_of_the_client)
                await stream.handshake()
                finished = True
        assert finished
        stream.abort()


# Sending


async def test_push_says_when_the_socket_is_full_and_keeps_the_order(pair: Pair) -> None:
    pushed = pair.fill()
    assert pair.server.unsent > 0
    pushed += b"behind the rest"
    assert not pair.server.push(b"behind the rest")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.drain)
        assert await pair.received(len(pushed)) == pushed
    assert pair.server.unsent == 0
    assert pair.server.push(b"in step again")
    assert await pair.received(13) == b"in step again"


async def test_drain_waits_until_all_is_sent(pair: Pair) -> None:
    drained = trio.Event()

    async def drain() -> None:
        await pair.server.drain()
        drained.set()

    pushed = pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        await wait_all_tasks_blocked()
        assert not drained.is_set()
        await pair.received(len(pushed))
        await drained.wait()
    assert pair.server.unsent == 0


async def test_drain_with_nothing_unsent_returns(pair: Pair) -> None:
    await pair.server.drain()


async def test_pushing_nothing_sends_nothing(pair: Pair) -> None:
    before = pair.server.bytes_sent
    assert pair.server.push(b"")
    assert pair.server.push(b"something")
    assert await pair.received(9) == b"something"
    assert before < pair.server.bytes_sent


async def test_pushed_and_sent_bytes_arrive_in_the_order_of_the_calls(pair: Pair) -> None:
    expected = pair.fill()
    async with trio.open_nursery() as nursery:
        for number in range(10):
            frame = b"%d" % number * 3000
            expected += frame
            if number % 2:
                nursery.start_soon(pair.server.send_all, frame)
                await wait_all_tasks_blocked()
            else:
                assert not pair.server.push(frame)
        assert await pair.received(len(expected)) == expected


async def test_a_cancelled_send_all_stays_in_line_whole(pair: Pair) -> None:
    expected = pair.fill() + b"cancelled" * 5000 + b"next"
    with trio.move_on_after(0.01) as scope:
        await pair.server.send_all(b"cancelled" * 5000)
    assert scope.cancelled_caught
    assert not pair.server.push(b"next")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.drain)
        assert await pair.received(len(expected)) == expected


async def test_send_all_under_a_cancelled_scope_sends_nothing(pair: Pair) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await pair.server.send_all(b"never")
    assert pair.server.push(b"only this")
    assert await pair.received(9) == b"only this"


async def test_megabytes_go_both_ways(pair: Pair) -> None:
    data = BLOCK * 100

    async def send() -> None:
        await pair.server.send_all(memoryview(data))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert await pair.received(len(data)) == data
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.client.send_all, data)
        while len(received) < len(data):
            part = await pair.server.receive_some()
            assert 0 < len(part) <= RECORD
            received += part
    assert received == data


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40_000), st.booleans()), max_size=20), st.booleans())
async def test_any_mix_of_pushes_and_sends_arrives_in_order(
    contexts: Contexts, calls: list[tuple[bytes, bool]], full: bool
) -> None:
    async with connected(contexts) as pair, trio.open_nursery() as nursery:
        expected = pair.fill() if full else b""
        for data, push in calls:
            expected += data
            if push:
                assert pair.server.push(data) == (pair.server.unsent == 0)
            else:
                nursery.start_soon(pair.server.send_all, data)
                await wait_all_tasks_blocked()
        nursery.start_soon(pair.server.drain)
        assert await pair.received(len(expected)) == expected


async def test_waiting_before_a_send_waits_until_nothing_is_unsent(pair: Pair) -> None:
    await pair.server.wait_send_all_might_not_block()
    pushed = pair.fill()
    with trio.move_on_after(0.01) as scope:
        await pair.server.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.wait_send_all_might_not_block)
        await pair.received(len(pushed))
    assert pair.server.unsent == 0


# Stalls, and several who wait


async def test_a_socket_that_takes_nothing_for_so_long_is_too_slow(
    contexts: Contexts, fast_clock: MockClock
) -> None:
    async with connected(contexts) as pair:
        pair.fill()
        with pytest.raises(trio.TooSlowError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(jump, fast_clock, 61)
                await only(pair.server.drain(60))


async def only(waiting: object) -> None:
    await waiting  # type: ignore[misc]


async def jump(clock: MockClock, seconds: float) -> None:
    await wait_all_tasks_blocked()
    clock.jump(seconds)



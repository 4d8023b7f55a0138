"""ticker/net/transport.py: bytes through real sockets and TLS, with the standard library's ssl at the other end."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.net.pair import BLOCK, Contexts, Pair, connected, sockets
from tests.support import hold_turns
from ticker.bounds import ENCRYPTED_AT_ONCE
from ticker.net import tls_stream
from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordRate
from ticker.net.tls_stream import TlsStream
from ticker.net.transport import RECORD

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
        assert pair.server.unsent == 0


async def test_steps_of_handshakes_take_turns(contexts: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold_turns(monkeypatch)
    async with connected(contexts, handshake=False) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(pair.shake_hands)
        await held.until(1)
        assert pair.server._tls.version() is None
        held.release()
        while pair.server._tls.version() is None:
            await trio.sleep(0.001)


async def test_a_reader_takes_turns_and_a_read_that_is_cancelled_in_the_queue_loses_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold_turns(monkeypatch)
    await pair.client.send_all(b"request")
    with trio.move_on_after(0.01):
        await pair.server.receive_some()
    assert held.waiting == 1
    held.release()
    assert await pair.server.receive_some() == b"request"


async def test_a_reader_that_waits_keeps_no_error_of_tls(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.receive_some)
        await wait_all_tasks_blocked()
        assert not [each for each in gc.get_objects() if isinstance(each, ssl.SSLWantReadError)]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("end", [Pair.reset, lambda pair: pair.client.transport_stream.socket.close()])
async def test_ends_of_connections_take_turns(
    end: Callable[[Pair], None], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold_turns(monkeypatch)
    async with trio.open_nursery() as nursery:
        ended = trio.Event()

        async def read_to_the_end() -> None:
            with suppress(trio.BrokenResourceError):
                assert await pair.server.receive_some() == b""
            ended.set()

        nursery.start_soon(read_to_the_end)
        end(pair)
        await held.until(1)
        assert not ended.is_set()
        held.release()
        await ended.wait()


async def test_a_client_that_speaks_no_tls_fails_the_handshake_and_gets_an_alert(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair:
        plain = pair.client.transport_stream
        await plain.send_all(b"\x16\x03\x01\x00\x05hello")
        with pytest.raises(trio.BrokenResourceError):
            await pair.server.handshake()
        assert (await plain.receive_some())[:1] == b"\x15"  # an alert (RFC 8446, section 5.1)


async def test_a_client_that_does_not_trust_the_certificate_fails_the_handshake(contexts: Contexts) -> None:
    async with connected(contexts, handshake=False) as pair, trio.open_nursery() as nursery:

        async def refuse() -> None:
            plain = pair.client.transport_stream
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client = untrusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            await plain.send_all(outgoing.read())
            incoming.write(await plain.receive_some())
            with pytest.raises(ssl.SSLCertVerificationError):
                client.do_handshake()
            await plain.send_all(outgoing.read())

        nursery.start_soon(refuse)
        with pytest.raises(trio.BrokenResourceError, match=r"(?i)unknown.ca"):
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


async def test_a_handshake_waits_for_a_socket_that_is_full(contexts: Contexts) -> None:
    accepted, dialled = sockets()
    accepted.settimeout(0)
    filler = 0
    with suppress(BlockingIOError):
        while True:
            filler += accepted.send(BLOCK)
    fair_queue = FairQueue()
    server = TlsStream(accepted, contexts.server, fair_queue, RecordRate(1e9, 1e9))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = contexts.client.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with trio.fail_after(HANG_SECONDS), trio.socket.from_stdlib_socket(dialled) as plain:
        await plain.send(outgoing.read())
        async with trio.open_nursery() as handing_out:
            handing_out.start_soon(fair_queue.hand_out)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.handshake)
                await wait_all_tasks_blocked()
                assert server.unsent
                while filler:
                    filler -= len(await plain.recv(filler))
                incoming.write(await plain.recv(65_536))
                client.do_handshake()
                await plain.send(outgoing.read())
            handing_out.cancel_scope.cancel()
        assert server.push(b"shaken")
        incoming.write(await plain.recv(65_536))
        assert client.read() == b"shaken"
        server.abort()


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
    assert pair.server.push(b"")
    assert pair.server.push(b"something")
    assert await pair.received(9) == b"something"


async def test_pushed_and_sent_bytes_arrive_in_the_order_of_the_calls(pair: Pair) -> None:
    expected = pair.fill()
    for number in range(10):
        frame = b"%d" % number * 3000
        expected += frame
        if number % 2:
            await send_and_cancel(pair, frame)
        else:
            assert not pair.server.push(frame)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.send_all, b"last")
        await wait_all_tasks_blocked()
        assert not pair.server.push(b"behind the last")
        assert await pair.received(len(expected) + 19) == expected + b"lastbehind the last"


async def send_and_cancel(pair: Pair, data: bytes) -> None:
    """Send, and stop waiting as soon as the socket accepts no more."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.send_all, data)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


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


async def test_a_large_message_is_encrypted_as_the_socket_takes_it_and_keeps_its_place(pair: Pair) -> None:
    data = BLOCK * 100
    assert not pair.server.push(data)
    assert len(pair.server._unsent) < 2 * ENCRYPTED_AT_ONCE < pair.server.unsent <= len(data)
    assert not pair.server.push(b"behind it")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.drain)
        assert await pair.received(len(data) + 9) == data + b"behind it"
    assert pair.server.unsent == 0
    assert pair.server.push(b"in step again")
    assert await pair.received(13) == b"in step again"


async def test_a_large_message_leaves_others_their_turn_where_the_socket_takes_more(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_stream, "ENCRYPTED_AT_ONCE", 1000)
    data = BLOCK * 2
    assert not pair.server.push(data)
    assert pair.server._later
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.drain)
        assert await pair.received(len(data)) == data
    assert pair.server.unsent == 0


async def test_a_stream_that_is_closed_within_a_large_message_ends_behind_it(pair: Pair) -> None:
    data = BLOCK * 20
    assert not pair.server.push(data)
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.aclose)
        while part := await pair.client.receive_some():
            received += part
        await pair.client.aclose()
    assert received == data


async def test_a_connection_that_breaks_within_a_large_message_is_broken(pair: Pair) -> None:
    assert not pair.server.push(BLOCK * 100)
    pair.reset()
    with pytest.raises(trio.BrokenResourceError):
        await pair.server.drain()
    assert not pair.server.push(b"more")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["free", "full"]),
    st.lists(st.tuples(st.sampled_from(["push", "send"]), st.binary(max_size=40_000)), max_size=20),
)
async def test_any_mix_of_pushes_and_sends_arrives_in_order(
    contexts: Contexts, socket_is: str, calls: list[tuple[str, bytes]]
) -> None:
    async with connected(contexts) as pair, trio.open_nursery() as nursery:
        expected = pair.fill() if socket_is == "full" else b""
        for call, data in calls:
            expected += data
            if call == "push":
                assert pair.server.push(data) == (pair.server.unsent == 0)
            else:
                await send_and_cancel(pair, data)
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


# Stalls, and several waiting tasks


async def jump(clock: MockClock, seconds: float) -> None:
    await wait_all_tasks_blocked()
    clock.jump(seconds)


async def test_a_socket_that_takes_nothing_for_so_long_is_too_slow(pair: Pair, fast_clock: MockClock) -> None:
    pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(jump, fast_clock, 61)
        with pytest.raises(trio.TooSlowError):
            await pair.server.drain(60)


async def test_a_socket_that_takes_a_little_now_and_then_is_not_too_slow(pair: Pair, fast_clock: MockClock) -> None:
    pushed = pair.fill() + BLOCK * 100
    for _ in range(100):
        pair.server.push(BLOCK)
    drained = trio.Event()

    async def drain() -> None:
        await pair.server.drain(60)
        drained.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain)
        received = b""
        while len(received) < len(pushed):
            received += await pair.received(min(10 * len(BLOCK), len(pushed) - len(received)))
            await wait_all_tasks_blocked()
            if not drained.is_set():
                fast_clock.jump(31)
    assert received == pushed
    assert drained.is_set()


async def test_the_limit_holds_for_a_task_that_waits_behind_another(pair: Pair, fast_clock: MockClock) -> None:
    pair.fill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.server.send_all, b"a pong, which waits without a limit")
        await wait_all_tasks_blocked()
        nursery.start_soon(jump, fast_clock, 61)
        with trio.move_on_after(62) as scope, pytest.raises(trio.TooSlowError):
            await pair.server.drain(60)
        assert not scope.cancelled_caught
        nursery.cancel_scope.cancel()


async def test_all_waiting_tasks_go_on_when_everything_is_sent(pair: Pair) -> None:
    pushed = pair.fill()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(pair.server.drain)
        await wait_all_tasks_blocked()
        await pair.received(len(pushed))
    assert pair.server.unsent == 0


async def test_when_the_task_that_waits_for_the_socket_is_cancelled_another_takes_over(pair: Pair) -> None:
    pushed = pair.fill()
    scope = trio.CancelScope()

    async def drain_and_be_cancelled() -> None:
        with scope:
            await pair.server.drain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain_and_be_cancelled)
        await wait_all_tasks_blocked()
        nursery.start_soon(pair.server.drain)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        await pair.received(len(pushed))
    assert pair.server.unsent == 0

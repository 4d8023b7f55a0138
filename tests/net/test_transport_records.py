"""ticker/net/transport.py: TLS records that bring no plain text are charged, and cannot pile up answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock

from benchmarks.tls13 import HANDSHAKE, KEY_UPDATE, KEY_UPDATE_REQUESTED, RecordMaker
from tests.net.pair import BLOCK, Contexts, sockets
from tests.net.tls13 import HandmadeClient, handshake
from tests.support import hold_turns
from ticker.bounds import RECORDS_PER_TURN
from ticker.net.fair_queue import FairQueue
from ticker.net.records import RecordRate
from ticker.net.tls_stream import TlsStream

ALLOWED = 100
SENT = 300


class Handmade(NamedTuple):
    """The server's stream, and a client that makes its records by hand."""

    server: TlsStream
    client: HandmadeClient
    rate: RecordRate

    async def send(self, data: bytes) -> None:
        await self.client.transport.send_all(data)


@asynccontextmanager
async def handmade(contexts: Contexts, folder: Path, burst: float = ALLOWED) -> AsyncIterator[Handmade]:
    """Both ends; after `burst` records the server reads one a second."""
    accepted, dialled = sockets()
    fair_queue, rate = FairQueue(), RecordRate(1, burst)
    server = TlsStream(accepted, contexts.server, fair_queue, rate)
    transport = trio.SocketStream(trio.socket.from_stdlib_socket(dialled))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fair_queue.hand_out)
        try:
            async with trio.open_nursery() as both:
                both.start_soon(server.handshake)
                client = await handshake(transport, folder)
            yield Handmade(server, client, rate)
        finally:
            server.abort()
            await trio.aclose_forcefully(transport)
            nursery.cancel_scope.cancel()


@pytest.fixture
def clock_that_jumps() -> MockClock:
    """It jumps to the next deadline whenever all tasks wait."""
    return MockClock(autojump_threshold=0.02)


def key_updates(records: RecordMaker) -> bytes:
    return records.key_updates(SENT)


def key_updates_to_be_answered(records: RecordMaker) -> bytes:
    return records.key_updates(SENT, KEY_UPDATE_REQUESTED)


def key_updates_in_pieces(records: RecordMaker) -> bytes:
    """Of one byte each, and so five to a message."""
    made = b""
    while len(made) < SENT * 23:
        made += b"".join(records.record(KEY_UPDATE[at : at + 1], HANDSHAKE) for at in range(4))
        made += records.key_updates(1, KEY_UPDATE[4:])
    return made


def empty_records(records: RecordMaker) -> bytes:
    """With something else between them: OpenSSL refuses 32 in a row."""
    return b"".join(
        records.key_updates(1) + b"".join(records.record(b"") for _ in range(19)) for _ in range(SENT // 20)
    )


KINDS = (key_updates, key_updates_to_be_answered, key_updates_in_pieces, empty_records)


@pytest.mark.parametrize("useless", KINDS)
async def test_records_without_plain_text_are_read_at_the_allowed_rate(
    useless: Callable[[RecordMaker], bytes], contexts: Contexts, tmp_path: Path, clock_that_jumps: MockClock
) -> None:
    async with handmade(contexts, tmp_path) as both:
        began = clock_that_jumps.current_time()
        await both.send(useless(both.client.records) + both.client.records.record(b"request"))
        assert await both.server.receive_some() == b"request"
        assert clock_that_jumps.current_time() - began >= SENT - ALLOWED - RECORDS_PER_TURN
        assert both.rate.exceeded > 0


async def test_records_of_a_byte_are_read_at_the_allowed_rate(
    contexts: Contexts, tmp_path: Path, clock_that_jumps: MockClock
) -> None:
    async with handmade(contexts, tmp_path) as both:
        began = clock_that_jumps.current_time()
        request = bytes(range(200))
        await both.send(b"".join(both.client.records.record(request[at : at + 1], padding=at) for at in range(200)))
        received = b""
        while len(received) < len(request):
            received += await both.server.receive_some()
        assert received == request
        assert clock_that_jumps.current_time() - began >= len(request) - ALLOWED - RECORDS_PER_TURN


async def test_a_deadline_holds_while_only_key_updates_come(
    contexts: Contexts, tmp_path: Path, clock_that_jumps: MockClock
) -> None:
    async with handmade(contexts, tmp_path) as both:
        await both.send(both.client.records.key_updates(SENT))
        with pytest.raises(trio.TooSlowError), trio.fail_after(50):
            await both.server.receive_some()
        assert clock_that_jumps.current_time() >= 50


async def test_answers_to_key_updates_do_not_pile_up_for_a_client_that_does_not_read(
    contexts: Contexts, tmp_path: Path
) -> None:
    async with handmade(contexts, tmp_path, burst=1e6) as both, trio.open_nursery() as nursery:
        pushed = BLOCK
        while both.server.push(BLOCK):
            pushed += BLOCK
        unsent = both.server.unsent
        requested = both.client.records.key_updates(2_000, KEY_UPDATE_REQUESTED) + both.client.records.record(
            b"request"
        )
        nursery.start_soon(both.send, requested)
        with trio.move_on_after(0.5):
            await both.server.receive_some()
        assert both.server.unsent + both.server._outgoing.pending <= unsent + 64 * RECORDS_PER_TURN
        received: list[bytes] = []
        nursery.start_soon(both.client.receive_into, received)
        assert await both.server.receive_some() == b"request"
        nursery.cancel_scope.cancel()
    assert b"".join(received) == pushed


async def test_a_reader_that_is_cancelled_between_records_loses_none(
    contexts: Contexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with handmade(contexts, tmp_path, burst=1e6) as both:
        await both.send(b"".join(both.client.records.record(bytes((each,))) for each in range(100)))
        received = b""
        while len(received) < 50:
            received += await both.server.receive_some()
        held = hold_turns(monkeypatch)

        async def read_on() -> None:
            nonlocal received
            while True:
                received += await both.server.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            while held.waiting == 0:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert len(received) < 100
        held.release()
        while len(received) < 100:
            received += await both.server.receive_some()
        assert received == bytes(range(100))


async def test_a_closed_stream_hands_on_no_further_records(
    contexts: Contexts, tmp_path: Path, clock_that_jumps: MockClock
) -> None:
    """Not even those that it had already received."""
    async with handmade(contexts, tmp_path) as both:
        await both.send(both.client.records.key_updates(SENT))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(abort_when, lambda: both.rate.exceeded > 0, both.server)
            with pytest.raises(trio.ClosedResourceError):
                await both.server.receive_some()
        assert clock_that_jumps.current_time() <= SENT


async def abort_when(condition: Callable[[], bool], stream: TlsStream) -> None:
    while not condition():
        await trio.sleep(0.01)
    stream.abort()

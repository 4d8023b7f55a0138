"""Followers that are none, or bad ones: each is ended or answered, and costs others nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.bus.engines import local_engine
from tests.bus.relays import Relay, relay_of
from tests.conftest import (
    BINARY,
    CLOSE,
    MSGPACK,
    PING,
    TEXT,
    Peer,
    Running,
    client_frame,
    serving,
    upgrade,
)
from tests.feeds_for_tests import Step
from tests.hostile.test_floods import SLOW, answers
from tests.server.test_operator_pages import measures
from tests.support import update
from ticker.bus.engine import Position
from ticker.bus.log import Log
from ticker.bus.relayed import RelayedEngine
from ticker.bus_bounds import FOLLOWED_REQUEST_BYTES
from ticker.config import Limits
from ticker.errors import DropCause, RefusalCause
from ticker.market import Instrument
from ticker.protocol.messages import Close
from ticker.protocol.wire import FOLLOWING

BIG = bytes(range(256)) * 40_960
"""10 MiB."""

MARKET = (Instrument("A"), update("A", bid="1.00"))


async def follower(service: Running, *, buffer: int | None = None) -> Peer:
    """One that has connected, and had the first message."""
    peer = await service.dial(buffer=buffer)
    await peer.send(upgrade(FOLLOWING, path=f"{service.prefix}/v1/stream"))
    assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
    protocol, run, delay, unavailable, pushes = await received(peer)
    assert (protocol, delay, unavailable, pushes) == ("ticker-bus-1", 0, None, False)
    assert run
    return peer


async def received(peer: Peer) -> Any:  # noqa: ANN401
    """The next message, whole."""
    whole = b""
    while True:
        first_byte, payload = await peer.frame()
        assert first_byte & 0x7F == (0 if whole else 2), hex(first_byte)
        whole += payload
        if first_byte & 0x80:
            return msgpack.unpackb(whole)


async def ask(peer: Peer, *request: object) -> Any:  # noqa: ANN401
    """The answer to a request: its value, the text of a refusal, and that of an engine that cannot be used."""
    await peer.send(client_frame(BINARY, msgpack.packb(request)))
    return await received(peer)


async def close_code(peer: Peer) -> int:
    while True:
        first_byte, payload = await peer.frame()
        if first_byte == CLOSE:
            return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def in_front_of(log: Log, folder: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Relay, Running]]:
    script, _ = trio.open_memory_channel[Step](0)
    async with local_engine(folder, log) as engine, relay_of(engine, limits) as relay:
        service = Running(relay.url, script, trio.Event(), trio.Event())
        with trio.fail_after(HANG_SECONDS):
            yield relay, service
        for peer in service.peers:
            await peer.close()


def packed(*request: object) -> bytes:
    return client_frame(BINARY, msgpack.packb(request))


NO_REQUESTS = {
    "text": (client_frame(TEXT, b'["last"]'), Close.WRONG_ENCODING),
    "nothing": (client_frame(BINARY, b""), Close.MALFORMED),
    "no msgpack": (client_frame(BINARY, b"\xc1"), Close.MALFORMED),
    "no array": (client_frame(BINARY, msgpack.packb({"last": 1})), Close.MALFORMED),
    "no such request": (packed("drop-all"), Close.MALFORMED),
    "a request of clients": (packed({"op": "subscribe", "id": 1, "symbols": ["*"]}), Close.MALFORMED),
    "too short": (packed("read", [1, 2]), Close.MALFORMED),
    "a cut below 0": (packed("read", [-1, 0], 0), Close.MALFORMED),
    "a cut that is none": (packed("read", [2**53, 0], 0), Close.MALFORMED),
    "a beat that is none": (packed("find", [1, 2**63]), Close.MALFORMED),
    "a part below 0": (packed("parts", 1, -1), Close.MALFORMED),
    "seconds that are none": (packed("read", [1, 0], math.nan), Close.MALFORMED),
    "nested": (client_frame(BINARY, b"\x91" * 1_000), Close.MALFORMED),
    "too long": (client_frame(BINARY, bytes(FOLLOWED_REQUEST_BYTES + 1)), Close.TOO_LARGE),
    "too long for ever": (client_frame(0x02, b"") + client_frame(0x00, b"") * 300, Close.TOO_LARGE),
    "a reserved bit": (client_frame(0xC2, b"x"), Close.PROTOCOL_ERROR),
}


async def test_what_is_no_request_ends_its_connection_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.relay.MAX_UNFINISHED_BYTES", 300)
    async with serving(*MARKET) as service:
        good = await follower(service)
        for name, (data, code) in NO_REQUESTS.items():
            peer = await follower(service)
            with trio.fail_after(HANG_SECONDS):
                await peer.send(data)
                assert await close_code(peer) == code, name
                await peer.close()
        assert (await ask(good, "last"))[1:] == [None, None]
        counts = await measures(service)
        assert counts["ticker_follow_dropped_total{cause=request}"] == len(NO_REQUESTS) - 1, (
            "the library finds the last"
        )
        assert counts["ticker_follow_connections"] == 1
        await service.proves_alive()


@pytest.mark.parametrize(
    "request_",
    [
        ("append", [9, 0], b"forged"),
        ("put-part", 9, 0, b"forged"),
        ("finish-keyframe", [9, 1]),
    ],
)
async def test_nothing_can_be_written(request_: tuple[object, ...]) -> None:
    async with serving(*MARKET) as service:
        peer = await follower(service)
        _, last, _ = before = await ask(peer, "last")
        assert await ask(peer, *request_) == [
            None,
            None,
            "another ticker can only be followed: nothing can be written there",
        ]
        assert (await ask(peer, "last"))[0][0] == before[0][0] < 9
        assert last is None


async def test_a_read_that_waits_for_ever_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.relay.FOLLOWED_READ_SECONDS", 0.1)
    async with serving(*MARKET) as service:
        waits, reads = await follower(service), await follower(service)
        await waits.send(packed("read", [2**52, 0], math.inf))
        assert (await ask(reads, "last"))[1:] == [None, None]
        assert await received(waits) == [[], None, None]


async def test_one_that_takes_no_answer_is_dropped_and_others_have_theirs(tmp_path: Path) -> None:
    log = Log()
    log.append(Position(1), BIG)
    async with in_front_of(log, tmp_path, Limits(stall_seconds=0.5)) as (relay, service):
        deaf = await follower(service, buffer=4_096)
        await deaf.send(packed("find", [1, 0]))
        async with RelayedEngine([relay.url]).connect() as connection:
            assert await connection.entry(Position(1)) == BIG
        while not relay.context.followers.dropped[DropCause.STALLED]:
            await trio.sleep(0.05)
        assert relay.context.auth.memory.total == 0


async def test_one_that_asks_for_nothing_is_dropped(tmp_path: Path) -> None:
    async with in_front_of(Log(), tmp_path, Limits(ping_seconds=0.2, pong_seconds=0.2)) as (relay, service):
        peer = await follower(service)
        await peer.send(client_frame(PING, b""))
        assert await close_code(peer) == Close.STALLED
        assert relay.context.followers.dropped[DropCause.SILENT] == 1


async def test_an_answer_that_needs_too_much_memory_is_not_given(tmp_path: Path) -> None:
    log = Log()
    log.append(Position(1), BIG)
    async with in_front_of(log, tmp_path, Limits(max_client_bytes=1_000_000)) as (relay, service):
        peer = await follower(service)
        value, _, cause = await ask(peer, "find", [1, 0])
        assert value is None
        assert cause.endswith("is more than is kept here for a client: raise limits.max_client_bytes")
        assert (await ask(peer, "last"))[0] == [1, 0], "it goes on"
        assert relay.context.auth.connection_limits.refusals[RefusalCause.MEMORY] == 1


async def test_there_are_so_many_places_for_followers_and_one_that_leaves_frees_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticker.server.followers.MAX_FOLLOWERS", 2)
    async with serving(*MARKET) as service:
        first, _ = await follower(service), await follower(service)
        refused = await service.refusal(upgrade(FOLLOWING))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in refused
        assert b"2 others follow this process already: follow another one of the same market" in refused
        assert (await measures(service))["ticker_connections_admitted"] == 2
        await first.close()
        with trio.fail_after(HANG_SECONDS):
            while (await measures(service))["ticker_follow_connections"] == 2:
                await trio.sleep(0.05)
        await follower(service)
        await service.watcher()  # places of clients are other ones


async def test_one_that_leaves_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    log = Log()
    log.append(Position(1), BIG)
    async with in_front_of(log, tmp_path) as (relay, service):
        for requests in (b"", packed("last"), packed("find", [1, 0]), packed("read", [1, 0], 60) + packed("last")):
            peer = await follower(service, buffer=4_096)
            await peer.send(requests + requests)
            await peer.reset()
        while relay.context.followers.places or log.connections:
            await trio.sleep(0.05)
        assert not relay.context.followers.connections
        assert relay.context.auth.connection_limits.admitted == relay.context.auth.memory.total == 0


async def test_a_page_of_another_origin_may_not_follow_and_a_client_may_not_speak_so() -> None:
    async with serving(*MARKET) as service:
        refused = await service.refusal(upgrade(FOLLOWING, more="Origin: https://evil.example\r\n"))
        assert refused.startswith(b"HTTP/1.1 403 ")
        client = await service.peer(MSGPACK)
        await client.send(packed("last"))
        with trio.fail_after(HANG_SECONDS):
            assert await close_code(client) == Close.MALFORMED


async def test_requests_without_end_are_answered_at_the_rate_that_is_allowed(fast_clock: MockClock) -> None:
    async with serving(*MARKET, limits=SLOW) as service:
        connected_at = trio.current_time()
        peer = await follower(service)

        async def next_is_answer() -> bool:
            return bool((await received(peer))[1:] == [None, None])

        await peer.send(packed("last") * 200)
        count = await answers(next_is_answer, connected_at)
        assert count >= 20
        fast_clock.jump(30)
        assert await answers(next_is_answer, connected_at, count) >= count + 15
        await peer.reset()

"""Connections that are kept between requests (ticker/net/http1.py, ticker/server/dispatch.py, kept_connections.py)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import MSGPACK, Peer, Running, serving, upgrade
from tests.support import update
from tests.tokens import bearer, key_file, token
from ticker.bounds import KEEP_ALIVE_SECONDS
from ticker.config import Limits, Proxies, Tokens
from ticker.door.callers import Caller
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.proxies import TrustedProxies
from ticker.market import Instrument
from ticker.protocol.messages import Welcome

MARKET = (Instrument("EURUSD", 5), update("EURUSD", bid="1.08500"))
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SNAPSHOT = "/v1/snapshot?symbols=*"
MANY = [Instrument(f"S{number}", metadata={"name": "An instrument with a name"}) for number in range(500)]
COSTLY = "/v1/instruments"
"""Some of these exceed a rate sooner than the connection is read later, as requests without end are."""


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def kept(self) -> bool:
        return self.headers["connection"] == "keep-alive"


def request(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


async def ask(peer: Peer, target: str, *lines: str, method: str = "GET") -> Got:
    """Send a request and return its answer, as long as that says it is."""
    with trio.fail_after(HANG_SECONDS):
        await peer.send(request(target, *lines, method=method))
        return await answered(peer, method)


async def answered(peer: Peer, method: str = "GET") -> Got:
    first, *rest = (await peer.head()).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    return Got(int(first.split()[1]), headers, await peer.take(length))


async def ends(peer: Peer) -> bool:
    """Whether the service ends the connection now, with nothing more on it."""
    with trio.fail_after(HANG_SECONDS):
        return await peer.rest() == b""


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        for got in [await ask(peer, SNAPSHOT) for _ in range(3)]:
            assert (got.status, got.kept, got.headers["keep-alive"]) == (200, True, f"timeout={KEEP_ALIVE_SECONDS}")
            assert b"1.08500" in got.body
        got = await ask(peer, SNAPSHOT)
        known = await ask(peer, SNAPSHOT, f"If-None-Match: {got.headers['etag']}")
        assert (known.status, known.body, known.kept) == (304, b"", True)
        head = await ask(peer, SNAPSHOT, method="HEAD")
        assert (head.status, head.headers["content-length"], head.kept) == (200, str(len(got.body)), True)
        for target, method, status in (
            ("/nowhere", "GET", 404),
            (SNAPSHOT, "POST", 405),
            ("/v1/snapshot", "GET", 400),
            (SNAPSHOT, "OPTIONS", 204),
            ("/healthz", "GET", 200),
            ("/", "GET", 200),
        ):
            got = await ask(peer, target, method=method)
            assert (got.status, got.kept) == (status, True)


async def test_each_request_is_authorized_by_itself(tmp_path: Path) -> None:
    async with serving(*MARKET, tokens=Tokens(key=key_file(tmp_path))) as service:
        peer = await service.dial()
        good = bearer(token()).strip()
        statuses = [
            (await ask(peer, SNAPSHOT, *lines)).status for lines in ((good,), (), (good,), ("Origin: https://x",))
        ]
        assert statuses == [200, 401, 200, 403]


# Where a request ends its connection


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: close"],
        ["Connection: Keep-Alive, CLOSE"],
        ["Connection: foo", "Connection: close"],
    ],
)
async def test_a_client_that_wants_the_end_gets_it(lines: list[str]) -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, SNAPSHOT)).kept
        assert not (await ask(peer, SNAPSHOT, *lines)).kept
        assert await ends(peer)


async def test_an_http_1_0_request_ends_its_connection() -> None:
    async with serving(*MARKET) as service:
        answer = await service.refusal(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in answer


SMUGGLED = b"GET /v1/snapshot?symbols=EURUSD HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


BODIES: list[tuple[list[str], bytes]] = [
    ([f"Content-Length: {len(SMUGGLED)}"], SMUGGLED),
    ([f"Content-Length: {len(SMUGGLED)}", "Expect: 100-continue"], SMUGGLED),
    ([f"Content-Length: {len(SMUGGLED)}, {len(SMUGGLED)}"], SMUGGLED),
    (["Content-Length: 00"], SMUGGLED),
    (["Content-Length: 0", "Transfer-Encoding: chunked"], CHUNKED),
    (["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n" + SMUGGLED),
    (["Transfer-Encoding: chunked"], CHUNKED),
    (["Transfer-Encoding: chunked, chunked"], CHUNKED),
    (["Transfer-Encoding: gzip, chunked"], CHUNKED),
    (["Transfer-Encoding: xchunked"], SMUGGLED),
    (["Transfer-Encoding: identity"], SMUGGLED),
    (["Content-Length: +0"], SMUGGLED),
    (["Content-Length: -1"], SMUGGLED),
    (["Content-Length: 5", "Content-Length: 0"], SMUGGLED),
    (["Content-Length : 5"], SMUGGLED),
    (["Transfer-Encoding : chunked"], CHUNKED),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_no_body_is_ever_read_as_a_request(method: str) -> None:
    """In one piece, and where the body would come once the request was answered."""
    async with serving(*MARKET) as service:
        for lines, body in BODIES:
            head = request("/healthz", *lines, method=method)
            whole, parted = await service.dial(), await service.dial()
            with trio.fail_after(HANG_SECONDS):
                await whole.send(head + body)
                assert (await whole.rest()).count(b"HTTP/1.1 ") == 1
                await parted.send(head)
                assert b"Connection: close" in await parted.head()
                assert b"HTTP/1.1" not in await parted.rest()


@pytest.mark.parametrize(
    "line",
    ["X: y\r\n Content-Length: 5", "X: y\r\n\tTransfer-Encoding: chunked", "X: y\nContent-Length: 0", "X: y\n\nGET /"],
)
async def test_a_head_that_another_party_may_read_otherwise_ends_its_connection(line: str) -> None:
    """In one read, and where its end comes later."""
    async with serving(*MARKET) as service:
        for sizes in ((None,), (46, None)):
            peer = await service.dial()
            head = request("/healthz", line)
            with trio.fail_after(HANG_SECONDS):
                start = 0
                for size in sizes:
                    await peer.send(head[start:size])
                    await trio.lowlevel.checkpoint()
                    start = size or 0
                assert not (await answered(peer)).kept
            assert await ends(peer)


async def test_what_follows_that_is_no_request_is_refused_and_ends_it() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        with trio.fail_after(HANG_SECONDS):
            await peer.send(b"\x00\xff no request\r\n\r\n")
            got = await answered(peer)
        assert (got.status, got.kept) == (400, False)
        assert await ends(peer)


async def test_of_pipelined_requests_the_first_is_answered_and_says_that_it_is_the_last() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        with trio.fail_after(HANG_SECONDS):
            await peer.send(HEALTH + HEALTH)
            assert not (await answered(peer)).kept
        assert await ends(peer)


async def test_a_head_behind_others_has_the_same_limit() -> None:
    async with serving(*MARKET, limits=Limits(max_head_bytes=500)) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz", "X: " + "y" * 400)).kept
        got = await ask(peer, "/healthz", "X: " + "y" * 500)
        assert (got.status, got.kept) == (431, False)
        assert await ends(peer)


async def test_a_sender_that_asks_too_often_has_its_connection_closed() -> None:
    async with serving(*MANY, limits=Limits(requests_per_second=1, request_burst=20)) as service:
        peer = await service.dial()
        got = await ask(peer, COSTLY)
        while got.kept:
            got = await ask(peer, COSTLY)
        assert got.status == 429
        assert await ends(peer)


async def test_a_response_that_there_is_no_room_for_ends_its_connection() -> None:
    async with serving(*MANY, limits=Limits(max_address_bytes=10_000)) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        got = await ask(peer, COSTLY)
        assert (got.status, got.kept) == (429, False)
        assert await ends(peer)


async def test_a_connection_has_a_number_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.dispatch.REQUESTS_PER_CONNECTION", 3)
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert [(await ask(peer, "/healthz")).kept for _ in range(3)] == [True, True, False]
        assert await ends(peer)


async def test_where_many_connections_are_pending_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.door.connection_limits.MAX_KEPT_CONNECTIONS", 2)
    async with serving(*MARKET) as service:
        first, second = await service.dial(), await service.dial()
        assert (await ask(first, "/healthz")).kept
        assert (await ask(second, "/healthz")).kept
        third = await service.dial()
        for peer in (third, second):
            assert not (await ask(peer, "/healthz")).kept
            assert await ends(peer)
        assert await measured(service, "ticker_connections_not_kept_total") == 2


async def test_an_address_with_too_many_connections_keeps_no_further_ones() -> None:
    async with serving(*MARKET, limits=Limits(max_per_address=1)) as service:
        stream = await service.peer()
        assert not (await ask(await service.dial(), "/healthz")).kept
        await stream.close()


# Time


async def test_a_connection_that_waits_too_long_is_closed_without_a_word(fast_clock: MockClock) -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        await wait_all_tasks_blocked()
        fast_clock.jump(KEEP_ALIVE_SECONDS - 1)
        assert (await ask(peer, "/healthz")).kept
        await wait_all_tasks_blocked()
        fast_clock.jump(KEEP_ALIVE_SECONDS + 0.1)
        assert await ends(peer)


async def test_a_head_that_has_begun_has_the_time_of_a_head(fast_clock: MockClock) -> None:
    async with serving(*MARKET, limits=Limits(handshake_seconds=5)) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        await peer.send(b"GET /heal")
        await wait_all_tasks_blocked()
        fast_clock.jump(5.1)
        assert await ends(peer)


async def test_a_head_behind_others_may_come_byte_by_byte() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        with trio.fail_after(HANG_SECONDS):
            for byte in request(SNAPSHOT):
                await peer.send(bytes((byte,)))
            assert (await answered(peer)).status == 200


async def test_connections_that_wait_end_with_a_stop_and_not_with_its_last_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticker.server.websocket.CLOSE_SECONDS", 3600)
    async with serving(*MARKET, drain_seconds=3600) as service:
        last = await service.peer()
        peer = await service.dial()
        assert (await ask(peer, "/healthz")).kept
        assert (await measured(service, "ticker_connections_kept")) == 1
        begun = await service.dial()
        await begun.send(request(SNAPSHOT)[:10])
        service.stop.set()
        assert await ends(peer)
        await begun.send(request(SNAPSHOT)[10:])
        with trio.fail_after(HANG_SECONDS):
            got = await answered(begun)
        assert (got.status, got.kept) == (200, False)
        assert await ends(begun)
        assert not service.done.is_set()
        await last.close()
        with trio.fail_after(HANG_SECONDS):
            await service.done.wait()


async def measured(service: Running, name: str) -> float:
    peer = await service.dial()
    lines = (await ask(peer, "/metrics", "Connection: close")).body.decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


async def test_a_peer_that_goes_while_it_waits_is_forgotten() -> None:
    async with serving(*MARKET) as service:
        for leave in (Peer.close, Peer.reset):
            peer = await service.dial()
            assert (await ask(peer, "/healthz")).kept
            await leave(peer)
        while await measured(service, "ticker_connections_kept"):
            await trio.sleep(0.01)
        await service.proves_alive()


# Streams behind other requests


async def test_an_upgrade_may_follow_other_requests() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial(encoding=MSGPACK)
        for _ in range(2):
            assert (await ask(peer, SNAPSHOT)).kept
        with trio.fail_after(HANG_SECONDS):
            await peer.send(upgrade())
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            assert isinstance(await peer.message(), Welcome)
            await peer.answer("subscribe", symbols=["EURUSD"])
        assert await measured(service, "ticker_connections_admitted") == 1


async def test_an_event_stream_may_follow_other_requests() -> None:
    async with serving(*MARKET) as service:
        peer = await service.dial()
        assert (await ask(peer, SNAPSHOT)).kept
        with trio.fail_after(HANG_SECONDS):
            await peer.send(request("/v1/events?symbols=EURUSD"))
            head = await peer.head()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"text/event-stream" in head
            assert b"Connection: close" in head


# Behind a proxy, which has requests of many clients on one connection


def test_a_proxys_connection_counts_for_the_client_of_its_present_request_only() -> None:
    limits = ConnectionLimits(Limits(max_per_address=1))
    caller = Caller("10.0.0.1", TrustedProxies(Proxies(x_forwarded_for=["10.0.0.0/8"])), limits)
    assert caller.connected()
    for client in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
        assert caller.identify({b"x-forwarded-for": client.encode()})
        assert caller.address == client
        assert limits.admit(client, None) is None
        assert limits.admit("203.0.113.9", None) is None
        caller.answered()
        assert caller.address == "10.0.0.1"
    caller.disconnected()
    assert not limits._addresses
    assert limits.open == 0


async def test_clients_behind_a_proxy_have_rates_of_their_own_on_one_connection(tmp_path: Path) -> None:
    path = f"{tmp_path}/t.sock"
    settings = {"listen": ["127.0.0.1:0", f"http://unix:{path}"], "proxies": Proxies(x_forwarded_for=["unix"])}
    limits = Limits(requests_per_second=1, request_burst=20)
    async with serving(*MANY, limits=limits, allow_anyone=True, **settings) as service:  # type: ignore[arg-type]
        while True:
            peer = await service.dial_plain(path)
            if (await ask(peer, COSTLY, "X-Forwarded-For: 203.0.113.7")).status == 429:
                break
        peer = await service.dial_plain(path)
        for number in range(8, 14):
            got = await ask(peer, COSTLY, f"X-Forwarded-For: 203.0.113.{number}")
            assert (got.status, got.kept) == (200, True)
        while (got := await ask(peer, COSTLY, "X-Forwarded-For: 203.0.113.7")).status == 200:
            assert got.kept
        assert got.status == 429

"""Hostile requests, over real TLS, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.conftest import BINARY, client_frame, upgrade
from tests.hostile.support import attacked, dripped
from ticker.config import Limits
from ticker.protocol.messages import Reply
from ticker.protocol.wire import MSGPACK as MSGPACK_ENCODING


def host(value: bytes) -> bytes:
    return upgrade().replace(b"Host: localhost", b"Host: " + value)


@pytest.mark.parametrize(
    "head",
    [
        host(b"\xff\xfe"),
        host(b"caf\xc3\xa9.example"),
        host(b"xn--"),
        host(b"xn--\xc3\xa9-.xn--"),
        host(b"xn--a\x80.example"),
        host(b"xn--999999999999999999.example"),
        upgrade().replace(b"Connection: Upgrade", b"Connection: Upgrade, \xff"),
        upgrade().replace(b"Connection: Upgrade", b"Connection: \xff, Upgrade"),
        upgrade(more="X-\xe9: 1\r\n"),
        upgrade(more="Sec-WebSocket-Extensions: \xff; =;;\r\n"),
        upgrade(more="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99999\r\n"),
        upgrade(more="Sec-WebSocket-Protocol: \xff\r\n"),
        upgrade(path="/v1/stream?\xff"),
        upgrade(path="//[::1"),
        upgrade(more="Origin: https://[\r\n"),
        upgrade(more="Content-Length: 5\r\n") + b"12345",
        upgrade(more="Transfer-Encoding: chunked\r\n") + b"fffffffffffffffff\r\n",
    ],
)
async def test_no_head_stops_the_service(head: bytes) -> None:
    async with attacked() as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(head)
            assert int((await peer.head()).split()[1]) in {101, 400, 403, 404, 501}
        await peer.reset()


@pytest.mark.parametrize("request_", [b"GET \x00\xff\r\n\r\n", b"\x16\x03\x01" * 50 + b"\r\n\r\n", host(b"\xff")[:90]])
@pytest.mark.parametrize("times", [1, 30])
async def test_a_malformed_request_and_then_a_reset_disturbs_nobody(request_: bytes, times: int) -> None:
    async with attacked() as service:
        for _ in range(times):
            peer = await service.dial()
            await peer.send(request_)
            await peer.reset()


async def test_a_head_that_drips_in_is_cut_off_in_time(fast_clock: MockClock) -> None:
    """Each byte is in time; all of them are not."""
    async with attacked(limits=Limits(handshake_seconds=10)) as service:
        peer = await service.dial()
        assert await dripped(peer, upgrade(), fast_clock) <= 12
        assert await peer.rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        upgrade(more=f"Cookie: {'x' * 100_000}\r\n"),
        upgrade(more="".join(f"X-{number}: y\r\n" for number in range(8_000))),
        upgrade(path="/v1/stream?" + "z" * 100_000),
        b"\r\n" * 50_000 + upgrade(),
        b"G" * 100_000,
    ],
    ids=["one header", "many headers", "target", "empty lines", "no line at all"],
)
async def test_a_head_of_100_kb_is_refused_and_the_peer_learns_why(head: bytes) -> None:
    async with attacked() as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(head)
            answer = await peer.rest()
        assert answer[:13] in {b"HTTP/1.1 431 ", b"HTTP/1.1 400 "}
        assert answer.endswith(b"}")


async def test_of_pipelined_requests_the_first_is_answered_and_the_rest_are_not() -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with attacked() as service:
        for requests in (health * 100, health + upgrade(), health + b"\xff" * 500):
            answer = await service.refusal(requests)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.count(b"HTTP/1.1 ") == 1


async def test_requests_behind_an_upgrade_are_no_frames_and_end_it() -> None:
    async with attacked() as service:
        for behind in (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", upgrade()):
            peer = await service.dial()
            with trio.fail_after(HANG_SECONDS):
                await peer.send(upgrade() + behind)
                assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
                await peer.message()
                assert (await peer.closed())[0] == 1002
                assert await peer.rest() == b""


async def test_what_comes_with_a_head_counts_as_much_as_what_comes_behind_it() -> None:
    """A head and 16 KiB of requests, cut in two at an unlucky place, are not too long a head."""
    ping = MSGPACK_ENCODING.encode_request({"op": "ping", "id": 7})
    assert isinstance(ping, bytes)
    whole = upgrade() + client_frame(BINARY, ping) * 1_000
    async with attacked(limits=Limits(request_burst=5_000)) as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(whole[:50])
            await peer.send(whole[50:])
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            for _ in range(1_000):
                assert (await peer.until(Reply)).id == 7


async def all_after(words: bytes, port: int) -> bytes:
    """All that comes in answer to these bytes without TLS."""
    answer = bytearray()
    async with await trio.open_tcp_stream("127.0.0.1", port) as plain:
        with trio.fail_after(HANG_SECONDS), suppress(trio.BrokenResourceError):
            await plain.send_all(words)
            while data := await plain.receive_some():
                answer += data
    return bytes(answer)


@pytest.mark.parametrize(
    "words",
    [
        b"\x00" * 2000,
        b"\x16\x03\x01\xff\xff" + bytes(65_535),
        b"SSH-2.0-hello\r\n",
        b"\x80\x2e\x01\x00\x02",
    ],
    ids=["zeros", "a record that is too long", "ssh", "SSL 2"],
)
async def test_what_is_no_tls_on_the_tls_port_is_closed_without_a_word_of_http(words: bytes) -> None:
    async with attacked(limits=Limits(handshake_seconds=1)) as service:
        answer = await all_after(words, service.port)
        assert b"HTTP" not in answer
        assert len(answer) < 100


@pytest.mark.parametrize(
    "words",
    [
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n",
        upgrade(),
        b"GET / HTTP/1.1\r\nHost: \xff\r\nAccept: text/html\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + b"x" * 50_000,
    ],
    ids=["HTTP", "upgrade", "odd host", "long", "body"],
)
async def test_plain_http_on_the_tls_port_gets_one_short_answer_and_no_more(words: bytes) -> None:
    async with attacked() as service:
        answer = await all_after(words, service.port)
        assert answer.count(b"HTTP/1.1 400 ") <= 1
        assert len(answer) < 500

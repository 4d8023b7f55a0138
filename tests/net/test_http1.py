"""ticker/net/http1.py: requests and responses, over real connections to the real service where bytes matter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus

import h11
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.conftest import ACCEPT, BINARY, JSON, KEY, MSGPACK, Peer, Running, client_frame, serving, upgrade
from tests.net.pair import Contexts, connected
from ticker.config import Limits
from ticker.net.http1 import Refusal, Response, Upgrade, receive_request, respond, route
from ticker.net.tls_stream import TlsStream
from ticker.protocol.messages import Reply, Welcome
from ticker.protocol.wire import MSGPACK as MSGPACK_ENCODING

LIMIT = 1000


def request(*replaced: tuple[str, str | None], method: str = "GET", target: str = "/v1/stream") -> h11.Request:
    """A good request with some headers replaced, or left out where they are None."""
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "WebSocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **dict(replaced),
    }
    return h11.Request(
        method=method,
        target=target,
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items() if value is not None],
    )


# Routes


def test_an_upgrade_without_a_subprotocol_gets_msgpack() -> None:
    assert route(request()) == Upgrade(KEY.encode(), MSGPACK_ENCODING, None)


def test_a_query_does_not_change_the_path() -> None:
    assert route(request(target="/v1/stream?a=/b")).subprotocol is None


@pytest.mark.parametrize(
    ("offer", "taken"),
    [
        (MSGPACK, MSGPACK),
        (JSON, JSON),
        (f"graphql-ws,{JSON} , {MSGPACK}", JSON),
        (f"{MSGPACK},{JSON}", MSGPACK),
        (f", ,{JSON},", JSON),
        (", ,", None),
    ],
)
def test_the_first_known_subprotocol_of_the_client_is_taken(offer: str, taken: str | None) -> None:
    assert route(request(("Sec-WebSocket-Protocol", offer))).subprotocol == taken


def test_subprotocols_may_stand_in_several_headers() -> None:
    whole = request()
    headers = [
        *whole.headers.raw_items(),
        (b"Sec-WebSocket-Protocol", b"x"),
        (b"Sec-WebSocket-Protocol", JSON.encode()),
    ]
    assert route(h11.Request(method="GET", target="/v1/stream", headers=headers)).subprotocol == JSON


@pytest.mark.parametrize("order", [("Upgrade", "keep-alive"), ("keep-alive", "Upgrade")])
def test_connection_options_may_stand_in_several_headers(order: tuple[str, str]) -> None:
    headers = [(name, value) for name, value in request().headers.raw_items() if name != b"Connection"]
    headers += [(b"Connection", value.encode()) for value in order]
    assert route(h11.Request(method="GET", target="/v1/stream", headers=headers)).key == KEY.encode()


@pytest.mark.parametrize(
    ("bad", "status", "text"),
    [
        (request(method="POST"), 405, "GET"),
        (request(method="HEAD"), 405, "GET"),
        (request(("Upgrade", None)), 426, "WebSocket client"),
        (request(("Upgrade", "h2c")), 426, "WebSocket client"),
        (request(("Connection", None)), 426, "WebSocket client"),
        (request(("Connection", "keep-alive")), 426, "WebSocket client"),
        (request(("Connection", "Upgrades")), 426, "WebSocket client"),
        (request(("Sec-WebSocket-Version", None)), 426, "13"),
        (request(("Sec-WebSocket-Version", "8")), 426, "13"),
        (request(("Sec-WebSocket-Key", None)), 400, "Sec-WebSocket-Key"),
        (request(("Sec-WebSocket-Key", "short")), 400, "Sec-WebSocket-Key"),
        (request(("Sec-WebSocket-Key", "AAAA")), 400, "Sec-WebSocket-Key"),
        (request(("Sec-WebSocket-Key", KEY + "AAAA")), 400, "Sec-WebSocket-Key"),
        (request(("Sec-WebSocket-Key", "\xff" * 24)), 400, "Sec-WebSocket-Key"),
        (request(("Sec-WebSocket-Protocol", "ticker.v2.msgpack")), 400, "ticker.v1.msgpack, ticker.v1.json"),
    ],
)
def test_a_request_that_is_no_upgrade_of_the_stream_is_refused(bad: h11.Request, status: int, text: str) -> None:
    with pytest.raises(Refusal, match=text) as refused:
        route(bad)
    assert refused.value.status == status


def test_an_http_1_0_request_is_refused() -> None:
    old = h11.Request(method="GET", target="/v1/stream", headers=request().headers.raw_items(), http_version="1.0")
    with pytest.raises(Refusal) as refused:
        route(old)
    assert refused.value.status == HTTPStatus.UPGRADE_REQUIRED


def test_the_request_written_anew_asks_for_the_same() -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(route(request(("Sec-WebSocket-Protocol", JSON))).request())
    again = connection.next_event()
    assert isinstance(again, h11.Request)
    assert route(again) == route(request(("Sec-WebSocket-Protocol", JSON)))


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
)
@example("Upgrade,\xff", "==")
def test_any_header_values_upgrade_or_are_refused(connection: str, key: str) -> None:
    for header, value in (("Connection", connection), ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Protocol", key)):
        assert status(request((header, value))) in {101, 400, 426}


def status(asked: h11.Request) -> int:
    """The HTTP status that this request gets."""
    try:
        assert route(asked).request().isascii()
    except Refusal as refused:
        return refused.status
    return 101


# Heads, as they come from the network


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=1500),
        st.binary(max_size=60).map(lambda junk: b"GET / HTTP/1.1\r\n" + junk + b"\r\n\r\n"),
        st.binary(max_size=60).map(lambda junk: b"GET /v1/stream HTTP/1.1\r\nHost: " + junk + b"\r\n\r\n"),
        st.binary(max_size=60).map(lambda junk: upgrade() + junk),
    ),
    st.integers(min_value=1, max_value=1500),
)
@example(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 1500)
@example(b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 1500)
@example(b"GET / HTTP/1.1\r\n\r\n", 1)
async def test_any_bytes_are_a_request_or_a_refusal_or_a_cut_head(contexts: Contexts, data: bytes, piece: int) -> None:
    async with connected(contexts) as pair, trio.open_nursery() as nursery:

        async def send() -> None:
            for start in range(0, len(data), piece):
                await pair.client.send_all(data[start : start + piece])
            await pair.client.aclose()

        nursery.start_soon(send)
        assert await outcome(pair.server) in {101, 400, 404, 405, 426, 431, 501, "cut"}
        nursery.cancel_scope.cancel()


async def outcome(stream: TlsStream) -> int | str:
    """The HTTP status for the bytes of a stream, or "cut"."""
    try:
        return status((await receive_request(stream, LIMIT))[0])
    except Refusal as refused:
        return refused.status
    except trio.BrokenResourceError:
        return "cut"


def answers() -> Iterator[tuple[bytes, int, dict[bytes, bytes]]]:
    yield b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, {}
    yield b"POST /v1/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 405, {b"allow": b"GET"}
    yield b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n", 426, {b"upgrade": b"websocket"}
    yield upgrade().replace(b"Version: 13", b"Version: 7"), 426, {b"sec-websocket-version": b"13"}
    yield upgrade(key="AAAA"), 400, {}
    yield upgrade("wamp"), 400, {}
    yield b"no request\r\n\r\n", 400, {}
    yield b"\x80\x81\x82\r\n\r\n", 400, {}
    yield b"GET / HTTP/1.1\r\n\r\n", 400, {}  # without Host
    yield upgrade(more=f"Cookie: {'x' * 17_000}\r\n"), 431, {}
    yield b"x" * 17_000, 431, {}


@pytest.mark.parametrize(("head", "status", "headers"), list(answers()))
async def test_a_refusal_is_an_http_answer_that_ends_the_connection(
    head: bytes, status: int, headers: dict[bytes, bytes]
) -> None:
    async with serving() as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(head)
            answer = h11.Connection(h11.CLIENT)
            answer.send(h11.Request(method="GET", target="/", headers=[("Host", "localhost")]))
            answer.receive_data(await peer.rest())
            answer.receive_data(b"")
            response, body = answer.next_event(), answer.next_event()
        assert isinstance(response, h11.Response)
        assert isinstance(body, h11.Data)
        assert response.status_code == status
        given_headers = dict(response.headers)
        assert given_headers[b"content-type"] == b"application/json"
        assert b"close" in given_headers[b"connection"]
        assert headers.items() <= given_headers.items()
        content = json.loads(bytes(body.data))
        assert content["code"] == status
        assert content["message"]
        await service.proves_alive()


async def welcomed(peer: Peer, subprotocol: str | None = MSGPACK) -> bytes:
    """The head of the answer to an upgrade, once its WELCOME has come, too."""
    head = await peer.head()
    assert head.startswith(b"HTTP/1.1 101 ")
    assert f"sec-websocket-accept: {ACCEPT}".encode().lower() in head.lower()
    assert isinstance(await peer.message(), Welcome)
    assert (b"sec-websocket-protocol" in head.lower()) == (subprotocol is not None)
    return head


@pytest.mark.parametrize("subprotocol", [None, MSGPACK, JSON])
async def test_the_answer_confirms_the_subprotocol_only_if_one_was_offered(subprotocol: str | None) -> None:
    async with serving() as service:
        peer = await service.dial(encoding=subprotocol or MSGPACK)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(upgrade(subprotocol))
            head = await welcomed(peer, subprotocol)
        assert (subprotocol or "").encode() in head


async def test_a_head_may_come_byte_by_byte() -> None:
    async with serving() as service:
        peer = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            for byte in upgrade():
                await peer.send(bytes((byte,)))
            await welcomed(peer)


async def test_what_comes_right_behind_the_head_is_not_lost() -> None:
    async with serving() as service:
        peer = await service.dial()
        ping = MSGPACK_ENCODING.encode_request({"op": "ping", "id": 77})
        assert isinstance(ping, bytes)
        with trio.fail_after(HANG_SECONDS):
            frame = client_frame(BINARY, ping)
            await peer.send(upgrade() + frame + frame[:4])
            await welcomed(peer)
            assert (await peer.until(Reply)).id == 77
            await peer.send(frame[4:])
            assert (await peer.until(Reply)).id == 77


async def cut_off(service: Running, sent: bytes, clock: MockClock) -> bytes:
    """The answer to a client that sends only these bytes, for longer than allowed."""
    peer = await service.dial()
    await peer.send(sent)
    await wait_all_tasks_blocked()
    clock.jump(5.1)
    return await peer.rest()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/str", upgrade()[:-2]])
async def test_a_head_that_does_not_come_in_time_is_closed_without_an_answer(
    sent: bytes, fast_clock: MockClock
) -> None:
    async with serving(limits=Limits(handshake_seconds=5)) as service:
        assert await cut_off(service, sent, fast_clock) == b""
        await service.proves_alive()


async def test_a_client_that_does_not_begin_with_tls_is_closed_in_time(fast_clock: MockClock) -> None:
    async with serving(limits=Limits(handshake_seconds=5)) as service:
        async with await trio.open_tcp_stream("127.0.0.1", service.port) as silent:
            await wait_all_tasks_blocked()
            fast_clock.jump(5.1)
            assert await silent.receive_some() == b""
        await service.proves_alive()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/str", upgrade()[:-2]])
async def test_a_client_may_leave_in_the_middle_of_its_head(sent: bytes) -> None:
    async with serving() as service:
        peer = await service.dial()
        await peer.send(sent)
        await peer.close()
        await service.proves_alive()


async def test_the_limit_counts_every_byte_of_the_head() -> None:
    head = upgrade()
    async with serving(limits=Limits(max_head_bytes=len(head))) as service:
        exact = await service.dial()
        with trio.fail_after(HANG_SECONDS):
            await exact.send(head)
            await welcomed(exact)
            longer = await service.dial()
            await longer.send(upgrade(more="A: \r\n"))
            assert (await longer.rest()).startswith(b"HTTP/1.1 431 ")


# Responses


async def test_the_beginning_of_a_long_response_can_be_read_in_the_first_window_of_a_connection(
    contexts: Contexts,
) -> None:
    body = bytes(range(256)) * 400
    async with connected(contexts) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(respond, pair.server, Response(body))
        received = b""
        while len(received) < len(body):
            received += await pair.client.transport_stream.receive_some()
    ends, at = list[int](), 0
    while at + 5 <= len(received):
        at += 5 + int.from_bytes(received[at + 3 : at + 5], "big")
        ends.append(at)
    assert any(10_000 < end < 10 * 1_448 for end in ends), ends


@pytest.mark.parametrize("size", [0, 12_000, 12_288, 100_000])
async def test_a_response_has_its_whole_body_whatever_its_length(contexts: Contexts, size: int) -> None:
    body = bytes(size)
    async with connected(contexts) as pair, trio.open_nursery() as nursery:
        nursery.start_soon(respond, pair.server, Response(body))
        received = b""
        while not received.endswith(b"\r\n\r\n" + body):
            received += await pair.client.receive_some()
        head, _, behind = received.partition(b"\r\n\r\n")
        assert f"\r\nContent-Length: {size}".encode() in head
        assert len(behind) == size

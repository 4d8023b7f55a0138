"""ticker/net/plain_http.py, tls_stream.py: what speaks HTTP without TLS to the port with TLS is told the address."""

from __future__ import annotations

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from ticker.net.plain_http import answer_without_tls

HEAD = b"GET /v1/snapshot?symbols=A HTTP/1.1\r\nHost: localhost:8443\r\n"
BROWSER = HEAD + b"Accept: text/html,*/*;q=0.8\r\n"


async def said(port: int, request: bytes) -> bytes:
    answer = bytearray()
    with trio.fail_after(HANG_SECONDS):
        async with await trio.open_tcp_stream("127.0.0.1", port) as plain:
            await plain.send_all(request)
            while data := await plain.receive_some():
                answer += data
    return bytes(answer)


async def test_a_program_is_told_the_address_and_a_browser_is_sent_there() -> None:
    async with serving() as service:
        told = await said(service.port, HEAD + b"\r\n")
        assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert told.endswith(b"\r\n\r\nThis port speaks TLS: use https://localhost:8443/v1/snapshot?symbols=A\n")
        sent = await said(service.port, BROWSER + b"\r\n")
        assert sent.startswith(b"HTTP/1.1 307 Temporary Redirect\r\n")
        assert b"\r\nLocation: https://localhost:8443/v1/snapshot?symbols=A\r\n" in sent
        assert (await said(service.port, b"POST / HTTP/1.1\r\nHost: a\r\n\r\n{}")).endswith(b"use https://a/\n")
        await service.proves_alive()


@pytest.mark.parametrize("secret", [b"Authorization: Bearer x\r\n", b"cookie: ticker_token=x\r\n"])
def test_what_carries_a_secret_is_not_sent_on(secret: bytes) -> None:
    answer = answer_without_tls(BROWSER + secret + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Location" not in answer


@pytest.mark.parametrize(
    ("request_", "address"),
    [
        (b"GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n", b"https://[::1]:8443/"),
        (b"GET /x HTTP/1.0\r\n\r\n", b"https://HOST:PORT/x"),
        (b"GET / HTTP/1.1\r\nHost: evil\x00\r\n\r\n", b"https://HOST:PORT/"),
        (b"GET / HTTP/1.1\r\nHost: user@evil\r\n\r\n", b"https://HOST:PORT/"),
        (b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", b"https://a/"),
        (b"GET //evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n", b"https://a//evil.example/"),
        (b"GET /", b"https://HOST:PORT/"),
    ],
)
def test_the_address_has_only_what_an_address_may_have(request_: bytes, address: bytes) -> None:
    assert answer_without_tls(request_).endswith(b"use " + address + b"\n")


def test_head_gets_no_body() -> None:
    assert answer_without_tls(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"\r\nConnection: close\r\n\r\n")


@given(st.binary(max_size=300), st.binary(max_size=300))
@example(b"/ HTTP/1.1\r\nLocation: http://evil", b"a\r\nSet-Cookie: b")
def test_no_bytes_put_a_line_into_the_answer(target: bytes, host: bytes) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nAccept: text/html\r\n\r\n"
    lines = answer_without_tls(request).partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = {line.partition(b":")[0] for line in lines[1:]}
    assert names <= {
        *(b"Content-Type", b"Content-Length", b"Cache-Control", b"X-Content-Type-Options", b"Connection", b"Location")
    }
    assert all(32 <= byte < 127 for line in lines for byte in line)

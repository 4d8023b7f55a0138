"""Strangers at the port of a feed, beside a client that has to be served (see tests/hostile/test_list.py)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from contextlib import suppress

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.hostile.support import attacked
from ticker.errors import Code
from ticker.protocol.messages import Reply

LINE = b'{"symbol": "EVIL", "bid": "666"}\n'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def say(port: int, *parts: bytes) -> None:
    """Send these to the port of a feed, which ends the connection."""
    with trio.fail_after(HANG_SECONDS):
        while True:
            with suppress(OSError):
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                break
        async with stream:
            with suppress(trio.BrokenResourceError):
                for part in parts:
                    await stream.send_all(part)
                await stream.send_eof()
                assert await stream.receive_some() == b""


def head(method: str, *more: str) -> bytes:
    lines = (f"{method} / HTTP/1.1", "Host: 127.0.0.1", "Origin: https://evil.example", *more, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "request_parts",
    [
        [head("POST", "Content-Type: text/plain", f"Content-Length: {len(LINE)}") + LINE],
        [head("POST", "Transfer-Encoding: chunked"), b"1e\r\n" + LINE + b"\r\n0\r\n\r\n"],
        [head("OPTIONS", "Access-Control-Request-Private-Network: true"), LINE],
        [head("GET", "Upgrade: websocket", "Connection: Upgrade"), LINE],
        [bytes([byte]) for byte in head("PUT") + LINE],
        [b"POST /" + b"a" * 2**21 + b" HTTP/1.1\r\n\r\n" + LINE],
        [b"\r\n\r\n" + head("POST") + LINE],
        [b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03\n" + LINE],
    ],
    ids=["POST", "chunked", "preflight", "WebSocket", "byte by byte", "endless URL", "behind empty lines", "TLS"],
)
async def test_a_page_that_posts_to_the_port_of_a_feed_publishes_nothing(request_parts: Sequence[bytes]) -> None:
    port = free_port()
    async with attacked(more_feeds=[f"jsonl?path=tcp://127.0.0.1:{port}"]) as service:
        for _ in range(3):
            await say(port, *request_parts)
        peer = await service.peer()
        reply = await peer.answer("subscribe", symbols=["EVIL"])
        assert isinstance(reply, Reply)
        assert reply.result["outcomes"][0][:2] == ["EVIL", Code.UNKNOWN_SYMBOL]


async def test_what_a_program_sends_is_only_text_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    async with attacked(more_feeds=[f"jsonl?path=tcp://127.0.0.1:{port}"]):
        await say(port, b"\x1b[2J\x1b]0;title\x07\r\n" + LINE)
        await say(port, b"[]\n", '{"symbol": "\u202e\x1b[31m", "bid": "\u2028\x9b2J"}\n'.encode())
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told
    assert all(text.isprintable() for text in told), told

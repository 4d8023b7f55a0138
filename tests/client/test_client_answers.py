"""ticker/net/dialing.py: answers to the upgrade that no service gives, each one line of error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.net.pair import Contexts
from ticker import connect
from ticker.errors import ConnectionFailed


@asynccontextmanager
async def answering(contexts: Contexts, *parts: bytes, times: int = 1) -> AsyncIterator[str]:
    """A TLS server that answers a request with these bytes, the last of them so many times."""

    async def answer(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()
            for part in parts[:-1]:
                await stream.send_all(part)
            for _ in range(times):
                await stream.send_all(parts[-1])
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, answer, 0, contexts.server)
        yield f"wss://127.0.0.1:{listeners[0].transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def failure(url: str) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught, trio.fail_after(HANG_SECONDS):
        async with connect(url):
            pytest.fail("it connected")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    return caught.value


@pytest.mark.parametrize(
    ("parts", "times"),
    [
        ([b"HTTP/1.1 101 Switching Protocols\r\n", b"X-Padding: " + b"x" * 1000 + b"\r\n"], 10_000),
        ([b"HTTP/1.1 101 Switching Protocols\r\nX-Padding: ", b"x" * 65_536], 1_000),
        ([b"HTTP/1.1 403 No\r\nContent-Length: 99999999\r\n\r\n", b"x" * 65_536], 1_000),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n"], 1_000),
        ([b"x" * 65_536], 1_000),
    ],
)
async def test_an_answer_without_end_is_an_error_and_not_kept(
    contexts: Contexts, parts: list[bytes], times: int
) -> None:
    async with answering(contexts, *parts, times=times) as url:
        error = await failure(url)
    assert error.retryable


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail ESMTP\r\n\r\n",
        b"\x1b[2J\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_no_service_gives_may_pass(contexts: Contexts, answer: bytes) -> None:
    async with answering(contexts, answer) as url:
        error = await failure(url)
    assert error.retryable

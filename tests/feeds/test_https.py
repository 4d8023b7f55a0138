"""ticker_feeds/venues/https.py: one request, whose answer is bounded in time and size, and says what went wrong."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.feeds.rest_server import Asked, rest_server
from tests.feeds.venue_server import option_ca
from ticker.errors import TickerError
from ticker_feeds.venues import VenueClosed, VenueUnreachable, https
from ticker_feeds.venues.https import HttpRefused, get


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=option_ca().removeprefix("ca="))


async def got(answer: Callable[[Asked], Awaitable[object]], path: str = "/depth?symbol=A") -> bytes:
    """The result of a request that a server answers so."""
    outcome: bytes | TickerError = b""
    with trio.fail_after(HANG_SECONDS):
        async with rest_server() as server, trio.open_nursery() as nursery:

            async def serve() -> None:
                asked = await server.asked()
                assert asked.target == path
                await answer(asked)

            nursery.start_soon(serve)
            try:
                outcome = await get(server.url + path, trusting())
            except TickerError as error:
                outcome = error
            nursery.cancel_scope.cancel()
    if isinstance(outcome, TickerError):
        raise outcome
    return outcome


async def test_the_body_of_an_answer_is_returned() -> None:
    assert await got(lambda asked: asked.answer({"a": 1})) == b'{"a": 1}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert await got(lambda asked: asked.answer(chunked)) == b"abc"


@pytest.mark.parametrize(
    ("written", "seconds"), [("7", 7.0), ("soon", None), ("-1", None), (None, None), (10**12, None)]
)
async def test_an_answer_that_is_no_success_is_raised_with_the_wait_that_it_asks_for(
    written: object, seconds: float | None
) -> None:
    headers = {} if written is None else {"Retry_After": written}
    with pytest.raises(HttpRefused, match=r"/depth: HTTP 429 .*Way too many") as caught:
        await got(lambda asked: asked.answer({"msg": "Way too many"}, "429 Too Many Requests", **headers))
    assert (caught.value.status, caught.value.retry_after) == (429, seconds)


@pytest.mark.parametrize(
    "whole", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 200"]
)
async def test_an_answer_that_breaks_off_or_is_none_is_raised(whole: bytes) -> None:
    with pytest.raises(VenueClosed, match="the answer breaks off"):
        await got(lambda asked: asked.answer(whole))


async def test_an_answer_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "MAX_MESSAGE_BYTES", 1_000)
    with pytest.raises(VenueClosed, match="more than 1000 bytes"):
        await got(lambda asked: asked.answer("x" * 1_000))


@pytest.mark.usefixtures("autojump_clock")
async def test_a_server_that_does_not_answer_is_given_up() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(VenueClosed, match="no answer within 10 s"):
            await get(f"https://127.0.0.1:{port}/depth", trusting())


async def test_a_server_that_is_not_there_or_cannot_be_trusted_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}/depth"
        with pytest.raises(VenueUnreachable, match=url):
            await get(url, trusting())
    async with rest_server() as server:
        with pytest.raises(VenueUnreachable, match="certificate verify failed"):
            await get(f"{server.url}/depth", ssl.create_default_context())

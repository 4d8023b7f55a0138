"""ticker_feeds/venues/connection.py: every kind of frame both ways, closes with their code, and no secret in a repr."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trio
from trio_websocket import WebSocketRequest, serve_websocket

from tests.feeds.venue_server import option_ca, venue
from ticker.net.devcert import development_certificate
from ticker.net.tls import server_context
from ticker_feeds.venues import Request, VenueClosed, VenueSilent, VenueUnreachable, open_connection
from ticker_feeds.venues.coinbase import Coinbase
from ticker_feeds.venues.connection import failure_in


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=option_ca().removeprefix("ca="))


async def test_text_binary_and_json_frames_go_both_ways() -> None:
    async with venue() as server, open_connection(server.url + "/v1?key=K", trusting()) as connection:
        served = await server.accept()
        assert served.path == "/v1?key=K"
        requests: list[Request] = ["plain", b"\xff", {"a": [1]}, [1, "b"]]
        for request in requests:
            await connection.send(request)
            assert await served.request() == request
        await served.send("text", b"\x00\xff", [1, 2])
        assert [await connection.receive() for _ in range(3)] == ["text", b"\x00\xff", "[1, 2]"]
        await connection.ping()


async def test_a_close_carries_its_code_and_a_lost_connection_has_none() -> None:
    async with venue() as server:
        for close in (True, False):
            async with open_connection(server.url, trusting()) as connection:
                served = await server.accept()
                await (served.close(4_001, "maintenance") if close else served.drop())
                with pytest.raises(VenueClosed) as caught:
                    await connection.receive()
                assert caught.value.code == (4_001 if close else None)
                for call in (connection.ping(), connection.send("x")):
                    with pytest.raises(VenueClosed):
                        await call


async def opened(url: str) -> None:
    async with open_connection(url, trusting()):
        raise AssertionError("it must fail")


async def test_every_failure_to_connect_is_one_line_that_names_the_venue_and_the_cause() -> None:
    async def refuse(request: WebSocketRequest) -> None:
        await request.reject(403, body=b"\x1b[31mno\n")

    made = development_certificate(Path(os.environ["TICKER_HOME"]))
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, refuse, "127.0.0.1", 0, server_context(made.cert, made.key))
        failures = {
            f"wss://127.0.0.1:{server.port}/v2?key=SECRET": "the server answers with HTTP 403 instead of a WebSocket",
            "wss://venue.invalid/v2": "",  # the resolver's words
            "wss://127.0.0.1:1/v2": "Connection refused",
        }
        for url, cause in failures.items():
            with pytest.raises(VenueUnreachable) as caught:
                await opened(url)
            text = str(caught.value)
            assert text.startswith(f"{url.partition('?')[0]}: ")
            assert cause in text
            assert text.isprintable()
        nursery.cancel_scope.cancel()


async def test_a_venue_s_reason_for_closing_is_text_and_cut_off() -> None:
    async with venue() as server, open_connection(server.url, trusting()) as connection:
        await (await server.accept()).close(1_013, "\x1b[31mlater\n")
        with pytest.raises(VenueClosed) as caught:
            await connection.receive()
    assert str(caught.value) == r"the venue closed the connection: 1013 \x1b[31mlater\n"


def test_of_several_failures_at_once_one_is_told_and_a_fault_of_code_is_never_hidden() -> None:
    closed, silent, fault = VenueClosed("closed"), VenueSilent("silent"), KeyError("k")
    assert failure_in(BaseExceptionGroup("", [closed, BaseExceptionGroup("", [silent])])) is closed
    assert failure_in(BaseExceptionGroup("", [BaseExceptionGroup("", [fault])])) is fault
    both = BaseExceptionGroup("", [closed, fault])
    assert failure_in(both) is both


async def test_neither_a_repr_nor_an_error_shows_a_secret_of_the_url() -> None:
    async with venue() as server:
        secret = server.url.replace("wss://", "wss://user:PASSWORD@") + "/v1?key=SECRET"
        async with open_connection(secret, trusting(), 3.0) as connection:
            assert repr(connection) == f"<VenueConnection to {server.url}, 3 s of silence allowed>"
        with pytest.raises(VenueUnreachable) as caught:
            async with open_connection(secret, ssl.create_default_context()):
                raise AssertionError("an unknown authority is not trusted")
        assert str(caught.value).startswith(f"{server.url}/v1: ")
        assert not any(word in str(caught.value) for word in ("PASSWORD", "SECRET", "user"))
        feed = repr(Coinbase(symbols="A-B", url=secret))
        assert feed == f"<Coinbase at {server.url.removeprefix('wss://')}: 1 symbols, 0 runs, {{}}>"

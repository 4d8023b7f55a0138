"""ticker_feeds/venues/connection.py: every kind of frame both ways, closes with their code, and no secret in a repr."""

from __future__ import annotations

import ssl

import pytest

from tests.feeds.venue_server import option_ca, venue
from ticker_feeds.venues import Request, VenueClosed, VenueUnreachable, open_connection
from ticker_feeds.venues.coinbase import Coinbase


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

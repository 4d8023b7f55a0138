"""ticker/web/ticker.js in programs without listeners, each in a Node of its own: their errors are on stderr."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.client.network import proxied
from tests.conftest import serving
from tests.net.pair import Contexts
from tests.support import update
from tests.tokens import key_file
from tests.web.javascript import SCRIPTS, environment, node, program
from ticker.config import Limits, Tokens
from ticker.market import Instrument, Publication

pytestmark = pytest.mark.usefixtures("node_installed")

MARKET: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
BOTH = pytest.mark.parametrize("transport", ["websocket", "events"])
HTML = "<!DOCTYPE html><title>Please log in</title>"


class Alone:
    """A Node process, and its output on stderr."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, condition: Callable[[str], bool]) -> str:
        assert self.process.stderr is not None
        with trio.fail_after(HANG_SECONDS):
            while not condition(self.said):
                more = await self.process.stderr.receive_some()
                assert more, self.said
                self.said += more.decode()
        return self.said


@asynccontextmanager
async def alone(*arguments: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Alone]:
    command = [node(), "--experimental-websocket", str(SCRIPTS / "alone.mjs"), *arguments]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or environment()
    )
    try:
        yield Alone(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            await stream.aclose()


# Names


@BOTH
async def test_refused_names_and_names_without_an_instrument_are_said(transport: str) -> None:
    async with (
        serving(*MARKET) as service,
        alone(service.url, "iterate", transport, "A", "a b", "Z", "Q*") as client,
    ):
        said = await client.until(lambda said: said.count("\n") >= 2)
    assert "ticker: a b: " in said
    assert "ticker: Z, Q*: no instrument for 0.5 s; is it the right name?" in said


async def test_many_refused_names_are_one_line_and_end_the_loop() -> None:
    async with (
        serving(*MARKET, limits=Limits(max_symbols=2)) as service,
        alone(service.url, "iterate", "A", *[f"S{number}" for number in range(500)]) as client,
    ):
        said = await client.until(lambda said: "TickerError" in said)
    assert "ticker: S1: a connection may have 2 symbols and patterns (and 498 more names)" in said
    assert said.count("ticker: S") == 1


async def test_a_name_that_cannot_be_one_is_said_once_while_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with alone(f"https://127.0.0.1:{port}", "iterate", "events", "A", "a,b") as client:
        await client.until(lambda said: said.count("\n") >= 2)
        with trio.move_on_after(1.5):  # it tries again some times
            await client.until(lambda _: False)
        assert client.said.count("ticker: a,b: it is neither a symbol nor a pattern") == 1


# Connections


@BOTH
async def test_a_certificate_that_is_not_trusted_is_said_with_the_remedy(transport: str) -> None:
    env = {**os.environ, "NODE_NO_WARNINGS": "1"}
    env.pop("NODE_EXTRA_CA_CERTS", None)
    async with serving(*MARKET) as service, alone(service.url, "iterate", transport, "A", env=env) as client:
        said = await client.until(lambda said: "\n" in said)
    assert f"ticker: the certificate of 127.0.0.1:{service.port} is not trusted (" in said
    assert "NODE_EXTRA_CA_CERTS=FILE; trying again until it works" in said


@BOTH
async def test_a_server_that_is_not_there_is_said_once(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with alone(f"https://127.0.0.1:{port}", "iterate", transport, "A") as client:
        said = await client.until(lambda said: "\n" in said)
        await trio.sleep(1.5)  # it tries again some times
        with trio.move_on_after(0.1):
            await client.until(lambda _: False)
        assert client.said == said
    assert said == (
        f"ticker: nobody listens at 127.0.0.1:{port} (connection refused); is `ticker serve` running?; "
        "trying again until it works\n"
    )


@BOTH
async def test_a_token_that_is_missing_is_said_with_the_option(tmp_path: Path, transport: str) -> None:
    tokens = Tokens(key=key_file(tmp_path))
    async with serving(*MARKET, tokens=tokens) as service, alone(service.url, "iterate", transport, "A") as client:
        said = await client.until(lambda said: "TickerError" in said)
    assert "ticker: the server answered with HTTP status 401: a token is needed" in said
    assert "the client gives up: give connect() the option token, a function that brings a fresh one\n" in said


@BOTH
async def test_a_host_that_does_not_exist_is_said(transport: str) -> None:
    async with alone("https://nowhere.invalid", "iterate", transport, "A") as client:
        said = await client.until(lambda said: "\n" in said)
    assert "ticker: the host name nowhere.invalid cannot be resolved (" in said


@BOTH
async def test_something_that_speaks_no_tls_is_said(transport: str) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async with stream:
                await stream.receive_some()
                await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, greet, 0)
        port = listeners[0].socket.getsockname()[1]
        async with alone(f"https://127.0.0.1:{port}", "iterate", transport, "A") as client:
            assert "speaks no TLS that this client knows" in await client.until(lambda said: "\n" in said)
        nursery.cancel_scope.cancel()


# Something in between


@BOTH
@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", HTML),
        (200, "text/event-stream", HTML),
        (302, "text/html", ""),
        (401, "text/html", HTML),
        (404, "text/html", HTML),
        (502, "text/html", HTML),
        (200, "application/json", '{"status": "ok"}'),
    ],
)
async def test_a_stray_answer_is_a_temporary_failure(
    contexts: Contexts, transport: str, status: int, kind: str, body: str
) -> None:
    answer = (
        f"HTTP/1.1 {status} Well\r\nLocation: https://login.example/\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )

    async def portal(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.receive_some()
            await stream.send_all(answer.encode())
            await stream.aclose()

    async with serving(*MARKET) as service, proxied(service) as proxy, trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, portal, 0, contexts.server)
        proxy.target = listeners[0].transport_listener.socket.getsockname()[1]
        env_trusts = program(proxy.url, transport=transport)
        async with env_trusts as client:
            await client.tell("subscribe", **{"as": "s", "names": ["A"]})
            waiting = await client.until_state("waiting")
            assert waiting["reason"]
            proxy.target = service.port
            proxy.cut()
            await client.until_value("A", "bid", "1.00")
        nursery.cancel_scope.cancel()


async def test_refused_clients_come_back_at_different_moments() -> None:
    waits = []
    async with serving(*MARKET, limits=Limits(max_connections=1)) as service:
        peer = await service.peer()
        for _ in range(6):
            async with program(service.url, transport="events") as client:
                await client.tell("subscribe", **{"as": "s", "names": ["A"]})
                told = await client.until(lambda told: told.get("state") == "waiting" and "retryMs" in told)
                waits.append(told["retryMs"])
        await peer.close()
    assert all(5000 <= wait <= 10_000 for wait in waits)
    assert len(set(waits)) == len(waits)


async def test_a_listener_that_closes_the_client_leaves_no_stream_behind() -> None:
    async with (
        serving(*MARKET) as service,
        alone(service.url, "close when refused", "events", "A", "a b") as client,
    ):
        with trio.fail_after(HANG_SECONDS):
            assert await client.process.wait() == 0

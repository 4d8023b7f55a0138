"""Tokens, certificates and stops as two real clients live through them: ours, and the `websockets` library's."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import pytest
import trio
import trustme
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from tests.bounds import HANG_SECONDS
from tests.conftest import serving
from tests.support import update
from tests.tokens import key_file, token
from ticker import connect
from ticker.client.events import Connected, Disconnected, Event
from ticker.config import Tokens
from ticker.errors import ConnectionFailed
from ticker.market import Instrument, Publication

MARKET: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"))
ERROR, DELTA, GOODBYE, EXPIRING, REPLY = 3, 6, 8, 9, 2


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


# Ours


async def test_the_client_brings_a_fresh_token_before_the_old_one_expires(tokens: Tokens) -> None:
    given: list[str] = []
    events: list[Event] = []

    async def fetch() -> str:
        # The first one is valid for two more seconds, of the ten that clocks may differ.
        given.append(token(sub="alice", exp=time.time() + (3600 if given else -8)))
        await trio.lowlevel.checkpoint()
        return given[-1]

    async with serving(*MARKET, tokens=tokens) as service:
        async with connect(service.url, token=fetch, on_event=events.append) as client:
            subscription = client.subscribe("A")
            await anext(subscription)
            await trio.sleep(3.5)
            await service.publish(update("A", bid="2.00"))
            assert str((await anext(subscription)).changes["A"]["bid"]) == "2.00"
        assert len(given) == 2
        assert [type(event) for event in events] == [Connected]


async def test_a_token_that_cannot_be_renewed_ends_the_subscriptions(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        text = token(exp=time.time() - 9)
        with pytest.raises(ConnectionFailed, match=r"HTTP status 401: the token is not accepted: it has expired"):
            await watch_for_ever(service.url, text)


async def watch_for_ever(url: str, text: str) -> None:
    async with connect(url, token=text) as client:
        async for _ in client.subscribe("A"):
            pass


async def test_without_a_token_the_reason_is_said(tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens) as service:
        with pytest.raises(ConnectionFailed, match="HTTP status 401: a token is needed"):
            async with connect(service.url):
                pytest.fail("it connected")


async def test_a_source_of_tokens_that_fails_is_asked_again(tokens: Tokens) -> None:
    asked = 0

    def fetch() -> str:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise OSError("the login service is away")
        return token(exp=time.time() + (-8.5 if asked == 1 else 3600))

    events: list[Event] = []
    async with (
        serving(*MARKET, tokens=tokens) as service,
        connect(service.url, token=fetch, on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await anext(subscription)
        with trio.fail_after(HANG_SECONDS):
            while len(events) < 3:
                await trio.sleep(0.05)
        await service.publish(update("A", bid="2.00"))
        assert str((await anext(subscription)).changes["A"]["bid"]) == "2.00"
    assert [type(event) for event in events] == [Connected, Disconnected, Connected]
    assert events[2] == Connected(service.url, events[2].session, resumed=True)  # type: ignore[union-attr]


async def test_without_a_first_token_no_connection_is_tried(tokens: Tokens) -> None:
    def fetch() -> str:
        raise OSError("the login service is away")

    async with serving(*MARKET, tokens=tokens) as service:
        with pytest.raises(ConnectionFailed, match="no token could be had: the login service is away"):
            async with connect(service.url, token=fetch):
                pytest.fail("it connected")


async def test_a_stop_tells_the_client_when_to_come_back(tokens: Tokens) -> None:
    events: list[Event] = []
    async with (
        serving(*MARKET, tokens=tokens, retry_ms=(1500, 1600)) as service,
        connect(service.url, token=token(), on_event=events.append) as client,
    ):
        subscription = client.subscribe("A")
        await anext(subscription)
        service.stop.set()
        with trio.fail_after(HANG_SECONDS):
            await service.done.wait()
            while len(events) < 2:
                await trio.sleep(0.01)
    lost = events[1]
    assert isinstance(lost, Disconnected)
    assert lost.reason == "the server is stopping"
    assert 1.5 <= lost.retry_seconds <= 1.6


# Another library's, and a service as a process of its own


class Served(NamedTuple):
    url: str
    process: subprocess.Popen[str]
    authority: trustme.CA
    folder: Path

    def issue(self) -> None:
        leaf = self.authority.issue_cert("127.0.0.1")
        (self.folder / "cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
        (self.folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())

    def connect(self, text: str | None = None, *more: str) -> ClientConnection:
        context = ssl.create_default_context(cadata=self.authority.cert_pem.bytes().decode())
        headers = {"Authorization": f"Bearer {text}"} if text is not None else None
        protocols = [Subprotocol(name) for name in ("ticker.v1.msgpack", *more)]
        return connect_websocket(self.url, ssl=context, subprotocols=protocols, additional_headers=headers)

    def connect_briefly(self) -> ClientConnection:
        """A connection whose token expires within seconds; it is refused if connecting takes longer."""
        while True:
            with suppress(InvalidStatus):
                return self.connect(token(exp=time.time() - 2))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with running(tmp_path) as service:
        yield service


@contextmanager
def running(folder: Path) -> Iterator[Served]:
    made = Served("", None, trustme.CA(), folder)  # type: ignore[arg-type]  # its process is still to come
    made.issue()
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0"]
    command += ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
    command += ["--token-key", key_file(folder), "--feed", "tests.feeds_for_tests:Counting"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield made._replace(url=process.stdout.readline().split()[1], process=process)
        finally:
            process.terminate()
            assert process.wait(HANG_SECONDS) == 0


def ask(websocket: ClientConnection, op: str, **fields: object) -> None:
    websocket.send(msgpack.packb({"op": op, "id": 1, **fields}))


def until(websocket: ClientConnection, kind: int) -> list[Any]:
    while True:
        payload = websocket.recv(HANG_SECONDS)
        assert isinstance(payload, bytes)
        message: Any = msgpack.unpackb(payload, strict_map_key=False)
        assert isinstance(message, list)
        if message[0] == kind:
            return message


def closed(websocket: ClientConnection) -> int:
    try:
        while True:
            websocket.recv(10)
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd is not None else 1006


def test_another_library_comes_in_with_a_header_or_a_subprotocol(served: Served) -> None:
    with served.connect(token()) as one, served.connect(None, f"bearer.{token()}") as other:
        for websocket in (one, other):
            assert websocket.subprotocol == "ticker.v1.msgpack"
            ask(websocket, "subscribe", symbols=["COUNT"])
            until(websocket, DELTA)
    with pytest.raises(InvalidStatus) as caught, served.connect():
        pytest.fail("it connected")
    assert caught.value.response.status_code == 401


def test_another_library_renews_its_token_and_without_that_is_closed(served: Served) -> None:
    with served.connect_briefly() as one, served.connect_briefly() as other:
        for websocket in (one, other):
            until(websocket, EXPIRING)
        ask(one, "auth", token=token())
        assert until(one, REPLY)[2]["expires"] > time.time() * 1e6
        error = until(other, ERROR)
        assert (error[2], error[4]) == (11, True)
        assert closed(other) == 4001
        ask(one, "subscribe", symbols=["COUNT"])
        until(one, DELTA)


def certificate(websocket: ClientConnection) -> bytes:
    assert isinstance(websocket.socket, ssl.SSLSocket)
    found = websocket.socket.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_another_library_sees_the_new_certificate_and_keeps_its_old_connection(served: Served) -> None:
    with served.connect(token()) as old:
        served.issue()
        served.process.send_signal(signal.SIGHUP)
        new = certificate(old)
        while new == certificate(old):
            with served.connect(token()) as websocket:
                new = certificate(websocket)
        assert new == ssl.PEM_cert_to_DER_cert((served.folder / "cert.pem").read_text())
        ask(old, "subscribe", symbols=["COUNT"])
        until(old, DELTA)


def test_another_library_is_told_goodbye(served: Served) -> None:
    with served.connect(token()) as websocket:
        ask(websocket, "subscribe", symbols=["COUNT"])
        until(websocket, REPLY)
        served.process.terminate()
        goodbye = until(websocket, GOODBYE)
        assert 500 <= goodbye[2] <= 3000
        assert goodbye[3] is True
        assert closed(websocket) == 1001
    assert served.process.wait(HANG_SECONDS) == 0

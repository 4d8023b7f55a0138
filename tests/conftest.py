"""The real service for tests: in the test's own process, over real TLS, with a feed that the test writes.

async with serving(Instrument("A"), update("A", bid="1.00")) as service:
    peer = await service.peer()
    await service.publish(update("A", bid="1.01"))
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import hypothesis
import pytest
import structlog
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.feeds_for_tests import SCRIPTS, Step
from tests.net.pair import Contexts, Pair, connected
from ticker.config import Config, History, Limits, TlsFiles
from ticker.market import Instrument, Publication
from ticker.net.devcert import AUTHORITY_FILE, DevelopmentCertificate, data_folder, development_certificate
from ticker.net.tls import client_context, server_context
from ticker.protocol.messages import Delta, Error, Reply, ServerMessage, Snapshot, Welcome, parse_server_message
from ticker.protocol.wire import ENCODINGS, Encoding
from ticker.server.service import serve
from ticker.server.service_manager import NO_MANAGER, ServiceManager

pytest_plugins = ("tests.running",)

hypothesis.settings.register_profile(
    "untimed",  # a test says nothing about speed, whatever machine it runs on
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="TICKER_SAME_EXAMPLES" in os.environ,
)
hypothesis.settings.load_profile("untimed")

M = TypeVar("M", bound=ServerMessage)

MSGPACK, JSON = "ticker.v1.msgpack", "ticker.v1.json"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""A key and the answer that belongs to it (RFC 6455, section 1.3)."""

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
"""First bytes of whole frames (RFC 6455, section 5.2)."""

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def ticker_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for the whole session that is not the user's, with a development certificate in it."""
    folder = tmp_path_factory.mktemp("ticker-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TICKER_HOME", str(folder))
        development_certificate(folder)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Log tracebacks as the command line does: drawing boxes around them takes whole seconds."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is not the user's."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TICKER_HOME", str(folder))
    return folder


@pytest.fixture
def development(home: Path) -> DevelopmentCertificate:
    return development_certificate(home)


@pytest.fixture(scope="session")
def contexts(ticker_home: Path) -> Contexts:
    made = development_certificate(ticker_home)
    return Contexts(server_context(made.cert, made.key), client_context("127.0.0.1", made.authority))


@pytest.fixture
async def pair(contexts: Contexts) -> AsyncIterator[Pair]:
    async with connected(contexts) as made:
        yield made


@pytest.fixture
def fast_clock() -> MockClock:
    """Trio's clock at its usual pace, which a test can make jump."""
    return MockClock(rate=1.0)


Logs = list[MutableMapping[str, Any]]


def alarms(logs: Logs) -> Logs:
    """Return the logged warnings and errors, except the warning of a service without tokens."""
    loud = {"warning", "error"}
    return [entry for entry in logs if entry["log_level"] in loud and "no tokens are asked for" not in entry["event"]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Captured log entries, before they are rendered."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def upgrade(subprotocol: str | None = MSGPACK, *, path: str = "/v1/stream", key: str = KEY, more: str = "") -> bytes:
    """The head of an opening handshake; `more` are whole further lines."""
    offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol is not None else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}{more}\r\n"
    ).encode("latin-1")


def client_frame(first_byte: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros (RFC 6455, section 5.3), so that its payload is there to read."""
    if len(payload) < 126:
        head = struct.pack("!BB", first_byte, 0x80 | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first_byte, 0x80 | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first_byte, 0x80 | 127, len(payload))
    return head + bytes(4) + payload


def the_last(request: bytes) -> bytes:
    """The same request, which asks for the end of its connection behind the response; an upgrade does already."""
    line, rest = request.partition(b"\r\n")[::2]
    if not line.endswith(b" HTTP/1.1") or b"\r\nConnection:" in request:
        return request
    return line + b"\r\nConnection: close\r\n" + rest


class EndOfStream(Exception):
    """The server ended the connection."""


class Peer:
    """The other end of one connection, made of bytes: it can do whatever a client should not."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream] | trio.SocketStream, encoding: Encoding) -> None:
        self.stream = stream
        self.encoding = encoding
        self.welcome: Welcome | None = None
        self._received = bytearray()
        self._id = 0

    @property
    def socket(self) -> trio.socket.SocketType:
        stream = self.stream
        return (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame's first byte and payload. Raises `EndOfStream`."""
        head = await self.take(2)
        assert not head[1] & 0x80, "server frames are not masked"
        size = {126: 2, 127: 8}.get(head[1], 0)
        length = int.from_bytes(await self.take(size), "big") if size else head[1]
        return head[0], await self.take(length)

    async def message(self) -> ServerMessage:
        """Return the next message; a frame of another kind fails the test."""
        first_byte, payload = await self.frame()
        if first_byte == PING:
            await self.send(client_frame(PONG, payload))
            return await self.message()
        assert first_byte == (TEXT if self.encoding.text else BINARY), (hex(first_byte), payload)
        content = payload.decode() if self.encoding.text else payload
        message = parse_server_message(self.encoding.decode_message(content))
        assert message is not None
        return message

    async def until(self, kind: type[M]) -> M:
        """The next message of this kind; others are skipped."""
        while True:
            message = await self.message()
            if isinstance(message, kind):
                return message

    async def until_cut(self, cut: int) -> list[Delta | Snapshot]:
        """The data messages up to the one that ends at this cut."""
        seen: list[Delta | Snapshot] = []
        while not seen or seen[-1].cut < cut:
            message = await self.message()
            if isinstance(message, Delta | Snapshot):
                seen.append(message)
        return seen

    async def ask(self, op: str, **fields: object) -> int:
        """Send a request; its id."""
        self._id += 1
        payload = self.encoding.encode_request({"op": op, "id": self._id, **fields})
        data = payload.encode() if isinstance(payload, str) else payload
        await self.send(client_frame(TEXT if self.encoding.text else BINARY, data))
        return self._id

    async def answer(self, op: str, **fields: object) -> Reply | Error:
        """Send a request and return its answer; messages before it are skipped."""
        number = await self.ask(op, **fields)
        while True:
            message = await self.message()
            if isinstance(message, Reply | Error) and message.id == number:
                return message

    async def closed(self) -> tuple[int, str]:
        """The code and reason of the close frame that comes now."""
        first_byte, payload = await self.frame()
        assert first_byte == CLOSE, (hex(first_byte), payload)
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def head(self) -> bytes:
        """An HTTP answer's head."""
        while b"\r\n\r\n" not in self._received:
            await self._more()
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received[:] = rest
        return head

    async def rest(self) -> bytes:
        """All that still comes until the server ends the connection."""
        with suppress(EndOfStream):
            while True:
                await self._more()
        return bytes(self._received)

    async def close(self) -> None:
        """Go, without a word of WebSocket."""
        await trio.aclose_forcefully(self.stream)

    async def reset(self) -> None:
        """Go with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    async def take(self, size: int) -> bytes:
        """The next bytes, whatever they are."""
        while len(self._received) < size:
            await self._more()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _more(self) -> None:
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise EndOfStream
        self._received += data


@cache
def _trusting(host: str, authority: Path, _content: bytes) -> ssl.SSLContext:
    return client_context(host, authority)


class Running:
    """A service that runs, and the feed it listens to."""

    def __init__(self, url: str, script: trio.MemorySendChannel[Step], stop: trio.Event, done: trio.Event) -> None:
        self.url = url
        self.stop = stop
        self.done = done
        """Set when the service has ended."""
        self.script = script
        self.peers: list[Peer] = []
        parts = urlsplit(url)
        self.host = "::1" if "[" in url else "127.0.0.1"
        self.port = parts.port or 0
        self.prefix = parts.path.removesuffix("/v1/stream")

    async def publish(self, *publications: Publication) -> None:
        """Have the feed send these as one moment."""
        await self.script.send(list(publications))

    async def dial(self, *, buffer: int | None = None, encoding: str = MSGPACK, source: str | None = None) -> Peer:
        """A TLS connection with nothing said on it; `buffer` is the most that its socket keeps unread.

        `source` is its own address: 127.0.0.2, say.
        """
        with trio.fail_after(HANG_SECONDS):
            sock = trio.socket.socket(socket.AF_INET6 if self.host == "::1" else socket.AF_INET)
            if buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            if source is not None:
                await sock.bind((source, 0))
            await sock.connect((self.host, self.port))
            authority = data_folder() / AUTHORITY_FILE
            context = _trusting(self.host, authority, authority.read_bytes())
            stream = trio.SSLStream(trio.SocketStream(sock), context, server_hostname=self.host, https_compatible=True)
            peer = Peer(stream, ENCODINGS[encoding])
            self.peers.append(peer)
            await stream.do_handshake()
        return peer

    async def dial_plain(self, address: str | int) -> Peer:
        """A connection without TLS to a Unix socket or a port, with nothing said on it."""
        with trio.fail_after(HANG_SECONDS):
            if isinstance(address, int):
                stream = await trio.open_tcp_stream("127.0.0.1", address)
            else:
                stream = await trio.open_unix_socket(address)
        peer = Peer(stream, ENCODINGS[MSGPACK])
        self.peers.append(peer)
        return peer

    async def peer(
        self, subprotocol: str = MSGPACK, *, buffer: int | None = None, more: str = "", source: str | None = None
    ) -> Peer:
        """A WebSocket client that has been welcomed; `more` are further lines of its request."""
        peer = await self.dial(buffer=buffer, encoding=subprotocol, source=source)
        with trio.fail_after(HANG_SECONDS):
            await peer.send(upgrade(subprotocol, path=f"{self.prefix}/v1/stream", more=more))
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            message = await peer.message()
        assert isinstance(message, Welcome)
        peer.welcome = message
        return peer

    async def refusal(self, request: bytes) -> bytes:
        """All of the answer to a request that does not come in, and shall be the last on its connection."""
        peer = await self.dial()
        with trio.fail_after(HANG_SECONDS):
            await peer.send(the_last(request))
            return await peer.rest()

    async def watcher(self, *names: str, subprotocol: str = MSGPACK, buffer: int | None = None, more: str = "") -> Peer:
        """A client that has subscribed (to everything, if no names are given) and holds the snapshot."""
        peer = await self.peer(subprotocol, buffer=buffer, more=more)
        with trio.fail_after(HANG_SECONDS):
            assert isinstance(await peer.answer("subscribe", symbols=list(names or ("*",))), Reply)
        return peer

    async def proves_alive(self, more: str = "") -> None:
        """A new client is served from its first byte to a change; whatever happened before."""
        symbol = f"PROOF{next(_numbers)}"
        peer = await self.watcher(symbol, more=more)
        with trio.fail_after(HANG_SECONDS):
            await self.publish(Instrument(symbol))
            snapshot = await peer.until(Snapshot)
            assert snapshot.records
            await peer.close()


def _bound() -> float:
    """How long a test may take; where it lets the clock jump, that is more."""
    return 10_000 if isinstance(trio.lowlevel.current_clock(), MockClock) else HANG_SECONDS


@asynccontextmanager
async def serving(
    *publications: Publication,
    limits: Limits | None = None,
    interval_ms: int = 0,
    listen: str | list[str] = "127.0.0.1:0",
    tls: TlsFiles | None = None,
    hangups: AsyncIterator[object] | None = None,
    manager: ServiceManager = NO_MANAGER,
    feed: str = "Scripted",
    settings_of_feed: str = "",
    more_feeds: Sequence[str] = (),
    name: str | None = None,
    **settings: Any,  # noqa: ANN401  # further keys of `Config`
) -> AsyncIterator[Running]:
    """A service in whose cache these publications are; it is stopped, and has to end, when the block is left.

    `name` is that of its feed: the same in two runs of one service.
    """
    name = name or f"script{next(_numbers)}"
    script, received = trio.open_memory_channel[Step](0)
    SCRIPTS[name] = received
    feeds = [f"tests.feeds_for_tests:{feed}?name={name}&{settings_of_feed}".rstrip("&"), *more_feeds]
    config = Config(
        listen=listen,
        feeds=feeds,
        interval_ms=interval_ms,
        limits=limits or Limits(),
        tls=tls or TlsFiles(),
        **{"history": History(enabled=False), **settings},
    )
    async with running(config, script, hangups, manager) as service:
        if publications:
            await service.publish(*publications)
        yield service
    SCRIPTS.pop(name, None)
    received.close()


@asynccontextmanager
async def running(
    config: Config,
    script: trio.MemorySendChannel[Step] | None = None,
    hangups: AsyncIterator[object] | None = None,
    manager: ServiceManager = NO_MANAGER,
) -> AsyncIterator[Running]:
    """A service with this configuration; it is stopped, and has to end, when the block is left."""
    script = script or trio.open_memory_channel[Step](0)[0]
    stop, done = trio.Event(), trio.Event()

    async def run(*, task_status: trio.TaskStatus[str]) -> None:
        await serve(config, stop, hangups, manager, task_status=task_status)
        done.set()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(_bound()):
            service = Running(await nursery.start(run), script, stop, done)
            try:
                yield service
            finally:
                with trio.CancelScope(shield=True):
                    for peer in service.peers:
                        await peer.close()
                script.close()
        stop.set()
        with trio.fail_after(HANG_SECONDS):
            await done.wait()

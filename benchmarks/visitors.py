"""Visitors: one client after the other that asks for all of a large market, beside clients of a few instruments.

A kind is a `Visit` in `VISITS`. A visitor reads as fast as it can, and leaves once its last request is answered.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from benchmarks.attackers import client_frame
from benchmarks.servers import STREAM, SUBPROTOCOL

VISIT_SECONDS = 60.0
READ_BYTES = 65_536
KEPT_BYTES = 4096
"""Of what was read, so much is kept to find the mark of an answer in it."""
HALF = "S*[02468]"
_WELCOME = re.compile(rb'\[1,1,"([^"]+)","[^"]+",(\d+),')
_REPLY = re.compile(rb'(?s)\[2,\d+,\{|\x93\x02.[\x80-\x8f]|"event":"reply"|"more":')
"""The beginning of a REPLY in JSON, in msgpack, and on a stream of events with names; the end of a page."""
_JSON = "ticker.v1.json"


@dataclass(frozen=True, slots=True)
class Visit:
    """The requests of a visit, one after the other."""

    requests: Sequence[Mapping[str, Any]] = ()
    target: str = STREAM
    """Of a plain request over HTTP if there are no others."""
    json: bool = False
    resumes: bool = False
    """It goes on from the time before the visits; in between, every instrument has changed."""


def _subscribe(*names: str, **more: object) -> Mapping[str, Any]:
    return {"op": "subscribe", "symbols": names, **more}


VISITS: Mapping[str, Visit] = {
    "all": Visit([_subscribe("*")]),
    "half": Visit([_subscribe(HALF), {"op": "unsubscribe", "symbols": [HALF]}]),
    "half, one field": Visit([_subscribe(HALF, fields=["last"])], json=True),
    "resume": Visit([{"op": "resume", "symbols": ["*"]}], json=True, resumes=True),
    "resume half, one field": Visit(
        [{"op": "resume", "symbols": [], "selected": [[["last"], [HALF]]]}], json=True, resumes=True
    ),
    "events": Visit(target="/v1/events?symbols=*"),
    "named events": Visit(target="/v1/events?symbols=*&format=named"),
    "snapshot": Visit(target="/v1/snapshot?symbols=*"),
    "search": Visit([{"op": "instruments", "match": f"S*{digit}{digit}{digit}"} for digit in range(10)]),
    "verify": Visit([_subscribe("*"), {"op": "digest"}, {"op": "stats"}]),
}
"""The kinds of visits, each a phase of the workload `market-100k`."""


@dataclass(slots=True)
class Visitor:
    """Visits a server again and again."""

    port: int
    visit: Visit
    network: int = 0
    """That of its addresses, among 255."""
    epoch: str = ""
    cursor: int = 0
    count: int = 0
    _context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def __post_init__(self) -> None:
        """Ask for no certificate: this is a load."""
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    def note_position(self) -> None:
        """Note epoch and cut of the present, to resume from."""
        with self._connected() as tls:
            tls.sendall(self._head().encode())
            found = _WELCOME.search(_read_until(tls, _WELCOME))
            assert found is not None
            self.epoch, self.cursor = found[1].decode(), int(found[2])

    def go(self) -> None:
        """Visit once. Raises `OSError`."""
        with self._connected() as tls:
            tls.sendall(self._head().encode())
            if not self.visit.requests:
                _read_until(tls, _REPLY)
            position = {"epoch": self.epoch, "cursor": self.cursor} if self.visit.resumes else {}
            for number, request in enumerate(self.visit.requests, 1):
                tls.sendall(self._frame({"id": number, **request, **position}))
                _read_until(tls, _REPLY)
        self.count += 1

    @contextlib.contextmanager
    def _connected(self) -> Iterator[ssl.SSLSocket]:
        # Each visitor is somebody else: what many clients of one address ask for has to wait.
        own = f"127.0.{1 + self.network}.{1 + self.count % 250}"
        plain = socket.create_connection(("127.0.0.1", self.port), VISIT_SECONDS, (own, 0))
        with plain, self._context.wrap_socket(plain) as tls:
            yield tls

    def _head(self) -> str:
        host = f"GET {self.visit.target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        if not self.visit.requests:
            return f"{host}Connection: close\r\n\r\n"
        protocol = _JSON if self.visit.json else SUBPROTOCOL
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        return f"{host}Upgrade: websocket\r\nConnection: Upgrade\r\n{key}Sec-WebSocket-Protocol: {protocol}\r\n\r\n"

    def _frame(self, request: Mapping[str, Any]) -> bytes:
        if not self.visit.json:
            return client_frame(msgpack.packb(request))
        frame = bytearray(client_frame(json.dumps(request).encode()))
        frame[0] = 0x81  # a text frame
        return bytes(frame)


def _read_until(tls: ssl.SSLSocket, mark: re.Pattern[bytes]) -> bytes:
    """Read until the mark of an answer; return the last bytes. Raises `OSError` if the server ends the connection."""
    kept = b""
    while mark.search(kept) is None:
        data = tls.recv(READ_BYTES)
        if not data:
            raise ConnectionError(f"the server ended a visit: {kept[:100]!r}")
        kept = kept[-KEPT_BYTES:] + data
    return kept

"""An observer of one link: it reads the bytes of the server before the client does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jwt

from tests.tables_model import opens
from ticker.bounds import TOKEN_LEEWAY_US
from ticker.core.last_value import LastValueCache
from ticker.protocol.messages import Delta, Error, Instruments, Reply, ServerMessage, Snapshot, parse_server_message
from ticker.protocol.wire import JSON, MSGPACK

_BINARY, _CLOSE = 0x82, 0x88
_PATIENCE_US = 1_000_000 + 100_000
"""Time after the expiry of its token in which a client may still get data: expiry is checked once a second."""


class Frame(NamedTuple):
    """One WebSocket frame."""

    first_byte: int
    payload: bytes


def frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Return the complete unmasked frames at the start of `data`, and the rest."""
    whole: list[Frame] = []
    while len(data) >= 2:
        size = {126: 2, 127: 8}.get(data[1], 0)
        start = 2 + size
        length = int.from_bytes(data[2:start], "big") if size else data[1]
        if len(data) < start + length:
            break
        whole.append(Frame(data[0], data[start : start + length]))
        data = data[start + length :]
    return whole, data


def masked_frames(data: bytes) -> tuple[list[Frame], bytes]:
    """Return the complete masked frames at the start of `data`, without their masks, and the rest."""
    whole: list[Frame] = []
    while len(data) >= 2:
        short = data[1] & 0x7F
        size = {126: 2, 127: 8}.get(short, 0)
        start = 2 + size + 4
        length = int.from_bytes(data[2 : 2 + size], "big") if size else short
        if len(data) < start + length:
            break
        mask, payload = data[start - 4 : start], data[start : start + length]
        whole.append(Frame(data[0], bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))))
        data = data[start + length :]
    return whole, data


def _entitlement(claims: dict[str, Any]) -> frozenset[str] | None:
    return frozenset(claims["symbols"]) if "symbols" in claims else None


def sees(entitled: frozenset[str] | None, symbol: str) -> bool:
    """Whether a token with this claim `symbols` lets its bearer see an instrument or a table."""
    return entitled is None or any(opens(name, symbol) for name in entitled)


class Witness:
    """Checks that one client is sent only the data that its token allows."""

    def __init__(self, cache: LastValueCache, clock: Callable[[], int], blame: Callable[[str], None]) -> None:
        """`clock` is the server's, in microseconds since 1970 UTC."""
        self._cache = cache
        self._clock = clock
        self._blame = blame
        self._head = b""
        self._answer: bytes | None = b""
        """The head of the HTTP response, until it is complete."""
        self._rest = b""
        self._events = False
        self._closed = False
        self._expired_since: int | None = None
        self._looked_at = 0
        self.entitled: frozenset[str] | None = None
        self._defined: dict[int, str] = {}
        """Names by the ids that this connection has defined; those of instruments hold for the epoch."""
        self._asked: dict[int, frozenset[str] | None] = {}
        """The claims of tokens in requests without a reply."""
        self._requests = b""
        self.expires = 0
        self.largest = 0
        """Bytes of the longest push."""

    def request(self, data: bytes) -> None:
        """The client sends these bytes."""
        if b"\r\n\r\n" in self._head:
            self._read_requests(data)
            return
        self._head += data
        token = self._head.partition(b"Bearer ")[2].partition(b"\r\n")[0]
        if b"\r\n\r\n" in self._head and token:
            claims = jwt.decode(token, options={"verify_signature": False})
            self.entitled = _entitlement(claims)
            self.expires = int(claims["exp"] * 1_000_000) + TOKEN_LEEWAY_US

    def _read_requests(self, data: bytes) -> None:
        """Note the tokens that the client presents."""
        read, self._requests = masked_frames(self._requests + data)
        for frame in read:
            if frame.first_byte != _BINARY:
                continue
            request = MSGPACK.decode_request(frame.payload)
            if isinstance(request, dict) and request.get("op") == "auth":
                claims = jwt.decode(request["token"], options={"verify_signature": False})
                self._asked[request["id"]] = _entitlement(claims)

    def said(self, data: bytes) -> bool:
        """The server sends these bytes. Return whether they contain market data."""
        if self._answer is not None:
            self._answer += data
            _, end, data = self._answer.partition(b"\r\n\r\n")
            if not end:
                return False
            self._events = self._answer.startswith(b"HTTP/1.1 200 ")
            upgraded, self._answer = self._answer.startswith(b"HTTP/1.1 101 "), None
            if not upgraded:
                return False
        self.largest = max(self.largest, len(data))
        if self._events:
            return self._said_in_events(data)
        read, self._rest = frames(self._rest + data)
        if self._rest:
            self._blame("a push does not end with a frame")
        brought = [self._look_at(frame) for frame in read]
        return any(brought)

    def look_at_the_clock(self, now: int) -> None:
        """Called before and after the server's clock is set, and before data is judged.

        `now` is microseconds of a clock that only goes forward: a token may expire because the server's clock is set.
        """
        if self._clock() < self.expires:
            self._expired_since = None
        elif self._expired_since is None:
            # It expired since the last look.
            self._expired_since = max(self._looked_at, now - (self._clock() - self.expires))
        self._looked_at = now

    def overdue(self, now: int) -> bool:
        """Whether the token expired so long ago that no more data may be sent."""
        self.look_at_the_clock(now)
        return self._expired_since is not None and now - self._expired_since > _PATIENCE_US

    def _look_at(self, frame: Frame) -> bool:
        if self._closed:
            self._blame(f"{frame} was sent behind a close frame")
        self._closed = frame.first_byte == _CLOSE
        if frame.first_byte != _BINARY:
            return False
        return self._look_into(parse_server_message(MSGPACK.decode_message(frame.payload)))

    def _said_in_events(self, data: bytes) -> bool:
        *events, rest = data.decode().split("\n\n")
        if rest:
            self._blame("a push does not end with an event")
        payloads = [line.removeprefix("data: ") for line in "\n".join(events).split("\n") if line.startswith("data: ")]
        brought = [self._look_into(parse_server_message(JSON.decode_message(each))) for each in payloads]
        return any(brought)

    def _look_into(self, message: ServerMessage | None) -> bool:
        """Check a message. Return whether it contains market data."""
        if isinstance(message, Instruments):
            for definition in message.definitions:
                self._judge(definition.symbol)
                self._defined[definition.id] = definition.symbol
        elif isinstance(message, Snapshot | Delta):
            records = message.records if isinstance(message, Snapshot) else []
            for number in [*message.changes[::2], *records[::2]]:
                self._judge(self._defined[number] if number < 0 else self._cache.instruments[number].symbol)
            return True
        elif isinstance(message, Reply) and "expires" in message.result:
            self.expires = message.result["expires"] + TOKEN_LEEWAY_US
            self.entitled = self._asked.pop(message.id)
        elif isinstance(message, Error) and message.id is not None:
            self._asked.pop(message.id, None)
        return False

    def _judge(self, symbol: str) -> None:
        if not any(sees(entitled, symbol) for entitled in (self.entitled, *self._asked.values())):
            self._blame(f"{symbol} is on the wire of a client that may see {sorted(self.entitled or ())}")

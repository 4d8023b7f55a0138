"""Request heads, through `receive_request`, `keeps_alive`, `route` and `Auth`: the same in any pieces."""

from __future__ import annotations

import math
import re
from collections.abc import Coroutine
from typing import Any, NamedTuple

import trio
from hypothesis import strategies as st

from tests.conftest import JSON, KEY, MSGPACK
from tests.fuzz import Target
from tests.fuzz.values import DAMAGE, damaged
from tests.tokens import KEYS, public_pem, token
from ticker.config import Config, Tokens
from ticker.door.auth import Auth
from ticker.door.key_ring import public_key
from ticker.net.http1 import Refusal, headers_of, keeps_alive, receive_request, route
from ticker.net.transport import PushStream

ROOM = 900
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)")
"""A line of a head by the strict rules (RFC 9112, section 5)."""

NOW = 1_800_000_000
GOOD = token(exp=NOW + 60, sub="alice")
BAD = token(exp=NOW - 60)
STATUSES = {101, 400, 401, 403, 405, 426, 431, 501}

_HEADERS = st.sampled_from(
    [
        "Host: localhost",
        "Host: localhost",
        "Host: \xff",
        "Upgrade: websocket",
        "Upgrade: WebSocket",
        "Connection: Upgrade",
        "Connection: keep-alive, Upgrade",
        "Connection: close",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
        f"Sec-WebSocket-Protocol: {MSGPACK}",
        f"Sec-WebSocket-Protocol: {JSON}, bearer.{GOOD}",
        f"Authorization: Bearer {GOOD}",
        f"Authorization: Bearer {BAD}",
        f"Cookie: a=b; ticker_token={GOOD}",
        "Origin: https://localhost",
        "Origin: https://dash.example.com",
        "Origin: null",
        "Content-Length: 5",
        "Content-Length: 5, 6",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Expect: 100-continue",
        "X: " + "y" * 300,
        " folded",
        "no colon",
        "",
    ]
)
_UPGRADE = [
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
]
_FRAMING = st.sampled_from(
    [
        "Connection: keep-alive",
        "Content-Length: 0",
        "Content-Length: 00",
        "Content-Length: 5",
        "Content-Length : 5",
        "Transfer-Encoding: chunked",
        "X: y\n Content-Length: 5",
        "X: y\r\n Content-Length: 5",
        "X: y\nContent-Length: 0",
        "X: y\n",
    ]
)
"""Lines that say where a request ends, or look so to some."""
_LINES = st.one_of(
    st.lists(_HEADERS, max_size=6).map(lambda more: [*_UPGRADE, *more]),
    st.lists(_HEADERS, max_size=8),
    st.lists(_FRAMING, max_size=2).map(lambda more: ["Host: localhost", *more]),
)
_FIRST = st.sampled_from(
    ["GET /v1/stream HTTP/1.1"] * 4
    + ["GET /healthz HTTP/1.1"] * 2
    + ["GET /v1/stream?token=x HTTP/1.1", "GET /v1/stream HTTP/1.0", "POST / HTTP/1.1", "GET  / HTTP/1.1", "\r\n"]
)


def written(first: str, lines: list[str], ending: str, behind: bytes) -> bytes:
    return ending.join([first, *lines, "", ""]).encode("latin-1") + behind


class Case(NamedTuple):
    """Bytes from a peer, read in pieces of these sizes in turn."""

    data: bytes
    pieces: list[int]


CASES = st.builds(
    lambda data, damage, pieces: Case(damaged(data, damage), pieces),
    st.builds(written, _FIRST, _LINES, st.sampled_from(["\r\n", "\r\n", "\n"]), st.binary(max_size=200)),
    DAMAGE,
    st.lists(st.integers(1, 300), min_size=1, max_size=4),
)


class Pieces(PushStream):
    """A stream from a peer that has sent all its bytes."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data = data
        self.sizes = sizes
        self.reads = 0

    @property
    def unsent(self) -> int:
        return 0

    def push(self, data: bytes) -> bool:
        raise AssertionError(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = min(self.sizes[self.reads % len(self.sizes)], max_bytes or 16_384)
        self.reads += 1
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    async def drain(self, stall_seconds: float = math.inf) -> None:
        raise AssertionError(stall_seconds)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise AssertionError(data)

    async def wait_send_all_might_not_block(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError


def _auth(*, tokens: bool) -> Auth:
    config = Config(origins=["https://dash.example.com"], tokens=Tokens(key="public.pem") if tokens else Tokens())
    auth = Auth(config, lambda: NOW * 1_000_000)
    if auth.keys is not None:
        auth.keys.ring = public_key(public_pem(KEYS["EdDSA"]))
    return auth


AUTHS = [_auth(tokens=True), _auth(tokens=False)]


async def judged(stream: Pieces, auth: Auth) -> tuple[object, ...]:
    """Return the outcome of a request: its fields, the bytes behind it and the grant; or the status of the refusal."""
    try:
        request, rest, _ = await receive_request(stream, ROOM)
        upgrade = route(request)
        grant = await auth.authorize(headers_of(request), "192.0.2.1")
    except Refusal as refusal:
        return (int(refusal.status),)
    except trio.BrokenResourceError:
        return ("cut",)
    assert upgrade.request().isascii()
    return (101, request.target, request.headers.raw_items(), rest + stream.data, upgrade, grant)


def at_once(coroutine: Coroutine[Any, Any, tuple[object, ...]]) -> tuple[object, ...]:
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        whole: tuple[object, ...] = result.value
        return whole
    raise AssertionError("the coroutine waits")


async def kept(stream: Pieces) -> tuple[bytes | None]:
    """Return the head of a request that another one may follow; None for any other."""
    data = stream.data
    try:
        received = await receive_request(stream, ROOM)
    except (Refusal, trio.BrokenResourceError):
        return (None,)
    if keeps_alive(received):
        assert not received.rest
    rest = received.rest + stream.data
    return (data.removesuffix(rest) if keeps_alive(received._replace(rest=b"")) else None,)


def ends_at_its_head(head: bytes) -> bool:
    """Whether any party takes the end of a head for that of its request: by the strict rules, and by none a body."""
    first, *lines = head.lstrip(b"\r\n").removesuffix(b"\r\n\r\n").split(b"\r\n")
    headers = [_LINE.fullmatch(line) for line in lines]
    named = [(each[1].strip().lower(), each[2].strip().lower()) for each in headers if each is not None]
    return (
        first.endswith(b" HTTP/1.1")
        and b"\n" not in first
        and None not in headers
        and not any(name == b"transfer-encoding" for name, _ in named)
        and all(value == b"0" for name, value in named if name == b"content-length")
        and not any(b"close" in value or b"upgrade" in value for name, value in named if name == b"connection")
    )


def check(case: Case) -> None:
    for auth in AUTHS:
        whole = at_once(judged(Pieces(case.data, [10**6]), auth))
        assert whole[0] == "cut" or whole[0] in STATUSES
        assert at_once(judged(Pieces(case.data, [1]), auth)) == whole
        assert at_once(judged(Pieces(case.data, case.pieces), auth)) == whole
    (head,) = at_once(kept(Pieces(case.data, [10**6])))
    assert head is None or (isinstance(head, bytes) and ends_at_its_head(head))
    for pieces in ([1], case.pieces):
        assert at_once(kept(Pieces(case.data, pieces))) == (head,)


TARGET = Target("request heads, whole and in pieces, up to authorization", CASES, check)

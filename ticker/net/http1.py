"""HTTP/1.1: request heads, their routing as an upgrade, and responses.

h11 parses one request head at a time, each with a state of its own. An upgrade to a WebSocket on the stream's path goes
on; every other request gets an HTTP response, and the connection is kept for the next request or closed
(`keeps_alive`). trio-websocket never sees the peer's own request, because some forms make it raise: it gets a request
that was validated and written anew here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

import h11
import msgspec
import trio

from ticker.errors import RefusalCause
from ticker.net.transport import PushStream
from ticker.protocol.wire import ENCODINGS, FOLLOWING, MSGPACK, Encoding

STREAM_PATH = "/v1/stream"

_ABSOLUTE = re.compile(rb"(?:https?|wss?)://([^/?]*)(.*)", re.IGNORECASE)
"""A target in the absolute form."""

FIRST_RECORD = 12_288
"""Bytes at the beginning of a response that are a TLS record of their own.

Nothing of a record can be read before its end has come. One of 16 KB, as OpenSSL makes them, is more than the first
window of a connection (10 segments, RFC 6928), so its beginning would come a round trip later.
"""

_NO_WEIGHT = re.compile(rb"q\s*=\s*0(?:\.0*)?")
"""The weight of what a client does not accept."""

_LENIENT = re.compile(rb"(?<!\r)\n|\n[ \t]")
"""What h11 takes and a strict party does not: a line that ends without CR, or goes on in the next one."""

_ALWAYS = {
    "Connection": "close",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Default headers of every response."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A valid opening handshake (RFC 6455, section 4.2.1)."""

    key: bytes
    encoding: Encoding
    subprotocol: str | None
    """The subprotocol to confirm; None if the client named none and gets the default."""

    @property
    def follows(self) -> bool:
        """Whether it is another server, which follows this one."""
        return self.subprotocol == FOLLOWING

    def request(self) -> bytes:
        """Return this handshake, written anew for trio-websocket."""
        offer = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        return (
            f"GET {STREAM_PATH} HTTP/1.1\r\nHost: ticker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {self.key.decode()}\r\n{offer}\r\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    body: bytes = field(repr=False)
    content_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    shows: Sequence[str] = field(default=(), repr=False)
    """Names of the instruments and tables of which it has data."""


class Refusal(Exception):
    """A refused request: the status, text, cause and headers of its response."""

    def __init__(
        self, status: HTTPStatus, text: str, cause: RefusalCause = RefusalCause.REQUEST, **headers: str
    ) -> None:
        super().__init__(text)
        self.status = status
        self.cause = cause
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def response(self) -> Response:
        """The response: JSON with `code` and `message`."""
        body = msgspec.json.encode({"code": int(self.status), "message": str(self)})
        return Response(body, status=self.status, headers={"Cache-Control": "no-store", **self.headers})


class Received(NamedTuple):
    """A request as it came."""

    request: h11.Request
    rest: bytes
    """The bytes received behind its head."""
    strict: bool = True
    """All lines of its head end in CR LF, and none goes on in the next: there is one way to read it."""


async def receive_request(stream: PushStream, max_head_bytes: int, received: bytes = b"") -> Received:
    """Receive one request head; return it with the bytes received after it.

    `received` are its first bytes, if some were received already; no more than a head may have. Raises `Refusal` for
    bytes that are no HTTP/1.1 request, or for a head longer than `max_head_bytes`, and `trio.BrokenResourceError` if
    the peer leaves before it is complete.
    """
    # h11's own limit is soft: it accepts a head of any size that the last read completes. So no more is read than a
    # head may have, and the bytes behind the head do not count, however the peer cuts them into pieces.
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=max_head_bytes)
    room, head = max_head_bytes - len(received), received
    if received:
        connection.receive_data(received)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise Refusal(HTTPStatus(error.error_status_hint), str(error)) from None
        if isinstance(event, h11.Request):
            rest = connection.trailing_data[0]
            return Received(_in_origin_form(event), rest, not _LENIENT.search(head, 0, len(head) - len(rest)))
        if not room:
            text = f"a request may have {max_head_bytes} bytes of headers"
            raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        data = await stream.receive_some(room)
        if not data:
            raise trio.BrokenResourceError("the peer left before its request was complete")
        room -= len(data)
        head += data
        connection.receive_data(data)


def keeps_alive(received: Received) -> bool:
    """Whether the connection may have another request behind this one.

    The next request begins where this one ends, and that is at its head for certain. What may have a body, however its
    length is given, ends the connection, as do a head that others might read otherwise, and bytes that came before they
    could be another request: two parties that disagree on where a request ends are how requests are smuggled (RFC 9112,
    section 11.2). So does a refused upgrade.
    """
    request, behind, strict = received
    headers = headers_of(request)
    return strict and not (
        behind
        or request.http_version != b"1.1"
        or {b"close", b"upgrade"}.intersection(token.lower() for token in _tokens(headers, b"connection"))
        or b"transfer-encoding" in headers
        or headers.get(b"content-length", b"0") != b"0"
    )


def _in_origin_form(request: h11.Request) -> h11.Request:
    """Return the same request with a target that is a path; its host replaces Host (RFC 9112, section 3.2.2).

    Raises `Refusal` for a target in the absolute form without a host.
    """
    parts = _ABSOLUTE.fullmatch(request.target)
    if parts is None:
        return request
    authority, path = parts[1], parts[2]
    if not authority or b"@" in authority:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the target of the request has no host, or a name of a user")
    headers = [(name, value) for name, value in request.headers.raw_items() if name.lower() != b"host"]
    return h11.Request(
        method=request.method,
        target=path if path.startswith(b"/") else b"/" + path,
        headers=[(b"Host", authority), *headers],
        http_version=request.http_version,
    )


def below(request: h11.Request, prefix: str) -> h11.Request:
    """Return the same request with its path below `prefix`; of the prefix itself, that is empty. Raises `Refusal`."""
    rest = request.target.removeprefix(prefix.encode())
    if len(rest) == len(request.target) or rest[:1] not in {b"/", b"?", b""}:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is nothing here; everything is below {prefix}/")
    return h11.Request(
        method=request.method,
        target=rest or b"?",
        headers=request.headers.raw_items(),
        http_version=request.http_version,
    )


def route(request: h11.Request) -> Upgrade:
    """Return the upgrade that a request for the stream asks for. Raises `Refusal` for any other request."""
    if request.method != b"GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "the stream is opened with GET", Allow="GET")
    headers = headers_of(request)
    upgrade = headers.get(b"upgrade", b"").lower()
    connection = [token.lower() for token in _tokens(headers, b"connection")]
    if request.http_version != b"1.1" or upgrade != b"websocket" or b"upgrade" not in connection:
        text = "this is a WebSocket: connect with a WebSocket client"
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, text, Upgrade="websocket", Connection="Upgrade, close")
    if headers.get(b"sec-websocket-version") != b"13":
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, "the WebSocket version is 13", Sec_WebSocket_Version="13")
    key = headers.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key is not the base64 of 16 bytes")
    offered = [token.decode("latin-1") for token in _tokens(headers, b"sec-websocket-protocol") if token]
    if not offered:
        return Upgrade(key, next(iter(ENCODINGS.values())), None)
    # A token among them (`door.tokens`) is never confirmed, so a client has to offer a subprotocol, too.
    for name in offered:
        if name in ENCODINGS:
            return Upgrade(key, ENCODINGS[name], name)
        if name == FOLLOWING:
            return Upgrade(key, MSGPACK, name)
    raise Refusal(HTTPStatus.BAD_REQUEST, f"none of the subprotocols is known; there are {', '.join(ENCODINGS)}")


async def respond(
    stream: PushStream, response: Response, *, head_only: bool = False, keep_seconds: int | None = None
) -> None:
    """Send a response. The caller then waits so long for the next request, or without a time closes the connection."""
    length = {"Content-Length": str(len(response.body))}
    if response.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        length = {}  # RFC 9110, section 8.6
    kept = {} if keep_seconds is None else {"Connection": "keep-alive", "Keep-Alive": f"timeout={keep_seconds}"}
    headers = {**kept, "Content-Type": response.content_type, **length, **response.headers}
    head = response_head(response.status, headers)
    if head_only:
        await stream.send_all(head)
        return
    whole = head + response.body
    await stream.send_all(whole[:FIRST_RECORD])
    if len(whole) > FIRST_RECORD:
        await stream.send_all(whole[FIRST_RECORD:])


def response_head(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    """Return the head of a response."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**_ALWAYS, **headers}.items())
    return f"HTTP/1.1 {status} {status.phrase}\r\n{lines}\r\n".encode()


def path_of(request: h11.Request) -> str:
    """Return the path of a request's target, as sent."""
    return request.target.partition(b"?")[0].decode("latin-1")


def headers_of(request: h11.Request) -> dict[bytes, bytes]:
    """Return the headers by lower-cased name; repeated ones are one list (RFC 9110, section 5.2)."""
    headers: dict[bytes, bytes] = {}
    for name, value in request.headers:
        headers[bytes(name)] = headers[bytes(name)] + b", " + value if name in headers else bytes(value)
    return headers


def accepts_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a client accepts gzip, by its own word (RFC 9110, section 12.5.3); `headers` are by lower-cased name."""
    for each in headers.get(b"accept-encoding", b"").lower().split(b","):
        coding, *parameters = (part.strip() for part in each.split(b";"))
        if coding in {b"gzip", b"x-gzip"}:
            return not any(_NO_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return False


def _tokens(headers: dict[bytes, bytes], name: bytes) -> list[bytes]:
    return [token.strip() for token in headers.get(name, b"").split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False

"""One request over HTTPS: a GET, whose answer is bounded in time and size. For snapshots that a venue gives by REST."""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult, urlsplit

import h11
import trio

from ticker.errors import TickerError
from ticker_feeds.venues.connection import VenueClosed, cause_of, unreachable
from ticker_feeds.venues.messages import MAX_MESSAGE_BYTES

ANSWER_SECONDS = 10.0
"""Limit of connection, request and answer together."""

_CHUNK = 65_536


class HttpRefused(TickerError):
    """The server answers with an error. `retry_after` is the wait that it asks for, in seconds, if it does."""

    def __init__(self, text: str, status: int, retry_after: float | None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


async def get(url: str, ssl_context: ssl.SSLContext) -> bytes:
    """Return the body at this address (`https://HOST[:PORT]/PATH`).

    Raises `HttpRefused` for an answer that is no success, `VenueUnreachable` and `VenueClosed` without one.
    """
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    # Neither compressed nor kept open: the answers are rare.
    headers = {"Host": parts.netloc, "User-Agent": "ticker", "Accept": "application/json", "Connection": "close"}
    request = h11.Request(method="GET", target=target, headers=list(headers.items()))
    where = f"https://{parts.netloc}{parts.path}"
    try:
        with trio.fail_after(ANSWER_SECONDS):
            stream = await _connected(parts, ssl_context)
            try:
                return await _exchange(stream, request, where)
            finally:
                await trio.aclose_forcefully(stream)
    except trio.TooSlowError:
        raise VenueClosed(f"{where}: no answer within {ANSWER_SECONDS:g} s") from None


async def _connected(parts: SplitResult, ssl_context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    stream: trio.SSLStream[trio.SocketStream] | None = None
    try:
        stream = await trio.open_ssl_over_tcp_stream(
            parts.hostname or "", parts.port or 443, ssl_context=ssl_context, https_compatible=True
        )
        await stream.do_handshake()
    except BaseException as failure:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        if isinstance(failure, OSError | trio.BrokenResourceError):
            raise unreachable(parts, failure) from failure
        raise
    return stream


async def _exchange(stream: trio.abc.Stream, request: h11.Request, where: str) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    body, response = bytearray(), None
    try:
        await stream.send_all(connection.send(request) + connection.send(h11.EndOfMessage()))
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(_CHUNK)))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_MESSAGE_BYTES:
                    raise VenueClosed(f"{where}: an answer of more than {MAX_MESSAGE_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                return _content(response, bytes(body), where)
    except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
        raise VenueClosed(f"{where}: the answer breaks off ({cause_of(error)})") from None


def _content(response: h11.Response, body: bytes, where: str) -> bytes:
    if response.status_code == 200:
        return body
    wait = dict(response.headers).get(b"retry-after", b"")
    said = body[:200].decode("utf-8", "replace")
    seconds = float(wait) if wait.isdigit() and len(wait) < 10 else None
    raise HttpRefused(f"{where}: HTTP {response.status_code} {said}".rstrip(), response.status_code, seconds)

"""Serves another ticker that follows this one: what it asks of the log is asked of the engine of this process.

The rules:

1. The messages are those of `ticker.bus.frames`, each one binary WebSocket message. One request is dealt with at a
   time; only those that read are.
2. Each follower has a connection of its own to the engine: what it asks for costs nobody else's reads time. A large
   answer goes out in pieces, with turns of others between them.
3. Where the engine cannot be used, the follower is told why, and its connection ends.
4. A follower that does not take an answer for `stall_seconds`, or asks for nothing for as long as a client may be
   silent, is dropped.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from contextlib import suppress

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ticker.bounds import BYTES_PER_REQUEST_UNIT, CLOSE_SECONDS, MAX_UNFINISHED_BYTES, TOKEN_LEEWAY_US
from ticker.bus import frames
from ticker.bus.engine import Connection, Engine, Position, Unavailable, delay_of
from ticker.bus.frames import Answer, BadFrame, Hello
from ticker.bus.reading import next_entries, value_of
from ticker.bus_bounds import (
    FOLLOWED_PER_REQUEST_UNIT,
    FOLLOWED_PIECE_BYTES,
    FOLLOWED_READ_SECONDS,
    FOLLOWED_REQUEST_BYTES,
    FOLLOWER_LEAVE_SECONDS,
)
from ticker.door.rate_limit import RateLimiter
from ticker.door.sender import Sender
from ticker.errors import DropCause, RefusalCause
from ticker.net.http1 import Upgrade
from ticker.net.transport import PushStream
from ticker.numbers import MAX_INTEGER
from ticker.protocol.messages import Close
from ticker.protocol.wire import close_frame, frame_header
from ticker.server.connection import ServerContext
from ticker.server.upgraded_stream import CONNECTION_LOST, UpgradedStream, accept_websocket, release_frame_parser

TRANSPORT = "follow"
"""Its name in the usage log."""

_FIRST, _CONTINUED, _FIN = 0x02, 0x00, 0x80
"""Opcodes of a binary frame and of a further one of its message, and the bit of the last one (RFC 6455, 5.2)."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.relay")


async def serve_follower(
    stream: PushStream, upgrade: Upgrade, rest: bytes, sender: Sender, context: ServerContext, engine: Engine
) -> None:
    """Do the opening handshake and serve one follower until it leaves. `rest` are bytes received behind its request.

    Raises `trio.BrokenResourceError` if the connection was lost on the way.
    """
    lost = False
    inner = UpgradedStream(stream, upgrade, rest)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(context.limits.handshake_seconds):
                websocket = await accept_websocket(inner, upgrade, nursery, FOLLOWED_REQUEST_BYTES)
            connection = _Follower(stream, websocket, sender, context, nursery)
            inner.accept(connection)
            await connection.serve(engine)
            nursery.cancel_scope.cancel()
    except* CONNECTION_LOST:
        lost = True
    finally:
        inner.release()
    if lost:
        raise trio.BrokenResourceError("the connection was lost")


class _Follower:
    """One follower, from the accepted upgrade to the end of its connection."""

    def __init__(
        self,
        stream: PushStream,
        websocket: WebSocketConnection,
        sender: Sender,
        context: ServerContext,
        nursery: trio.Nursery,
    ) -> None:
        limits = context.limits
        self._stream = stream
        self._websocket = websocket
        self._sender = sender
        self._context = context
        self._nursery = nursery
        self._session = secrets.token_hex(8)
        self._account = context.auth.memory.account(sender.address)
        self._rate_limiter = RateLimiter(limits.requests_per_second, limits.request_burst, trio.current_time())
        self._unfinished = 0
        self._closing = False
        self._leaving = False
        self._over = trio.Event()

    def __repr__(self) -> str:
        return f"<_Follower {self._session} at {self._sender.address}>"

    async def serve(self, engine: Engine) -> None:
        """Answer its requests until it leaves, or has to."""
        followers, usage = self._context.followers, self._context.usage
        followers.connections.add(self)
        if usage is not None:
            usage.followed(self, self._session, self._sender, TRANSPORT)
        self._say(_log.info, "another ticker follows", subject=self._sender.grant.subject, agent=self._sender.agent)
        try:
            await self._relay(engine)
        except trio.TooSlowError:
            followers.dropped[DropCause.STALLED] += 1
            self._say(_log.warning, "follower dropped: its socket took nothing")
        except CONNECTION_LOST:
            raise
        except Exception:
            self._push_close(Close.INTERNAL_ERROR, "a fault of the server")
            raise
        finally:
            self._closing = True
            followers.connections.discard(self)
            self._account.close()
            if usage is not None:
                usage.unfollowed(self)
            self._over.set()
            self._say(_log.info, "it follows no more")

    def _say(self, log: Callable[..., None], event: str, **more: object) -> None:
        """Log a line, now and then of each address: nobody can fill the log by coming again and again."""
        address = self._sender.address
        if self._context.followers.seldom.allows(f"{event} {address}", trio.current_time()):
            log(event, session=self._session, peer=address, **more)

    async def _relay(self, engine: Engine) -> None:
        """Answer requests until the engine cannot be used, which the follower is told, or the connection is over."""
        greeted = False
        try:
            async with engine.connect() as upstream:
                await self._send(frames.encode(Hello(frames.PROTOCOL, upstream.run, delay_of(engine))))
                greeted = True
                await self._answer_requests(upstream)
        except Unavailable as error:
            text = str(error)
            message = Answer(None, unavailable=text) if greeted else Hello(frames.PROTOCOL, "", unavailable=text)
            await self._send(frames.encode(message))
            await self._close(Close.GOING_AWAY, "the source cannot be used now")

    async def _answer_requests(self, upstream: Connection) -> None:
        """Do so. Raises `Unavailable`."""
        while (message := await self._receive()) is not None:
            await self._context.fair_queue.take()
            try:
                request = checked(message)
            except BadFrame as error:
                self._context.followers.faults += 1
                self._say(_log.warning, "follower dropped: it sent no request", cause=str(error))
                await self._close(Close.MALFORMED, "no request")
                return
            answer = await answer_to(request, upstream, wait=not self._leaving)
            if self._leaving and isinstance(request, frames.Read) and not answer.value:
                await self._close(Close.GOING_AWAY, "the server is stopping")
                return
            data = frames.encode(answer)
            await self._send(data)
            await self._throttle(1 + len(data) / FOLLOWED_PER_REQUEST_UNIT)

    async def _receive(self) -> bytes | None:
        """Return the next message, None if the connection is over; it is dropped if it is silent for too long."""
        limits = self._context.limits
        try:
            with trio.move_on_after(limits.ping_seconds + limits.pong_seconds):
                message = await self._websocket.get_message()
                self._unfinished = 0
                if isinstance(message, bytes):
                    return message
                self._context.followers.faults += 1
                await self._close(Close.WRONG_ENCODING, "requests are binary messages")
                return None
        except ConnectionClosed:
            self.send_missing_close()
            return None
        self._context.followers.dropped[DropCause.SILENT] += 1
        self._say(_log.warning, "follower dropped: it asks for nothing")
        self._push_close(Close.STALLED, "nothing was asked for")
        return None

    async def _send(self, data: bytes) -> None:
        """Send a message, in frames with turns of others between them."""
        if not self._account.hold(len(data)):
            connection_limits = self._context.auth.connection_limits
            connection_limits.refusals[RefusalCause.MEMORY] += 1
            text = (
                f"an answer of {len(data)} bytes is more than is kept here for a client: raise limits.max_client_bytes"
            )
            data = frames.encode(Answer(None, unavailable=text))
            self._account.hold(len(data))
        first_byte = _FIRST
        for start in range(0, len(data), FOLLOWED_PIECE_BYTES):
            if start:
                await self._context.fair_queue.take_another()
            piece = data[start : start + FOLLOWED_PIECE_BYTES]
            last = start + len(piece) == len(data)
            if self._closing:
                raise trio.ClosedResourceError
            frame = frame_header(first_byte | (_FIN if last else 0), len(piece)) + piece
            first_byte = _CONTINUED
            if not self._stream.push(frame):
                await self._stream.drain(self._context.limits.stall_seconds)
        self._account.hold(0)
        self._context.followers.answers += 1
        self._context.followers.bytes += len(data)

    async def _throttle(self, cost: float) -> None:
        auth = self._context.auth
        wait = self._rate_limiter.spend(cost, trio.current_time())
        if cost > 1:
            wait = max(wait, auth.spend_shared(self._sender, cost - 1))
        if wait:
            await trio.sleep(wait)

    # The end

    def check_expiry(self, time: int) -> None:
        """End the connection once its token has expired."""
        expires = self._sender.grant.expires
        if expires is not None and time >= expires + TOKEN_LEEWAY_US and not self._closing:
            self._say(_log.info, "a follower's token has expired")
            self._nursery.start_soon(self._close_now, Close.TOKEN_EXPIRED, "the token has expired")

    async def say_goodbye(self) -> None:
        """Give what there is, for a moment, and close, because the server stops."""
        self._leaving = True
        with trio.move_on_after(FOLLOWER_LEAVE_SECONDS):
            await self._over.wait()
            return
        if not self._over.is_set():
            await self._close_now(Close.GOING_AWAY, "the server is stopping")

    async def _close_now(self, code: Close, reason: str) -> None:
        nursery = self._nursery  # it may be over by then, and released
        with suppress(*CONNECTION_LOST):
            await self._close(code, reason)
        nursery.cancel_scope.cancel()

    async def _close(self, code: Close, reason: str) -> None:
        with trio.move_on_after(CLOSE_SECONDS):
            await self._websocket.aclose(int(code), reason)
        self._closing = True

    def _push_close(self, code: int, reason: str) -> None:
        if not self._closing:
            self._closing = True
            self._stream.push(close_frame(code, reason))

    # What `UpgradedStream` asks for

    async def count_received(self, size: int) -> None:
        """Count received bytes. Returns when more may be read."""
        self._unfinished += size
        if self._unfinished > FOLLOWED_REQUEST_BYTES + MAX_UNFINISHED_BYTES:
            # Endless fragments, or pongs without a ping: no message comes of them.
            self._context.followers.faults += 1
            self._push_close(Close.TOO_LARGE, "no message comes of this")
            self._nursery.cancel_scope.cancel()
        await self._throttle(size / BYTES_PER_REQUEST_UNIT)

    async def count_pong(self, payload: int) -> None:
        """Count the answer to a ping with this payload. Returns when more may be read."""
        self._unfinished = max(0, self._unfinished - payload)
        await self._throttle(1)

    def before_close(self, code: int) -> bytes:
        """Push nothing more, because a close frame is about to go out."""
        self._context.followers.faults += code == Close.TOO_LARGE
        self._closing = True
        return b""

    def send_missing_close(self) -> None:
        """Send the close frame that trio-websocket leaves out, before the stream is closed."""
        fault = self._websocket.closed
        if fault is not None and fault.code in {Close.PROTOCOL_ERROR, Close.MALFORMED}:
            self._push_close(fault.code, fault.reason or "")

    def release(self) -> None:
        """Let go of everything, so that no reference cycle waits for the garbage collector."""
        release_frame_parser(self._websocket)
        del self._websocket, self._nursery, self._stream


def checked(message: bytes) -> frames.Request:
    """Return the request in a message. Raises `BadFrame`."""
    request = frames.decode_request(message)
    match request:
        case frames.Read(Position(cut, beat), seconds):
            numbers = [cut, beat]
            if math.isnan(seconds):
                raise BadFrame("a read that waits for no number of seconds")
        case frames.Find(Position(cut, beat)):
            numbers = [cut, beat]
        case frames.Parts(cut, number):
            numbers = [cut, number]
        case _:
            numbers = []
    if not all(0 <= number <= MAX_INTEGER for number in numbers):
        raise BadFrame("a number out of range")
    return request


async def answer_to(request: frames.Request, upstream: Connection, *, wait: bool) -> Answer[object]:
    """Return the answer to a request. Raises `Unavailable`."""
    if isinstance(request, frames.Read):
        seconds = max(0.0, min(request.seconds, FOLLOWED_READ_SECONDS)) if wait else 0
        return Answer(await next_entries(upstream, request.after, seconds))
    if isinstance(request, frames.Last | frames.Find | frames.LatestKeyframe | frames.Parts):
        return Answer(await value_of(request, upstream, FOLLOWED_READ_SECONDS))
    return Answer(None, unavailable="another ticker can only be followed: nothing can be written there")

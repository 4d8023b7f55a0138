"""One client's WebSocket: trio-websocket for everything inbound, `TlsStream.push` for outbound data.

`upgraded_stream` stands between the two.

A connection has two tasks: trio-websocket's reader, and `run`, which answers the client's requests. A client that falls
behind gets a third for the while.
"""

from __future__ import annotations

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ticker.bounds import BYTES_PER_REQUEST_UNIT, CLOSE_SECONDS, MAX_UNFINISHED_BYTES
from ticker.core.session import Ahead, Answer, NotUpToDate
from ticker.door.rate_limit import RateLimiter
from ticker.door.sender import Sender
from ticker.errors import DropCause, UnknownKey
from ticker.net.clocks import hub_time
from ticker.net.http1 import Upgrade
from ticker.net.transport import PushStream
from ticker.protocol.messages import Close, Goodbye
from ticker.protocol.wire import Encoding, close_frame
from ticker.server.connection import ClientConnection, ServerContext
from ticker.server.upgraded_stream import CONNECTION_LOST, UpgradedStream, accept_websocket, release_frame_parser

_PING = b"\x89\x00"
"""A whole ping (RFC 6455, section 5.5)."""

_PONG_BYTES = 6
"""Length of an empty pong, and of a ping without its payload."""

_SEE_ERROR = "see the ERROR before this"

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.websocket")


async def serve_websocket(
    stream: PushStream, upgrade: Upgrade, rest: bytes, sender: Sender, context: ServerContext
) -> None:
    """Do the opening handshake and serve one client until it leaves. `rest` are bytes received behind its request.

    Raises `trio.BrokenResourceError` if the connection was lost on the way.
    """
    lost = False
    inner = UpgradedStream(stream, upgrade, rest)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(context.limits.handshake_seconds):
                websocket = await accept_websocket(inner, upgrade, nursery, context.limits.max_message_bytes)
            connection = WebSocketClientConnection(stream, websocket, upgrade.encoding, sender, context, nursery)
            inner.accept(connection)
            context.connections.add(connection)
            try:
                await connection.run()
            except CONNECTION_LOST:
                raise
            except Exception:
                connection.close_internal_error()
                raise
            finally:
                context.connections.remove(connection)
                connection.end()
            nursery.cancel_scope.cancel()
    except* CONNECTION_LOST:
        lost = True
    finally:
        inner.release()
    if lost:
        raise trio.BrokenResourceError("the connection was lost")


class WebSocketClientConnection(ClientConnection):
    """One client's WebSocket, from the accepted upgrade to the end of the connection."""

    __slots__ = ("_closed", "_heard_at", "_pinged_at", "_rate_limiter", "_unfinished", "_websocket")

    TRANSPORT = "websocket"

    def __init__(
        self,
        stream: PushStream,
        websocket: WebSocketConnection,
        encoding: Encoding,
        sender: Sender,
        context: ServerContext,
        nursery: trio.Nursery,
    ) -> None:
        now, limits = trio.current_time(), context.limits
        self._websocket = websocket
        self._rate_limiter = RateLimiter(limits.requests_per_second, limits.request_burst, now)
        self._heard_at = now
        self._pinged_at: float | None = None
        self._unfinished = 0
        self._closed: trio.Event | None = None
        super().__init__(stream, encoding, sender, context, nursery)

    def release(self) -> None:
        """Release the WebSocket, too."""
        super().release()
        release_frame_parser(self._websocket)
        del self._websocket

    async def run(self) -> None:
        """Answer requests, one at a time: while an answer waits for the data before it, the next request waits, too."""
        self.send_control(self._session.welcome())
        if self._context.source.silent_since is not None:
            self.tell_of_source()
        while True:
            try:
                message = await self._websocket.get_message()
            except ConnectionClosed:
                # If this side closes, the peer's close frame is still to come.
                if self._closed is not None:
                    await self._closed.wait()
                self.send_missing_close()
                return
            self._unfinished = 0
            if not await self._respond(message):
                return
            del message  # it may be long, and the next one late

    async def _respond(self, message: bytes | str) -> bool:
        """Carry out a request; return whether the next one may come."""
        # A request can resume delivery. So the socket has to have taken the previous answer first, or answers
        # would pile up for a client that does not read them.
        await self.wait_delivered(self._context.hub.cache.cut)
        await self._context.fair_queue.take()
        if self.closing:
            return True  # nothing can follow the close frame, so the request is not carried out
        before = self._subscriber.cost
        answer = await self._answer(message)
        if not self.count_kept(len(answer.frame)):
            return True
        await self.wait_delivered(self._context.hub.cache.cut)
        data_cost = self._subscriber.cost - before
        self.send_control(answer.frame)
        self.count_kept()
        if answer.close is not None:
            await self._close(answer.close, _SEE_ERROR)
            return False
        await self._throttle(answer.cost + data_cost)
        return True

    async def count_received(self, size: int) -> None:
        """Count received bytes. Returns when more may be read."""
        self._heard_at = trio.current_time()
        self._unfinished += max(0, size - _PONG_BYTES) if self._pinged_at is not None else size
        self._pinged_at = None
        if self._unfinished > self._context.limits.max_message_bytes + MAX_UNFINISHED_BYTES:
            # Endless fragments, or pongs without a ping: no message comes of them.
            await self.close_with(self._session.too_large())
        await self._throttle(size / BYTES_PER_REQUEST_UNIT)

    async def count_pong(self, payload: int) -> None:
        """Count the answer to a client's ping with this payload. Returns when more may be read."""
        self._unfinished = max(0, self._unfinished - payload - _PONG_BYTES)
        await self._throttle(1)

    def check_timeouts(self, now: float, time: int) -> None:
        """Also ping a silent client, and drop one that does not answer."""
        super().check_timeouts(now, time)
        silent, limits = now - self._heard_at, self._context.limits
        if self.closing or silent < limits.ping_seconds:
            return
        if self._pinged_at is None:
            self._pinged_at = now
            self.send_control(_PING)
        elif now >= self._pinged_at + limits.pong_seconds:
            _log.warning("client dropped: it does not answer", **self._who, seconds=round(silent, 1))
            self._context.dropped[DropCause.SILENT] += 1
            self.closing = True
            self._stream.push(close_frame(Close.STALLED, "no answer to a ping"))
            self._nursery.cancel_scope.cancel()

    async def send_goodbye(self, retry_ms: int) -> None:
        """Send GOODBYE and close, because the server stops; the client should come back after `retry_ms`."""
        if not self.closing:
            reason = "the server is stopping"
            self.send_control(self._subscriber.encoding.frame(Goodbye(reason, retry_ms, come_back=True)))
            await self._close(Close.GOING_AWAY, reason)

    async def close_with(self, answer: Answer) -> None:
        """Send this last answer, close, and end the connection in any case."""
        if not self.closing and answer.close is not None:
            self.send_control(answer.frame)
            # Before the close frame, which may have to wait for a pong that a full socket does not take.
            self.closing = True
            self._context.hub.pause_delivery(self._subscriber)
            await self._close(answer.close, _SEE_ERROR)
        self._cancel()

    def close_internal_error(self) -> None:
        """Send close code 1011 after a fault of this side, if nothing was closed yet."""
        if not self.closing:
            self.closing = True
            self._stream.push(close_frame(Close.INTERNAL_ERROR, "a fault of the server"))

    def before_close(self, code: int) -> bytes:
        """Stop delivery, because a close frame is about to go out; return the frame to send before it."""
        self.closing = True
        self._context.hub.pause_delivery(self._subscriber)
        # trio-websocket closes by itself without an ERROR; all others have sent it already.
        return self._session.too_large().frame if code == Close.TOO_LARGE and self._closed is None else b""

    def send_missing_close(self) -> None:
        """Send the close frame that trio-websocket leaves out, before the stream is closed.

        trio-websocket ends a connection on which it found a fault (RFC 6455, section 7.1.7) without a close code.
        """
        fault = self._websocket.closed
        if not self.closing and fault is not None and fault.code in {Close.PROTOCOL_ERROR, Close.MALFORMED}:
            self.closing = True
            self._stream.push(close_frame(fault.code, fault.reason or ""))

    async def _answer(self, message: bytes | str) -> Answer:
        last_try = False
        while True:
            try:
                return await self._in_turns(self._session.steps(message, hub_time(), last_try=last_try))
            except UnknownKey:
                last_try = True
                await self._context.auth.find_unknown_key()
            except Ahead as ahead:
                last_try = True
                await self._context.source.reached(self._context.hub.cache, ahead.cut)
            except NotUpToDate:
                await self.wait_delivered(self._context.hub.cache.cut)

    async def _throttle(self, cost: float) -> None:
        wait = max(self._rate_limiter.spend(cost, trio.current_time()), self.charge(cost))
        if wait:
            self.slowed += 1
            await trio.sleep(wait)

    async def _close(self, code: Close, reason: str) -> None:
        self._closed = trio.Event()
        with trio.move_on_after(CLOSE_SECONDS):
            await self._websocket.aclose(int(code), reason)
        self._closed.set()

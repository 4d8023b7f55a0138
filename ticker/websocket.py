"""One client's WebSocket: trio-websocket for all that comes in, `TlsStream.push` for the data that goes out.

trio-websocket does the handshake, pings, closes and inbound messages. It writes each of its own frames with exactly one
`send_all`, and data frames are pushed whole, so the two never interleave. A close frame is the last thing on a
WebSocket (RFC 6455, section 5.5.1): once one went by, nothing is pushed any more.

A connection has two tasks: trio-websocket's reader, and `run`, which answers the client's requests. A third exists only
while the client is behind: it waits for the socket, and then for the hub to bring the client up to date.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from ticker.clocks import hub_time
from ticker.config import Limits
from ticker.front_door import Upgrade
from ticker.hub import Hub
from ticker.messages import Close, Goodbye
from ticker.session import Session
from ticker.transport import TlsStream
from ticker.wire import Encoding, close_code, close_frame

_CLOSE_SECONDS = 2.0
"""How long a client may take to answer a close frame."""

_LOSSES = (
    ConnectionClosed,
    # What it raises for a ping that comes after the server's own close frame.
    LocalProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.websocket")


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share."""

    hub: Hub
    limits: Limits
    floor_ms: int
    """The least interval a client may have."""
    connections: set[Connection] = field(default_factory=set)
    turn: trio.Lock = field(default_factory=trio.Lock)
    """At this, connections take turns with what takes long (`transport`)."""


async def serve_websocket(stream: TlsStream, upgrade: Upgrade, rest: bytes, service: Service) -> None:
    """Do the opening handshake and serve one client until it leaves. `rest` is what came behind its request.

    Raises `trio.BrokenResourceError` if the connection was lost on the way.
    """
    lost = False
    inner = _HandshakeDone(stream, upgrade, rest)
    try:
        await _serve(stream, inner, upgrade, service)
    except* _LOSSES:
        lost = True
    finally:
        inner.forget()
    if lost:
        raise trio.BrokenResourceError("the connection was lost")


async def _serve(stream: TlsStream, inner: _HandshakeDone, upgrade: Upgrade, service: Service) -> None:
    async with trio.open_nursery() as nursery:
        with trio.fail_after(service.limits.handshake_seconds):
            request = await wrap_server_stream(nursery, inner, max_message_size=service.limits.max_message_bytes)
            websocket = await request.accept(subprotocol=upgrade.subprotocol)
            del request  # with all its headers
        connection = Connection(stream, websocket, upgrade.encoding, service, nursery)
        inner.accept(connection)
        service.connections.add(connection)
        try:
            await connection.run()
        finally:
            service.connections.remove(connection)
            connection.end()
        nursery.cancel_scope.cancel()


class _HandshakeDone(trio.abc.Stream):
    """What trio-websocket reads and writes: first the request that was validated, then what comes after it.

    Bytes that arrive before trio-websocket has accepted the request would be lost in it: they are held back until then.
    """

    __slots__ = ("_accepted", "_connection", "_head", "_rest", "_stream")

    def __init__(self, stream: TlsStream, upgrade: Upgrade, rest: bytes) -> None:
        self._stream = stream
        self._head = upgrade.request()
        self._rest = rest
        self._accepted: trio.Event | None = trio.Event()
        self._connection: Connection | None = None

    def accept(self, connection: Connection) -> None:
        """trio-websocket has accepted the request: what comes now is for this connection."""
        self._connection = connection
        if self._accepted is not None:
            self._accepted.set()
            self._accepted = None

    def forget(self) -> None:
        """The connection is over, and not to wait in a cycle for the garbage collector."""
        self._connection = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        if self._accepted is not None:
            await self._accepted.wait()
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        frame = bytes(data)
        code = close_code(frame)
        if code is None:
            await self._stream.send_all(frame)
            return
        if self._connection is not None:
            frame = self._connection.before_close(code) + frame
        with trio.fail_after(_CLOSE_SECONDS):
            await self._stream.send_all(frame)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        if self._connection is not None:
            self._connection.last_words()
        await self._stream.aclose()


class Connection:
    """One client, from the accepted upgrade to the end of its connection. It is the hub's sink."""

    __slots__ = (
        "_catching_up",
        "_closed",
        "_closing",
        "_hub",
        "_name",
        "_nursery",
        "_progress",
        "_session",
        "_stall_seconds",
        "_stream",
        "_subscriber",
        "_websocket",
        "push",
    )

    def __init__(
        self,
        stream: TlsStream,
        websocket: WebSocketConnection,
        encoding: Encoding,
        service: Service,
        nursery: trio.Nursery,
    ) -> None:
        self._stream = stream
        self.push = stream.push
        self._websocket = websocket
        self._hub = service.hub
        self._stall_seconds = service.limits.stall_seconds
        self._nursery = nursery
        self._catching_up = False
        self._progress: trio.Event | None = None
        """If anybody waits for it: to be set when the socket has taken everything and the hub was asked for more."""
        self._closing = False
        self._closed: trio.Event | None = None
        name = secrets.token_hex(8)
        self._name = name
        self._subscriber = self._hub.connect(self, encoding, hub_time())
        self._session = Session(
            self._hub, self._subscriber, name=name, limits=service.limits, floor_ms=service.floor_ms
        )

    async def run(self) -> None:
        """Answer requests, one at a time: while an answer waits for the data before it, the next request waits too."""
        self._say(self._session.welcome())
        while True:
            try:
                message = await self._websocket.get_message()
            except ConnectionClosed:
                # If it is this side that closes, the peer's answer is still to come.
                if self._closed is not None:
                    await self._closed.wait()
                self.last_words()
                return
            answer = self._session.receive(message, hub_time())
            await self._until_told(self._hub.cache.cut)
            self._say(answer.frame)
            if answer.close is not None:
                await self._close(answer.close, "see the ERROR before this")
                return

    async def _until_told(self, cut: int) -> None:
        """Wait until the client was sent everything it asked for through this cut, and its socket took all before."""
        subscriber = self._subscriber
        while not subscriber.in_step and not self._closing:
            self.catch_up_later()
            self._progress = self._progress or trio.Event()
            await self._progress.wait()
            if not subscriber.fresh and subscriber.cursor >= cut:
                return

    async def leave(self, retry_ms: int) -> None:
        """Say GOODBYE and close, because the server stops; the client is to come back after `retry_ms`."""
        if not self._closing:
            reason = "the server is stopping"
            self._say(self._subscriber.encoding.frame(Goodbye(reason, retry_ms, come_back=True)))
            await self._close(Close.GOING_AWAY, reason)

    def end(self) -> None:
        """The connection is over: the hub is to forget it."""
        self._closing = True
        self._hub.disconnect(self._subscriber)

    def before_close(self, code: int) -> bytes:
        """A close frame is about to go out; returns what is to be said before it."""
        self._closing = True
        self._hub.fall_behind(self._subscriber)
        return self._session.too_large().frame if code == Close.TOO_LARGE else b""

    def last_words(self) -> None:
        """The stream is about to be closed: send the close frame that trio-websocket leaves out.

        It ends a connection on which it found a fault (RFC 6455, section 7.1.7) without saying which.
        """
        fault = self._websocket.closed
        if not self._closing and fault is not None and fault.code in {Close.PROTOCOL_ERROR, Close.MALFORMED}:
            self._closing = True
            self._stream.push(close_frame(fault.code, fault.reason or ""))

    def catch_up_later(self) -> None:
        """Have a task bring this client up to date, unless there is one."""
        if not self._catching_up and not self._closing:
            self._catching_up = True
            self._nursery.start_soon(self._catch_up)

    def _say(self, frame: bytes) -> None:
        """Send something besides the data."""
        if not self._closing and not self.push(frame):
            self._hub.fall_behind(self._subscriber)

    async def _close(self, code: Close, reason: str) -> None:
        self._closed = trio.Event()
        with trio.move_on_after(_CLOSE_SECONDS):
            await self._websocket.aclose(int(code), reason)
        self._closed.set()

    async def _catch_up(self) -> None:
        """Wait for the socket and bring this client up to date, until it is in step or lost."""
        began, cursor = trio.current_time(), self._subscriber.cursor
        try:
            while True:
                await self._stream.drain(self._stall_seconds)
                if self._closing or self._hub.catch_up(self._subscriber):
                    break
                self._tell_progress()
                await trio.lowlevel.checkpoint()
        except trio.TooSlowError:
            _log.warning(
                "client dropped: its socket took nothing",
                session=self._name,
                seconds=self._stall_seconds,
                unsent_bytes=self._stream.unsent,
                cuts_behind=self._hub.cache.cut - cursor,
            )
            self._give_up()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._give_up()
        else:
            seconds = trio.current_time() - began
            if seconds >= 1.0:
                _log.info(
                    "client caught up",
                    session=self._name,
                    seconds=round(seconds, 3),
                    cuts=self._subscriber.cursor - cursor,
                )
        finally:
            self._catching_up = False
            self._tell_progress()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _give_up(self) -> None:
        self._closing = True
        self._nursery.cancel_scope.cancel()

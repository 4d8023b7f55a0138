"""One client's WebSocket: trio-websocket for all that comes in, `TlsStream.push` for the data that goes out.

trio-websocket does the handshake, pings, closes and inbound messages. It writes each of its own frames with exactly one
`send_all`, and data frames are pushed whole, so the two never interleave. A close frame is the last thing on a
WebSocket (RFC 6455, section 5.5.1): once one went by, nothing is pushed any more.

A connection has two tasks: trio-websocket's reader, and `run`, which answers the client's requests. A third exists only
while the client is behind: it waits for the socket, and then for the hub to bring the client up to date.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from ticker.access import Grant
from ticker.admission import Cause
from ticker.allowance import Allowance
from ticker.clocks import hub_time
from ticker.config import Limits
from ticker.errors import UnknownKey
from ticker.front_door import Upgrade
from ticker.gate import Gate
from ticker.hub import Hub
from ticker.messages import Close, Goodbye
from ticker.session import Answer, Session, Terms
from ticker.transport import PushStream
from ticker.wire import Encoding, close_code, close_frame

_CLOSE_SECONDS = 2.0
"""How long a client may take to answer a close frame."""

_PING, _PONG = b"\x89\x00", b"\x8a"
"""A whole ping, and the first byte of a pong (RFC 6455, section 5.5)."""

_BYTES_PER_UNIT = 256
"""So many bytes count as much as a simple request."""

_UNFINISHED = 65_536
"""So many bytes may come besides the message that is being received, until that or a ping is complete."""

_TEND_SECONDS, _TEND_BURST = 1.0, 500
"""How often each connection is looked after, and how many of them in a row."""

_REPORT_ROUNDS = 10
"""So seldom is it logged how many were turned away: hostile peers are not to fill the log."""

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
    gate: Gate
    connections: set[Connection] = field(default_factory=set)
    turn: trio.Lock = field(default_factory=trio.Lock)
    """At this, connections take turns with what takes long (`transport`)."""


async def serve_websocket(stream: PushStream, upgrade: Upgrade, rest: bytes, grant: Grant, service: Service) -> None:
    """Do the opening handshake and serve one client until it leaves. `rest` is what came behind its request.

    Raises `trio.BrokenResourceError` if the connection was lost on the way.
    """
    lost = False
    inner = _HandshakeDone(stream, upgrade, rest)
    try:
        await _serve(stream, inner, upgrade, grant, service)
    except* _LOSSES:
        lost = True
    finally:
        inner.forget()
    if lost:
        raise trio.BrokenResourceError("the connection was lost")


async def tend(service: Service) -> None:
    """Look after all connections, about once a second, and tell the operator how many were turned away."""
    reported: Counter[Cause] = Counter()
    rounds = 0
    while True:
        await trio.sleep(_TEND_SECONDS)
        for number, connection in enumerate(list(service.connections)):
            connection.tend(trio.current_time(), service.gate.clock())
            if number % _TEND_BURST == _TEND_BURST - 1:
                await trio.lowlevel.checkpoint()
        rounds += 1
        turned_away = service.gate.admission.turned_away
        if rounds % _REPORT_ROUNDS == 0 and turned_away != reported:
            news = {str(cause): count for cause, count in (turned_away - reported).items()}
            reported = turned_away.copy()
            _log.warning("turned away", **news, connections=service.gate.admission.inside)


async def _serve(stream: PushStream, inner: _HandshakeDone, upgrade: Upgrade, grant: Grant, service: Service) -> None:
    async with trio.open_nursery() as nursery:
        with trio.fail_after(service.limits.handshake_seconds):
            request = await wrap_server_stream(nursery, inner, max_message_size=service.limits.max_message_bytes)
            websocket = await request.accept(subprotocol=upgrade.subprotocol)
            del request  # with all its headers
        _forget_handshake(websocket)
        connection = Connection(stream, websocket, upgrade.encoding, grant, service, nursery)
        inner.accept(connection)
        service.connections.add(connection)
        try:
            await connection.run()
        except _LOSSES:
            raise
        except Exception:
            connection.fail()
            raise
        finally:
            service.connections.remove(connection)
            connection.end()
        nursery.cancel_scope.cancel()


def _forget_handshake(websocket: WebSocketConnection) -> None:
    """Let go of what trio-websocket and wsproto keep of the opening handshake: 5 KB of each connection."""
    established = websocket._wsproto.connection  # noqa: SLF001  # its interface is the same
    if established is not None:
        websocket._wsproto = established  # type: ignore[assignment]  # noqa: SLF001
        websocket._handshake_headers = ()  # noqa: SLF001


class _HandshakeDone(trio.abc.Stream):
    """What trio-websocket reads and writes: first the request that was validated, then what comes after it.

    Bytes that arrive before trio-websocket has accepted the request would be lost in it: they are held back until then.
    """

    __slots__ = ("_accepted", "_connection", "_head", "_rest", "_stream")

    def __init__(self, stream: PushStream, upgrade: Upgrade, rest: bytes) -> None:
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
        data, self._rest = self._rest, b""
        if not data:
            data = await self._stream.receive_some(max_bytes)
        if self._connection is not None:
            await self._connection.heard(len(data))
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        frame = bytes(data)
        code = close_code(frame)
        if code is None:
            await self._stream.send_all(frame)
            if frame[:1] == _PONG and self._connection is not None:
                await self._connection.ponged()
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
        "_allowance",
        "_behind_since",
        "_catching_up",
        "_closed",
        "_closing",
        "_gate",
        "_heard_at",
        "_hub",
        "_limits",
        "_longest_behind",
        "_name",
        "_nursery",
        "_pinged",
        "_progress",
        "_session",
        "_stream",
        "_subscriber",
        "_unfinished",
        "_warned_of",
        "_websocket",
        "push",
        "slowed",
    )

    def __init__(
        self,
        stream: PushStream,
        websocket: WebSocketConnection,
        encoding: Encoding,
        grant: Grant,
        service: Service,
        nursery: trio.Nursery,
    ) -> None:
        now, limits = trio.current_time(), service.limits
        self._stream = stream
        self.push = stream.push
        self._websocket = websocket
        self._hub = service.hub
        self._gate = service.gate
        self._limits = limits
        self._nursery = nursery
        self._allowance = Allowance(limits.requests_per_second, limits.request_burst, now)
        self.slowed = 0
        """How often it was not read for a while, because it had asked for too much."""
        self._heard_at = now
        self._pinged = False
        self._unfinished = 0
        self._warned_of: int | None = None
        self._behind_since: float | None = None
        self._longest_behind = 0.0
        self._catching_up = False
        self._progress: trio.Event | None = None
        """If anybody waits for it: to be set when the socket has taken everything and the hub was asked for more."""
        self._closing = False
        self._closed: trio.Event | None = None
        name = secrets.token_hex(8)
        self._name = name
        self._subscriber = self._hub.connect(self, encoding, hub_time())
        terms = Terms(limits, service.floor_ms, grant, service.gate.check, self._link)
        self._session = Session(self._hub, self._subscriber, name, terms)

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
            self._unfinished = 0
            answer = await self._answer(message)
            await self._until_told(self._hub.cache.cut)
            self._say(answer.frame)
            if answer.close is not None:
                await self._close(answer.close, "see the ERROR before this")
                return
            await self._pay(answer.cost)

    async def _answer(self, message: bytes | str) -> Answer:
        try:
            return self._session.receive(message, hub_time(), last_try=False)
        except UnknownKey:
            await self._gate.look_for_keys()
            return self._session.receive(message, hub_time())

    async def heard(self, size: int) -> None:
        """So many bytes have come. Returns when more may be read."""
        self._heard_at = trio.current_time()
        self._pinged = False
        self._unfinished += size
        if self._unfinished > self._limits.max_message_bytes + _UNFINISHED:
            # Endless fragments, or pongs that nobody asked for: none of it makes a message.
            await self._end_with(self._session.too_large())
        await self._pay(size / _BYTES_PER_UNIT)

    async def ponged(self) -> None:
        """A ping was answered. Returns when more may be read."""
        self._unfinished = 0
        await self._pay(1)

    def tend(self, now: float, time: int) -> None:
        """Look after what no event tells of: called about once a second, `time` being microseconds since 1970 UTC."""
        if self._closing:
            return
        silent, limits, expires = now - self._heard_at, self._limits, self._session.grant.expires
        if expires is not None and time >= expires:
            _log.info("client's token has expired", session=self._name)
            self._nursery.start_soon(self._end_with, self._session.expired())
        elif silent >= limits.ping_seconds + limits.pong_seconds:
            _log.warning("client dropped: it does not answer", session=self._name, seconds=round(silent, 1))
            self._closing = True
            self._stream.push(close_frame(Close.STALLED, "no answer to a ping"))
            self._nursery.cancel_scope.cancel()
        elif silent >= limits.ping_seconds and not self._pinged:
            self._pinged = True
            self._say(_PING)
        if expires is not None and time >= expires - limits.expiry_warning_seconds * 1e6 and self._warned_of != expires:
            self._warned_of = expires
            self._say(self._session.expiring())

    def fail(self) -> None:
        """Something went wrong on this side: tell the client, if it can be told."""
        if not self._closing:
            self._closing = True
            self._stream.push(close_frame(Close.INTERNAL_ERROR, "a fault of the server"))

    async def _pay(self, cost: float) -> None:
        wait = self._allowance.spend(cost, trio.current_time())
        if wait:
            self.slowed += 1
            await trio.sleep(wait)

    async def _end_with(self, answer: Answer) -> None:
        """Say why, close, and see to it that it ends."""
        if not self._closing and answer.close is not None:
            self._say(answer.frame)
            await self._close(answer.close, "see the ERROR before this")
        self._give_up()

    def _link(self) -> dict[str, int]:
        """What `stats` tells about the connection."""
        behind = trio.current_time() - self._behind_since if self._behind_since is not None else 0.0
        return {
            "behind_us": int(behind * 1e6),
            "longest_behind_us": int(max(behind, self._longest_behind) * 1e6),
            "unsent_bytes": self._stream.unsent,
            "slowed": self.slowed,
        }

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
        self._behind_since = began
        try:
            while True:
                await self._stream.drain(self._limits.stall_seconds)
                if self._closing or self._hub.catch_up(self._subscriber):
                    break
                self._tell_progress()
                await trio.lowlevel.checkpoint()
        except trio.TooSlowError:
            _log.warning(
                "client dropped: its socket took nothing",
                session=self._name,
                seconds=self._limits.stall_seconds,
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
            self._behind_since = None
            self._longest_behind = max(self._longest_behind, trio.current_time() - began)
            self._tell_progress()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _give_up(self) -> None:
        self._closing = True
        self._nursery.cancel_scope.cancel()

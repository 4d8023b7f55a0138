"""Between trio-websocket and a connection's stream, for all WebSockets of the server.

trio-websocket does the handshake, pings, closes and inbound messages. It writes each of its own frames with exactly one
`send_all`, and data frames are pushed whole, so the two never interleave. A close frame is the last thing on a
WebSocket (RFC 6455, section 5.5.1): behind it nothing is pushed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import trio
import wsproto.connection
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.events import Event
from wsproto.utilities import LocalProtocolError

from ticker.bounds import CLOSE_SECONDS
from ticker.net.http1 import Upgrade
from ticker.net.transport import PushStream
from ticker.protocol.wire import close_code
from ticker.server.mailbox import Mailbox

_PONG = b"\x8a"
"""First byte of a pong (RFC 6455, section 5.5)."""

_OVER = trio.Event()
"""Instead of two events of each WebSocket for which nobody waits."""

CONNECTION_LOST = (
    ConnectionClosed,
    # trio-websocket raises it for a ping behind the server's own close frame.
    LocalProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)
"""Errors that mean that the peer has gone, or is too slow."""


class _Events(list[Event]):
    """The events that wsproto makes without a frame: seldom one, for whose sake a deque takes 760 bytes at once."""

    __slots__ = ()

    def popleft(self) -> Event:
        """Remove and return the first one, as a deque does."""
        return self.pop(0)


class WebSocketOwner(Protocol):
    """The connection behind a WebSocket."""

    async def count_received(self, size: int) -> None:
        """Count received bytes. Returns when more may be read."""

    async def count_pong(self, payload: int) -> None:
        """Count the answer to the peer's ping with this payload. Returns when more may be read."""

    def before_close(self, code: int) -> bytes:
        """Push nothing more, because a close frame is about to go out; return the frame to send before it."""
        ...

    def send_missing_close(self) -> None:
        """Send the close frame that trio-websocket leaves out, before the stream is closed."""

    def release(self) -> None:
        """Let go of everything."""


async def accept_websocket(
    stream: UpgradedStream, upgrade: Upgrade, nursery: trio.Nursery, max_message_bytes: int
) -> WebSocketConnection:
    """Do the opening handshake, and start trio-websocket's reader in the nursery.

    That is what `wrap_server_stream` does, with a mailbox.
    """
    websocket = WebSocketConnection(stream, WSConnection(ConnectionType.SERVER), max_message_size=max_message_bytes)
    websocket._send_channel = websocket._recv_channel = Mailbox()  # type: ignore[assignment]  # noqa: SLF001
    nursery.start_soon(websocket._reader_task)  # noqa: SLF001
    request = await websocket._get_request()  # noqa: SLF001
    await request.accept(subprotocol=upgrade.subprotocol)
    _release_handshake(websocket)
    return websocket


def _release_handshake(websocket: WebSocketConnection) -> None:
    """Release 6 KB per connection that trio-websocket and wsproto keep of the opening handshake and of their tests."""
    established = websocket._wsproto.connection  # noqa: SLF001  # its interface is the same
    if established is not None:
        websocket._wsproto = established  # type: ignore[assignment]  # noqa: SLF001
        websocket._handshake_headers = ()  # noqa: SLF001
        established._events = _Events(established._events)  # type: ignore[assignment]  # noqa: SLF001
        websocket._open_handshake = _OVER  # noqa: SLF001
        websocket._for_testing_peer_closed_connection = _OVER  # noqa: SLF001


def release_frame_parser(websocket: WebSocketConnection) -> None:
    """Break a reference cycle: the generator in which wsproto parses frames holds its owner, which holds it."""
    established = websocket._wsproto  # noqa: SLF001
    if isinstance(established, wsproto.connection.Connection):
        established._proto._parse_more.close()  # noqa: SLF001


class UpgradedStream(trio.abc.Stream):
    """The stream that trio-websocket reads and writes: first the validated request, then the bytes behind it.

    trio-websocket would lose bytes that arrive before it has accepted the request: they are held back until then.
    """

    __slots__ = ("_accepted", "_connection", "_head", "_rest", "_stream")

    def __init__(self, stream: PushStream, upgrade: Upgrade, rest: bytes) -> None:
        self._stream = stream
        self._head = upgrade.request()
        self._rest = rest
        self._accepted: trio.Event | None = trio.Event()
        self._connection: WebSocketOwner | None = None

    def __repr__(self) -> str:
        return f"<UpgradedStream before {self._connection!r}>"

    def accept(self, connection: WebSocketOwner) -> None:
        """Let bytes through, and count them for this connection: trio-websocket has accepted the request."""
        self._connection = connection
        if self._accepted is not None:
            self._accepted.set()
            self._accepted = None

    def release(self) -> None:
        """Release the connection, so that no reference cycle waits for the garbage collector."""
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes for trio-websocket."""
        if self._head:
            head, self._head = self._head, b""
            return head
        if self._accepted is not None:
            await self._accepted.wait()
        data, self._rest = self._rest, b""
        if not data:
            data = await self._stream.receive_some(max_bytes)
        if self._connection is not None:
            await self._connection.count_received(len(data))
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send a whole frame of trio-websocket."""
        frame = bytes(data)
        if self._connection is None:
            # A peer that has gone by now shows at the next read. Raised here, the error would leave the whole
            # connection in reference cycles.
            with suppress(trio.BrokenResourceError):
                await self._stream.send_all(frame)
            return
        code = close_code(frame)
        if code is None:
            await self._stream.send_all(frame)
            if frame[:1] == _PONG:
                await self._connection.count_pong(len(frame) - 2)
            return
        frame = self._connection.before_close(code) + frame
        with trio.fail_after(CLOSE_SECONDS):
            await self._stream.send_all(frame)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        if self._connection is not None:
            self._connection.send_missing_close()
        await self._stream.aclose()

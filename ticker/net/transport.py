"""Streams with `push`: send at once as much as the socket accepts, without waiting, and keep the rest.

Theory of operation
===================

A stream stands on a non-blocking socket. `push` is an ordinary function: try to send, append the remainder to
`_unsent`. It has no locks and no checkpoints, so a publisher can call it for a thousand clients in a row.
`tls_stream.TlsStream` is the stream of almost all connections; `plain_stream.PlainStream` that of a proxy on this
machine that ends TLS.

Contract: `trio.abc.Stream`, as `trio.testing.check_two_way_stream` checks it. One task at a time sends with `send_all`,
and one receives; a second one gets `trio.BusyResourceError`. `push` and `drain` may be called meanwhile.

Order: bytes leave in the order of the calls of `push` and `send_all`, because both append to the same `_unsent`
before anything is sent. So frames never interleave, and a cancelled `send_all` leaves nothing half done: its bytes keep
their place, and only the waiting ends.

Bound: `_unsent` grows by every push while it is not empty. The caller stops when `push` returns False, and goes on when
`drain` returns. trio-websocket waits in `send_all`, so at most a control frame or two are added meanwhile.

Waiting: trio lets only one task wait until a socket is writable. The first task that finds unsent bytes does that; the
others wait until it has sent some or given up.

Turns: bytes are taken from the socket, and its end is noticed, in this connection's turn of the `fair_queue`.

Failure: after any error of the socket or of TLS the stream is broken. `push` then returns False, and every waiting task
gets `trio.BrokenResourceError`.
"""

from __future__ import annotations

import contextlib
import math
import operator
import socket
from abc import abstractmethod
from collections.abc import Iterator

import trio

from ticker.bounds import LINGER_READS, TLS_CLOSE_SECONDS
from ticker.net.fair_queue import FairQueue
from ticker.net.sockets import send_at_once

RECORD = 16_384
"""Bytes of one read; largest plain text of one TLS record (RFC 8446, section 5.1)."""

UNTIL_CLOSING = contextlib.suppress(trio.ClosedResourceError)
"""For a wait whose end, should the stream be closed, is to be noticed in a turn. One object serves all connections."""


class PushStream(trio.abc.Stream):
    """A stream with `push`: the service's interface to a connection."""

    __slots__ = ()

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Number of pushed bytes that wait for the socket."""

    @abstractmethod
    def push(self, data: bytes) -> bool:
        """Send as much as the socket accepts now; return whether that was all.

        False means that bytes wait for `drain`, or that the stream is broken or closed.
        """

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes; empty at the end of the stream."""

    @abstractmethod
    async def drain(self, stall_seconds: float = math.inf) -> None:
        """Wait until nothing is unsent.

        Raises `trio.BrokenResourceError` if the connection is broken, and `trio.TooSlowError` after `stall_seconds`
        without progress.
        """


class SocketStream(PushStream):
    """What all streams over a socket have in common. Owns the socket."""

    __slots__ = (
        "_broken",
        "_closed",
        "_closing",
        "_fair_queue",
        "_progress",
        "_receiving",
        "_send",
        "_sending",
        "_sock",
        "_unsent",
        "_waiter",
    )

    def __init__(self, sock: socket.socket, fair_queue: FairQueue) -> None:
        """All connections of a service share one `fair_queue`."""
        sock.settimeout(0)
        send_at_once(sock)
        self._fair_queue = fair_queue
        self._sock = sock
        self._send = sock.send
        self._unsent = b""
        self._broken = False
        self._closing = False
        self._closed = False
        self._sending = False
        self._receiving = False
        self._waiter: trio.Event | None = None
        # Bytes of waiting data that the kernel accepted: the progress of a slow peer.
        self._progress = 0

    def __repr__(self) -> str:
        state = "closed" if self._closing else "broken" if self._broken else f"{len(self._unsent)} bytes unsent"
        return f"<{type(self).__name__} {self._sock.fileno()}: {state}>"

    @abstractmethod
    async def handshake(self) -> None:
        """Do what comes before the first bytes. Raises `trio.BrokenResourceError` if it fails."""

    @abstractmethod
    def _read(self, max_bytes: int) -> bytes | None:
        """Return the next bytes of those taken from the socket; empty at its end, None if it takes more of them."""

    @abstractmethod
    async def _pace(self) -> None:
        """Wait until more bytes may be taken."""

    @property
    @abstractmethod
    def _has_more(self) -> bool:
        """Whether bytes that were received wait to be taken."""

    @abstractmethod
    async def _take(self) -> bytes:
        """Take and return some of the bytes received, in this connection's turn; empty at the end."""

    @abstractmethod
    def _push_end(self) -> None:
        """Push what the peer is told when this side ends the stream."""

    @property
    def unsent(self) -> int:
        """Number of bytes, encrypted if the stream is, that wait for the socket."""
        return len(self._unsent)

    async def drain(self, stall_seconds: float = math.inf) -> None:
        """Wait until the kernel has accepted everything.

        Raises `trio.BrokenResourceError` if the connection is broken, and `trio.TooSlowError` after `stall_seconds`
        without progress.
        """
        while self._unsent and not self._broken:
            progress = self._progress
            with trio.fail_after(stall_seconds):
                while self._unsent and self._progress == progress and not self._broken:
                    await self._wait_writable()
        self._check()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything, behind the unsent bytes."""
        with self._one_sender():
            await trio.lowlevel.checkpoint_if_cancelled()
            if not self.push(bytes(data)):
                await self.drain()
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until nothing is unsent."""
        with self._one_sender():
            await trio.lowlevel.checkpoint()
            await self.drain()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes; empty at the end of the stream."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be positive")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            self._check_open()
            while (data := self._read(max_bytes or RECORD)) is None:
                await self._pace()
                if not self._has_more:
                    # Here idle connections wait: each coroutine between here and Trio would take 230 bytes of all.
                    with UNTIL_CLOSING:
                        await trio.lowlevel.wait_readable(self._sock)
                await self._take()
            return data
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        """Send the unsent bytes and the stream's end, for `TLS_CLOSE_SECONDS` at most, and close the socket."""
        try:
            if not self._closing and not self._broken:
                self._closing = True
                self._push_end()
                with trio.move_on_after(TLS_CLOSE_SECONDS), contextlib.suppress(trio.BrokenResourceError):
                    await self.drain()
                    await self._linger()
        finally:
            self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close the socket at once. Waiting tasks get `trio.ClosedResourceError`."""
        self._closing = True
        if not self._closed:
            self._closed = True
            self._unsent = b""
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    def _flush(self, data: bytes = b"") -> bool:
        """Send these bytes behind the unsent ones as far as the socket accepts them; return whether nothing is left."""
        if self._unsent:
            data = self._unsent + data
        elif not data:
            return True
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._broken = True
            self._unsent = b""
            return False
        self._progress += sent
        self._unsent = data[sent:]
        return not self._unsent

    async def _wait_writable(self) -> None:
        """Wait until the socket has accepted some unsent bytes, or until the task that waits for it has given up."""
        if self._waiter is not None:
            await self._waiter.wait()
            return
        self._waiter = trio.Event()
        try:
            await trio.lowlevel.wait_writable(self._sock)
            if not self._closed:  # in the same round of the loop
                self._flush()
        finally:
            self._waiter.set()
            self._waiter = None

    async def _linger(self) -> None:
        """End the sending direction, and discard received bytes until the peer ends its own.

        The kernel resets a socket that is closed with unread bytes, and then the peer may never see the last bytes sent
        to it, such as the reason of a refusal (RFC 9112, section 9.6).
        """
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            trio.lowlevel.notify_closing(self._sock)  # a task that still receives has to stop
            self._sock.shutdown(socket.SHUT_WR)
            for _ in range(LINGER_READS):
                await trio.lowlevel.wait_readable(self._sock)
                with contextlib.suppress(BlockingIOError):
                    if not self._sock.recv(RECORD):
                        return

    async def _receive_bytes(self, max_bytes: int) -> bytes:
        """Take the next bytes from the socket in this connection's turn; empty at its end.

        The socket is readable, as far as is known.
        """
        while True:
            await self._take_turn()
            try:
                return self._sock.recv(max_bytes)
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._broke(error) from error
            with UNTIL_CLOSING:
                await trio.lowlevel.wait_readable(self._sock)

    async def _take_turn(self) -> None:
        await self._fair_queue.take()
        if self._closing:
            raise trio.ClosedResourceError

    @contextlib.contextmanager
    def _one_sender(self) -> Iterator[None]:
        self._check_open()
        if self._sending:
            raise trio.BusyResourceError("another task is sending")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False

    def _check_open(self) -> None:
        if self._closing:
            raise trio.ClosedResourceError
        self._check()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._broken:
            raise trio.BrokenResourceError("the connection is broken")

    def _broke(self, error: OSError) -> trio.BrokenResourceError:
        self._broken = True
        return trio.BrokenResourceError(str(error))

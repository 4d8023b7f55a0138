"""A TLS stream with `push`: send now what the socket takes, without waiting, and keep the rest.

Theory of operation
===================

The stream stands on a non-blocking socket and an `ssl.SSLObject` with two memory BIOs, as `trio.SSLStream` does. What
differs is sending. Encrypting into a memory BIO never blocks and never fails halfway, so `push` can be an ordinary
function: encrypt, try to send, append what the socket did not take to `_unsent`. There are no locks and no checkpoints
in it, which is why a publisher can call it for a thousand clients in a row (3 to 12 µs each, where
`SSLStream.send_all` takes 37).

Order: ciphertext leaves in the order in which `push` and `send_all` were called, because both append to the same
`_unsent` before anything is sent. So frames never interleave, and a cancelled `send_all` leaves nothing half done: its
bytes stay in line, and only the waiting ends.

Bound: `_unsent` grows by what is pushed while it is not empty. Whoever pushes has to stop when `push` returns False,
and to go on when `drain` returns. trio-websocket waits in `send_all`, so at most a control frame or two come on top.

Waiting: trio lets only one task wait until a socket is writable. Whichever task first finds bytes unsent does that; the
others wait until it has sent them or given up.

Turns: what comes is taken from the socket when it is this connection's turn (`fair_queue`), and so is its end.

Failure: after any error of the socket or of TLS the stream is broken. `push` then returns False, and everything that
waits gets `trio.BrokenResourceError`.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
from abc import abstractmethod

import trio

from ticker.config import NOTSENT_LOWAT_BYTES, SEND_BUFFER_BYTES, TCP_USER_TIMEOUT_MS, TLS_CLOSE_SECONDS
from ticker.net.fair_queue import FairQueue

RECORD = 16_384
"""The most plain text in one TLS record (RFC 8446, section 5.1)."""


class PushStream(trio.abc.Stream):
    """A stream to which one can push: what the service needs of the way to a client."""

    __slots__ = ()

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Bytes that were pushed and wait for room."""

    @abstractmethod
    def push(self, data: bytes) -> bool:
        """Send what there is room for now. False if something has to wait for `drain`, or all is over."""

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; empty at the end of the stream."""

    @abstractmethod
    async def drain(self, stall_seconds: float = math.inf) -> None:
        """Wait until nothing is unsent.

        Raises `trio.BrokenResourceError` if the connection is broken, and `trio.TooSlowError` if nothing went out for
        `stall_seconds`.
        """


class TlsStream(PushStream):
    """The server's end of one TLS connection. Takes the socket over."""

    __slots__ = (
        "_broken",
        "_closed",
        "_closing",
        "_encrypt",
        "_incoming",
        "_outgoing",
        "_send",
        "_sock",
        "_take_encrypted",
        "_taken",
        "_tls",
        "_turns",
        "_unsent",
        "_waiter",
    )

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, fair_queue: FairQueue) -> None:
        """`fair_queue` are those of all connections of a service."""
        sock.settimeout(0)
        self._turns = fair_queue
        _tune(sock)
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # Bound once: looking these up for each frame of each client would cost a tenth of sending it.
        self._encrypt = self._tls.write
        self._take_encrypted = self._outgoing.read
        self._send = sock.send
        self._unsent = b""
        self._broken = False
        self._closing = False
        self._closed = False
        self._waiter: trio.Event | None = None
        # Ciphertext that the kernel took of what had to wait for it: whether a slow peer makes progress.
        self._taken = 0

    @property
    def unsent(self) -> int:
        """Bytes of ciphertext that wait for the socket."""
        return len(self._unsent)

    async def handshake(self) -> None:
        """Do the TLS handshake. Raises `trio.BrokenResourceError` if it fails."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_pending()
                await self._receive_ciphertext()
            except ssl.SSLError as error:
                await self._send_alert()
                raise self._broke(error) from error
            else:
                await self._send_pending()
                return

    def push(self, data: bytes) -> bool:
        """Encrypt and send what the socket takes now. False if something has to wait for `drain`, or all is over."""
        if self._unsent or self._broken or self._closing:
            return self._push_behind(data)
        # Python 3.11 calls a method quickly, and reads a slot quickly, but not `self._encrypt(data)`, which is both.
        encrypt, take_encrypted, send = self._encrypt, self._take_encrypted, self._send
        try:
            encrypt(data)
            data = take_encrypted()
            sent = send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # of the socket, or of TLS
            self._broken = True
            return False
        if sent == len(data):
            return True
        self._unsent = data[sent:]
        return False

    async def drain(self, stall_seconds: float = math.inf) -> None:
        """Wait until everything has been given to the kernel.

        Raises `trio.BrokenResourceError` if the connection is broken, and `trio.TooSlowError` if the socket took
        nothing for `stall_seconds`.
        """
        while self._unsent and not self._broken:
            taken = self._taken
            with trio.fail_after(stall_seconds):
                while self._unsent and self._taken == taken and not self._broken:
                    await self._wait_for_the_socket()
        self._check()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything, behind what waits already."""
        self._check()
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.push(bytes(data)):
            await self.drain()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until nothing is unsent."""
        self._check()
        await trio.lowlevel.checkpoint()
        await self.drain()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes of plain text; empty at the end of the stream (close_notify, or the socket's own end)."""
        await trio.lowlevel.checkpoint()
        self._check()
        if self._closing:
            raise trio.ClosedResourceError
        while True:
            try:
                data = self._tls.read(max_bytes or RECORD)
            except ssl.SSLWantReadError:
                if not await self._receive_ciphertext():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise self._broke(error) from error
            else:
                self._flush()  # a read may have made an answer, such as a key update
                return data

    async def aclose(self) -> None:
        """Say close_notify, wait a moment for what is unsent to arrive, and close the socket."""
        try:
            if not self._closing and not self._broken:
                self._closing = True
                # It then wants to read the peer's close_notify, for which nobody has to wait (RFC 8446, section 6.1).
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                self._flush()
                with trio.move_on_after(TLS_CLOSE_SECONDS), contextlib.suppress(trio.BrokenResourceError):
                    await self.drain()
                    await self._linger()
        finally:
            self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close the socket at once. Whoever waits for it gets `trio.ClosedResourceError`."""
        self._closing = True
        if not self._closed:
            self._closed = True
            self._unsent = b""
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
            # What OpenSSL holds is most of a connection; it is not to wait for the garbage collector.
            del self._tls, self._incoming, self._outgoing, self._encrypt, self._take_encrypted

    def _push_behind(self, data: bytes) -> bool:
        """`push` where something waits already, or all is over."""
        if self._broken or self._closing:
            return False
        try:
            self._encrypt(data)
        except ssl.SSLError:
            self._broken = True
            return False
        return self._flush()

    def _flush(self) -> bool:
        """Move ciphertext to the kernel as far as it goes; True if nothing is left."""
        data = self._take_encrypted()
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
        self._taken += sent
        self._unsent = data[sent:]
        return not self._unsent

    async def _wait_for_the_socket(self) -> None:
        """Wait until the socket took something of what is unsent, or until whoever waits for that has stopped."""
        if self._waiter is not None:
            await self._waiter.wait()
            return
        self._waiter = trio.Event()
        try:
            await trio.lowlevel.wait_writable(self._sock)
            if not self._closed:  # in the same moment
                self._flush()
        finally:
            self._waiter.set()
            self._waiter = None

    async def _linger(self) -> None:
        """Send no more, and drop what comes until the peer sends no more either.

        A socket that is closed while something is unread is reset by its kernel, and then the peer may never see what
        it was told last, such as why its request is refused (RFC 9112, section 9.6).
        """
        with contextlib.suppress(OSError, trio.ClosedResourceError):
            trio.lowlevel.notify_closing(self._sock)  # whoever still reads is to leave that to this task
            self._sock.shutdown(socket.SHUT_WR)
            while True:
                await trio.lowlevel.wait_readable(self._sock)
                with contextlib.suppress(BlockingIOError):
                    if not self._sock.recv(RECORD):
                        return

    async def _send_pending(self) -> None:
        if not self._flush():
            await self.drain()

    async def _send_alert(self) -> None:
        """Let the peer know why its handshake failed, if its socket takes a few bytes."""
        self._flush()
        await trio.lowlevel.checkpoint()

    async def _receive_ciphertext(self) -> bool:
        """Take the next bytes from the socket, when it is their turn; False at its end."""
        while True:
            with contextlib.suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_readable(self._sock)
            await self._turns.take()
            if self._closing:
                raise trio.ClosedResourceError
            try:
                data = self._sock.recv(RECORD)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._broke(error) from error
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
            return bool(data)

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._broken:
            raise trio.BrokenResourceError("the connection is broken")

    def _broke(self, error: OSError) -> trio.BrokenResourceError:
        self._broken = True
        return trio.BrokenResourceError(str(error))


def _tune(sock: socket.socket) -> None:
    """Send at once, and let the kernel hold little that is not on its way."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    user_timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if user_timeout is not None:
        sock.setsockopt(socket.IPPROTO_TCP, user_timeout, TCP_USER_TIMEOUT_MS)
    lowat = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if lowat is not None:
        sock.setsockopt(socket.IPPROTO_TCP, lowat, NOTSENT_LOWAT_BYTES)

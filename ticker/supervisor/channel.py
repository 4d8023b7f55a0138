"""Between the supervisor and one of its processes: messages both ways, and the descriptors of connections one way.

Both go over pairs of Unix sockets that keep the bounds of what is sent (SOCK_SEQPACKET). Messages have a pair of their
own, so that a storm of connections holds none of them up.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import sys
from collections import deque
from typing import Generic, NamedTuple, TypeVar

import msgspec
import trio

from ticker.bus_bounds import ACCEPTED_PER_TURN, CHANNEL_PIECE_BYTES, CHANNEL_QUEUE_BYTES
from ticker.errors import ConfigError

M = TypeVar("M")

_MORE, _LAST = b"\0", b"\1"
"""First byte of a piece of a message: others follow, or none does."""

_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_NUMBER = struct.Struct("!Q")
_DESCRIPTOR_BYTES = array.array("i").itemsize
_BUSY = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, getattr(errno, "ETOOMANYREFS", errno.EAGAIN)}
"""Errors of a system that takes no descriptor for another process now (unix(7))."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets. Raises `ConfigError` where the system has none of this kind."""
    if sys.platform in {"win32", "darwin"}:
        raise ConfigError("--workers above 1 needs Linux: connections are handed over by its Unix sockets")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    theirs.settimeout(0)
    return ours, theirs


class Channel(Generic[M]):
    """One end of a pair: sends any message, and receives those of one type. Somebody has to `run_sender`."""

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> None:
        """`decoder` is that of the messages to receive."""
        self._sock = sock
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder()
        self._queue: deque[bytes] = deque()
        self._waiting = 0
        self._read = 0
        self._news = trio.Event()
        self.broken = False
        """More waited than there is room for; nothing more is sent."""

    def __repr__(self) -> str:
        return f"<Channel: {self._waiting} bytes waiting{', broken' if self.broken else ''}>"

    def post(self, message: msgspec.Struct) -> None:
        """Send a message as soon as the other end takes it. Beyond `CHANNEL_QUEUE_BYTES` the channel is broken."""
        data = self._encoder.encode(message)
        if self.broken or self._waiting + len(data) > CHANNEL_QUEUE_BYTES:
            self.broken = True
        else:
            self._queue.append(data)
            self._waiting += len(data)
        self._news.set()

    async def run_sender(self) -> None:
        """Send what is posted, until the channel is broken or the other end has gone."""
        while not self.broken:
            while self._queue and not self.broken:
                data = self._queue[0]
                try:
                    await self._send(data)
                except OSError:
                    return
                self._queue.popleft()
                self._waiting -= len(data)
            if not self.broken:
                self._news = trio.Event()
                await self._news.wait()

    async def finish(self) -> None:
        """Wait until all that was posted is sent, as long as anything can be."""
        while self._queue and not self.broken:  # noqa: ASYNC110  # at the end of a process, for a moment
            await trio.sleep(0.01)

    async def receive(self) -> M | None:
        """Return the next message, None when the other end has gone or says what cannot be understood."""
        message = bytearray()
        while True:
            try:
                piece = await self._receive_piece()
            except OSError:
                return None
            message += piece[1:]
            if not piece or len(message) > CHANNEL_QUEUE_BYTES:
                return None
            if piece[:1] == _LAST:
                try:
                    return self._decoder.decode(message)
                except (msgspec.MsgspecError, ConfigError):
                    return None

    async def _send(self, data: bytes) -> None:
        for at in range(0, len(data), CHANNEL_PIECE_BYTES):
            kind = _MORE if at + CHANNEL_PIECE_BYTES < len(data) else _LAST
            await self._send_piece(kind + data[at : at + CHANNEL_PIECE_BYTES])

    async def _send_piece(self, piece: bytes) -> None:
        while True:
            try:
                self._sock.send(piece, _NO_SIGNAL)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            else:
                return

    async def _receive_piece(self) -> bytes:
        self._read += 1
        if self._read % ACCEPTED_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
        while True:
            try:
                return self._sock.recv(CHANNEL_PIECE_BYTES + 1)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)


class Handed(NamedTuple):
    """A connection that was handed over."""

    number: int
    sock: socket.socket


def hand_over(sock: socket.socket, number: int, descriptor: int) -> bool:
    """Send a connection to another process; False if there is no room now. Raises `OSError` if it has gone."""
    rights = array.array("i", [descriptor])
    try:
        sock.sendmsg([_NUMBER.pack(number)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _NO_SIGNAL)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def take_over(sock: socket.socket) -> Handed | None:
    """Return a connection, None if no more will come. Raises `BlockingIOError` while there is none.

    Raises `LostConnection` if this process has no descriptor left for it.
    """
    data, ancillary, _, _ = sock.recvmsg(_NUMBER.size, socket.CMSG_SPACE(_DESCRIPTOR_BYTES), socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    (number,) = _NUMBER.unpack(data)
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received = array.array("i", rights[: len(rights) - len(rights) % _DESCRIPTOR_BYTES])
            return Handed(number, socket.socket(fileno=received[0]))
    raise LostConnection(number)


class LostConnection(OSError):
    """A connection was handed over, and this process has no descriptor left for it."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.EMFILE, os.strerror(errno.EMFILE))
        self.number = number

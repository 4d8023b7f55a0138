"""One connection in memory: bytes in order, bounded buffers, and the faults of a network.

There is no TLS; otherwise the server's end behaves as `TlsStream` does on a socket.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from trio.testing import MemoryReceiveStream

from ticker.net.transport import PushStream

_CLOSE_SECONDS = 1.0

_USER_TIMEOUT_SECONDS = 6.0
"""The connection breaks if the peer acknowledges nothing for so long, as with TCP_USER_TIMEOUT."""


class Pipe:
    """One direction: the kernels' buffers and the stream of the reader."""

    def __init__(self, room: float = math.inf) -> None:
        self.size = room
        self.held = bytearray()
        """Bytes in the buffers that the reader has not got."""
        self.flowing = True
        self.dead = False
        """Bytes are lost, and neither end learns of it."""
        self.read = MemoryReceiveStream()
        self.unacknowledged_since: float | None = None
        """Time of the first lost bytes."""
        self._ending = False
        self._over = False

    @property
    def room(self) -> float:
        return self.size - len(self.held)

    def put(self, data: bytes) -> None:
        if self.dead and self.unacknowledged_since is None:
            self.unacknowledged_since = trio.current_time()
        if not self._over:
            self.held += data
            self.carry()

    def carry(self, most: int | None = None) -> int:
        """Move bytes to the reader: all, or `most` of them even if the pipe is stalled. Return their number."""
        if self.dead or self._over or not (self.flowing or most is not None):
            return 0
        taken = bytes(self.held[:most])
        del self.held[: len(taken)]
        if taken:
            self.read.put_data(taken)
        if self._ending and not self.held:
            self._over = True
            self.read.put_eof()
        return len(taken)

    def end(self) -> None:
        """The writer has closed; the reader gets the end of the stream behind the bytes held."""
        self._ending = True
        self.carry()

    def leave(self) -> None:
        """The reader has gone."""
        self._over = True
        self.held.clear()
        self.read.close()

    def cut(self) -> None:
        """Drop the bytes held, and end the stream of the reader."""
        self.held.clear()
        if not self._over:
            self._over = True
            self.read.put_eof()


class Link:
    """Both ends of a connection. `heard` is called with the bytes that an end sends, and whether it is the server's."""

    def __init__(self, room: float, chunk: int, heard: Callable[[bytes, bool], None]) -> None:
        """`room` is the size of the buffers towards the client, `chunk` the most bytes of one read."""
        self.chunk = chunk
        self.heard = heard
        self.down = Pipe(room)
        self.up = Pipe()
        self.broken = False
        self.client_gone = False
        self.server = ServerEnd(self)
        self.client = ClientEnd(self)

    @property
    def idle(self) -> bool:
        """Whether both ends are connected and have read all bytes."""
        lost = self.broken or self.client_gone or self.down.dead
        return not lost and not self.down.held and not self.up.held and not self.server.unsent

    def stall(self) -> None:
        """The client stops reading."""
        self.down.flowing = False

    def flow(self) -> None:
        """Everything flows, in both directions."""
        self.up.flowing = self.down.flowing = True
        self.up.carry()
        self.down.carry()
        self.server.flush()

    def trickle(self, most: int) -> None:
        """A stalled client reads so many bytes, perhaps a part of a frame."""
        self.down.carry(most)
        self.server.flush()

    def die(self) -> None:
        """From now on bytes are lost, and neither end learns of it."""
        self.up.dead = self.down.dead = True

    def reset(self) -> None:
        """Break the connection for both ends; bytes in flight are lost."""
        self.broken = True
        self.up.cut()
        self.down.cut()
        self.server.moved.unpark_all()


class ServerEnd(PushStream):
    """As `TlsStream`: bytes that do not fit into the link wait in `_unsent`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._unsent = b""
        self._taken = 0
        self._closing = False
        self._closed = False
        self.moved = trio.lowlevel.ParkingLot()

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    def push(self, data: bytes) -> bool:
        if self._link.broken or self._closing:
            return False
        self._link.heard(data, True)  # noqa: FBT003  # the server did
        self._unsent += data
        return self.flush()

    def flush(self) -> bool:
        """Send as many bytes as fit; return whether all are sent."""
        link = self._link
        while self._unsent and not link.broken:
            if (link.client_gone and not link.down.dead) or self._given_up():
                link.reset()
                break
            taken = int(min(len(self._unsent), link.down.room))
            if not taken:
                break
            link.down.put(self._unsent[:taken])
            self._unsent = self._unsent[taken:]
            self._taken += taken
            self.moved.unpark_all()
        return not self._unsent and not link.broken

    def _given_up(self) -> bool:
        since = self._link.down.unacknowledged_since
        return since is not None and trio.current_time() - since > _USER_TIMEOUT_SECONDS

    async def drain(self, stall_seconds: float = math.inf) -> None:
        while self._unsent and not self._link.broken:
            taken = self._taken
            with trio.fail_after(stall_seconds):
                while self._unsent and self._taken == taken and not self._link.broken:
                    await self.moved.park()
        self._check()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.push(bytes(data)):
            await self.drain()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        self._check()
        await trio.lowlevel.checkpoint()
        await self.drain()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._check()
        data = await self._link.up.read.receive_some(min(max_bytes or self._link.chunk, self._link.chunk))
        self._check()
        return bytes(data)

    async def aclose(self) -> None:
        try:
            if not self._closing and not self._link.broken:
                self._closing = True
                with trio.move_on_after(_CLOSE_SECONDS):
                    while self._unsent and not self._link.broken:
                        await self.moved.park()
        finally:
            self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        self._closing = True
        if not self._closed:
            self._closed = True
            if self._unsent:
                self._link.down.cut()
            self._unsent = b""
            self._link.down.end()
            self._link.up.leave()
            self.moved.unpark_all()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._link.broken:
            raise trio.BrokenResourceError("the connection is broken")


class ClientEnd(trio.abc.Stream):
    """The client's end, which its connector returns."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        link = self._link
        self._check()
        data = await link.down.read.receive_some(min(max_bytes or link.chunk, link.chunk))
        self._check()
        return bytes(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await trio.lowlevel.checkpoint()
        self._check()
        self.send_nowait(bytes(data))

    def send_nowait(self, data: bytes) -> None:
        """Send, without waiting."""
        self._link.heard(data, False)  # noqa: FBT003  # the client did
        self._link.up.put(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        link = self._link
        if not link.client_gone:
            link.client_gone = True
            link.down.leave()
            link.up.end()
            link.server.flush()
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._link.client_gone:
            raise trio.ClosedResourceError
        if self._link.broken:
            raise trio.BrokenResourceError("the connection is broken")

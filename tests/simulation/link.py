"""One connection in memory: bytes in order, room for only so many of them, and whatever can happen to them.

TLS is left out; for the rest, the server's end does what `TlsStream` does on a socket.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from trio.testing import MemoryReceiveStream

from ticker.net.transport import PushStream

_CLOSE_SECONDS = 1.0

_USER_TIMEOUT_SECONDS = 6.0
"""As the kernel does it with TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long has gone."""


class Pipe:
    """One direction: the kernels' buffers, and what the reader has been given of them."""

    def __init__(self, room: float = math.inf) -> None:
        self.size = room
        self.held = bytearray()
        """What is in the buffers, and not with the reader."""
        self.flowing = True
        self.dead = False
        """Nothing comes through any more, and nobody is told."""
        self.read = MemoryReceiveStream()
        self.unacknowledged_since: float | None = None
        """When something was first sent that does not come through any more."""
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
        """Give the reader what is there, or, of a pipe that does not flow, so many bytes; how many it got."""
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
        """Nothing more will be put in; the reader learns of it behind what is held."""
        self._ending = True
        self.carry()

    def leave(self) -> None:
        """The reader has gone."""
        self._over = True
        self.held.clear()
        self.read.close()

    def cut(self) -> None:
        """What is held is lost, and the reader gets nothing more."""
        self.held.clear()
        if not self._over:
            self._over = True
            self.read.put_eof()


class Link:
    """Both ends of a connection. `heard` is told whatever either end says, and whether the server did."""

    def __init__(self, room: float, chunk: int, heard: Callable[[bytes, bool], None]) -> None:
        """`room` is how many bytes wait for a reader that stalls, `chunk` the most that a read brings."""
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
        """Whether all that was said has been read, by a reader who is there."""
        lost = self.broken or self.client_gone or self.down.dead
        return not lost and not self.down.held and not self.up.held and not self.server.unsent

    def stall(self) -> None:
        """The client does not read any more."""
        self.down.flowing = False

    def flow(self) -> None:
        """Everything flows, in both directions."""
        self.up.flowing = self.down.flowing = True
        self.up.carry()
        self.down.carry()
        self.server.flush()

    def trickle(self, most: int) -> None:
        """The client reads so many bytes, perhaps a piece of a frame, although it stalls."""
        self.down.carry(most)
        self.server.flush()

    def die(self) -> None:
        """From now on nothing comes through, and neither end is told."""
        self.up.dead = self.down.dead = True

    def reset(self) -> None:
        """Both ends learn that the connection is broken; what was on its way is lost."""
        self.broken = True
        self.up.cut()
        self.down.cut()
        self.server.moved.unpark_all()


class ServerEnd(PushStream):
    """As `TlsStream`: what the link does not take now waits in `_unsent`."""

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
        """Move on what there is room for; True if nothing is left."""
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
    """What the client dials."""

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
        self.say(bytes(data))

    def say(self, data: bytes) -> None:
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

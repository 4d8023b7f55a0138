"""The connection of a client to an edge: messages in order, without the WebSocket around them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Never

import trio
from trio_websocket import ConnectionClosed

from tests.core.invariant_client import whole_frames
from tests.storm.seeded.engine import Way
from ticker.net.transport import PushStream

_ROOM = 2
"""Frames that the kernels take while nothing flows."""


class Socket(PushStream):
    """The edge's end: what `WebSocketClientConnection` has of its stream."""

    def __init__(self, way: Way, hear: Callable[[bytes], None]) -> None:
        """`way` is that of the edge, which may be stopped; `hear` gets each message."""
        self.flowing = True
        self.closed = False
        self._way = way
        self._hear = hear
        self._frames: list[bytes] = []
        self._moved = trio.lowlevel.ParkingLot()

    @property
    def unsent(self) -> int:
        return sum(map(len, self._frames[_ROOM:]))

    def push(self, data: bytes) -> bool:
        if self.closed:
            return False
        self._frames.append(data)
        self.flush()
        return not self.unsent and not self.closed

    def flush(self) -> None:
        """Deliver what can be."""
        while self._frames and self.flowing and not self._way.stopped and not self.closed:
            payloads, _ = whole_frames(self._frames.pop(0))
            for payload in payloads:
                self._hear(payload)
        if not self.unsent:
            self._moved.unpark_all()

    def close(self) -> None:
        """The connection ends; what was not delivered is lost."""
        self.closed = True
        self._frames.clear()
        self._moved.unpark_all()

    async def drain(self, stall_seconds: float = math.inf) -> None:
        with trio.fail_after(stall_seconds):
            while self.unsent:
                await self._moved.park()
        if self.closed:
            raise trio.BrokenResourceError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return _unused(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        _unused(data)

    async def wait_send_all_might_not_block(self) -> None:
        _unused(None)

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


def _unused(value: object) -> Never:
    raise AssertionError(f"only WebSockets do that: {value!r}")


class Requests:
    """The client's messages: what `WebSocketClientConnection` has of its WebSocket."""

    closed = None

    def __init__(self, socket: Socket, way: Way) -> None:
        self._socket = socket
        self._way = way
        self.send, self._received = trio.open_memory_channel[bytes | str](math.inf)

    async def get_message(self) -> bytes | str:
        try:
            message = await self._received.receive()
        except trio.EndOfChannel:
            raise ConnectionClosed(None) from None
        await self._way.awake()
        return message

    async def aclose(self, code: int, reason: str) -> None:  # noqa: ARG002
        self._socket.close()
        self.send.close()
        await trio.lowlevel.checkpoint()

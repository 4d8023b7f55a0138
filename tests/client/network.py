"""Networks and servers that fail: a proxy that can be cut or stalled, and a server that follows a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conftest import CLOSE, MSGPACK, Running
from tests.net.pair import Contexts
from ticker import Event
from ticker.protocol.messages import ServerMessage, Welcome
from ticker.protocol.wire import ENCODINGS


class Proxy:
    """Forwards bytes between clients and a service, until it is cut or stalled."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.url = ""
        self.open = True
        """Whether new connections are accepted."""
        self.accepted = 0
        self._flowing = trio.Event()
        self._flowing.set()
        self._lines: set[trio.CancelScope] = set()

    def cut(self) -> None:
        """Drop all connections at once."""
        for scope in self._lines:
            scope.cancel()

    def stall(self) -> None:
        """Forward nothing from now on, and keep the connections."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        self._flowing.set()

    async def carry(self, client: trio.SocketStream) -> None:
        self.accepted += 1
        async with client:
            if not self.open:
                return
            async with await trio.open_tcp_stream("127.0.0.1", self.target) as server, trio.open_nursery() as nursery:
                self._lines.add(nursery.cancel_scope)
                nursery.start_soon(self._one_way, client, server, nursery.cancel_scope)
                nursery.start_soon(self._one_way, server, client, nursery.cancel_scope)
            self._lines.discard(nursery.cancel_scope)

    async def _one_way(self, source: trio.SocketStream, sink: trio.SocketStream, line: trio.CancelScope) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                await self._flowing.wait()
                await sink.send_all(data)
        line.cancel()


@asynccontextmanager
async def proxied(service: Running) -> AsyncIterator[Proxy]:
    proxy = Proxy(service.port)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, proxy.carry, 0)
        listener: trio.SocketListener = listeners[0]
        proxy.url = f"wss://127.0.0.1:{listener.socket.getsockname()[1]}/v1/stream"
        yield proxy
        nursery.cancel_scope.cancel()


async def settle(clock: MockClock, events: list[Event], kind: type[Event], count: int = 1) -> None:
    """Let time pass until the client has reported so many events of a kind."""
    for _ in range(200):
        await wait_all_tasks_blocked(0.001)
        if sum(isinstance(event, kind) for event in events) >= count:
            return
        clock.jump(0.25)
    raise AssertionError(events)


class Script:
    """A WebSocket server that sends WELCOME, then the messages of the test, and closes with a code."""

    def __init__(
        self, *messages: ServerMessage | bytes, code: int | None = None, welcomes: bool = True, listens: bool = False
    ) -> None:
        """With `listens`, it waits for the client to end the connection."""
        self.listens = listens
        self.messages = (Welcome(1, "e", "s", 0, 0, 0, {}), *messages) if welcomes else messages
        self.code = code
        self.clients = 0
        self.heard = b""
        """Bytes that its clients sent while it listened."""

    async def serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.clients += 1
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        (key,) = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
        encoding = ENCODINGS[MSGPACK]
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept(key)}\r\nSec-WebSocket-Protocol: {MSGPACK}\r\n\r\n"
        )
        await stream.send_all(answer.encode())
        for message in self.messages:
            await stream.send_all(message if isinstance(message, bytes) else encoding.frame(message))
        if self.code is not None:
            await stream.send_all(bytes((CLOSE, 2)) + self.code.to_bytes(2, "big"))
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
        elif self.listens:
            with suppress(trio.BrokenResourceError):
                while data := await stream.receive_some():
                    self.heard += data
        await trio.aclose_forcefully(stream)


def accept(key: bytes) -> str:
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


@asynccontextmanager
async def scripted(contexts: Contexts, script: Script) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_ssl_over_tcp, script.serve, 0, contexts.server)
        listener: trio.SSLListener[trio.SocketStream] = listeners[0]
        assert isinstance(listener.transport_listener, trio.SocketListener)
        yield f"wss://127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()

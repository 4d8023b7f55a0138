"""A TCP proxy between a client and the service, whose network a test can cut or stall."""

from __future__ import annotations

import trio


class Proxy:
    """Forwards bytes both ways. A stalled proxy reads nothing from the server, like a slow consumer."""

    def __init__(self, target: str) -> None:
        """`target` is the service's URL."""
        host_and_port = target.removeprefix("wss://").partition("/")[0]
        self._host, _, port = host_and_port.rpartition(":")
        self._port = int(port)
        self.url = ""
        """Where to connect instead."""
        self.connections = 0
        """Number of connections so far."""
        self._flowing = trio.Event()
        self._flowing.set()
        self._scopes: set[trio.CancelScope] = set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept and forward until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"wss://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(self._forward, listeners)

    def stall(self) -> None:
        """Read nothing from the server from now on."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        """Go on."""
        self._flowing.set()

    def cut(self) -> None:
        """Break all connections; new ones may be made."""
        for scope in self._scopes:
            scope.cancel()

    async def _forward(self, client: trio.SocketStream) -> None:
        self.connections += 1
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            # A small buffer, so that a stall is felt by the server soon.
            server = await trio.open_tcp_stream(self._host, self._port)
            server.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 16_384)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._copy, client, server, nursery.cancel_scope)
                    nursery.start_soon(self._copy_unless_stalled, server, client, nursery.cancel_scope)
            finally:
                self._scopes.discard(scope)
                await trio.aclose_forcefully(server)

    async def _copy(self, source: trio.SocketStream, target: trio.SocketStream, over: trio.CancelScope) -> None:
        try:
            async for data in source:
                await target.send_all(data)
        except trio.BrokenResourceError:
            pass
        over.cancel()

    async def _copy_unless_stalled(
        self, source: trio.SocketStream, target: trio.SocketStream, over: trio.CancelScope
    ) -> None:
        try:
            while data := await source.receive_some(16_384):
                await self._flowing.wait()
                await target.send_all(data)
        except trio.BrokenResourceError:
            pass
        over.cancel()

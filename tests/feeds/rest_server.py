"""REST of a venue on this machine: HTTPS, whose answers a test gives."""

from __future__ import annotations

import json
import math
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from ticker.net.devcert import development_certificate
from ticker.net.tls import server_context


class Asked:
    """A request that waits for its answer."""

    def __init__(self, target: str, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.target = target
        self._stream = stream
        self._over = trio.Event()

    async def answer(self, body: object, status: str = "200 OK", **headers: object) -> None:
        """Answer with this: `bytes` as the whole response, anything else as JSON."""
        payload = b"" if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(payload)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        whole = body if isinstance(body, bytes) else "\r\n".join([*lines, "", ""]).encode() + payload
        with suppress(trio.BrokenResourceError):
            await self._stream.send_all(whole)
        self._over.set()

    async def over(self) -> None:
        await self._over.wait()


class RestServer:
    """The server that snapshots come from."""

    def __init__(self) -> None:
        self.url = ""
        self._new, self._asked = trio.open_memory_channel[Asked](math.inf)

    async def asked(self) -> Asked:
        """Return the next request."""
        return await self._asked.receive()

    @property
    def idle(self) -> bool:
        """Whether nothing more was asked."""
        return not self._asked.statistics().current_buffer_used

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        made = development_certificate(Path(os.environ["TICKER_HOME"]))
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(partial(self._serve, server_context(made.cert, made.key)), listeners)

    async def _serve(self, context: ssl.SSLContext, plain: trio.SocketStream) -> None:
        stream = trio.SSLStream(plain, context, server_side=True, https_compatible=True)
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                if not (more := await stream.receive_some()):
                    return
                head += more
            asked = Asked(head.split(b" ")[1].decode(), stream)
            self._new.send_nowait(asked)
            await asked.over()
        except trio.BrokenResourceError:
            return
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def rest_server() -> AsyncIterator[RestServer]:
    """A server that runs until the block is left."""
    server = RestServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server
        nursery.cancel_scope.cancel()

"""Serves a delayed engine to the processes of one machine on a Unix socket, so that they have one spool together."""

from __future__ import annotations

import socket

import structlog
import trio

from ticker.bus import frames
from ticker.bus.engine import Connection, Engine, Unavailable, delay_of
from ticker.bus.frames import Answer, BadFrame, FrameStream, Hello
from ticker.bus.reading import value_of
from ticker.bus.served_log import is_same_user
from ticker.bus_bounds import BUS_READ_SECONDS, MAX_BUS_CONNECTIONS
from ticker.net.addresses import Address
from ticker.net.failures import FailureLog
from ticker.net.listeners import listen

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.bus.shared")


async def serve_engine_at(
    engine: Engine, path: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve what an engine has to processes of the same user, whose connections only read. The path should be in a
    folder of its own.

    Raises `ConfigError` for a path that cannot be used.
    """
    failures, connections = FailureLog(_log), 0

    async def admit(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        try:
            async with stream:
                if connections <= MAX_BUS_CONNECTIONS and is_same_user(stream):
                    with socket.socket(fileno=stream.socket.detach()) as sock:
                        await serve_engine(engine, sock)
        except Exception as error:  # noqa: BLE001  # a fault with one connection must not end the others
            failures.write("a connection to the delayed bus failed", error)
        finally:
            connections -= 1

    listeners = await listen(Address(f"unix:{path}", path=path, mode=0o600), "--delay")
    task_status.started()
    await trio.serve_listeners(admit, listeners)


async def serve_engine(engine: Engine, sock: socket.socket) -> None:
    """Answer the requests of one process until it leaves."""
    peer = FrameStream(sock)
    try:
        try:
            async with engine.connect() as upstream:
                await peer.send(frames.encode(Hello(frames.PROTOCOL, upstream.run, delay_of(engine))))
                while (message := await peer.receive()) is not None:
                    await peer.send(frames.encode(await _answer(upstream, frames.decode_request(message))))
        except Unavailable as error:
            await peer.send(frames.encode(Hello(frames.PROTOCOL, "", delay_of(engine), unavailable=str(error))))
    except (trio.BrokenResourceError, trio.ClosedResourceError, BadFrame):
        pass  # it has gone, or is none of this service


async def _answer(upstream: Connection, request: frames.Request) -> Answer[object]:
    """Return the answer to a request; after one that failed, the process connects anew."""
    try:
        return Answer(await value_of(request, upstream, BUS_READ_SECONDS))
    except Unavailable as error:
        return Answer(None, unavailable=str(error))

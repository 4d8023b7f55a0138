"""Serves the log to the processes of one machine on a Unix socket.

What follows is sent each entry by the append that brings it, as far as its socket has room. Beyond that it is behind:
a task of its connection sends it what the log has, as it takes it. A process that is behind costs no more than what
its socket holds, and a read.
"""

from __future__ import annotations

import os
import socket
import struct

import structlog
import trio

from ticker.bus import frames
from ticker.bus.engine import Entry, Position, Refused, Unavailable
from ticker.bus.frames import Answer, BadFrame, FrameStream, Hello
from ticker.bus.log import Log
from ticker.bus_bounds import MAX_BUS_CONNECTIONS
from ticker.net.addresses import Address
from ticker.net.failures import FailureLog
from ticker.net.listeners import listen


async def serve_log_at(log: Log, path: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve the log to processes of the same user on a Unix socket, whose path should be in a folder of its own.

    Raises `ConfigError` for a path that cannot be used.
    """

    failures = FailureLog(structlog.stdlib.get_logger(__name__))

    async def admit(stream: trio.SocketStream) -> None:
        try:
            if log.connections < MAX_BUS_CONNECTIONS and is_same_user(stream):
                await serve_log(log, socket.socket(fileno=stream.socket.detach()))
            else:
                log.refused_connections += 1
                await stream.aclose()
        except Exception as error:  # noqa: BLE001  # a fault with one connection must not end the others
            log.failed_connections += 1
            failures.write("a connection to the bus failed", error)

    listeners = await listen(Address(f"unix:{path}", path=path, mode=0o600), "--workers")
    task_status.started()
    await trio.serve_listeners(admit, listeners)


async def serve_log(log: Log, sock: socket.socket) -> None:
    """Serve the log to one connection, until it ends, and close it."""
    log.connections += 1
    try:
        with sock:
            async with trio.open_nursery() as nursery:
                await _Peer(log, FrameStream(sock), nursery).run()
                nursery.cancel_scope.cancel()
    except* BadFrame:
        log.failed_connections += 1
    except* trio.BrokenResourceError:
        pass  # it has gone
    finally:
        log.connections -= 1


class _Peer:
    """A process at the other end of a connection."""

    def __init__(self, log: Log, stream: FrameStream, nursery: trio.Nursery) -> None:
        self._log = log
        self._stream = stream
        self._nursery = nursery
        self._follows = False
        self._sent_to = Position(0)
        """The latest entry that was sent, while it follows."""
        self._caught_up: trio.Event | None = None
        """Set when it is behind no more, or follows no more; None while it is not behind."""

    async def run(self) -> None:
        """Answer requests until it leaves."""
        await self._stream.send(frames.encode(Hello(frames.PROTOCOL, self._log.run, pushes=True)))
        try:
            while (message := await self._stream.receive()) is not None:
                request = frames.decode_request(message)
                await self._end_following()
                await self._stream.send(frames.encode(await _answer(self._log, request)))
                if isinstance(request, frames.Follow):
                    self._follow(request.after)
        finally:
            self._log.followers.discard(self._push)

    def _follow(self, after: Position) -> None:
        self._follows, self._sent_to = True, after
        self._log.followers.add(self._push)
        if self._log.last > after:
            self._catch_up_later(b"")

    async def _end_following(self) -> None:
        if self._follows:
            self._follows = False
            self._log.followers.discard(self._push)
            if self._caught_up is not None:
                await self._caught_up.wait()

    def _push(self, entry: Entry, frame: bytes) -> None:
        """Send an entry that was appended, unless others are to be sent before."""
        if self._caught_up is None and entry.position > self._sent_to:
            try:
                sent = self._stream.send_now(frame)
            except trio.BrokenResourceError:
                return  # its task finds that, too
            self._sent_to = entry.position
            if sent < len(frame):
                self._catch_up_later(frame[sent:])

    def _catch_up_later(self, rest: bytes) -> None:
        self._caught_up = trio.Event()
        self._nursery.start_soon(self._catch_up, rest, self._caught_up)

    async def _catch_up(self, rest: bytes, caught_up: trio.Event) -> None:
        """Send the rest of a frame, and the entries after it, until there are no more."""
        await self._stream.send_rest(rest)
        while self._follows and (entries := self._log.after(self._sent_to)):
            await self._stream.send_rest(b"".join(map(frames.pushed, entries)))
            self._sent_to = entries[-1].position
            await trio.lowlevel.checkpoint()
        self._caught_up = None
        caught_up.set()


async def _answer(log: Log, request: frames.Request) -> Answer[object]:
    try:
        return Answer(await _value(log, request))
    except Refused as error:
        return Answer(None, refused=str(error))
    except Unavailable as error:
        return Answer(None, unavailable=str(error))


async def _value(log: Log, request: frames.Request) -> object:
    match request:
        case frames.Read(after, seconds):
            return await log.read(after, seconds)
        case frames.Follow():
            pass  # it has begun, by this answer
        case frames.Append(position, data):
            log.append(position, data)
        case frames.Last():
            return log.last
        case frames.Find(position):
            return log.entry(position)
        case frames.PutPart(cut, number, data):
            log.keyframes.put_part(cut, number, data)
        case frames.FinishKeyframe(keyframe):
            log.finish_keyframe(keyframe)
        case frames.LatestKeyframe():
            return log.keyframes.latest()
        case frames.Part(cut, number):
            return log.keyframes.part(cut, number)
    return None


def is_same_user(stream: trio.SocketStream) -> bool:
    """Whether the process at the other end is of the user of this one."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.geteuid())

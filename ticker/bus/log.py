"""The log of cuts in memory, for the processes of one machine, and its service over a Unix socket.

It keeps the entries since the keyframe before the last, within `MAX_BUS_ENTRIES` and `MAX_BUS_LOG_BYTES`; of beats only
the last one. It is lost with its process.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
from bisect import bisect_left, bisect_right
from operator import attrgetter

import structlog
import trio

from ticker.bus import frames
from ticker.bus.engine import MOST_READ, Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.frames import Answer, BadFrame, FrameStream, Hello
from ticker.bus.keyframes import Keyframes, check_size
from ticker.bus_bounds import (
    BUS_BYTES_PER_READ,
    BUS_READ_SECONDS,
    MAX_BUS_CONNECTIONS,
    MAX_BUS_ENTRIES,
    MAX_BUS_LOG_BYTES,
)
from ticker.net.addresses import Address
from ticker.net.failures import FailureLog
from ticker.net.listeners import listen

_position = attrgetter("position")


class Log:
    """The log. Its counters are for the process that has it."""

    def __init__(self, *, max_entries: int = MAX_BUS_ENTRIES, max_bytes: int = MAX_BUS_LOG_BYTES) -> None:
        self.run = secrets.token_hex(8)
        self.keyframes = Keyframes()
        self.last = Position(0)
        self.bytes = 0
        """Bytes of the entries."""
        self.appended = 0
        self.refused = 0
        self.dropped = 0
        """Entries beyond the limits: those who needed them had to load a keyframe, or to wait for one."""
        self.connections = 0
        self.refused_connections = 0
        """Beyond `MAX_BUS_CONNECTIONS`, or of another user."""
        self.failed_connections = 0
        """Ended because the peer sent what is no message, or took too long."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: list[Entry] = []
        self._readers = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Log to {self.last}: {len(self._entries)} entries, {self.bytes} bytes, {self.connections} connections>"

    @property
    def entries(self) -> int:
        """How many entries and beats there are."""
        return len(self._entries)

    def append(self, position: Position, data: bytes) -> None:
        """Append an entry or a beat, which takes the place of the beat before. Raises `Refused`, and `Unavailable` for
        data beyond `MAX_BUS_DATA_BYTES`."""
        check_size(data)
        if position <= self.last:
            self.refused += 1
            raise Refused(f"{position} is not behind {self.last}")
        if position.beat and self._entries and self._entries[-1].position.beat and position.cut == self.last.cut:
            self._drop(len(self._entries) - 1, len(self._entries))
        self.last = position
        self.appended += 1
        self.bytes += len(data)
        self._entries.append(Entry(position, data))
        self._keep_limits()
        self._readers.unpark_all()

    async def read(self, after: Position, seconds: float) -> list[Entry]:
        """Return the next entries after a position; wait so long if there are none, `BUS_READ_SECONDS` at most."""
        with trio.move_on_after(min(seconds, BUS_READ_SECONDS) if seconds > 0 else 0):
            while self.last <= after:
                await self._readers.park()
        first = bisect_right(self._entries, after, key=_position)
        found, size = [], 0
        for entry in self._entries[first : first + MOST_READ]:
            found.append(entry)
            size += len(entry.data)
            if size >= BUS_BYTES_PER_READ:
                break
        return found

    def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None if there is none (any more)."""
        number = bisect_right(self._entries, position, key=_position) - 1
        found = self._entries[number] if number >= 0 else None
        return found.data if found is not None and found.position == position else None

    def finish_keyframe(self, keyframe: Keyframe) -> None:
        """Make this keyframe the latest, and trim the log to the one before. Raises `Refused`."""
        before = self.keyframes.finish(keyframe)
        self._drop(0, bisect_left(self._entries, Position(before), key=_position))

    def _keep_limits(self) -> None:
        count, size = 0, self.bytes
        while len(self._entries) - count > self._max_entries or (
            size > self._max_bytes and count < len(self._entries) - 1
        ):
            size -= len(self._entries[count].data)
            count += 1
        self.dropped += count
        self._drop(0, count)

    def _drop(self, start: int, end: int) -> None:
        if start < end:
            self.bytes -= sum(len(entry.data) for entry in self._entries[start:end])
            del self._entries[start:end]


async def serve_log_at(log: Log, path: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve the log to processes of the same user on a Unix socket, whose path should be in a folder of its own.

    Raises `ConfigError` for a path that cannot be used.
    """

    failures = FailureLog(structlog.stdlib.get_logger(__name__))

    async def admit(stream: trio.SocketStream) -> None:
        try:
            if log.connections < MAX_BUS_CONNECTIONS and is_same_user(stream):
                await serve_log(log, stream)
            else:
                log.refused_connections += 1
                await stream.aclose()
        except Exception as error:  # noqa: BLE001  # a fault with one connection must not end the others
            log.failed_connections += 1
            failures.write("a connection to the bus failed", error)

    listeners = await listen(Address(f"unix:{path}", path=path, mode=0o600), "--workers")
    task_status.started()
    await trio.serve_listeners(admit, listeners)


async def serve_log(log: Log, stream: trio.abc.Stream) -> None:
    """Serve the log to one connection, until it ends, and close it."""
    peer = FrameStream(stream)
    log.connections += 1
    try:
        async with stream:
            await peer.send(frames.encode(Hello(frames.PROTOCOL, log.run)))
            while (message := await peer.receive()) is not None:
                await peer.send(frames.encode(await _answer(log, frames.decode_request(message))))
    except BadFrame:
        log.failed_connections += 1
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it has gone
    finally:
        log.connections -= 1


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

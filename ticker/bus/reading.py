"""What connections have in common that only read, and those that answer requests from them."""

from __future__ import annotations

from collections.abc import Sequence

from ticker.bus import frames
from ticker.bus.engine import MOST_READ, Connection, Entry, Keyframe, Position, Unavailable
from ticker.bus_bounds import FOLLOWED_ENTRIES, FOLLOWED_PARTS_BYTES, FOLLOWED_PIECE_BYTES


class ReadOnly:
    """A connection over which nothing is written."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def append(self, position: Position, data: bytes) -> None:  # noqa: ARG002
        """Raise `Unavailable`."""
        raise Unavailable(self._why)

    async def put_part(self, cut: int, number: int, data: bytes) -> None:  # noqa: ARG002
        """Raise `Unavailable`."""
        raise Unavailable(self._why)

    async def finish_keyframe(self, keyframe: Keyframe) -> None:  # noqa: ARG002
        """Raise `Unavailable`."""
        raise Unavailable(self._why)


async def next_entries(connection: Connection, after: Position, seconds: float) -> Sequence[Entry]:
    """Return the next entries after a position, as many as there are, but for a limit. Raises `Unavailable`."""
    entries: list[Entry] = []
    size = 0
    while len(entries) < FOLLOWED_ENTRIES and size < FOLLOWED_PIECE_BYTES:
        more = await connection.read(entries[-1].position if entries else after, 0 if entries else seconds)
        entries += more
        size += sum(len(entry.data) for entry in more)
        if len(more) < MOST_READ:
            break
    return entries


async def next_parts(connection: Connection, cut: int, number: int) -> Sequence[bytes]:
    """Return the parts of a keyframe from this one on, as many as there are, but for a limit. Raises `Unavailable`."""
    parts: list[bytes] = []
    size = 0
    while size < FOLLOWED_PARTS_BYTES and (data := await connection.part(cut, number + len(parts))) is not None:
        parts.append(data)
        size += len(data)
    return parts


async def value_of(request: frames.Request, connection: Connection, most_seconds: float) -> object:
    """Return what a request asks for. Raises `Unavailable`, also for one that writes."""
    match request:
        case frames.Read(after, seconds):
            return await connection.read(after, max(0.0, min(seconds, most_seconds)))
        case frames.Last():
            return await connection.last()
        case frames.Find(position):
            return await connection.entry(position)
        case frames.LatestKeyframe():
            return await connection.keyframe()
        case frames.Part(cut, number):
            return await connection.part(cut, number)
        case frames.Parts(cut, number):
            return await next_parts(connection, cut, number)
        case _:
            raise Unavailable("nothing can be written here: it can only be read")

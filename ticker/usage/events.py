"""What a service has its usage log say, before it is text. Times are microseconds since 1970 UTC.

Events are made in the loop, which has no time for names: these are bitmaps of ids, and become text in the thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Names: TypeAlias = int | tuple[str, ...]
"""Names of instruments and tables, or the bitmap of their ids in the cache."""

_EVENT_BYTES = 500
_NAME_BYTES = 200


class Opened(NamedTuple):
    """A connection."""

    at: int
    session: str
    subject: str | None
    address: str
    agent: str
    transport: str


class Sees(NamedTuple):
    """From now on a connection sees the names of this view."""

    at: int
    session: str
    view: int
    delayed: bool = False


class Closed(NamedTuple):
    """The end of a connection."""

    at: int
    session: str


class ViewChange(NamedTuple):
    """From now on a view has more names, and less; `base` is the view that a new one begins with."""

    at: int
    view: int
    more: Names
    less: Names = ()
    base: int | None = None


class Alive(NamedTuple):
    """What is open is open at this time."""

    at: int


class Stop(NamedTuple):
    """The end of the run."""

    at: int


class NewFile(NamedTuple):
    """From here on in a new file, with all that is open at this moment; `lost` events are in none."""

    at: int
    connections: Sequence[tuple[Opened, int, bool]] = ()
    """Each with its view, and whether it is delayed."""
    views: Sequence[tuple[int, Names]] = ()
    lost: int = 0
    lost_since: int | None = None


Event: TypeAlias = Opened | Sees | Closed | ViewChange | Alive | Stop | NewFile


def size_of(event: Event) -> int:
    """Return an upper estimate of the bytes that an event takes in memory."""
    if isinstance(event, ViewChange):
        return _EVENT_BYTES + _size(event.more) + _size(event.less)
    if isinstance(event, NewFile):
        return _EVENT_BYTES * (1 + len(event.connections)) + sum(_EVENT_BYTES + _size(bits) for _, bits in event.views)
    return _EVENT_BYTES


def _size(names: Names) -> int:
    return names.bit_length() // 8 if isinstance(names, int) else _NAME_BYTES * len(names)

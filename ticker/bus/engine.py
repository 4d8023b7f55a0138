"""An engine keeps the log of cuts: one appends to it, any number read it.

The rules:

1. An entry's position is `(cut, 0)`, a beat's `(cut, n)` with n from 1: a sign of life after that cut. The engine only
   takes a position that is greater than its last. A source appends cuts one by one, so an append is a compare-and-swap.
2. A keyframe is a number of parts that were written while cuts went on; it counts once it is finished. The log is then
   trimmed to the keyframe before.
3. A connection is used by one task, with one command at a time. After `Unavailable`, or a command that was cancelled,
   it is of no use any more; the outcome of the command is not known then.
4. An engine has room for so many entries and bytes. Beyond it, it drops its oldest entries, or refuses new ones with
   `Unavailable`. A read goes on with what there is: a follower sees by an entry's `since` that it lacks others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from ticker.errors import TickerError

MOST_READ = 8
"""The most entries of one read: so a follower that is far behind takes turns with all else."""


class Unavailable(TickerError):
    """The engine cannot be used, with the cause and the remedy in one line for people."""


class Refused(TickerError):
    """The engine has an entry at this position or a later one (or a later keyframe)."""


class Position(NamedTuple):
    """A place in the log."""

    cut: int
    beat: int = 0


class Entry(NamedTuple):
    """A cut, or a beat, as its source wrote it."""

    position: Position
    data: bytes


class Keyframe(NamedTuple):
    """A finished keyframe."""

    cut: int
    """The cut after which it was begun: with it and the entries after this cut a follower has everything."""
    parts: int
    """How many, one at least."""


class Connection(Protocol):
    """A connection to the engine. All methods raise `Unavailable`."""

    @property
    def run(self) -> str:
        """Names the engine's life: two connections with the same name saw the same log without a break."""
        ...

    async def last(self) -> Position:
        """Return the last position, `(0, 0)` where there is none."""
        ...

    async def append(self, position: Position, data: bytes) -> None:
        """Append an entry or a beat, of which only the last one has to be kept. Raises `Refused`."""
        ...

    async def read(self, after: Position, seconds: float) -> Sequence[Entry]:
        """Return the next entries after a position, at most `MOST_READ`; wait so long if there are none."""
        ...

    async def entry(self, position: Position) -> bytes | None:
        """Return the data at a position, None where there is none (any more)."""
        ...

    async def put_part(self, cut: int, number: int, data: bytes) -> None:
        """Write a part, counted from 0, of the keyframe that was begun after this cut.

        It may be dropped where a later keyframe was begun; the keyframe is then refused when it is finished.
        """
        ...

    async def finish_keyframe(self, keyframe: Keyframe) -> None:
        """Have this keyframe as the latest, drop all but the one before, and trim the log to that one's cut.

        Raises `Refused` if there is a later keyframe, or a part of this one is missing: a source that another one has
        followed may have to hear it.
        """
        ...

    async def keyframe(self) -> Keyframe | None:
        """Return the latest keyframe."""
        ...

    async def part(self, cut: int, number: int) -> bytes | None:
        """Return a part of a keyframe, None where there is none (any more)."""
        ...


class Engine(Protocol):
    """An engine that can be connected to, again and again."""

    @property
    def name(self) -> str:
        """Its address for logs, without secrets."""
        ...

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Connect, and check that the engine can be used. Entering raises `Unavailable`."""
        ...


def delay_of(engine: Engine) -> int:
    """Return the seconds by which an engine shows all later than its source wrote it.

    Those that do have a property `delay_seconds`.
    """
    return int(getattr(engine, "delay_seconds", 0))

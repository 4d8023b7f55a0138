"""What a source writes on the bus: cuts, beats and keyframes, as msgpack arrays.

A cut has what changed in it (`ticker.core.journal`), a beat only says that its source lives. All carry the epoch, the
term and the name of the source that wrote them, and the run of the engine in which it did.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple, TypeAlias

from ticker.bus.engine import Entry
from ticker.config import Config, Tables
from ticker.core.state import State, packed, unpacked_from
from ticker.errors import TickerError
from ticker.texts import shown

VERSION: Final = 1
"""Of all that is written on the bus. Entries of another one are not read."""


class Foreign(TickerError):
    """Something on the bus that no source of this version wrote."""


class Stamp(NamedTuple):
    """The source of an entry."""

    epoch: str
    term: int
    """Counts the sources of an epoch: each that takes over has the next one."""
    run: str
    """The engine's life in which it was written."""
    source: str
    """A random name: two sources that take over at the same moment write different entries, so one knows its own."""


class Cut(NamedTuple):
    """An entry with the changes from one cut to the next."""

    stamp: Stamp
    since: int
    cut: int
    time: int
    """When it was closed, in microseconds since 1970 UTC."""
    news: State
    digest: Sequence[int]
    """First number, end and checksum of some instruments as they were at `since`; or nothing."""


class Beat(NamedTuple):
    """A sign of life."""

    stamp: Stamp
    resigns: bool = False
    """It is the last one: the source ends."""


class Head(NamedTuple):
    """The first part of a keyframe."""

    stamp: Stamp
    cut: int
    """The cut after which it was begun."""
    time: int
    max_instruments: int
    tables: Tables


Piece: TypeAlias = tuple[int, list[State]]
"""Another part: a cut, and instruments as they were then."""


def new_stamp(epoch: str, term: int, run: str) -> Stamp:
    """Return the stamp of a source that begins to write."""
    return Stamp(epoch, term, run, secrets.token_hex(4))


def pack_cut(cut: Cut) -> bytes:
    """Return the data of a cut."""
    return packed([VERSION, list(cut.stamp), cut.since, cut.cut, cut.time, cut.news, list(cut.digest)])


def pack_beat(beat: Beat) -> bytes:
    """Return the data of a beat."""
    return packed([VERSION, list(beat.stamp), beat.resigns])


def pack_head(head: Head) -> bytes:
    """Return the first part of a keyframe."""
    return packed([VERSION, list(head.stamp), head.cut, head.time, head.max_instruments, asdict(head.tables)])


def pack_piece(piece: Piece) -> bytes:
    """Return another part of a keyframe."""
    return packed([VERSION, *piece])


def head_of(config: Config, stamp: Stamp, cut: int, time: int) -> Head:
    """Return the first part of a keyframe of a service with this configuration."""
    return Head(stamp, cut, time, config.limits.max_instruments, config.tables)


def read_entry(entry: Entry) -> Cut | Beat:
    """Return what an entry says. Raises `Foreign`."""
    _, stamp, *rest = _read(entry.data, 3)
    try:
        if len(rest) == 1:
            return Beat(_stamp(stamp), bool(rest[0]))
        since, cut, time, news, digest = rest
        return Cut(_stamp(stamp), int(since), int(cut), int(time), news, digest)
    except (TypeError, ValueError):
        raise Foreign(
            f"the entry of cut {entry.position.cut} is none of a source: give the bus a key of its own"
        ) from None


def read_head(data: bytes) -> Head:
    """Return the first part of a keyframe. Raises `Foreign`."""
    try:
        _, stamp, cut, time, max_instruments, tables = _read(data, 6)
        lists: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in tables.items()
        }
        return Head(_stamp(stamp), int(cut), int(time), int(max_instruments), Tables(**lists))
    except Foreign:
        raise
    except (TypeError, ValueError, AttributeError, TickerError) as error:
        raise Foreign(f"the keyframe is none of a source of this version: {shown(error)}") from None


def read_piece(data: bytes) -> Piece:
    """Return another part of a keyframe. Raises `Foreign`."""
    try:
        _, cut, instruments = _read(data, 3)
        return int(cut), list(instruments)
    except (TypeError, ValueError) as error:
        raise Foreign(f"a part of the keyframe cannot be read: {shown(error)}") from None


def _stamp(stamp: State) -> Stamp:
    epoch, term, run, source = stamp
    if type(epoch) is not str or type(term) is not int or type(run) is not str or type(source) is not str:
        raise TypeError("no stamp")
    return Stamp(epoch, term, run, source)


def _read(data: bytes, least: int) -> list[Any]:
    try:
        found: object = unpacked_from(data)
    except (ValueError, TypeError):
        raise Foreign("an entry that cannot be read: give the bus a key of its own") from None
    if not isinstance(found, list) or not found or type(found[0]) is not int:
        raise Foreign("an entry that no source wrote: give the bus a key of its own")
    if found[0] != VERSION:
        text = f"its source writes version {found[0]} of entries, this is {VERSION}: run the same release everywhere"
        raise Foreign(text)
    if len(found) < least:
        raise Foreign("an entry that is cut short: give the bus a key of its own")
    return found

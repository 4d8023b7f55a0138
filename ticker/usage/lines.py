"""The lines of a usage log, and the names of its files.

A run of a service writes one file after another, its *parts*. The lines of a run are in the order of their times:

    file    begins a part. What follows up to `ready` repeats the connections that are open, so that each file can be
            read without those before it. `lost` counts what could not be written since `lost_since`
    view    a set of names, by number: from now on it has these `names` too, and is `without` those. The first line of a
            view may name another as its `base`: it begins with the names of that one
    open    a connection. Repeated in a later part, `since` says when it began
    sees    from now on this connection sees the names of this view, and whatever joins it later; view 0 is empty
    close   the end of a connection
    ready   everything that was open when this part began is in it
    alive   nothing but the time: what is open was still open then
    stop    the end of the run, and of all its connections

So a client of 50,000 instruments costs one line, however many have the same subscriptions and however often each comes
back, and an instrument that appears later costs one line for all of them. A run without `stop` was ended from outside:
its connections were open until its last line at least, and no longer than the next `alive` was due.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

FORMAT = 1
"""The version of the lines; one that older programs would misunderstand gets another number."""

EVERY_TABLE = ("book:*", "trades:*", "candles:*")
EVERYTHING = ("*", *(f"* {table}" for table in EVERY_TABLE))
"""The names of what a follower sees: all instruments and tables, with those that are still to come."""

NO_VIEW = 0
"""The view without names."""

Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAME = re.compile(r"usage-([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-([0-9a-f]{16})-([0-9]{4,9})\.jsonl")


class _Line(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    at: Time


class FileLine(_Line, frozen=True, tag="file"):
    """The head of a part."""

    format: int
    run: str
    """Random, of each run of a service."""
    part: int
    version: str = ""
    lost: int = 0
    lost_since: Time | None = None


class ViewLine(_Line, frozen=True, tag="view"):
    """Names that a view has from now on, and names that it has no more."""

    view: int
    names: list[str] = []
    without: list[str] = []
    base: int | None = None


class OpenLine(_Line, frozen=True, tag="open"):
    """A connection."""

    session: str
    """As in WELCOME and in the log of the service."""
    subject: str | None
    """The token's `sub`."""
    address: str
    agent: str
    """The header User-Agent; empty without one."""
    transport: str
    """`websocket`, `events`, `http` for requests with pauses of less than a minute between them, or `follow` for
    another ticker, which sees `EVERYTHING`."""
    since: Time | None = None


class SeesLine(_Line, frozen=True, tag="sees"):
    """What a connection sees from now on."""

    session: str
    view: int
    delayed: bool


class CloseLine(_Line, frozen=True, tag="close"):
    """The end of a connection."""

    session: str


class ReadyLine(_Line, frozen=True, tag="ready"):
    """The head of the part is complete."""


class AliveLine(_Line, frozen=True, tag="alive"):
    """The time."""


class StopLine(_Line, frozen=True, tag="stop"):
    """The end of the run."""


Line: TypeAlias = FileLine | ViewLine | OpenLine | SeesLine | CloseLine | ReadyLine | AliveLine | StopLine

_decoder = msgspec.json.Decoder(Line)


def encode_line(line: Line) -> bytes:
    """Return a line in ASCII: whatever names and agents hold, it is one line, and shows as text."""
    return json.dumps(msgspec.to_builtins(line), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def decode_line(data: bytes) -> Line:
    """Return the line in these bytes. Raises `ValueError`."""
    line: Line = _decoder.decode(data)
    return line


def utc(time: int) -> datetime:
    """Return microseconds since 1970 UTC as a date."""
    return _EPOCH + time * _MICROSECOND


def microseconds(date: datetime) -> int:
    """Return a date as microseconds since 1970 UTC."""
    return (date - _EPOCH) // _MICROSECOND


class PartName(NamedTuple):
    """What the name of a file says."""

    begins: str
    """The time, in digits that sort: 20261129T035121.000000Z."""
    run: str
    part: int


def file_name(at: int, run: str, part: int) -> str:
    """Return the name of a part that begins at this time."""
    return f"usage-{utc(at):%Y%m%dT%H%M%S.%fZ}-{run}-{part:04}.jsonl"


def parse_file_name(path: Path) -> PartName | None:
    """Return what a file's name says, None for files of others."""
    found = _NAME.fullmatch(path.name)
    return PartName(found[1], found[2], int(found[3])) if found is not None else None

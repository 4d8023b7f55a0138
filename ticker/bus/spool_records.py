"""What stands in the files of a spool: records, each with the time at which it was read, and its checksum.

A record is its checksum, length, kind, two times, two numbers and its data, compressed.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple

import msgspec

from ticker.bus.engine import Keyframe, Position
from ticker.bus.spool_chunks import Place
from ticker.bus_bounds import MAX_BUS_DATA_BYTES, MAX_TOTAL_DELAY_SECONDS
from ticker.errors import TickerError
from ticker.net.clocks import wall_clock

MAGIC: Final = b"ticker spool 1\n"
"""The beginning of each file."""
_RECORD = struct.Struct(">IIBqqqq")
_UNCHECKED: Final = 4
"""The checksum is that of all behind it."""
HEAD, ENTRY, PART, KEYFRAME, _RESET, _VOID = range(6)
_LEVEL: Final = 1
"""Of compression: the fastest."""


class Broken(TickerError):
    """The files are not those of a spool; the text says why."""


class Damaged(Broken):
    """A record is not as it was written."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"{place.segment:08d}.log is damaged at byte {place.offset}")
        self.place = place


class Moment(NamedTuple):
    """Two clocks, in microseconds."""

    wall: int
    """Since 1970 UTC. It may be set."""
    running: int
    """Since the start of the machine. It never jumps."""


def moment() -> Moment:
    """Return the time."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    running = time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
    return Moment(wall_clock(), running // 1000)


def machine_start() -> str:
    """Return a name of this start of the machine, empty if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Head(msgspec.Struct, frozen=True):
    """The first record of a segment."""

    engine: str
    """The name of the engine that was read."""
    run: str
    """Names the life of the spool."""
    start: str
    """The start of the machine in which the segment was written."""
    delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_TOTAL_DELAY_SECONDS)] = 0
    """By how much the engine itself was late, as it said last."""


class Record(NamedTuple):
    """Something to write."""

    kind: int
    first: int
    second: int
    data: bytes = b""


class Found(NamedTuple):
    """A record in a file; its data are still compressed."""

    place: Place
    kind: int
    at: Moment
    first: int
    second: int
    data: bytes


def entry_record(position: Position, data: bytes) -> Record:
    """Return the record of an entry or a beat."""
    return Record(ENTRY, *position, data)


def part_record(cut: int, number: int, data: bytes) -> Record:
    """Return the record of a part of a keyframe."""
    return Record(PART, cut, number, data)


def keyframe_record(keyframe: Keyframe) -> Record:
    """Return the record of a keyframe whose parts were all written."""
    return Record(KEYFRAME, *keyframe)


RESET: Final = Record(_RESET, 0, 0)
"""The record of a log that was begun anew."""


def packed(record: Record, at: Moment) -> bytes:
    """Return the bytes of a record."""
    data = zlib.compress(record.data, _LEVEL)
    fixed = _RECORD.pack(0, len(data), record.kind, *at, record.first, record.second)[_UNCHECKED:]
    checksum = zlib.crc32(data, zlib.crc32(fixed))
    return checksum.to_bytes(_UNCHECKED, "big") + fixed + data


def voided(length: int) -> bytes:
    """Return so many bytes that say nothing, in place of records that are damaged."""
    fixed = _RECORD.pack(0, length - _RECORD.size, _VOID, 0, 0, 0, 0)[_UNCHECKED:]
    data = bytes(length - _RECORD.size)
    return zlib.crc32(data, zlib.crc32(fixed)).to_bytes(_UNCHECKED, "big") + fixed + data


def records_in(file: BinaryIO, segment: int, offset: int) -> Iterator[Found]:
    """Yield the records from here on, until one that is not whole. Raises `Damaged`."""
    while len(fixed := file.read(_RECORD.size)) == _RECORD.size:
        checksum, length, kind, wall, running, first, second = _RECORD.unpack(fixed)
        data = file.read(length) if length <= MAX_BUS_DATA_BYTES else b""
        if len(data) < length:
            return
        place = Place(segment, offset, _RECORD.size + length)
        if zlib.crc32(data, zlib.crc32(fixed[_UNCHECKED:])) != checksum:
            raise Damaged(place)
        yield Found(place, kind, Moment(wall, running), first, second, data)
        offset += place.length


def read_record(descriptor: int, place: Place) -> bytes:
    """Return the data of a record. Raises `Damaged`."""
    record = os.pread(descriptor, place.length, place.offset)
    if len(record) < place.length or zlib.crc32(record[_UNCHECKED:]) != _RECORD.unpack_from(record)[0]:
        raise Damaged(place)
    return unpacked(record[_RECORD.size :])


def unpacked(data: bytes) -> bytes:
    """Return data that were compressed. Raises `Broken`."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(data, MAX_BUS_DATA_BYTES + 1)
    except zlib.error as error:
        raise Broken(str(error)) from None
    if not unpacking.eof or len(found) > MAX_BUS_DATA_BYTES:
        raise Broken("its data are not whole")
    return found

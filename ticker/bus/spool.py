"""The spool: what was read from an engine, in files, each record with the time at which it was read.

A folder has segments (`00000001.log`, ...), to which records (`ticker.bus.spool_records`) are only appended, and a
lock: one process has it. The rules:

1. A process begins a segment of its own. At the end of the one before, a record that is not whole is cut off. Anything
   else that is wrong with the files when they are opened makes the spool of no use: it is begun anew, and said.
2. The times of a record are that of the wall clock and that of the machine since its start, which never jumps. In the
   process that read it, only the latter counts. For a later one a record is as young as either of the two says. After
   another start of the machine no clock can be trusted with it: all count as read when the spool was first opened then.
3. Old segments go once nothing in them is of use, and beyond `SPOOL_BYTES` in any case. Then there is a gap: who
   follows is lost, and needs a later keyframe.
4. Entries that are damaged later are a gap as well: they are counted, and written over by a record that says nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import msgspec

from ticker.bus.engine import Keyframe, Position
from ticker.bus.spool_chunks import Chunk, Entries, Place
from ticker.bus.spool_index import SpoolIndex
from ticker.bus.spool_records import (
    ENTRY,
    HEAD,
    MAGIC,
    Broken,
    Damaged,
    Found,
    Head,
    Moment,
    Record,
    machine_start,
    moment,
    packed,
    read_record,
    records_in,
    unpacked,
    voided,
)
from ticker.bus_bounds import SPOOL_BYTES, SPOOL_SEGMENT_BYTES
from ticker.errors import ConfigError


class Spool:
    """The spool in one folder. Its methods block; those that need `files` are not called at the same time."""

    def __init__(self, folder: Path, engine: str, delay: int, clock: Callable[[], Moment] = moment) -> None:
        """`delay` in microseconds."""
        self.folder = folder
        self.index = SpoolIndex()
        self.bytes = 0
        """Bytes of all files."""
        self.dropped = 0
        """Entries that were dropped beyond `SPOOL_BYTES`, although somebody may have needed them."""
        self.damaged = 0
        """Entries that could not be read any more."""
        self.loads = 0
        """How often the entries of a chunk were read from the files into the index."""
        self.began_anew = ""
        """Why the spool of an earlier run is not used; empty if it is, or there is none."""
        self.began = 0
        """When this process opened it, by the clock that never jumps."""
        self._delay = delay
        self._clock = clock
        self._head = Head(engine, os.urandom(8).hex(), machine_start())
        self._lock: int | None = None
        self._sizes: dict[int, int] = {}
        """Bytes of the segments, by number, in order."""
        self._ages: dict[int, Callable[[Moment], int]] = {}
        """By segment, what tells when a record of it was read, by the clock that never jumps."""
        self._written_at = clock()
        self._first_opened: int | None = None
        """When a process opened it first since this start of the machine, if one did before."""
        self._last: int | None = None
        """The descriptor of the last one. Others are opened to be read: of a long delay there are thousands."""

    def __repr__(self) -> str:
        return f"<Spool in {self.folder}: {self.bytes} bytes in {len(self._sizes)} segments, {self.index!r}>"

    @property
    def run(self) -> str:
        """Names the life of the spool."""
        return self._head.run

    @property
    def engine_delay(self) -> int:
        """The seconds by which the engine is late itself, as was noted last."""
        return self._head.delay_seconds

    def note_delay(self, seconds: int) -> None:
        """Note by how much the engine is late, for the next process. Raises `OSError`."""
        self._head = msgspec.structs.replace(self._head, delay_seconds=seconds)
        self.begin_segment()

    def now(self) -> Moment:
        """Return the time."""
        return self._clock()

    # Opening

    def open(self) -> None:
        """Go on with what an earlier process left. Raises `ConfigError` for a folder that cannot be used."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._read_all()
        except Broken as broken:
            self.began_anew = str(broken)
            self._delete_all()
        self.began = self._clock().running
        self._begin_segment(max(self._sizes, default=0) + 1)

    def close(self) -> None:
        """Let another process have it."""
        self._sizes.clear()
        for descriptor in (self._last, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._last = self._lock = None

    def _take_lock(self) -> None:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise ConfigError(
                f"another delayed service has the spool {self.folder}: give each its own first --listen address, or"
                " its own TICKER_HOME"
            ) from None
        self._lock = descriptor

    def _read_all(self) -> None:
        found = [path for path in self.folder.glob("*.log") if path.stem.isascii() and path.stem.isdigit()]
        paths = sorted(path for path in found if path == self._path(int(path.stem)))
        self._first_opened = next(filter(None, map(self._begun_at, paths)), None)
        for path in paths:
            number = int(path.stem)
            descriptor = self._open(number, os.O_RDWR)
            try:
                self._sizes[number] = self._read_segment(number, descriptor, last=path is paths[-1])
            finally:
                os.close(descriptor)
            self.bytes += self._sizes[number]
            if self._sizes[number] <= len(MAGIC):  # its process ended at once
                self.delete([number])

    def _begun_at(self, path: Path) -> int | None:
        """Return when a segment was begun, if that was since this start of the machine."""
        with os.fdopen(self._open(int(path.stem), os.O_RDONLY), "rb") as file, suppress(Broken, msgspec.MsgspecError):
            file.seek(len(MAGIC))
            for first in records_in(file, int(path.stem), len(MAGIC)):
                head = msgspec.msgpack.decode(unpacked(first.data), type=Head)
                return first.at.running if head.start == self._head.start != "" else None
        return None

    def _read_segment(self, number: int, descriptor: int, *, last: bool) -> int:
        """Take what a segment has into the index; return its length. Raises `Broken`."""
        with os.fdopen(os.dup(descriptor), "rb") as file:
            if (magic := file.read(len(MAGIC))) != MAGIC:
                if last and MAGIC.startswith(magic):
                    os.ftruncate(descriptor, 0)
                    return 0
                raise Broken(f"{number:08d}.log is no segment of this version")
            offset = len(MAGIC)
            for found in records_in(file, number, offset):
                if number not in self._ages:
                    self._ages[number] = self._ages_of(found)
                self._index(found, found.place, self._due(found))
                offset += found.place.length
        if offset < os.fstat(descriptor).st_size:
            if not last:
                raise Broken(f"{number:08d}.log ends within a record, and is not the last one")
            os.ftruncate(descriptor, offset)
        return offset

    def _due(self, found: Found) -> int:
        return self._ages[found.place.segment](found.at) + self._delay

    def _ages_of(self, first: Found) -> Callable[[Moment], int]:
        """Return that which tells when a record was read, by the first one of its segment."""
        try:
            head = msgspec.msgpack.decode(unpacked(first.data), type=Head)
        except (msgspec.MsgspecError, Broken) as error:
            raise Broken(f"a segment begins with no head: {error}") from None
        if first.kind != HEAD or head.engine != self._head.engine:
            raise Broken(f"it is of another bus, {head.engine}")
        now, same_start = self._clock(), head.start == self._head.start != ""
        opened = now.running if self._first_opened is None else min(now.running, self._first_opened)
        self._head = msgspec.structs.replace(self._head, run=head.run, delay_seconds=head.delay_seconds)

        def age(read: Moment) -> int:
            if not same_start:
                return opened
            return min(now.running, max(read.running, now.running - (now.wall - read.wall)))

        return age

    def _index(self, record: Record | Found, place: Place, due: int) -> None:
        first, second = record.first, record.second
        match record.kind:
            case 1:
                self.index.add_entry(Position(first, second), due, place)
            case 2:
                self.index.add_part(first, second, place)
            case 3:
                self.index.add_keyframe(Keyframe(first, second), due)
            case 4:
                self.index.add_reset(due)

    # Writing

    def write(self, records: Iterable[Record]) -> list[tuple[Record, Place]]:
        """Append records, and return where they are; `add` has to follow. Raises `OSError`: then none was written."""
        number = next(reversed(self._sizes))
        if self._sizes[number] >= SPOOL_SEGMENT_BYTES:
            number = self.begin_segment()
        size, self._written_at = self._sizes[number], self._clock()
        data, places = bytearray(), list[tuple[Record, Place]]()
        for record in records:
            whole = packed(record, self._written_at)
            places.append((record, Place(number, size + len(data), len(whole))))
            data += whole
        self._append(data)
        return places

    def add(self, places: Sequence[tuple[Record, Place]]) -> None:
        """Take what was written into the index."""
        due = self._written_at.running + self._delay
        for record, place in places:
            self._index(record, place, due)

    def begin_segment(self) -> int:
        """Begin another segment, and return its number. Raises `OSError`."""
        number = next(reversed(self._sizes)) + 1
        self._begin_segment(number)
        return number

    def _begin_segment(self, number: int) -> None:
        before, self._last = self._last, self._open(number, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._sizes[number] = 0
        self._ages[number] = _running
        head = Record(HEAD, 0, 0, msgspec.msgpack.encode(self._head))
        try:
            self._append(MAGIC + packed(head, self._clock()))
        except OSError:
            del self._sizes[number], self._ages[number]
            os.close(self._last)
            self._last = before
            self._path(number).unlink()
            raise
        if before is not None:
            os.close(before)

    def _append(self, data: bytes | bytearray) -> None:
        descriptor, number = self._last, next(reversed(self._sizes))
        assert descriptor is not None  # noqa: S101  # for the type checker
        size = self._sizes[number]
        view, written = memoryview(data), 0
        try:
            while written < len(data):
                written += os.pwrite(descriptor, view[written:], size + written)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        self._sizes[number] = size + len(data)
        self.bytes += len(data)

    # Reading

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return the data of records. Raises `Broken` and `OSError` for those that cannot be read."""
        found = []
        for segment, group in groupby(places, key=attrgetter("segment")):
            if segment not in self._sizes:
                raise Broken("it was dropped while it was read")
            descriptor = self._open(segment, os.O_RDONLY)
            try:
                found += [read_record(descriptor, place) for place in group]
            finally:
                os.close(descriptor)
        return found

    def load(self, chunk: Chunk) -> Entries:
        """Return the entries of a chunk; those from the first that is damaged on are lost.

        Raises `Broken` and `OSError` for one that cannot be read.
        """
        if chunk.segment not in self._sizes:
            raise Broken("it was dropped while it was read")
        entries, due, end = Entries(chunk.segment), chunk.first_due, chunk.start
        self.loads += 1
        with os.fdopen(self._open(chunk.segment, os.O_RDONLY), "rb") as file, suppress(Damaged):
            file.seek(chunk.start)
            for found in records_in(file, chunk.segment, chunk.start):
                end += found.place.length
                due = max(due, self._due(found))
                if found.kind == ENTRY:
                    entries.add(Position(found.first, found.second), due, found.place)
                if end >= chunk.end:
                    return entries
        self.void(Place(chunk.segment, end, chunk.end - end))
        self.damaged += chunk.count - len(entries)
        return entries

    def void(self, place: Place) -> None:
        """Write over what is damaged, so that the rest is of use to the next process.

        A disk that refuses is no reason to fail: then that process begins anew.
        """
        with suppress(OSError):
            descriptor = self._open(place.segment, os.O_WRONLY)
            try:
                os.pwrite(descriptor, voided(place.length), place.offset)
            finally:
                os.close(descriptor)

    # What goes

    def unneeded(self) -> list[int]:
        """Return the segments that can go: nothing in them is of use, or there is no room for them. The index forgets
        them."""
        numbers = list(self._sizes)
        needed = self.index.first_needed()
        gone = [number for number in numbers[:-1] if needed is None or number < needed]
        size = self.bytes - sum(self._sizes[number] for number in gone)
        for number in numbers[len(gone) : -1]:
            if size <= SPOOL_BYTES:
                break
            gone.append(number)
            size -= self._sizes[number]
        if gone:
            self.dropped += self.index.drop_before(gone[-1] + 1)
        return gone

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete these segments."""
        for number in numbers:
            self.bytes -= self._sizes.pop(number)
            self._ages.pop(number, None)
            self._path(number).unlink(missing_ok=True)

    def _delete_all(self) -> None:
        self.index = SpoolIndex()
        self._sizes.clear()
        self._ages.clear()
        self.bytes = 0
        for path in self.folder.glob("*.log"):
            path.unlink()
        self._head = msgspec.structs.replace(self._head, run=os.urandom(8).hex())

    def _open(self, number: int, flags: int) -> int:
        return os.open(self._path(number), flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.log"


def _running(at: Moment) -> int:
    """Return when a record of this process was read."""
    return at.running

"""Captures: the publications of a feed, moment by moment, in files that are only ever appended to.

A segment is 8 bytes, `ticker`, 0 and the format's version, and then blocks. A block is the length of its payload and
the payload's CRC-32, four bytes each, big-endian, and the payload, in msgpack:

- the first block of a segment: `{"segment": n, "instruments": [...]}`, the instruments declared before
  this segment began, so that it can be played alone;
- every other block: `[time, [publication, ...]]`, one moment, with the time of its recording in microseconds since 1970
  UTC. A publication is one of

      [0, symbol, price_scale, size_scale, metadata]                             an instrument
      [1, symbol, {field: value}]                                                an update
      [2, symbol]                                                                a withdrawal
      [3, symbol, reason, book_only]                                             the instrument, or its book, is stale
      [4, symbol, [[price, size], ...], [[price, size], ...], complete, depth]   levels: bids, asks
      [5, symbol, price, size, side, time, id]                                   a trade
      [6, symbol, period, start, open, high, low, close, volume, trades]         a candle

  Prices and sizes are texts as the feed wrote them, or integers; a decimal in one of the feed's own fields is an array
  of its text, and a value that could not be read is `["NaN"]`, so that it is withdrawn whenever it is played. Version 1
  had the first four, without `book_only`; a writer that continues such a segment makes it one of version 2.

A capture is `FILE`, then `FILE.0001`, `FILE.0002` and so on, where segments were to have a limited size.

A block goes to the kernel in one piece as soon as it is there, so a process that dies loses at most the block that it
was writing: the torn tail. Readers ignore it, and a writer cuts it off before appending.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from ticker.errors import BadPublication, ConfigError, count_cause
from ticker.market import Instrument, Publication, Reason, Stale
from ticker_feeds.recordings.capture_format import (
    BEFORE,
    HEAD,
    MAGIC,
    MAX_BLOCK,
    Moment,
    block,
    decode_header,
    decode_moment,
    encode_header,
    encode_moment,
)

CHUNK_MOMENTS = 250
CHUNK_BYTES = 2**18
"""Limits of one read: about two milliseconds."""

_log = logging.getLogger(__name__)


def is_capture(path: str | Path) -> bool:
    """Whether this file begins as a capture does. Raises `OSError`."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) in {MAGIC, BEFORE}


def segments(path: str | Path) -> list[Path]:
    """The files of a capture, in order."""
    found = [Path(path)]
    while (following := Path(f"{path}.{len(found):04d}")).exists():
        found.append(following)
    return found


class Capture:
    """A capture, read from its beginning by each call of `chunks`.

    `skipped` counts unreadable blocks by cause. Raises `ConfigError` for a file that is no capture.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        try:
            if not is_capture(path):
                raise ConfigError(f"{path}: is no capture; `ticker record` makes them")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from error

    def chunks(self) -> Generator[list[Moment], None, None]:
        """All moments in order, some at a time. Raises `OSError` where a file is gone by now."""
        for number, path in enumerate(segments(self.path)):
            with path.open("rb", buffering=CHUNK_BYTES) as file:
                segment = _Segment(path, file)
                chunk: list[Moment] = []
                size = 0
                for moment in segment.moments():
                    if not chunk and number == 0 and segment.instruments:
                        chunk.append(Moment(moment.time, segment.instruments))
                        segment.instruments = []
                    chunk.append(moment)
                    if len(chunk) >= CHUNK_MOMENTS or segment.end - size >= CHUNK_BYTES:
                        yield chunk
                        chunk, size = [], segment.end
                self.skipped.update(segment.faults)
                yield chunk


class CaptureWriter:
    """Appends to a capture, which is made if there is none.

    `rotate_bytes` is the most that a segment may hold before the next one is begun. `refused` counts, by cause, items
    that were no market data; they are left out.

    Raises `ConfigError` for a file that is no capture or is damaged, or that another process is writing to.
    """

    def __init__(self, path: str | Path, rotate_bytes: int | None = None) -> None:
        self.refused: Counter[str] = Counter()
        self.bytes_written = 0
        self._path = Path(path)
        self._rotate_bytes = rotate_bytes
        self._instruments: dict[str, Instrument] = {}
        self._last_time: int | None = None
        """The time of the last moment that an earlier writer left."""
        with ExitStack() as stack:
            self._is_empty = self._lock(stack)
            files = segments(self._path)
            self._number = len(files) - 1
            self._file = stack.enter_context(files[-1].open("r+b", buffering=0))
            self._size = self._start = self._cut_tail(files[-1])
            if self._size:
                os.pwrite(self._file.fileno(), MAGIC, 0)
            if self._size == 0:
                self._begin()
            self._owned = stack.pop_all()

    @property
    def path(self) -> Path:
        """The segment that is being written."""
        return Path(f"{self._path}.{self._number:04d}") if self._number else self._path

    def write(self, moments: Sequence[Moment]) -> None:
        """Append these moments, a block each; when this returns, the kernel has them. Raises `OSError`."""
        ready = bytearray()
        self._is_empty = self._is_empty and not moments
        for moment in moments:
            for written in map(block, encode_moment(moment, self._refuse)):
                size = self._size + len(ready)
                if self._rotate_bytes is not None and size + len(written) > self._rotate_bytes and size > self._start:
                    self._append(ready)
                    ready = bytearray()
                    self._rotate()
                ready += written
            self._note_instruments(moment.publications)
        self._append(ready)

    def end_earlier_run(self) -> None:
        """Record, at the time of the last moment, that an earlier recorder's values were not current from then on."""
        if self._last_time is not None:
            stale = [Stale(symbol, Reason.FEED_ENDED) for symbol in self._instruments]
            self.write([Moment(self._last_time, stale)])
            self._last_time = None

    def close(self) -> None:
        """Flush to the disk, and close. A capture that was made here and holds no moment is removed again."""
        if self._is_empty:
            self._path.unlink(missing_ok=True)  # nobody else has it: it is locked
        os.fsync(self._file.fileno())
        self._file.close()
        self._owned.close()

    def _lock(self, stack: ExitStack) -> bool:
        """Lock the capture's first file; return whether it was made for that. Raises `ConfigError`."""
        while True:
            try:
                is_new = not self._path.exists()
                lock = stack.enter_context(self._path.open("ab"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._path.exists() and os.path.samestat(os.fstat(lock.fileno()), self._path.stat()):
                    return is_new
                # Another recorder removed its empty capture in between: this one is gone.
            except BlockingIOError:
                raise ConfigError(f"{self._path}: another process is recording to it") from None
            except OSError as error:
                raise ConfigError(f"{self._path}: cannot be written ({error})") from error

    def _refuse(self, error: BadPublication) -> None:
        if count_cause(self.refused, str(error)[:40]):
            _log.warning("%s: not recorded, and from now on only counted: %s", self._path, error)

    def _note_instruments(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            if type(publication) is Instrument:
                self._instruments[publication.symbol] = publication

    def _append(self, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._size += len(data)
        self.bytes_written += len(data)

    def _cut_tail(self, path: Path) -> int:
        """Cut a segment off behind its last whole block; return its size."""
        with path.open("rb", buffering=CHUNK_BYTES) as file:
            segment = _Segment(path, file)
            self._note_instruments(segment.instruments)
            for moment in segment.moments():
                self._note_instruments(moment.publications)
                self._last_time = moment.time
        if segment.faults["damaged: the rest is unreadable"]:
            raise ConfigError(f"{path}: damaged from byte {segment.end} on; record to another file")
        self._file.truncate(segment.end)
        self._file.seek(segment.end)
        return segment.end

    def _rotate(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        self._number += 1
        self._file = self.path.open("xb", buffering=0)
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self._append(MAGIC + block(encode_header(self._number, self._instruments.values())))
        self._start = self._size


class _Segment:
    """Walks over one segment. Raises `ConfigError` for a file that is none.

    `instruments` are those that were declared before it began; `end` is where the last whole block ends, and `faults`
    counts its faults by cause.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.instruments: Sequence[Publication] = []
        self.end = 0
        self.faults: Counter[str] = Counter()
        self._path = path
        self._file = file
        self._file_size = os.fstat(file.fileno()).st_size
        magic = file.read(len(MAGIC))
        if not MAGIC.startswith(magic) and magic != BEFORE:
            raise ConfigError(f"{path}: is no capture, or one of a version that this program does not know")
        self._payloads = self._blocks()
        payload = next(self._payloads, None)
        if payload is not None:
            try:
                self.instruments = decode_header(payload)
            except (msgspec.DecodeError, BadPublication, ArithmeticError) as error:
                self._complain("damaged block", str(error))

    def moments(self) -> Iterator[Moment]:
        """The moments in it that can be read."""
        for payload in self._payloads:
            try:
                moment = decode_moment(payload)
            except (msgspec.DecodeError, BadPublication, ArithmeticError) as error:
                self._complain("damaged block", str(error))
            else:
                yield moment

    def _blocks(self) -> Iterator[bytes]:
        """The undamaged payloads; `end` follows."""
        at = self._file.tell()
        while head := self._file.read(HEAD.size):
            length, checksum = HEAD.unpack(head.ljust(HEAD.size, b"\0"))
            if len(head) == HEAD.size and not 0 < length <= MAX_BLOCK:
                self._lose_the_rest(head)
                return
            payload = self._file.read(length)
            behind = at + HEAD.size + length
            whole = len(head) == HEAD.size and zlib.crc32(payload) == checksum
            if not whole and behind >= self._file_size:
                self._complain("torn tail", f"{self._file_size - at} bytes are left out")
                return
            at = self.end = behind
            if whole:
                yield payload
            else:
                self._complain("damaged block", "its checksum does not match")

    def _lose_the_rest(self, head: bytes) -> None:
        """The rest is no block. After a loss of power a file may end in zeros: these are a torn tail."""
        zeros = not any(head)
        while zeros and (more := self._file.read(CHUNK_BYTES)):
            zeros = not any(more)
        if zeros:
            self._complain("torn tail", f"{self._file_size - self.end} bytes are left out")
        else:
            self._complain("damaged: the rest is unreadable", f"{self._file_size - self.end} bytes")

    def _complain(self, cause: str, detail: str) -> None:
        if count_cause(self.faults, cause):
            _log.warning("%s, behind byte %d: %s (%s)", self._path, self.end, cause, detail)

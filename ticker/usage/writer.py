"""The files of a usage log, written by a thread of their own: nobody waits for a disk.

What happens waits in a queue of bounded size, in the order in which it happened. A line that could not be written is
tried again, and never left in half. An event that finds no room in the queue is lost: its sender counts it, and has a
new file begun once there is room, which says so.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from ticker.bounds import USAGE_BATCH_BYTES, USAGE_NAMES_PER_LINE, USAGE_QUEUE_BYTES, USAGE_RETRY_SECONDS
from ticker.config import Usage
from ticker.core.bitmaps import numbers_in
from ticker.errors import ConfigError
from ticker.usage.events import Alive, Closed, Event, Names, NewFile, Opened, Sees, Stop, ViewChange, size_of
from ticker.usage.lines import (
    FORMAT,
    AliveLine,
    CloseLine,
    FileLine,
    Line,
    OpenLine,
    ReadyLine,
    SeesLine,
    StopLine,
    ViewLine,
    encode_line,
    file_name,
    parse_file_name,
    utc,
)

_DAY = 86_400
_EVENTS_AT_ONCE = 1_000
_LAST_SECONDS = 0.5


class UsageWriter:
    """The writer of one run."""

    def __init__(self, settings: Usage, name_of: Callable[[int], str]) -> None:
        """`name_of` returns the name of an instrument or a table by its id; it is called in the thread."""
        self.run = secrets.token_hex(8)
        self.folder = Path(settings.folder or "")
        self._keep_seconds = settings.keep_days * _DAY
        self._name_of = name_of
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor = -1
        self._lines: list[bytes] = []
        self._bytes = 0
        self._torn = False
        self._part = 0
        # Each of these is written by one side alone: the first by the sender, the others by the thread.
        self._taken = 0
        self._done = 0
        self.lines = 0
        """Number of lines written."""
        self.unwritten = 0
        """Number of lines that were given up at the end of the service."""
        self.failures = 0
        """Number of failed attempts to write."""
        self.failure = ""
        """The cause of the latest attempt's failure; empty if it did not fail."""
        self.parts = 0
        """Number of files that were begun, and have their heads."""
        self.file_bytes = 0
        """Size of the present file."""
        self.head_bytes = 0
        """Bytes of it that repeat what was open."""
        self.vanished = False
        """The present file was deleted by somebody else."""
        self.deleted: list[str] = []
        """Names of files that were deleted because of their age, until the sender takes them."""

    def __repr__(self) -> str:
        return f"<UsageWriter of {self.folder}: {self.lines} lines in {self.parts} files, {self.waiting} bytes waiting>"

    @property
    def waiting(self) -> int:
        """Upper estimate of the bytes of the events that are not written yet."""
        return self._taken - self._done

    @property
    def done(self) -> int:
        """A number that grows with each event that was written."""
        return self._done

    def begin(self, first: NewFile) -> None:
        """Make the folder and the first file, at once. Raises `ConfigError`."""
        try:
            self._open(first.at)
            os.write(self._descriptor, b"".join(encode_line(line) for line in self._head(first)))
            self.parts = 1
        except OSError as error:
            raise ConfigError(
                f"usage.folder {str(self.folder)!r}: the usage log cannot be written there ({error.strerror}); name a"
                " folder that the service may write to"
            ) from None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="ticker-usage", daemon=True)
        self._thread.start()

    def put(self, event: Event, *, beyond: bool = False) -> bool:
        """Have an event written; False, and nothing, if the queue has no room and it may not go `beyond` its bound."""
        size = size_of(event)
        if not beyond and self.waiting + size > USAGE_QUEUE_BYTES:
            return False
        self._taken += size
        self._queue.put(event)
        return True

    def finish(self, seconds: float) -> None:
        """Have the thread write all that waits, and end; what is not written after this time is lost."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(seconds)
            self._given_up.set()
            self._thread.join(_LAST_SECONDS)
            self._thread = None

    # The thread

    def _run(self) -> None:
        running = True
        while running:
            size = 0
            for event in self._waiting_events():
                if event is None:
                    running = False
                    break
                if isinstance(event, NewFile):
                    self._flush()
                    self._replace(event)
                for line in self._lines_of(event):
                    self._add(line)
                size += size_of(event)
                if isinstance(event, Alive):
                    self._flush()
                    self._secure()
            self._flush()
            self._done += size
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _waiting_events(self) -> Iterator[Event | None]:
        """Yield the next event, and those that wait behind it."""
        yield self._queue.get()
        with suppress(queue.Empty):
            for _ in range(_EVENTS_AT_ONCE):
                yield self._queue.get_nowait()

    def _add(self, line: Line) -> None:
        time.sleep(0)  # the loop, if it waits for this thread's lock on the interpreter, need not wait for long
        data = encode_line(line)
        self._lines.append(data)
        self._bytes += len(data)
        if self._bytes >= USAGE_BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write the lines that were made, however often it takes, until the end of the service."""
        lines, self._lines, self._bytes = self._lines, [], 0
        data = b"".join(lines)
        while data and not self._write(data):
            if self._given_up.wait(USAGE_RETRY_SECONDS):
                self.unwritten += len(lines)
                return
        self.lines += len(lines)

    def _write(self, data: bytes) -> bool:
        """Write all of it, or as far as that is in our power, none."""
        size = 0
        try:
            size = os.fstat(self._descriptor).st_size
            left = memoryview(b"\n" + data if self._torn else data)
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self._note_failure(error)
            try:
                os.ftruncate(self._descriptor, size)
            except OSError:
                self._torn = True
            return False
        self.file_bytes = size + len(data)
        self.failure, self._torn = "", False
        return True

    def _replace(self, new: NewFile) -> None:
        """Begin a new file, however often it takes to make one."""
        former = self._descriptor
        while True:
            try:
                self._open(new.at)
            except OSError as error:
                self._note_failure(error)
                if self._given_up.wait(USAGE_RETRY_SECONDS):
                    return
                continue
            break
        if former >= 0:
            os.close(former)
        self.file_bytes = self.head_bytes = 0
        self.vanished = self._torn = False
        for line in self._head(new):
            self._add(line)
        self._flush()
        self.head_bytes = self.file_bytes
        self.parts = self._part  # last: now the sender may ask for another
        self._delete_old()

    def _open(self, at: int) -> None:
        """Make the next file, and the folder if it is not there. Raises `OSError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / file_name(at, self.run, self._part + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        self._part += 1
        folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        with suppress(OSError):  # the name outlives a loss of power, where the file system can do that
            os.fsync(folder)
        os.close(folder)

    def _secure(self) -> None:
        """See to it that what was written outlives a loss of power, and is still to be found."""
        try:
            os.fdatasync(self._descriptor)
            self.vanished = self.vanished or os.fstat(self._descriptor).st_nlink == 0
        except OSError as error:
            self._note_failure(error)

    def _delete_old(self) -> None:
        """Delete the files to which nothing was added for as long as files are kept."""
        limit = time.time() - self._keep_seconds
        try:
            old = [path for path in self.folder.iterdir() if parse_file_name(path) and path.stat().st_mtime < limit]
            for path in sorted(old):
                path.unlink(missing_ok=True)
                self.deleted.append(path.name)
        except OSError as error:
            self._note_failure(error)

    def _note_failure(self, error: OSError) -> None:
        self.failures += 1
        self.failure = error.strerror or type(error).__name__

    # Lines

    def _head(self, new: NewFile) -> Iterator[Line]:
        """Return the lines with which a file begins."""
        at, version = utc(new.at), metadata.version("ticker-push")
        lost_since = utc(new.lost_since) if new.lost_since is not None else None
        yield FileLine(at, FORMAT, self.run, self._part, version, new.lost, lost_since)
        for view, names in new.views:
            yield from self._view_lines(ViewChange(new.at, view, names))
        for opened, view, delayed in new.connections:
            yield _open_line(opened, new.at)
            yield SeesLine(at, opened.session, view, delayed)
        yield ReadyLine(at)

    def _lines_of(self, event: Event) -> Iterator[Line]:
        """Return the lines of an event in the present file."""
        at = utc(event.at)
        match event:
            case ViewChange():
                yield from self._view_lines(event)
            case Opened():
                yield _open_line(event)
            case Sees():
                yield SeesLine(at, event.session, event.view, event.delayed)
            case Closed():
                yield CloseLine(at, event.session)
            case Alive():
                yield AliveLine(at)
            case Stop():
                yield StopLine(at)

    def _view_lines(self, change: ViewChange) -> Iterator[Line]:
        at, most, base = utc(change.at), USAGE_NAMES_PER_LINE, change.base
        more, less = _listed(change.more), _listed(change.less)
        for start in range(0, max(1, len(more), len(less)), most):
            end = start + most
            yield ViewLine(at, change.view, self._texts(more[start:end]), self._texts(less[start:end]), base)
            base = None

    def _texts(self, names: Sequence[str | int]) -> list[str]:
        return [self._name_of(name) if isinstance(name, int) else name for name in names]


def _open_line(event: Opened, repeated_at: int | None = None) -> OpenLine:
    began = utc(event.at)
    at, since = (began, None) if repeated_at is None else (utc(repeated_at), began)
    return OpenLine(at, event.session, event.subject, event.address, event.agent, event.transport, since)


def _listed(names: Names) -> Sequence[str | int]:
    return names if isinstance(names, tuple) else numbers_in(names)

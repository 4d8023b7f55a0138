"""A file that takes everything at once, and is written by a thread of its own: for the standard streams of a service.

A log whose reader has stopped, or whose disk is slow, would hold up the loop and with it every price: a pipe takes 64
KB, and then a write waits. So text written here waits in a queue of bounded size. Lines beyond it are lost, and
counted; once there is room again, one line says how many.
"""

from __future__ import annotations

import io
import os
import queue
import select
import threading
from collections.abc import Callable

from ticker.bounds import OUTPUT_QUEUE_BYTES

_files: list[QueuedFile] = []


class QueuedFile(io.RawIOBase):
    """The writing end of a descriptor. Errors of writing lose the lines, too."""

    def __init__(self, descriptor: int, limit: int = OUTPUT_QUEUE_BYTES) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._queue: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        # Each of these counters is written by one side alone, the writers or the thread.
        self._taken = 0
        self._done = 0
        self._dropped = 0
        self._failed = 0
        self._reported = 0
        self._started = False
        self.describe: Callable[[int], str] = _describe
        """Makes the line that says how many lines were lost."""
        _files.append(self)

    def __repr__(self) -> str:
        return f"<QueuedFile {self._descriptor}: {self._taken - self._done} bytes waiting, {self.lost} lines lost>"

    @property
    def lost(self) -> int:
        """Number of lines that were lost."""
        return self._dropped + self._failed

    def write(self, data: io.ReadableBuffer, /) -> int:  # type: ignore[name-defined]  # known to the stubs alone
        """Take everything; data that does not fit into the queue is lost."""
        taken = bytes(data)
        if self._taken - self._done + len(taken) > self._limit:
            self._dropped += _lines(taken)
            return len(taken)
        if not self._started:
            self._started = True
            threading.Thread(target=self._write_queue, name=f"ticker-output-{self._descriptor}", daemon=True).start()
        self._taken += len(taken)
        self._queue.put(taken)
        return len(taken)

    def finish(self, seconds: float) -> None:
        """Wait until everything is written, for this time at most."""
        if self._started:
            written = threading.Event()
            self._queue.put(written)
            written.wait(seconds)

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def _write_queue(self) -> None:
        while True:
            item = self._queue.get()
            if not isinstance(item, threading.Event):
                self._write_out(item)
                self._done += len(item)
                if not self._queue.empty():
                    continue
            lost = self.lost
            if lost > self._reported and self._write_out(f"{self.describe(lost - self._reported)}\n".encode()):
                self._reported = lost
            if isinstance(item, threading.Event):
                item.set()

    def _write_out(self, data: bytes) -> bool:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # the descriptor was inherited as non-blocking
                select.select([], [self._descriptor], [])
            except OSError:
                self._failed += _lines(data)
                return False
        return True


def queued_files() -> list[QueuedFile]:
    """Return those of this process."""
    return list(_files)


def lines_lost() -> int:
    """Return the number of lines that this process has lost."""
    return sum(file.lost for file in _files)


def _lines(data: bytes) -> int:
    return max(1, data.count(b"\n"))


def _describe(lines: int) -> str:
    return f"ticker: {lines} lines were lost here, because they were not read in time"

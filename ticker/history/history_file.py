"""The file of the history as its one writer has it: locked against a second one, moved aside where it cannot be read.

A file that is damaged or of a newer version is moved aside, with its log, under a name that says so, and a new one
begun. A second writer only reads. Every other fault is the caller's to report: the file stays as it is.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ticker.bounds import MAX_FILES_ASIDE
from ticker.config import History
from ticker.errors import ConfigError, FaultCause, HistoryFault
from ticker.history.bar_store import Bars, BarStore, ChangedBar, Series, all_series, latest_bars
from ticker.history.database import faults, open_to_read, open_to_write
from ticker.net.devcert import check_folder, data_folder

FILE = "history.sqlite"
"""Its name in the data folder."""

_SQLITE = b"SQLite format 3\0"
"""The beginning of every database (https://sqlite.org/fileformat2.html, section 1.3)."""

MOVED = frozenset({FaultCause.DAMAGED, FaultCause.NEWER})
"""Faults for which a file is moved aside."""


def history_path(settings: History) -> Path:
    """Return the path of the file. Raises `ConfigError` if it is not named and there is no data folder."""
    return Path(settings.file) if settings.file is not None else data_folder() / FILE


class HistoryFile:
    """One file of bars. Its methods block, and are called by one thread at a time; all raise `HistoryFault`."""

    def __init__(self, settings: History, day: str) -> None:
        """`day` is the beginning of a day (`Tables.day`)."""
        self._settings = settings
        self._day = day
        self._path = Path()
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._store: BarStore | None = None
        self.moved_to: Path | None = None
        """Where a file was moved, and why; None if it was gone."""
        self.moved_for = ""

    def __repr__(self) -> str:
        mode = "closed" if self._connection is None else "read" if self._store is None else "written"
        return f"<HistoryFile {self._path}: {mode}>"

    @property
    def writes(self) -> bool:
        """Whether this is the file's one writer."""
        return self._store is not None

    def open(self) -> Path:
        """Open the file, and return its path; begin a new one if it is damaged or of a newer version.

        If another process writes to it, it is opened to read.
        """
        self._path = self._find()
        self._refuse_foreign()
        self.moved_to = None
        if not self._take_lock():
            self._connection = open_to_read(self._path)
            return self._path
        try:
            self._open_to_write()
        except HistoryFault as fault:
            if fault.cause not in MOVED:
                raise
            self.move_aside(fault)
        return self._path

    def reopen(self) -> bool:
        """Open the file to write, if it is not; return whether it is, which takes the end of another writer."""
        if self._store is None and self._take_lock():
            self._close_connection()
            self._open_to_write()
        return self.writes

    def move_aside(self, fault: HistoryFault) -> None:
        """Move the file aside because of this fault, if it is still there, and begin a new one."""
        self._close_connection()
        time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = self._path.with_name(f"{self._path.name}.{fault.cause}-{time}")
        with faults(self._path):
            there = self._path.exists()
            if there:
                self._path.replace(target)
            wal, index = (Path(f"{self._path}{end}") for end in ("-wal", "-shm"))
            if wal.exists():
                wal.replace(f"{target}-wal")
            index.unlink(missing_ok=True)
            self._forget_oldest_aside()
        self.moved_to, self.moved_for = target if there else None, str(fault)
        self._open_to_write()

    def series(self) -> Sequence[Series]:
        """Return the symbols and periods whose bars can be loaded: of days, those with the present beginning."""
        with faults(self._path):
            found = all_series(self._opened)
        return [each for each in found if each.day in {"", self._day}]

    def latest(self, series: Iterable[Series], most: int) -> list[Bars]:
        """Return the latest bars of each of these series."""
        with faults(self._path):
            return [latest_bars(self._opened, each.number, most) for each in series]

    def write(self, bars: Sequence[ChangedBar], now: int) -> None:
        """Write bars, in one transaction, and make room for them where there is none. `now` is in seconds."""
        store, settings = self._writing, self._settings
        with faults(self._path):
            if not self._path.exists():
                raise HistoryFault(FaultCause.DAMAGED, f"{self._path}: it was deleted while it was in use")
            try:
                store.write(bars)
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
                    raise
                store.make_room(now, settings.keep_bars, settings.max_bytes)
                store.write(bars)
            if store.is_full(settings.max_bytes):
                store.make_room(now, settings.keep_bars, settings.max_bytes)

    def prune(self, now: int) -> None:
        """Delete the bars that are too old, and give the room back where it is much."""
        with faults(self._path):
            self._writing.prune(now, self._settings.keep_bars)
            if self._writing.is_full(self._settings.max_bytes):
                self._writing.make_room(now, self._settings.keep_bars, self._settings.max_bytes)
            self._writing.vacuum()

    def size(self) -> int:
        """Return the bytes of the file and of its log."""
        return sum(path.stat().st_size for path in (self._path, Path(f"{self._path}-wal")) if path.exists())

    def close(self) -> None:
        """Close the file; its log goes into it."""
        self._close_connection()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _find(self) -> Path:
        try:
            path = history_path(self._settings)
            with faults(path):
                if self._settings.file is None:
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    check_folder(path.parent)
        except ConfigError as error:
            raise HistoryFault(FaultCause.UNUSABLE, str(error)) from error
        return path

    def _refuse_foreign(self) -> None:
        """Leave a file alone that is no database, and never was a history: somebody's prices, or a key."""
        with faults(self._path):
            if self._lock_path.exists() or not self._path.is_file():
                return
            with self._path.open("rb") as file:
                beginning = file.read(len(_SQLITE))
        if beginning and beginning != _SQLITE:
            text = f"{self._path}: no history, nor any other database; name another file, or move this one away"
            raise HistoryFault(FaultCause.FOREIGN, text)

    @property
    def _lock_path(self) -> Path:
        return Path(f"{self._path}.lock")

    def _take_lock(self) -> bool:
        """Whether this process may write: one at a time, with a lock that ends with the process."""
        if self._lock is not None:
            return True
        with faults(self._lock_path):
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                os.close(descriptor)
                raise
            self._lock = descriptor
        return True

    def _open_to_write(self) -> None:
        connection = open_to_write(self._path, self._settings.max_bytes)
        try:
            with faults(self._path):
                self._store = BarStore(connection, self._day)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._store = None

    def _forget_oldest_aside(self) -> None:
        """Delete the oldest of many files that were moved aside: a disk that fails may make one at each start."""
        prefixes = tuple(f"{self._path.name}.{cause}-" for cause in MOVED)
        found = [path for path in self._path.parent.iterdir() if path.name.startswith(prefixes)]
        aside = [path for path in found if not path.name.endswith("-wal")]
        aside.sort(key=lambda path: path.name.rpartition("-")[2])
        for path in aside[:-MAX_FILES_ASIDE]:
            path.unlink(missing_ok=True)
            Path(f"{path}-wal").unlink(missing_ok=True)

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise HistoryFault(FaultCause.UNUSABLE, f"{self._path}: not open")
        return self._connection

    @property
    def _writing(self) -> BarStore:
        if self._store is None:
            raise HistoryFault(FaultCause.UNUSABLE, f"{self._path}: not open for writing")
        return self._store

"""The file of the history: an SQLite database with its schema, opened with care, and its faults by cause.

Bars that are closed are in `bars`, which no write but a late print's touches again; the latest bar of each symbol and
period is in `open_bars`, a few pages that are written every second. (With one table, a write of 2,000 open bars would
touch 2,000 pages.) Prices and sizes are as on the wire, with the scales beside them: an integer, or the decimal text of
a number that has none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticker.bounds import HISTORY_BUSY_SECONDS
from ticker.errors import FaultCause, HistoryFault
from ticker.texts import printable

VERSION = 1
"""The schema's version, as `user_version` in the file; a file of a later one is not touched."""

_APPLICATION = 0x5449434B
"""`application_id` in the file: "TICK". A database with tables and without it belongs to another program."""

_BAR = "start INTEGER, price_scale INTEGER, size_scale INTEGER, open, high, low, close, volume, count"
_SCHEMA = {
    # `day` is the beginning of days of this kind (`Tables.day`), empty for periods below a day.
    "series": "CREATE TABLE series (number INTEGER PRIMARY KEY, symbol TEXT, period TEXT, day TEXT)",
    "series_by_name": "CREATE UNIQUE INDEX series_by_name ON series (symbol, period, day)",
    "bars": f"CREATE TABLE bars (series INTEGER, {_BAR}, PRIMARY KEY (series, start)) WITHOUT ROWID",
    "open_bars": f"CREATE TABLE open_bars (series INTEGER PRIMARY KEY, {_BAR})",
}

_WAL_BYTES = 16_777_216
"""The log beside the file is cut to this size once all of it is in the file."""

_CACHE_KIB = 8_192

_CAUSES = {
    sqlite3.SQLITE_BUSY: FaultCause.LOCKED,
    sqlite3.SQLITE_LOCKED: FaultCause.LOCKED,
    sqlite3.SQLITE_CORRUPT: FaultCause.DAMAGED,
    sqlite3.SQLITE_NOTADB: FaultCause.DAMAGED,
    sqlite3.SQLITE_FULL: FaultCause.FULL,
}


def open_to_write(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open the file for its one writer, and make it if there is none. Raises `HistoryFault`."""
    with faults(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(path, "rw")
        try:
            _set_up(connection, path)
            page_bytes = number(connection, "PRAGMA page_size")
            connection.execute(f"PRAGMA max_page_count = {max_bytes // page_bytes}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            # A commit survives the death of the process, and the last ones may be lost with the machine's power.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the file to read, also while a service writes to it. Raises `HistoryFault`."""
    with faults(path):
        if path.is_dir():  # to SQLite that is an error of the disk
            raise HistoryFault(FaultCause.UNUSABLE, f"{path}: a folder; name the file of a history")
        connection = _connect(path, "ro")
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Raise the errors of SQLite and the system as `HistoryFault`."""
    try:
        yield
    except UnicodeDecodeError as error:  # the text of an error, or of the schema
        raise HistoryFault(FaultCause.DAMAGED, f"{path}: a text that is not UTF-8") from error
    except sqlite3.Error as error:
        raise HistoryFault(_cause(error), f"{path}: {printable(str(error))}") from error
    except OSError as error:
        raise HistoryFault(FaultCause.UNUSABLE, f"{error.filename or path}: {error.strerror}") from error


def _cause(error: sqlite3.Error) -> FaultCause:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:  # one that is not SQLite's: a value that cannot be, in a file that it could read
        return FaultCause.DAMAGED
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return FaultCause.DAMAGED
    return _CAUSES.get(code & 0xFF, FaultCause.UNUSABLE)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block has written, or undo all of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have undone it already
            connection.execute("ROLLBACK")
        raise


def number(connection: sqlite3.Connection, statement: str) -> int:
    """Return the only number that a statement yields."""
    return int(connection.execute(statement).fetchone()[0])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Any thread may use it, one at a time: a service's worker threads are not the same for each call.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=HISTORY_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Check the file, and make the schema in an empty one."""
    if number(connection, "SELECT count(*) FROM sqlite_master"):
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        return
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before anything else: it is a property of the file
    connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        for statement in _SCHEMA.values():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    version = number(connection, "PRAGMA user_version")
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if not found:
        raise HistoryFault(FaultCause.UNUSABLE, f"{path}: an empty file")
    if number(connection, "PRAGMA application_id") != _APPLICATION:
        raise HistoryFault(FaultCause.FOREIGN, f"{path}: a database of another program; name another file")
    if version > VERSION:
        text = f"{path}: a history of version {version}, and this Ticker knows {VERSION}"
        raise HistoryFault(FaultCause.NEWER, text)
    # Triggers and views would run with our statements.
    if version < VERSION or found != _SCHEMA:
        raise HistoryFault(FaultCause.DAMAGED, f"{path}: its tables are not those of a history")

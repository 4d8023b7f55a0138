"""The cache over a clean stop: written to a file at the end, from which the next start goes on: no client begins anew.

The next start has the same epoch and goes on with the next cut. It takes the file away before it serves: after a crash
clients may have seen later cuts than any file knows, and then the epoch is a new one. A file that cannot be used is
moved aside, and costs no more than that.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import structlog
import trio

from ticker.bounds import RESUME_SECONDS, STATE_PIECE_BYTES, STATE_SECONDS, STATE_WRITE_SECONDS
from ticker.config import Config
from ticker.core.keyframe import parts_of, restore
from ticker.core.last_value import LastValueCache
from ticker.core.state import State, packed, unpacked
from ticker.core.tables.table_record import TableRecord
from ticker.errors import ConfigError
from ticker.net.clocks import wall_clock
from ticker.net.devcert import check_folder, data_folder
from ticker.texts import shown

_MAGIC = b"ticker state 4\n"
"""Begins the file. The number is that of the format, and of what the parts mean. Behind it are the checksum of all that
follows, and the parts.
"""

_CHECKSUM = struct.Struct(">I")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.state")


OnFollowed: TypeAlias = Callable[[LastValueCache, int], None]
"""Called with the cache of an earlier run that others followed, and the term of their log."""


class Unusable(Exception):
    """A file from which no cache can go on; the text says why."""


class Begun(NamedTuple):
    """The cache of a new run."""

    cache: LastValueCache
    held: list[TableRecord]
    """Tables that are watched so that the clients of the earlier run find them as they were."""


class KeptState:
    """The file of one service, by its first address: `state-127.0.0.1_8443` in the data folder."""

    def __init__(self, config: Config, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` gives microseconds since 1970 UTC."""
        self._config = config
        self._clock = clock
        self._enabled = config.keep_state and not config.addresses[0].endswith(":0")

    def __repr__(self) -> str:
        return f"<KeptState of {self._config.addresses[0]}>"

    def begin(self, on_followed: OnFollowed | None = None) -> Begun:
        """Return the cache of an earlier run, if there is one to go on from, else a new one. Blocks while it reads.

        `on_followed` is called where others followed that run, before the first cut of this one.
        """
        if self._enabled:
            try:
                taken = self._take_file()
                if taken is not None:
                    begun = self._restored(taken, on_followed)
                    taken.unlink()
                    return begun
            except (Unusable, OSError, ConfigError) as error:
                _log.warning("the state of the earlier run is not used: clients begin anew", cause=str(error))
        return Begun(self._new_cache(secrets.token_hex(8)), [])

    async def save(self, cache: LastValueCache, term: int = 0) -> None:
        """Write the file, as long as there is time for it. No cut may be closed meanwhile.

        `term` is that of the log which others follow, 0 if nobody does.
        """
        if not self._enabled or not cache.cut:
            return
        cause = f"{STATE_WRITE_SECONDS} seconds were not enough"
        with trio.move_on_after(STATE_WRITE_SECONDS):
            try:
                written = await self._write(cache, term)
            except (OSError, ConfigError) as error:
                cause = str(error)
            else:
                _log.info("the state is kept for the next start", cut=cache.cut, bytes=written)
                return
        _log.warning("the state is not kept: after the next start, clients begin anew", cause=cause)

    def _parts(self, cache: LastValueCache, term: int) -> Iterator[State]:
        yield [self._clock(), self._settings(), cache.epoch, term]
        yield from parts_of(cache)

    def _settings(self) -> str:
        """Return a fingerprint of the settings on which the cache depends; specs of feeds may have secrets."""
        config = self._config
        return hashlib.sha256(repr((config.feeds, config.tables, config.limits.max_instruments)).encode()).hexdigest()

    def _new_cache(self, epoch: str) -> LastValueCache:
        config = self._config
        return LastValueCache(epoch, max_instruments=config.limits.max_instruments, tables=config.tables)

    def _path(self) -> Path:
        folder = data_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder)
        return folder / f"state-{re.sub('[^A-Za-z0-9.-]', '_', self._config.addresses[0])}"

    def _take_file(self) -> Path | None:
        """Take the file away for every other start; return where it is now."""
        path = self._path()
        taken = path.with_name(f"{path.name}.taken")
        try:
            path.replace(taken)
        except FileNotFoundError:
            return None
        return taken

    def _restored(self, path: Path, on_followed: OnFollowed | None) -> Begun:
        """Return the cache that goes on from this file. Raises `Unusable` and `OSError`."""
        with path.open("rb") as file:
            return self._read(file, on_followed)

    def _read(self, file: BinaryIO, on_followed: OnFollowed | None) -> Begun:
        _check(file)
        reading = unpacked(file)
        saved_at, settings, epoch, term = next(reading)
        now = self._clock()
        if settings != self._settings():
            raise Unusable("it is of other feeds, tables or limits")
        if not 0 <= now - saved_at <= STATE_SECONDS * 1_000_000:
            raise Unusable(f"it is not of the last {STATE_SECONDS} seconds")
        cache = self._new_cache(epoch)
        restored = partial(on_followed, cache, term) if on_followed is not None and term else _nothing
        try:
            held = restore(cache, reading, now, restored)
        except Unusable:
            raise
        except Exception as error:  # noqa: BLE001  # of data with a right checksum, so from another version
            raise Unusable(f"it cannot be read ({type(error).__name__}: {shown(error)})") from None
        _log.info("goes on from the earlier run", epoch=epoch, cut=cache.cut, instruments=cache.instrument_count)
        return Begun(cache, held)

    async def _write(self, cache: LastValueCache, term: int) -> int:
        """Write the file part by part; return its length."""
        path = self._path()
        new = path.with_name(f"{path.name}.new")
        checksum, data = 0, bytearray()
        with _new_file(new) as file:
            file.write(_MAGIC + _CHECKSUM.pack(0))
            for part in self._parts(cache, term):
                data += packed(part)
                if len(data) >= STATE_PIECE_BYTES:
                    checksum = zlib.crc32(data, checksum)
                    await trio.to_thread.run_sync(file.write, data)
                    data = bytearray()
            checksum = zlib.crc32(data, checksum)
            file.write(data)
            length = file.tell()
            file.seek(len(_MAGIC))
            file.write(_CHECKSUM.pack(checksum))
            file.flush()
            await trio.to_thread.run_sync(os.fsync, file.fileno())
        new.replace(path)
        return length


async def release_later(held: Sequence[TableRecord]) -> None:
    """Give up the tables of an earlier run once its clients had time to come back."""
    if held:
        await trio.sleep(RESUME_SECONDS)
        for table in held:
            table.unwatch()


def _nothing() -> None:
    """Do nothing."""


def _check(file: BinaryIO) -> None:
    """Check the beginning of a file and all of its content, and have it read from the first part on."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise Unusable("it is of another version, or no state at all")
    wanted, checksum = file.read(_CHECKSUM.size), 0
    while piece := file.read(STATE_PIECE_BYTES):
        checksum = zlib.crc32(piece, checksum)
    if wanted != _CHECKSUM.pack(checksum):
        raise Unusable("it is damaged")
    file.seek(len(_MAGIC) + _CHECKSUM.size)


def _new_file(path: Path) -> BinaryIO:
    """Return a file for the user alone; a link in its place is an error."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")

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
from pathlib import Path
from typing import NamedTuple

import structlog
import trio

from ticker.config import PARTS_PER_STEP, RESUME_SECONDS, STATE_SECONDS, Config
from ticker.core.keyframe import parts_of, restore
from ticker.core.last_value import LastValueCache
from ticker.core.state import State, packed, unpacked
from ticker.core.tables.table_record import TableRecord
from ticker.errors import ConfigError
from ticker.net.clocks import wall_clock
from ticker.net.devcert import check_folder, data_folder
from ticker.texts import shown

_MAGIC = b"ticker state 1\n"
"""Begins the file. The number is that of the format, and of what the parts mean."""

_CHECKSUM = struct.Struct(">I")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.state")


class Unusable(Exception):
    """A file from which no cache can go on; the text says why."""


class Begun(NamedTuple):
    """The cache of a new run."""

    cache: LastValueCache
    held: list[TableRecord]
    """Tables that are watched so that the clients of the earlier run find them as they were."""


class KeptState:
    """The file of one service, by its address: `state-127.0.0.1_8443` in the data folder."""

    def __init__(self, config: Config, clock: Callable[[], int] = wall_clock) -> None:
        """`clock` gives microseconds since 1970 UTC."""
        self._config = config
        self._clock = clock
        self._enabled = config.keep_state and not config.listen.endswith(":0")

    def __repr__(self) -> str:
        return f"<KeptState of {self._config.listen}>"

    def begin(self) -> Begun:
        """Return the cache of an earlier run, if there is one to go on from, else a new one. Blocks while it reads."""
        if self._enabled:
            try:
                data = self._take_file()
                if data is not None:
                    return self._restored(data)
            except (Unusable, OSError, ConfigError) as error:
                _log.warning("the state of the earlier run is not used: clients begin anew", cause=str(error))
        return Begun(self._new_cache(secrets.token_hex(8)), [])

    async def save(self, cache: LastValueCache) -> None:
        """Write the file. No cut may be closed meanwhile."""
        if not self._enabled or not cache.cut:
            return
        data = bytearray(_MAGIC)
        for number, part in enumerate(self._parts(cache), 1):
            data += packed(part)
            if number % PARTS_PER_STEP == 0:
                await trio.lowlevel.checkpoint()
        data += _CHECKSUM.pack(zlib.crc32(data))
        try:
            await trio.to_thread.run_sync(self._write, data)
        except (OSError, ConfigError) as error:
            _log.warning("the state cannot be kept: after the next start, clients begin anew", cause=str(error))
        else:
            _log.info("the state is kept for the next start", cut=cache.cut, bytes=len(data))

    def _parts(self, cache: LastValueCache) -> Iterator[State]:
        yield [self._clock(), self._settings(), cache.epoch]
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
        return folder / f"state-{re.sub('[^A-Za-z0-9.-]', '_', self._config.listen)}"

    def _take_file(self) -> bytes | None:
        """Return the file's content, and take it away for every other start."""
        path = self._path()
        taken = path.with_name(f"{path.name}.taken")
        try:
            path.replace(taken)
        except FileNotFoundError:
            return None
        return taken.read_bytes()

    def _restored(self, data: bytes) -> Begun:
        """Return the cache that goes on from this content. Raises `Unusable`."""
        reading = _read(data)
        saved_at, settings, epoch = next(reading)
        now = self._clock()
        if settings != self._settings():
            raise Unusable("it is of other feeds, tables or limits")
        if not 0 <= now - saved_at <= STATE_SECONDS * 1_000_000:
            raise Unusable(f"it is not of the last {STATE_SECONDS} seconds")
        cache = self._new_cache(epoch)
        try:
            held = restore(cache, reading, now)
        except Unusable:
            raise
        except Exception as error:  # noqa: BLE001  # of data with a right checksum, so from another version
            raise Unusable(f"it cannot be read ({type(error).__name__}: {shown(error)})") from None
        _log.info("goes on from the earlier run", epoch=epoch, cut=cache.cut, instruments=cache.instrument_count)
        return Begun(cache, held)

    def _write(self, data: bytearray) -> None:
        path = self._path()
        new = path.with_name(f"{path.name}.new")
        with open(new, "wb", opener=_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


async def release_later(held: Sequence[TableRecord]) -> None:
    """Give up the tables of an earlier run once its clients had time to come back."""
    if held:
        await trio.sleep(RESUME_SECONDS)
        for table in held:
            table.unwatch()


def _read(data: bytes) -> Iterator[State]:
    """Yield the parts of a file. Raises `Unusable` for one that is not whole, or of another format."""
    if not data.startswith(_MAGIC):
        raise Unusable("it is of another version, or no state at all")
    body, checksum = data[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
    if len(data) < len(_MAGIC) + _CHECKSUM.size or checksum != _CHECKSUM.pack(zlib.crc32(body)):
        raise Unusable("it is damaged")
    yield from unpacked(body[len(_MAGIC) :])


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

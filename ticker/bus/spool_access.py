"""A spool as tasks use it: its methods that block run in a thread, one at a time, and what is damaged is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
import trio

from ticker.bus.engine import Unavailable
from ticker.bus.spool import Spool
from ticker.bus.spool_chunks import Chunk, NotLoaded, Place
from ticker.bus.spool_records import Broken, Damaged, Record
from ticker.net.failures import cause_of

_T = TypeVar("_T")

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.bus.delayed")


class Forgotten(Unavailable):
    """What was to be read is damaged. It is left out from now on."""


class SpoolAccess:
    """The access to one spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = trio.Lock()

    def __repr__(self) -> str:
        return f"<SpoolAccess to {self._spool!r}>"

    def show(self) -> None:
        """Have all shown that is due by now, as far as that needs no file."""
        self._spool.index.show(self._spool.now().running)

    async def show_all(self) -> None:
        """Have all shown that is due by now."""
        self.show()
        while (chunk := self._spool.index.wanted) is not None:
            await self._load(chunk)
            self.show()

    async def look(self, find: Callable[[], _T]) -> _T:
        """Return what a look into the index finds; it may need more of it in memory."""
        while True:
            try:
                return find()
            except NotLoaded as needed:
                await self._load(needed.chunk)

    async def _load(self, chunk: Chunk) -> None:
        damaged = self._spool.damaged
        try:
            entries = await self.run(lambda: self._spool.load(chunk))
        except (Broken, OSError) as error:
            raise self._unreadable(error) from None
        self._spool.index.load(chunk, entries)
        if self._spool.damaged > damaged:
            self._say_damaged(
                f"{chunk.segment:08d}.log is damaged behind {len(entries)} entries from byte {chunk.start}"
            )

    async def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return the data of records."""
        try:
            return await self.run(lambda: self._spool.read(places))
        except Damaged as error:
            await self._forget(error)
            raise Forgotten(str(self._unreadable(error))) from None
        except (Broken, OSError) as error:
            raise self._unreadable(error) from None

    async def read_one(self, find: Callable[[], Place | None]) -> bytes | None:
        """Return the data of the record that a look into the index finds."""
        place = await self.look(find)
        if place is None:
            await trio.lowlevel.checkpoint()
            return None
        return (await self.read([place]))[0]

    async def write(self, records: Sequence[Record]) -> None:
        """Append records, and delete what is of no use any more. Raises `OSError`: then none was written."""
        spool = self._spool
        dropped = spool.dropped
        async with self._lock:
            spool.add(await trio.to_thread.run_sync(spool.write, records))
            self.show()
            gone = spool.unneeded()
            if gone:
                await trio.to_thread.run_sync(spool.delete, gone)
        if spool.dropped > dropped:
            _log.warning(
                "the spool is full: entries that were still to be shown are dropped",
                folder=str(spool.folder),
                dropped=spool.dropped - dropped,
            )

    async def run(self, function: Callable[[], _T]) -> _T:
        """Call a function that needs the files."""
        async with self._lock:
            return await trio.to_thread.run_sync(function)

    async def _forget(self, damage: Damaged) -> None:
        """Leave out what is damaged: who waits for it would wait for ever."""
        self._spool.damaged += 1
        self._spool.index.forget(damage.place)
        self._say_damaged(str(damage))
        await self.run(lambda: self._spool.void(damage.place))

    def _unreadable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the spool {self._spool.folder} cannot be read: {cause_of(error)}")

    def _say_damaged(self, cause: str) -> None:
        _log.error(
            "the spool is damaged: what cannot be read is left out, and clients begin anew behind it",
            folder=str(self._spool.folder),
            cause=cause,
            damaged=self._spool.damaged,
        )

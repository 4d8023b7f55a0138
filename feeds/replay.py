"""Recorded market data, played at the pace at which it was recorded, or faster.

What the files can be is described in `feeds.recording`, what stands in them in `feeds.layout`.
"""

from __future__ import annotations

import logging
import math
from contextlib import closing

import trio

from feeds.layout import Row
from feeds.recording import Recording, first_guess
from ticker.errors import ConfigError
from ticker.market import FeedItem, Publication

WAKE_UP_SECONDS = 0.005
"""The least time between two wake-ups: rows that are due in between are sent at the later one."""

_log = logging.getLogger(__name__)


class Replay:
    """A feed of what is in a file.

    `path` is the file, `symbol` that of its rows where the file does not say. The file's own times set the pace: a
    `speed` of 10 plays ten times as fast, 0 as fast as the service takes it. With `loop` it starts again at the end,
    with the times as they are in the file. Rows are sent in the file's order, one update each and none left out: those
    that are due at the same moment together, at most `feeds.recording.CHUNK_LINES` in a batch.

    `skipped` counts the rows that could not be used, by cause.

    Raises `ConfigError` for a speed that cannot be and for a file that cannot be played.
    """

    def __init__(self, *, path: str, symbol: str | None = None, speed: float = 1.0, loop: bool = False) -> None:
        if not 0 <= speed < math.inf:
            raise ConfigError(f"speed {speed}: give 1 for the recorded pace, N for N times as fast, 0 for all at once")
        self._recording = Recording(path, symbol)
        self._speed = speed
        self._loop = loop
        self.skipped = self._recording.skipped

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Play the file to its end, and with `loop` again and again, as long as it has a row that can be used."""
        announced: set[str] = set()
        rows = await self._play(updates, announced)
        skipped = ", ".join(f"{cause} ({count})" for cause, count in self.skipped.items())
        _log.info("%s: %d rows played, skipped: %s", self._recording.path, rows, skipped or "none")
        while self._loop and rows:
            await trio.sleep(WAKE_UP_SECONDS if self._speed else 0)
            await self._play(updates, announced)

    async def _play(self, updates: trio.abc.SendChannel[FeedItem], announced: set[str]) -> int:
        """Play the file once; returns the number of its rows."""
        pace: _Pace | None = None
        count = 0
        with closing(self._recording.chunks()) as chunks:
            for rows in chunks:
                await trio.lowlevel.checkpoint()
                sent = 0
                while sent < len(rows):
                    pace = pace or _Pace(self._speed, rows[0].time)
                    due = await pace.due(rows[sent:])
                    await updates.send(_batch(due, announced))
                    sent += len(due)
                count += sent
        return count


class _Pace:
    """When each row of one pass through a file is due: the first one now."""

    def __init__(self, speed: float, first: int) -> None:
        self._speed = speed
        self._first = first
        self._started = trio.current_time()
        self._woken = self._started

    async def due(self, rows: list[Row]) -> list[Row]:
        """Wait until the first of these rows is due; returns all of them that are due then."""
        if not self._speed:
            return rows
        moment = self._moment(rows[0])
        # What is due is decided by the last wake-up, not by the clock: a feed that is behind would find one row due
        # after the other, and send each alone.
        if moment > self._woken:
            await trio.sleep_until(max(moment, self._woken + WAKE_UP_SECONDS))
            self._woken = trio.current_time()
        later = (at for at, row in enumerate(rows) if self._moment(row) > self._woken)
        return rows[: next(later, len(rows))]

    def _moment(self, row: Row) -> float:
        return self._started + (row.time - self._first) / 1e6 / self._speed


def _batch(rows: list[Row], announced: set[str]) -> list[Publication]:
    """The rows' updates, each instrument declared before its first."""
    batch: list[Publication] = []
    for _, update in rows:
        if update.symbol not in announced:
            announced.add(update.symbol)
            batch.append(first_guess(update))
        batch.append(update)
    return batch

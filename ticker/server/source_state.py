"""What an edge knows of its source: the cuts that it has followed so far, and whether the source is silent."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from ticker.bus_bounds import BEHIND_SECONDS
from ticker.core.last_value import LastValueCache
from ticker.protocol.messages import Source


class SourceState:
    """The state of the source of one cache."""

    def __init__(self) -> None:
        self.silent_since: int | None = None
        """When the last sign of life came, in microseconds since 1970 UTC, while the source is silent."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when that changes."""
        self.follows_soon: Callable[[int], bool] = lambda _cut: True
        """Whether a cut that is not there yet may be there soon. The next ones of a delayed market are known."""
        self._advanced = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<SourceState: {'there' if self.silent_since is None else f'silent since {self.silent_since}'}>"

    def note(self, silent_since: int | None) -> None:
        """The source is silent, or is heard again: all clients are told."""
        self.silent_since = silent_since
        self.on_change()

    def advance(self) -> None:
        """The cache has another cut."""
        self._advanced.unpark_all()

    def message(self) -> Source:
        """Return the message that tells a client of it."""
        return Source(self.silent_since)

    async def reached(self, cache: LastValueCache, wire_cut: int) -> None:
        """Wait until the cache has a cut, or for `BEHIND_SECONDS`."""
        end = trio.current_time() + (BEHIND_SECONDS if cache.follows and self.follows_soon(wire_cut) else -math.inf)
        with trio.move_on_at(end):
            while cache.wire_cut(cache.cut) < wire_cut:
                await self._advanced.park()

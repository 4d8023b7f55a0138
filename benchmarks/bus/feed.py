"""A feed that tells the time."""

from __future__ import annotations

import time

import trio

from ticker.market import FeedItem, Instrument, Update


class Clock:
    """`last` of the symbol TIME is when it was published, in microseconds since 1970 UTC; `rate` times a second."""

    def __init__(self, *, rate: int = 100) -> None:
        self._seconds = 1 / rate

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish until cancelled."""
        await updates.send(Instrument("TIME"))
        due = trio.current_time()
        while True:
            await updates.send(Update("TIME", {"last": time.time_ns() // 1000}))
            due += self._seconds
            await trio.sleep_until(due)

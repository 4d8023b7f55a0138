"""Feeds for what a bus costs: the time, and quotes of four fields."""

from __future__ import annotations

import time

import trio

from benchmarks.feed import Lines
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


class Quotes(Lines):
    """The lines of `Lines`, each of which is a quote of four fields here."""

    @staticmethod
    def update(number: int, price: int, time: int) -> Update:
        """Return a bid, an ask, a size and a time."""
        bid, ask = f"{price / 100:.2f}", f"{(price + 1) / 100:.2f}"
        return Update(f"S{number}", {"bid": bid, "ask": ask, "bid_size": price % 50, "time": time})

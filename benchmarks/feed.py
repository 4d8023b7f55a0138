"""The feed for Ticker in the benchmarks: it reads the same lines on stdin as every peer.

A line is `NUMBER PRICE TIME`: the instrument's number, its price as an integer, and the update's due time in
microseconds since 1970 UTC. Lines that arrive together are published together.
"""

from __future__ import annotations

import sys

import trio

from ticker.market import FeedItem, Instrument, Update

DECLARED_AT_ONCE = 1000


class Lines:
    """`symbols` instruments named S0, S1, ... with prices at scale 2."""

    def __init__(self, *, symbols: int = 1) -> None:
        self._symbols = symbols

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish the updates on stdin until it ends."""
        names = [f"S{number}" for number in range(self._symbols)]
        for start in range(0, self._symbols, DECLARED_AT_ONCE):
            some = names[start : start + DECLARED_AT_ONCE]
            await updates.send([Instrument(name, price_scale=2) for name in some])
            if self._symbols > DECLARED_AT_ONCE:  # the snapshot of a large market shall be no list of empty records
                await updates.send([Update(name, {"open": "100.00", "bid": "99.99", "ask": "100.01"}) for name in some])
        stdin = trio.lowlevel.FdStream(sys.stdin.fileno())
        rest = b""
        async for data in stdin:
            *lines, rest = (rest + data).split(b"\n")
            batch: list[Update] = []
            for line in lines:
                number, price, time = line.split()
                text = price.decode()
                batch.append(Update(f"S{int(number)}", {"last": f"{text[:-2]}.{text[-2:]}", "time": int(time)}))
            if batch:
                await updates.send(batch)

"""The feed for Ticker in the benchmarks: it reads the same lines on stdin as every peer.

A line is `NUMBER PRICE TIME`: the instrument's number, its price as an integer, and the update's due time in
microseconds since 1970 UTC. Lines that arrive together are published together.
"""

from __future__ import annotations

import sys

import trio

from ticker.market import FeedItem, Instrument, Update


class Lines:
    """`symbols` instruments named S0, S1, ... with prices at scale 2."""

    def __init__(self, *, symbols: int = 1) -> None:
        self._symbols = symbols

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish the updates on stdin until it ends."""
        await updates.send([Instrument(f"S{number}", price_scale=2) for number in range(self._symbols)])
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

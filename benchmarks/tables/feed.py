"""The feeds of the workloads with tables: they read a venue's messages on stdin, for as many instruments as wanted.

A line is `NUMBER MESSAGE`: the instrument's number, and JSON as Binance sends it: changed levels (`b` and `a`; with
`complete` the whole book) or a trade. So reading the venue's JSON is part of the service's cost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec
import trio

from benchmarks.tables.history import PERIODS, bars, levels_of
from ticker.market import Candle, FeedItem, Instrument, Levels, Publication, Trade, batches


class _Message(msgspec.Struct):
    complete: bool = False
    b: list[tuple[str, str]] | None = None
    a: list[tuple[str, str]] | None = None
    p: str = ""
    q: str = ""
    t: int = 0
    T: int = 0
    m: bool = False


class VenueLines:
    """`symbols` instruments named S0, S1, ..., whose books and prints come on stdin."""

    size_scale = 0
    """A first guess, as that of the prices: finer ones raise it."""

    def __init__(self, *, symbols: int = 1) -> None:
        self._names = [f"S{number}" for number in range(symbols)]
        self._decoder = msgspec.json.Decoder(_Message)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Publish the messages on stdin until it ends."""
        for some in batches(self.before()):
            await updates.send(some)
        rest = b""
        async for data in trio.lowlevel.FdStream(sys.stdin.fileno()):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                await updates.send([self._publication(line) for line in lines])

    def before(self) -> Iterator[Publication]:
        """Yield the publications before the first message."""
        for name in self._names:
            yield Instrument(name, price_scale=2, size_scale=self.size_scale)

    def _publication(self, line: bytes) -> Publication:
        number, _, text = line.partition(b" ")
        name, message = self._names[int(number)], self._decoder.decode(text)
        if message.b is not None and message.a is not None:
            return Levels(name, message.b, message.a, message.complete)
        side = "sell" if message.m else "buy"
        return Trade(name, message.p, message.q, side, message.T * 1000, message.t)


class PastAndPresent(VenueLines):
    """The same for instruments that have a past: a book, and so many bars of each period."""

    size_scale = 3
    """That of all sizes: a scale that rises would bring whole tables on the resume."""

    def __init__(self, *, symbols: int = 1, bars: int = 300, levels: int = 500) -> None:
        super().__init__(symbols=symbols)
        self._bars = bars
        self._levels = levels

    def before(self) -> Iterator[Publication]:
        """Yield the definitions, the books and the bars."""
        yield from super().before()
        for number, name in enumerate(self._names):
            yield Levels(name, *levels_of(number, self._levels), complete=True)
            for period, seconds in PERIODS.items():
                for row in bars(number, seconds, self._bars):
                    yield Candle(name, period, *row)

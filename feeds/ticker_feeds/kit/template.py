"""A feed to start from: copy this file, and replace what is marked with 1 to 4. feeds/README.md explains it.

It runs as it is: `ticker serve --feed 'ticker_feeds.kit.template:Template?pace=0.2'`. Its venue does not exist; it
"sends" lines:

    17 GOLD 2350.10 2350.30     the 17th message about GOLD: bid and ask
    HALT GOLD                   trading stops, until the next quote
    ALIVE                       nothing happens, but the venue is there
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

import trio

from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Update


class BadLine(Exception):
    """The venue sent what we do not understand."""


# 1. What a message states. No I/O and no clock here: this is what most of your tests will call.
def parse(line: str) -> list[tuple[int | None, Update]]:
    """The updates in one line, each with its number where the venue gives one. Raises `BadLine`."""
    match line.split():
        case ["ALIVE"]:
            return []
        case ["HALT", symbol]:
            return [(None, Update(symbol, {"status": "halted", "reason": "exchange_halt"}))]
        case [number, symbol, bid, ask] if number.isascii() and number.isdigit():
            # The venue's own text goes on as it is. A float would round it.
            fields = {"bid": bid, "ask": ask, "status": "live", "reason": None}
            return [(int(number), Update(symbol, fields))]
    raise BadLine(line)


class Template:
    """Prices of a venue that does not exist, as a pattern for those of one that does.

    `symbols` are the venue's, separated by commas; `pace` is the time between two of its messages, in seconds.
    """

    # 2. The venue says something at least this often, or else the connection is dead and `run` is called again.
    silence_seconds = 30.0

    # 3. Options: keyword-only, each a str, int, float or bool. Check them here, and open nothing.
    def __init__(self, *, symbols: str = "GOLD,SILVER", pace: float = 0.5) -> None:
        if not 0 < pace < math.inf:
            raise ConfigError(f"pace {pace}: give a number of seconds above 0")
        self._symbols = symbols.split(",")
        self._pace = pace
        self.counters: Counter[str] = Counter()

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Follow the venue until it ends (return) or breaks (raise)."""
        # What is known of the venue belongs to this call: the next one begins with a new connection.
        numbers: dict[str, int] = {}
        await updates.send([Instrument(symbol, metadata={"venue": "NOWHERE"}) for symbol in self._symbols])
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                try:
                    parsed = parse(line)
                except BadLine:
                    self.counters["parse_errors"] += 1
                    continue
                batch = [update for _, update in parsed if update.symbol in self._symbols]
                for number, update in parsed:
                    self._count_gaps(numbers, update.symbol, number)
                # All of a message at once: clients see it as one moment. An empty batch is a sign of life.
                await updates.send(batch)

    def _count_gaps(self, numbers: dict[str, int], symbol: str, number: int | None) -> None:
        """A gap does no lasting harm here, as every message has both prices; elsewhere ask for a new snapshot."""
        if number is None:
            return
        if symbol in numbers and number != numbers[symbol] + 1:
            self.counters["gaps"] += 1
        numbers[symbol] = number

    # 4. Your connection. Any library that runs on Trio will do; what blocks, call with `trio.to_thread.run_sync`.
    async def _lines(self) -> AsyncGenerator[str, None]:
        for number in itertools.count(1):
            for at, symbol in enumerate(self._symbols):
                price = Decimal(100 * (at + 1)) + Decimal(number * 7 % 31) / 100
                yield f"{number} {symbol} {price} {price + Decimal('0.02')}"
                await trio.sleep(self._pace)
            if number % 10 == 0:
                yield f"HALT {self._symbols[0]}"
                yield "ALIVE"

"""A feed with an order book and trades: gold, by one market maker whose mid price walks up and down."""

import random
import time
from decimal import Decimal

import trio

from ticker.market import FeedItem, Instrument, Levels, Trade, Update

STEP = Decimal("0.1")
Side = dict[Decimal, int]


class Gold:
    """Gold in steps of 0.1. `rate` is the number of moves a second."""

    def __init__(self, *, rate: float = 4.0) -> None:
        self._rate = rate

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        """Send the book at first, and then its changes."""
        chance = random.Random()  # noqa: S311  # prices, not secrets
        mid, number = Decimal("2350.0"), 0
        bids, asks = quotes(mid, chance)
        gold = Instrument("GOLD", price_scale=1, metadata={"name": "Gold", "currency": "USD"})
        await updates.send([gold, Levels("GOLD", rows(bids), rows(asks), complete=True)])
        while True:
            await trio.sleep(1 / self._rate)
            mid += chance.choice((-STEP, Decimal(0), STEP))
            next_bids, next_asks = quotes(mid, chance)
            number += 1
            side = chance.choice(("buy", "sell"))
            price = min(next_asks) if side == "buy" else max(next_bids)
            # One list is one moment: nobody sees the new book with the old quote.
            await updates.send(
                [
                    Levels("GOLD", changed(bids, next_bids), changed(asks, next_asks)),
                    Update("GOLD", {"bid": max(next_bids), "ask": min(next_asks)}),
                    Trade("GOLD", price, chance.randint(1, 5), side, time.time_ns() // 1_000, number),
                ]
            )
            bids, asks = next_bids, next_asks


def quotes(mid: Decimal, chance: random.Random) -> tuple[Side, Side]:
    """Twenty-five levels on each side of a price."""
    bids = {mid - STEP * step: chance.randint(1, 40) for step in range(1, 26)}
    asks = {mid + STEP * step: chance.randint(1, 40) for step in range(1, 26)}
    return bids, asks


def rows(levels: Side) -> list[tuple[Decimal, int]]:
    """A side as rows of a price and a size."""
    return list(levels.items())


def changed(before: Side, after: Side) -> list[tuple[Decimal, int]]:
    """The levels that are not what they were; one that is gone has the size 0."""
    gone = [(price, 0) for price in before.keys() - after.keys()]
    return gone + [(price, size) for price, size in after.items() if before.get(price) != size]

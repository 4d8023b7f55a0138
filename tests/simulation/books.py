"""Levels of order books for the script, drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from ticker.market import Level

ODD_SIZES = ("0.5", "5.125", "0.000004", str(2**60))


def side(chance: Random, middle: int, most: int) -> list[Level]:
    """Return levels around a price: some are gone, a few have a price or size that is finer or longer than others."""
    levels: list[Level] = []
    for _ in range(chance.randint(0, most)):
        price = str(chance.randint(middle - 4, middle + 4)) if chance.random() < 0.95 else "5.125"
        size = str(chance.randint(0, 3)) if chance.random() < 0.9 else chance.choice(ODD_SIZES)
        levels.append((price, size))
    return levels


def moves(chance: Random, prices: list[int]) -> Iterator[Level]:
    """Yield changed bids of a book with these prices, lowest first: its best prices wander.

    Told in a cut each, they find clients that keep the best levels by themselves, as a venue's protocol may ask. Such
    a client is wrong if it skips cuts 2 and 3 of these, here with a view of one level:

    1. the best bids are 10 and 9: the client holds 10;
    2. 11 comes, and pushes 10 out of the view;
    3. 10 is gone, outside the view, which does not change;
    4. 11 is gone, and 9 enters the view: of what changed since cut 1 the client is told that, and keeps 10.

    Levels that are gone are often the worst, and new ones always the best: a level that came back would be told. Few
    moves are within what a view remembers, many are beyond it; there the client is sent the complete book.
    """
    prices = list(prices)
    for _ in range(chance.randint(3, chance.choice([6, 20]))):
        if len(prices) > 4 or (len(prices) > 2 and chance.random() < 0.5):
            yield prices.pop(chance.choice([0, chance.randrange(len(prices))])), 0
        else:
            prices.append(prices[-1] + chance.randint(1, 2))
            yield prices[-1], chance.randint(1, 9)

"""One side of an invented order book: so many levels, the best of which moves, changes its size and is traded away."""

from __future__ import annotations

from bisect import insort
from random import Random

_LOTS = 50
"""The most lots of a level when it appears."""


class Ladder:
    """The levels of one side. A key is a price in ticks, negated for bids: the best level has the lowest key.

    Methods return the keys that have changed; `lots` has the size of each level, in lots.
    """

    def __init__(self, best: int, levels: int, reach: int, random: Random) -> None:
        """`levels` are kept, up to `reach` ticks from one to the next."""
        self.keys = [best]
        self.lots = {best: 1 + int(random.random() * _LOTS)}
        self._levels = levels
        self._reach = reach
        self._random = random
        self._refill()

    def __repr__(self) -> str:
        return f"<Ladder of {len(self.keys)} levels from {self.keys[0]}>"

    @property
    def best(self) -> int:
        """The best key."""
        return self.keys[0]

    @property
    def offered(self) -> int:
        """Lots at the best price."""
        return self.lots[self.keys[0]]

    def move(self, best: int) -> list[int]:
        """Make this the best level, with a new size: better ones are gone."""
        changed = self._drop_better(best)
        if self.keys[:1] != [best]:
            insort(self.keys, best)
        self.lots[best] = self._new_lots()
        changed.append(best)
        while len(self.keys) > self._levels:
            worst = self.keys.pop()
            del self.lots[worst]
            changed.append(worst)
        return changed + self._refill()

    def resize(self) -> list[int]:
        """Give the best level a new size, and another one, mostly one near the best."""
        deeper = self.keys[int(len(self.keys) * self._random.random() ** 3)]
        changed = [self.keys[0]] if deeper == self.keys[0] else [self.keys[0], deeper]
        for key in changed:
            self.lots[key] = self._new_lots()
        return changed

    def take(self, lots: int) -> tuple[list[tuple[int, int]], list[int]]:
        """Trade so many lots away from the best levels on; return keys with the lots traded there, and the changes."""
        prints: list[tuple[int, int]] = []
        changed: list[int] = []
        while lots and self.keys:
            key = self.keys[0]
            traded = min(lots, self.lots[key])
            lots -= traded
            prints.append((key, traded))
            changed.append(key)
            self.lots[key] -= traded
            if not self.lots[key]:
                del self.keys[0], self.lots[key]
                if not self.keys:
                    self._append(key)
                    changed.append(self.keys[0])
        return prints, changed + self._refill()

    def _drop_better(self, best: int) -> list[int]:
        count = next((at for at, key in enumerate(self.keys) if key >= best), len(self.keys))
        gone = self.keys[:count]
        del self.keys[:count]
        for key in gone:
            del self.lots[key]
        return gone

    def _refill(self) -> list[int]:
        count = len(self.keys)
        while len(self.keys) < self._levels:
            self._append(self.keys[-1])
        return self.keys[count:]

    def _append(self, worst: int) -> None:
        key = worst + 1 + int(self._random.random() * self._reach)
        self.keys.append(key)
        self.lots[key] = self._new_lots()

    def _new_lots(self) -> int:
        return 1 + int(self._random.random() * _LOTS)

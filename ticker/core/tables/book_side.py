"""One side of an order book: a sorted list and a dict, half a microsecond per changed level."""

from __future__ import annotations

from bisect import bisect_left, insort

from ticker.bounds import MAX_LEVELS
from ticker.core.state import State
from ticker.core.tables.level_reading import Columns


class BookSide:
    """The known levels of one side.

    A level's key is its price, negated for asks: so the best level has the largest key of either side. `keys` are
    sorted, the best last, where most changes happen; `sizes` has the size of each.
    """

    __slots__ = ("dropped", "floor", "keys", "news", "sign", "sizes", "touched")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}
        self.floor: int | None = None
        """Below this key nothing is known; None where the whole side is known."""
        self.touched: int | None = None
        """The best key that has changed since the views were brought up to date."""
        self.news: set[int] | None = None
        """Keys that have changed in the open cut, if anybody follows."""
        self.dropped = 0
        """Number of levels dropped beyond `MAX_LEVELS`."""

    def __repr__(self) -> str:
        return f"<BookSide of {len(self.keys)} levels>"

    def best(self, count: int) -> list[int]:
        """Return the keys of the best levels, the best first."""
        return self.keys[: -count - 1 : -1]

    def apply(self, levels: Columns) -> None:
        """Take in changed levels."""
        keys, sizes, touched, floor, news = self.keys, self.sizes, self.touched, self.floor, self.news
        changed = levels.prices if self.sign > 0 else [-price for price in levels.prices]
        for key, size in zip(changed, levels.sizes, strict=True):
            known = sizes.get(key)
            if known == size:
                continue
            if known is None:
                if not size or (floor is not None and key < floor):
                    continue
                insort(keys, key)
                sizes[key] = size
            elif size:
                sizes[key] = size
            else:
                del keys[bisect_left(keys, key)]
                del sizes[key]
            if touched is None or key > touched:
                touched = key
            if news is not None:
                news.add(key)
        self.touched = touched
        if len(keys) > MAX_LEVELS:
            self._bound()

    def replace(self, levels: Columns, depth: int | None) -> None:
        """Take in all levels of this side, of which the feed gives only `depth`."""
        given = {price * self.sign: size for price, size in zip(*levels, strict=True)}
        sizes = {key: size for key, size in given.items() if size}
        changed = [key for key, size in sizes.items() if self.sizes.get(key) != size]
        changed += self.sizes.keys() - sizes.keys()
        if changed:
            self.touched = max(changed) if self.touched is None else max(*changed, self.touched)
            if self.news is not None:
                self.news.update(changed)
        self.sizes, self.keys = sizes, sorted(sizes)
        self.floor = self.keys[0] if depth is not None and len(sizes) >= depth else None
        self._bound()

    def rescale(self, price_factor: int, size_factor: int) -> None:
        """Hold these numbers at finer scales."""
        self.keys = [key * price_factor for key in self.keys]
        self.sizes = {key * price_factor: size * size_factor for key, size in self.sizes.items()}
        self.floor = None if self.floor is None else self.floor * price_factor
        self.touched = None if self.touched is None else self.touched * price_factor
        self.news = None if self.news is None else {key * price_factor for key in self.news}

    def take_news(self) -> list[int]:
        """Return keys and sizes of the levels that have changed, one behind the other, 0 for one that is gone."""
        keys, self.news = self.news, set()
        return [cell for key in sorted(keys or ()) for cell in (key, self.sizes.get(key, 0))]

    def follow(self, news: list[int], floor: int | None, dropped: int) -> None:
        """Take in what `take_news` of another one gave."""
        keys, sizes = self.keys, self.sizes
        for key, size in zip(news[::2], news[1::2], strict=True):
            if key not in sizes:
                if size:
                    insort(keys, key)
            elif not size:
                del keys[bisect_left(keys, key)]
                del sizes[key]
            if size:
                sizes[key] = size
        if news:
            best = max(news[::2])
            self.touched = best if self.touched is None else max(best, self.touched)
        self.floor, self.dropped = floor, dropped

    def state(self) -> State:
        """Return it as plain data, between two cuts."""
        return [self.keys, [self.sizes[key] for key in self.keys], self.floor, self.dropped]

    def restore(self, state: State) -> None:
        """Take over such data, as a new object."""
        self.keys, sizes, self.floor, self.dropped = state
        self.sizes = dict(zip(self.keys, sizes, strict=True))

    def _bound(self) -> None:
        excess = len(self.keys) - MAX_LEVELS
        if excess > 0:
            for key in self.keys[:excess]:
                del self.sizes[key]
            if self.news is not None:
                self.news.update(self.keys[:excess])
            del self.keys[:excess]
            self.floor = self.keys[0]
            self.dropped += excess

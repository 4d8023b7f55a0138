"""Which instruments match a pattern: found in steps, once for all clients that name it.

Comparing a pattern with 50,000 instruments takes some 10 ms. So its user has a `Matches` advance by a bounded
number of comparisons, and lets others work in between. New instruments are compared as they appear.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Sequence

from ticker.core.bitmaps import bitmap_of, numbers_in
from ticker.core.record import MarketRecord
from ticker.protocol.symbols import Match, literal_prefix, matcher

INDEXED_AT_ONCE = 2_000
"""Instruments put into the sorted index in one step: about a millisecond."""

_INSERTED = 16
"""Up to so many new symbols are inserted into the sorted list; for more it is sorted anew, which merges two runs."""


class SymbolIndex:
    """The symbols of the instruments in order: those with a prefix are found without comparing the others."""

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.through = 0
        """Number of instruments indexed: those with lower ids."""

    def __repr__(self) -> str:
        return f"<SymbolIndex of {self.through} symbols>"

    def advance(self, records: Sequence[MarketRecord]) -> bool:
        """Index more instruments; True once all are."""
        some = records[self.through : self.through + INDEXED_AT_ONCE]
        new = [record.symbol for record in some if " " not in record.symbol]
        self.through += len(some)
        if len(new) <= _INSERTED:
            for symbol in new:
                insort(self.symbols, symbol)
        else:
            self.symbols += sorted(new)
            self.symbols.sort()
        return self.through == len(records)

    def with_prefix(self, prefix: str, most: int) -> list[str] | None:
        """Return the symbols with this prefix, or None if they are more than `most`."""
        start = bisect_left(self.symbols, prefix)
        end = bisect_right(self.symbols, prefix, lo=start, key=lambda symbol: symbol[: len(prefix)])
        return self.symbols[start:end] if end - start <= most else None

    def after(self, symbol: str, most: int) -> list[str]:
        """Return the symbols behind this one, at most so many."""
        start = bisect_right(self.symbols, symbol)
        return self.symbols[start : start + most]


class Matches:
    """The instruments and tables that one pattern, or any name of an entitlement, matches."""

    __slots__ = ("bits", "match", "names", "only_tables", "through", "users", "weight")

    def __init__(self, names: Collection[str]) -> None:
        self.names = names
        self.match: Match = matcher(names)
        self.only_tables = all(" " in name for name in names)
        self.bits = 0
        """The instruments that match, among those compared."""
        self.through = 0
        """Number of instruments compared: those with lower ids."""
        self.weight = max(1, len(names) // 8)
        """Cost of a comparison, in comparisons with a single pattern."""
        self.users = 0
        """Number of audiences that it serves."""

    def __repr__(self) -> str:
        return f"<Matches of {len(self.names)} names: {self.bits.bit_count()} of {self.through}>"

    def begin(self, index: SymbolIndex, most: int, id_of: Callable[[str], int]) -> int:
        """Find the instruments through the index if that takes at most so many comparisons; return their number."""
        if self.through or self.only_tables or len(self.names) != 1:
            return 0
        (name,) = self.names
        found = index.with_prefix(literal_prefix(name), most)
        if found is None:
            return 0
        self.bits = bitmap_of([id_of(symbol) for symbol in found if self.match(symbol)])
        self.through = index.through
        return len(found)

    def advance(self, records: Sequence[MarketRecord], tables: int, through: int, most: int) -> int:
        """Compare the records below the id `through`, or `most` of them; return the number of comparisons.

        `tables` is the bitmap of those that are tables.
        """
        start, end = self.through, min(through, self.through + max(1, most // self.weight))
        if end <= start:
            return 0
        self.through = end
        window = (1 << end) - (1 << start)
        if "*" in self.names and not any(" " in name for name in self.names):
            self.bits |= window & ~tables
            return 1
        match = self.match
        if self.only_tables:
            some = numbers_in((window & tables) >> start)
            self.bits |= bitmap_of([number for number in some if match(records[start + number].symbol)]) << start
            return max(1, len(some) * self.weight)
        found = [record.id - start for record in records[start:end] if match(record.symbol)]
        self.bits |= bitmap_of(found) << start
        return (end - start) * self.weight

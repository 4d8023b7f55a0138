"""The one market that the feeds of all sources hear of, drawn from the seed."""

from __future__ import annotations

from random import Random
from typing import TypeAlias

from tests.simulation.books import side
from ticker.market import Candle, Instrument, Levels, Publication, Stale, Trade, Update, Value, Withdrawal

SYMBOLS = ("AA", "AB", "BA", "BB")
_TRADED = "BA"
"""An instrument with prints: its `last` is theirs."""

News: TypeAlias = list[Publication]


class Venue:
    """Its present state, which a feed tells first, and what happens next."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._declared: dict[str, Instrument] = {}
        self._values: dict[str, dict[str, Value]] = {}
        self._books: dict[str, Levels] = {}
        for symbol in chance.sample(SYMBOLS, chance.randint(2, 3)):
            self.declare(symbol)
            self.update(symbol)
            self.book(symbol)

    def present(self) -> News:
        """All that a feed tells when it begins: as a venue's snapshot."""
        values = [Update(symbol, dict(fields)) for symbol, fields in self._values.items()]
        return [*self._declared.values(), *values, *self._books.values()]

    def declare(self, symbol: str | None = None) -> News:
        """Declare an instrument, or a known one with finer scales or other metadata."""
        symbol = symbol or self._chance.choice(SYMBOLS)
        before = self._declared.get(symbol)
        scale = (before.price_scale if before is not None else 0) + self._chance.choice([0, 0, 1])
        name = self._chance.choice(["Acme", "Hooli"])
        self._declared[symbol] = Instrument(symbol, min(scale, 3), 0, {"name": name})
        return [self._declared[symbol]]

    def update(self, symbol: str | None = None) -> News:
        """Some values; now and then finer than the scale, or gone."""
        chance, symbol = self._chance, symbol or self._symbol()
        names = ("ask", "bid_size", "note") if symbol == _TRADED else ("bid", "ask", "last", "note")
        fields: dict[str, Value] = {}
        for name in chance.sample(names, chance.randint(1, 2)):
            fields[name] = None if chance.random() < 0.1 else f"{chance.randint(1, 999)}.{chance.choice(['0', '25'])}"
        if chance.random() < 0.05:
            fields["status"] = chance.choice(["live", "halted"])
        self._values.setdefault(symbol, {}).update(fields)
        return [Update(symbol, fields)]

    def book(self, symbol: str | None = None) -> News:
        """A whole book."""
        symbol = symbol or self._symbol()
        self._books[symbol] = Levels(symbol, side(self._chance, 5, 4), side(self._chance, 12, 4), complete=True)
        return [self._books[symbol]]

    def levels(self) -> News:
        """Changed levels of a book."""
        return [Levels(self._symbol(), side(self._chance, 5, 2), side(self._chance, 12, 2))]

    def prints(self) -> News:
        """Some trades, among them corrections and busts."""
        chance = self._chance
        number = chance.choice([None, None, 1, 2])
        return [
            Trade(_TRADED, str(chance.randint(1, 9)), chance.randint(int(number is None), 3), id=number)
            for _ in range(chance.choice([1, 2, 6]) if _TRADED in self._declared else 0)
        ]

    def bar(self, second: int) -> News:
        """A bar of the last minutes."""
        start = (second // 60 - self._chance.randint(0, 3)) * 60
        return [Candle(self._symbol(), "1m", start, "4", "6.5", "2", "5", "3", 2)]

    def withdraw(self) -> News:
        """All values of an instrument are gone."""
        symbol = self._symbol()
        self._values.pop(symbol, None)
        self._books.pop(symbol, None)
        return [Withdrawal(symbol)]

    def lose(self) -> News:
        """What is known of an instrument is not current, and comes anew later."""
        return [Stale(self._symbol(), "gap", book_only=self._chance.random() < 0.5)]

    def _symbol(self) -> str:
        return self._chance.choice(list(self._declared))

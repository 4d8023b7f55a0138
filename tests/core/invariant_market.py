"""The market of the invariant test as it has to be: kept apart from the code under test, with numbers as Decimals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from hypothesis import strategies as st

from tests.tables_model import InstrumentModel, TableFields, TablesPast
from ticker.config import Tables
from ticker.market import Levels, Trade

SYMBOLS = ["AA", "AB", "BA", "BB", "C"]
FIELDS = ["bid", "ask", "bid_size", "last", "note"]
SELECTIONS = [None, None, *map(frozenset, (["bid"], ["ask", "note"], ["bid", "bid_size"], ["status"]))]
"""Fields of which a client wants no others: as many sets as it has of its own at a time."""

FEEDS = ["one", "other"]

EARLIER = "an earlier run"

TABLES = Tables(depths=(1, 2, 3), trades=(1, 2, 4), bars=(1, 2, 4), periods=("1m", "5m"))
"""Small ones, so that levels leave views, rings lap and changes are forgotten all the time."""

COARSE = st.decimals(-99, 99, places=1) | st.decimals(0, 9, places=3)
ANY_DECIMAL = st.builds(
    lambda digits, places: Decimal(f"{digits}E-{places}"), st.integers(1 - 10**40, 10**40 - 1), st.integers(0, 40)
)
UNREADABLE: st.SearchStrategy[Any] = st.sampled_from([True, 1.5, Decimal("NaN"), Decimal("1E+50"), b"1", 10**41])
"""No value of any field."""

PRICES: st.SearchStrategy[Number] = (
    st.integers(1, 9) | st.integers(1, 9) | st.sampled_from([Decimal("2.50"), "3.25", "0.0000001", 2**60])
)
SIZES: st.SearchStrategy[Number] = (
    st.integers(0, 3) | st.integers(1, 3) | st.sampled_from(["0.5", Decimal("1.000"), "0.000004", 2**60])
)
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=5)

Number: TypeAlias = Decimal | str | int
Level: TypeAlias = tuple[Number, Number]

Fields: TypeAlias = dict[str, Decimal | str]


class Market(NamedTuple):
    """All instruments at one cut."""

    fields: Mapping[str, Fields]
    """The published values that were not withdrawn: by field name, by symbol."""
    tables: Mapping[str, TablesPast]

    def table(self, name: str) -> TableFields:
        """A table by its full name."""
        symbol, _, table = name.partition(" ")
        return self.tables[symbol].table(table)


class Shown:
    """The values to be shown of one instrument, and the feed of each."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[Decimal | str, str]] = {}
        self.outdated: dict[str, str] = {}
        """Feeds whose values are not current any more, with the reason."""
        self.reason = ""
        self.tables = InstrumentModel(max(TABLES.trades), max(TABLES.bars), TABLES.periods)

    def update(self, feed: str, values: Mapping[str, Any], unreadable: set[str]) -> None:
        if self.outdated and (values.keys() - unreadable):
            kept = self.said.items()
            self.said = {name: said for name, said in kept if said[1] not in self.outdated or name in values}
            self.outdated.clear()
            self.reason = "live"
        for name, value in values.items():
            if value is None or name in unreadable:
                self.said.pop(name, None)
            else:
                self.said[name] = value, feed

    def go_stale(self, feed: str, reason: str, *, book_only: bool) -> None:
        givers = {giver for _, giver in self.said.values()}
        if not book_only and (not givers or feed in givers):
            self.outdated[feed] = self.reason = reason
        self.tables.book.stale_of(feed, reason)

    def restart(self) -> None:
        """The service goes on from its state: all that was said is of an earlier run."""
        self.said = {name: (value, EARLIER) for name, (value, _) in self.said.items()}
        self.outdated = {EARLIER: "feed_down"}
        self.reason = "feed_down"
        book = self.tables.book
        book.giver = book.giver and EARLIER
        book.stale_of(EARLIER, self.reason)

    def withdraw(self) -> None:
        self.said.clear()
        self.reason = "live" if self.outdated else ""
        self.outdated.clear()
        self.tables.book.clear()

    def take_levels(self, feed: str, levels: Levels) -> bool:
        """Take levels; return whether they have any effect. A whole book is a sign of life of a feed without fields."""
        taken = self.tables.book.apply(levels, feed)
        silent = feed not in {giver for _, giver in self.said.values()}
        if taken and levels.complete and not self.tables.book.reason and silent and feed in self.outdated:
            del self.outdated[feed]
            self.reason = self.reason if self.outdated else "live"
        return taken

    def print(self, feed: str, trade: Trade) -> bool:
        """Take a trade; return whether it has any effect."""
        printed = self.tables.print(trade)
        if printed is None:
            return False
        if printed.latest:
            fields: dict[str, Any] = {"last": Decimal(trade.price), "last_size": Decimal(trade.size)}
            if trade.time is not None:
                fields["time"] = trade.time
            self.update(feed, fields, set())
        return True

    def marks(self) -> dict[str, str]:
        return {"": {}, "live": {"status": "live"}}.get(self.reason, {"status": "stale", "reason": self.reason})

    def fields(self) -> Fields:
        return {**{name: value for name, (value, _) in self.said.items()}, **self.marks()}


def market_of(instruments: Mapping[str, Shown]) -> Market:
    """The market as it is now."""
    return Market(
        {symbol: shown.fields() for symbol, shown in instruments.items()},
        {symbol: shown.tables.past(shown.marks()) for symbol, shown in instruments.items()},
    )

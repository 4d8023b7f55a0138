"""An order book: its best levels, always of one moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ticker.client.columns import book_columns
from ticker.client.frames import pandas_frame, polars_frame
from ticker.client.reader import Reader
from ticker.client.replica import Replica
from ticker.client.rows import Level, levels
from ticker.client.table_reader import TableReader
from ticker.client.table_state import TableState
from ticker.market import Field

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class Book(TableReader["Book"]):
    """The best levels of an instrument's order book. Made by `Client.book`.

        async with client.book("BTC-USD", 10) as book:
            print(book.bids[0].price, book.status)
            async for _ in book:
                print(book.bids[0], book.asks[0])

    Entering the block waits until the book is complete. The loop runs once at first, and again after each change of a
    level or of the status; a loop that is too slow for that skips moments, and always sees the present one. The book
    need not be iterated over: `bids`, `asks` and the rest are those of the present moment whenever they are read.
    """

    def __init__(
        self, name: str, depth: int, close: Callable[[Reader[Any]], None], replica: Replica, *, held: bool = False
    ) -> None:
        super().__init__(name, close, replica, held=held)
        self._depth = depth
        self._bids: list[Level] = []
        self._asks: list[Level] = []
        self._given: object = None

    @property
    def bids(self) -> list[Level]:
        """Levels (price and size) at which there are buyers, the highest price first."""
        self._refresh()
        return self._bids

    @property
    def asks(self) -> list[Level]:
        """Levels (price and size) at which there are sellers, the lowest price first."""
        self._refresh()
        return self._asks

    def to_pandas(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the levels as a DataFrame of pandas by `level`, 1 for the best ones: bid and ask beside each other.

        Numbers are floats, with `exact` `Decimal`. Raises `ConfigError` if pandas is not installed.
        """
        return pandas_frame(book_columns(self.bids, self.asks), exact=exact)

    def to_polars(self, *, exact: bool = False) -> pl.DataFrame:
        """Return the levels as a DataFrame of polars: numbers are floats, with `exact` decimals.

        Raises `ConfigError` if polars is not installed.
        """
        return polars_frame(book_columns(self.bids, self.asks), exact=exact)

    def _build(self, state: TableState | None) -> None:
        if state is None:
            self._bids, self._asks = [], []
            return
        self._bids = levels(state.ordered(Field.BIDS)[: self._depth], state.definition)
        self._asks = levels(state.ordered(Field.ASKS)[: self._depth], state.definition)

    def _take(self) -> Book | None:
        if not self._changed:
            return None
        self._changed = False
        shown = (self.bids, self.asks, self.status, self.reason)
        if shown == self._given:  # what changed lies below the levels that are wanted
            return None
        self._given = shown
        return self

"""Names of tables, and the columns of their rows (PROTOCOL.md, sections 4 and 5).

A table belongs to an instrument and is named `SYMBOL TABLE`, with one space: `BTC-USD book:10`, `BTC-USD trades:50`,
`BTC-USD candles:1m:300`. The number is that of its rows: price levels of each side, the latest prints, the latest bars.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ticker.market import MAX_SYMBOL, Field

BOOK, TRADES, CANDLES = "book", "trades", "candles"

MAX_TABLE = 32
"""The longest name of a table without its symbol, in characters."""

MAX_NAME = MAX_SYMBOL + 1 + MAX_TABLE
"""The longest name of a subscription, in characters."""

COLUMNS: dict[int, tuple[str, ...]] = {
    Field.BIDS: ("price", "size"),
    Field.ASKS: ("price", "size"),
    Field.TRADES: ("number", "price", "size", "time", "side", "id"),
    Field.CANDLES: ("start", "open", "high", "low", "close", "volume", "count"),
}
"""By the field of the rows: the names of their columns, the key first.

`side` is 1 for a buyer that took the liquidity, -1 for a seller, and nil if it is not known. `start` is in seconds
since 1970 UTC. A level with a nil `size` is gone.
"""

ROW_FIELDS: dict[str, tuple[str, ...]] = {BOOK: ("bids", "asks"), TRADES: ("trades",), CANDLES: ("candles",)}
"""By kind of table, the names of the fields with its rows."""

BUY, SELL = 1, -1

_TABLE = re.compile(r"(book|trades):([1-9][0-9]{0,5})|(candles):([1-9][0-9]{0,3}[smhd]):([1-9][0-9]{0,5})")


class TableName(NamedTuple):
    """A table of some instrument."""

    kind: str
    """`book`, `trades` or `candles`."""
    rows: int
    """Rows, of a book levels of each side."""
    period: str = ""
    """That of candles: `1m`, `1h`."""

    @property
    def most_rows(self) -> int:
        """The most rows that it has, those of both sides of a book."""
        return 2 * self.rows if self.kind == BOOK else self.rows

    def __str__(self) -> str:
        return f"{self.kind}:{self.period}:{self.rows}" if self.period else f"{self.kind}:{self.rows}"


def parse_table(text: str) -> TableName | None:
    """Return the table that `book:10`, `trades:50` or `candles:1m:300` names; None for any other text."""
    found = _TABLE.fullmatch(text) if len(text) <= MAX_TABLE else None
    if found is None:
        return None
    kind, count, candles, period, bars = found.groups()
    return TableName(CANDLES, int(bars), period) if candles else TableName(kind, int(count))


def split_name(name: str) -> tuple[str, str]:
    """Split a name at its space: the symbol or pattern, and the table, which is empty for an instrument itself."""
    symbol, _, table = name.partition(" ")
    return symbol, table

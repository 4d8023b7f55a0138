"""Tables of a running service in a recording: their rows as the levels, trades and candles that bring them back.

The rules:

1. A book is recorded whole when it is first seen, and when it is current again; in between, the levels that changed.
2. A trade is recorded once, also where a connection was lost; a corrected one again, if it has an id.
3. A bar is recorded whenever it changes, behind the trades that changed it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ticker.errors import ConfigError
from ticker.market import Candle, Levels, Publication, Reason, Stale, Status, Trade
from ticker.protocol.tables import BOOK, CANDLES, TRADES, TableName, parse_table, split_name


def check_tables(names: Iterable[str]) -> None:
    """Raise `ConfigError` if these names would record the same rows twice: tables of a kind with different lengths."""
    lengths: dict[tuple[str, str], int] = {}
    for name in names:
        table = parse_table(split_name(name)[1])
        if table is not None and lengths.setdefault((table.kind, table.period), table.rows) != table.rows:
            other = table._replace(rows=lengths[table.kind, table.period])
            raise ConfigError(f"--symbols: {other} and {table} hold the same rows: give one of them for all symbols")


class RecordedTables:
    """The tables in a recording, and what of them is in it."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[str, TableName]] = {}
        self._known: set[str] = set()
        """Books that are recorded whole, and current."""
        self._prints: dict[str, deque[tuple[Any, ...]]] = {}
        """The latest rows of trades, as they were recorded."""
        self._resumed: set[str] = set()
        """Trades of which rows may come again, because the connection was lost."""

    def __repr__(self) -> str:
        return f"<RecordedTables: {len(self._tables)}>"

    @property
    def symbols(self) -> set[str]:
        """The instruments that they belong to."""
        return {symbol for symbol, _ in self._tables.values()}

    def lose(self) -> None:
        """The connection is lost: books are not current, and rows of trades may come again."""
        self._known.clear()
        self._resumed.update(self._prints)

    def books(self) -> list[str]:
        """The books that are not recorded as they are now."""
        return [name for name, (_, table) in self._tables.items() if table.kind == BOOK and name not in self._known]

    def changed(self, name: str, changed: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[Publication]:
        """Yield the publications that follow from the changes of a table, which is now as `present`."""
        if name not in self._tables:
            symbol, written = split_name(name)
            table = parse_table(written)
            if table is None:
                return
            self._tables[name] = symbol, table
        symbol, table = self._tables[name]
        if table.kind == BOOK:
            yield from self._book(name, symbol, changed, present)
        elif table.kind == TRADES:
            yield from self._trades(name, symbol, table.rows, changed.get("trades", ()))
        elif table.kind == CANDLES:
            for row in changed.get("candles", ()):
                yield Candle(symbol, table.period, *row)

    def whole(self, name: str, present: Mapping[str, Any]) -> Iterator[Publication]:
        """Yield the whole book, if it is current."""
        symbol, _ = self._tables[name]
        if present and present.get("status", Status.LIVE) != Status.STALE:
            self._known.add(name)
            yield Levels(symbol, _levels(present.get("bids", ())), _levels(present.get("asks", ())), complete=True)

    def _book(
        self, name: str, symbol: str, changed: Mapping[str, Any], present: Mapping[str, Any]
    ) -> Iterator[Publication]:
        if present.get("status") == Status.STALE:
            if "status" in changed or "reason" in changed:
                yield Stale(symbol, present.get("reason") or Reason.NO_DATA, book_only=True)
            self._known.discard(name)
        elif name not in self._known:
            yield from self.whole(name, present)
        elif changed.get("bids") or changed.get("asks"):
            yield Levels(symbol, _levels(changed.get("bids", ())), _levels(changed.get("asks", ())))

    def _trades(self, name: str, symbol: str, kept: int, rows: Iterable[tuple[Any, ...]]) -> Iterator[Publication]:
        recorded = self._prints.setdefault(name, deque(maxlen=kept))
        last = recorded[-1][0] if recorded else 0
        again = set(recorded) | {row[1:] for row in recorded} if name in self._resumed else set()
        self._resumed.discard(name)
        for row in rows:
            number, price, size, time, side, venue_id = row
            if tuple(row) in again or (again and tuple(row[1:]) in again):
                continue
            if not size and number > last:
                continue  # it was void before it was seen
            if number <= last and venue_id is None and not again:
                continue  # a correction that nothing could be told apart by
            recorded.append(tuple(row))
            yield Trade(symbol, price, size, side, time, venue_id)


def _levels(rows: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(price, 0 if size is None else size) for price, size in rows]

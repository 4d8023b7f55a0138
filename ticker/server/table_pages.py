"""The HTTP pages of tables: `/v1/book`, `/v1/trades` and `/v1/candles`.

They read the stores in the cache and open no table, so that a request leaves nothing behind. Candles that are older
than those in the cache come from the history.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from ticker.bounds import ROWS_PER_ANSWER
from ticker.core.hub import Hub
from ticker.core.record import Record
from ticker.door.grants import Grant
from ticker.market import Rows, is_symbol
from ticker.net.http1 import Refusal, Response
from ticker.protocol.tables import BOOK, CANDLES, MAX_TABLE, TRADES, TableName
from ticker.server.answers import market_response, moment_of, paid_for
from ticker.server.bar_history import BarHistory
from ticker.server.connection import Route, ServerContext
from ticker.server.query import Query, check_keys, parse_count, parse_time
from ticker.server.table_rows import TableRows, candle_rows, made_of, rows_of


class TablePages:
    """The pages of one service's tables."""

    def __init__(self, context: ServerContext, history: BarHistory | None = None) -> None:
        self._context = context
        self._history = history
        self._cache = context.hub.cache
        self._tables = context.hub.cache.tables.config
        self.routes: dict[str, Route] = {
            "/v1/book": self.book,
            "/v1/trades": self.trades,
            "/v1/candles": self.candles,
        }
        """The pages by path."""

    def __repr__(self) -> str:
        return f"<TablePages of {self._context.hub!r}>"

    async def book(self, query: Query, grant: Grant, address: str) -> Response:
        """Return the best levels of a book. Raises `Refusal`."""
        check_keys(query, {"symbol", "depth"})
        depths = self._tables.depths
        depth = parse_count(query, "depth", depths[0] if depths else 0, 10**6)
        if depth not in depths:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"depth={depth}: there are {_listed(depths)}")
        table = TableName(BOOK, depth)
        record = self._find(query, grant, [table])
        return await paid_for(self._context, self._rows(record, table, table, grant), grant, address)

    async def trades(self, query: Query, grant: Grant, address: str) -> Response:
        """Return the latest prints. Raises `Refusal`."""
        check_keys(query, {"symbol", "count"})
        counts = self._tables.trades
        count = parse_count(query, "count", 50, max(counts, default=0))
        # A token that opens the latest 50 does not open more.
        tables = [TableName(TRADES, each) for each in counts if each >= count]
        record = self._find(query, grant, tables)
        table = TableName(TRADES, count)
        return await paid_for(self._context, self._rows(record, table, tables[0], grant), grant, address)

    async def candles(self, query: Query, grant: Grant, address: str) -> Response:
        """Return the latest candles, or the latest of those that begin before a time. Raises `Refusal`."""
        check_keys(query, {"symbol", "period", "before", "count"})
        period, periods = query.get("period", ""), self._tables.periods
        if period not in periods:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"period={period[:MAX_TABLE]}: there are {_listed(periods)}")
        count = parse_count(query, "count", 300, ROWS_PER_ANSWER)
        before = parse_time(query, "before")
        tables = [TableName(CANDLES, each, period) for each in self._tables.bars]
        record = self._find(query, grant, tables)
        offered = next((table for table in tables if table.rows >= count), tables[-1])
        content = _head(self._context.hub, record, grant) | {"period": period, "from": made_of(self._cache, record)}
        # One more than wanted tells whether there are more.
        parts = [candle_rows(self._cache, record, TableName(CANDLES, count + 1, period), before)]
        rows = parts[0].rows[CANDLES]
        if len(rows) <= count and self._history is not None and self._has_older(record, period):
            before = _start(rows[0]) if rows else before
            older = await self._history.older(record.symbol, period, before, count + 1 - len(rows))
            parts.insert(0, TableRows({CANDLES: older.rows}, older.price_scale, older.size_scale, {}))
        shows = [f"{record.symbol} {offered}"]
        return await paid_for(self._context, _candles(content, parts, count, shows), grant, address)

    def _has_older(self, record: Record, period: str) -> bool:
        """Whether what the history has before the bars in memory may be shown.

        A delayed market shows nothing of it that is later: another process writes it in real time.
        """
        if not self._context.hub.delay:
            return True
        return bool(candle_rows(self._cache, record, TableName(CANDLES, 1, period)).rows[CANDLES])

    def _find(self, query: Query, grant: Grant, tables: Iterable[TableName]) -> Record:
        """Return the instrument that a query names, if its sender may see one of these tables of it."""
        symbol = query.get("symbol", "")
        if not is_symbol(symbol):
            raise Refusal(HTTPStatus.BAD_REQUEST, "give symbol=A: one symbol of /v1/instruments")
        record = self._cache.instrument(symbol)
        if record is None or not any(grant.sees(f"{symbol} {table}") for table in tables):
            raise Refusal(
                HTTPStatus.NOT_FOUND, f"there is no such table of {symbol!r}; /v1/instruments has the symbols"
            )
        return record

    def _rows(
        self, record: Record, table: TableName, offered: TableName, grant: Grant
    ) -> Generator[None, None, Response]:
        """Make the page of a book or of prints, in steps; `offered` is the table that clients may subscribe to."""
        content, rows = _head(self._context.hub, record, grant), rows_of(self._cache, record, table)
        content |= yield from rows.texts()
        return market_response(content, [f"{record.symbol} {offered}"])


def _candles(
    content: dict[str, Any], parts: Sequence[TableRows], count: int, shows: Sequence[str]
) -> Generator[None, None, Response]:
    """Make the page of candles, in steps; `parts` ascend in time."""
    candles: list[Any] = []
    for part in parts:
        texts = yield from part.texts()
        candles += texts.pop(CANDLES)
        content |= texts
    return market_response(content | {CANDLES: candles[-count:], "more": len(candles) > count}, shows)


def _start(row: Rows) -> int:
    start = row[0]
    assert isinstance(start, int)  # noqa: S101  # for the type checker
    return start


def _head(hub: Hub, record: Record, grant: Grant) -> dict[str, Any]:
    """Return the moment of an answer, and its symbol."""
    return moment_of(hub, grant) | {"symbol": record.symbol}


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "none"

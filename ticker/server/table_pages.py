"""The HTTP pages of tables: `/v1/book`, `/v1/trades` and `/v1/candles`.

They read the stores in the cache and open no table, so that a request leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from ticker.config import WRITTEN_PER_STEP
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.door.grants import Grant
from ticker.market import Field, Reason, Status, is_symbol
from ticker.net.http1 import Refusal, Response
from ticker.protocol.tables import BOOK, TRADES, TableName
from ticker.server.connection import ServerContext
from ticker.server.market_pages import market_response, paid_for
from ticker.server.query import Query, check_keys, parse_count
from ticker.server.table_texts import level_texts, trade_texts

_STATUS, _REASON = int(Field.STATUS), int(Field.REASON)
_OWN_STATES = frozenset({str(Status.HALTED), str(Status.CLOSED)})


class TablePages:
    """The pages of one service's tables."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._cache = context.hub.cache
        self._tables = context.hub.cache.tables.config
        self.routes: dict[str, Callable[[Query, Grant, str], Awaitable[Response]]] = {
            "/v1/book": self.book,
            "/v1/trades": self.trades,
        }
        """The pages by path. Each takes the query, and the grant and the address of its sender, which pays for it."""

    def __repr__(self) -> str:
        return f"<TablePages of {self._context.hub!r}>"

    async def book(self, query: Query, grant: Grant, address: str) -> Response:
        """Return the best levels of a book. Raises `Refusal`."""
        check_keys(query, {"symbol", "depth"})
        depths = self._tables.depths
        depth = parse_count(query, "depth", depths[0] if depths else 0, 10**6)
        if depth not in depths:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"depth={depth}: there are {_listed(depths)}")
        record = self._find(query, grant, [TableName(BOOK, depth)])
        return await paid_for(self._context, self._book(record, depth, grant), grant, address)

    async def trades(self, query: Query, grant: Grant, address: str) -> Response:
        """Return the latest prints. Raises `Refusal`."""
        check_keys(query, {"symbol", "count"})
        counts = self._tables.trades
        count = parse_count(query, "count", 50, max(counts, default=0))
        # A token that opens the latest 50 does not open more.
        record = self._find(query, grant, [TableName(TRADES, each) for each in counts if each >= count])
        return await paid_for(self._context, self._trades(record, count, grant), grant, address)

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

    def _book(self, record: Record, depth: int, grant: Grant) -> Generator[None, None, Response]:
        content = head(self._cache, record, grant) | book_content(self._cache, record, depth)
        yield
        return market_response(content)

    def _trades(self, record: Record, count: int, grant: Grant) -> Generator[None, None, Response]:
        content = head(self._cache, record, grant) | table_marks(self._cache, record, TRADES)
        log = self._cache.trades_of(record.symbol)
        rows = log.latest(count) if log is not None else []
        scales = (log.price_scale, log.size_scale) if log is not None else (0, 0)
        content["trades"] = yield from in_steps(rows, lambda row: trade_texts(row, *scales))
        return market_response(content)


def head(cache: LastValueCache, record: Record, grant: Grant) -> dict[str, Any]:
    """Return the moment of an answer, and its symbol."""
    return {"epoch": cache.epoch + grant.view, "cut": cache.cut, "time": cache.time, "symbol": record.symbol}


def book_content(cache: LastValueCache, record: Record, depth: int) -> dict[str, Any]:
    """Return the best levels of both sides, the best first, and the book's status."""
    book = cache.book_of(record.symbol)
    if book is None:
        return {"bids": [], "asks": [], **table_marks(cache, record, BOOK)}
    bids, asks = (level_texts(side, book.price_scale, book.size_scale) for side in book.top(depth))
    return {"bids": bids, "asks": asks, **table_marks(cache, record, BOOK)}


def table_marks(cache: LastValueCache, record: Record, kind: str) -> dict[str, Any]:
    """Return status and reason of a table: those of the instrument, unless its book has its own."""
    status, reason = record.values.get(_STATUS), record.values.get(_REASON)
    if kind == BOOK:
        book = cache.book_of(record.symbol)
        own, why = (str(Status.STALE), str(Reason.NO_DATA)) if book is None else book.status()
        if own != Status.LIVE or status not in _OWN_STATES:
            status, reason = own, why
    return {name: value for name, value in (("status", status), ("reason", reason)) if value is not None}


def in_steps(rows: Sequence[Any], text: Callable[[Any], Any]) -> Generator[None, None, list[Any]]:
    """Return the texts of rows, made in steps."""
    texts = []
    for at in range(0, len(rows), WRITTEN_PER_STEP):
        texts += [text(row) for row in rows[at : at + WRITTEN_PER_STEP]]
        yield
    return texts


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "none"

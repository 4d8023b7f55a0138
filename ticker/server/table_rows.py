"""The rows of a table at one moment, for a page: found in the cache, and written as texts by `protocol.row_texts`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from ticker.bounds import WRITTEN_PER_STEP
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.tables.bars import MADE_OF_TRADES
from ticker.market import Field, Reason, Rows, Status
from ticker.protocol.row_texts import row_texts
from ticker.protocol.tables import BOOK, CANDLES, TRADES, TableName

_STATUS, _REASON = int(Field.STATUS), int(Field.REASON)
_OWN_STATES = frozenset({str(Status.HALTED), str(Status.CLOSED)})


class TableRows(NamedTuple):
    """Rows of a table at one moment, as on the wire."""

    rows: Mapping[str, Sequence[Rows]]
    """By field: `bids` and `asks` (the best first), `trades` or `candles` (the latest last)."""
    price_scale: int
    size_scale: int
    marks: Mapping[str, str]
    """Status and reason, where there are any."""

    def texts(self) -> Generator[None, None, dict[str, Any]]:
        """Return the rows and marks as texts, made in steps."""
        written: dict[str, Any] = {}
        for field, rows in self.rows.items():
            written[field] = texts = []
            for at in range(0, len(rows), WRITTEN_PER_STEP):
                texts += row_texts(field, rows[at : at + WRITTEN_PER_STEP], self.price_scale, self.size_scale)
                yield
        return written | dict(self.marks)


def rows_of(cache: LastValueCache, record: Record, table: TableName) -> TableRows:
    """Return the rows that a table of this instrument has, without opening it."""
    if table.kind == BOOK:
        return _book_rows(cache, record, table.rows)
    if table.kind == TRADES:
        log = cache.trades_of(record.symbol)
        if log is None:
            return TableRows({TRADES: []}, 0, 0, _marks(record))
        return TableRows({TRADES: log.latest(table.rows)}, log.price_scale, log.size_scale, _marks(record))
    return candle_rows(cache, record, table)


def candle_rows(cache: LastValueCache, record: Record, table: TableName, before: int | None = None) -> TableRows:
    """Return the bars that a table of this instrument has, or those that begin before a time, in seconds."""
    candles = cache.candles_of(record.symbol, table.period)
    if candles is None:
        return TableRows({CANDLES: []}, 0, 0, _marks(record))
    rows = candles.latest(table.rows, before)
    return TableRows({CANDLES: rows}, candles.price_scale, candles.size_scale, _marks(record))


def made_of(cache: LastValueCache, record: Record) -> str:
    """Return what the bars of an instrument are made of, as the metadata of its tables say it."""
    tables = cache.tables.find(record)
    return (None if tables is None or tables.bars is None else tables.bars.source) or MADE_OF_TRADES


def _book_rows(cache: LastValueCache, record: Record, depth: int) -> TableRows:
    book = cache.book_of(record.symbol)
    own, why = (str(Status.STALE), str(Reason.NO_DATA)) if book is None else book.status()
    marks = _marks(record)
    if own != Status.LIVE or marks.get("status") not in _OWN_STATES:
        marks = _present(own, why)
    if book is None:
        return TableRows({"bids": [], "asks": []}, 0, 0, marks)
    bids, asks = ([list(level) for level in zip(side[::2], side[1::2], strict=True)] for side in book.top(depth))
    return TableRows({"bids": bids, "asks": asks}, book.price_scale, book.size_scale, marks)


def _marks(record: Record) -> dict[str, str]:
    return _present(record.values.get(_STATUS), record.values.get(_REASON))


def _present(status: object, reason: object) -> dict[str, str]:
    return {name: str(value) for name, value in (("status", status), ("reason", reason)) if value is not None}

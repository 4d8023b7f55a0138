"""The market as a source has it when it closes a cut, to compare copies with.

Of tables it has what the source's stores hold, read without views, rings of changes or cursors, which edges have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tests.simulation.history import numbers
from tests.tables_model import Row, TablesPast, covers, shown_row, table_fields
from ticker.client.replica import InstrumentState
from ticker.client.table_state import TableState
from ticker.config import Tables
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.tables.instrument_tables import InstrumentTables
from ticker.market import Field, FieldKey, Rows, WireValue

TABLES = Tables(depths=(1, 3), trades=(1, 4), bars=(1, 4), periods=("1m", "5m"))
"""Small ones, so that levels leave views and rings lap."""

Raw: TypeAlias = tuple[Sequence[Rows], int, int]
"""Rows of the wire with their scales of prices and sizes."""


class Past:
    """One instrument at one cut."""

    def __init__(self, record: Record, tables: InstrumentTables | None) -> None:
        self.symbol = record.symbol
        self.scales = record.price_scale, record.size_scale
        self.values = record.present()
        self._book: tuple[Raw, Raw, str, str | None] | None = None
        self._trades: Raw = (), 0, 0
        self._bars: dict[str, Raw] = {}
        self._tables: TablesPast | None = None
        self._fields: Mapping[FieldKey, object] | None = None
        if tables is None:
            return
        if tables.book is not None:
            book, scales = tables.book, (tables.book.price_scale, tables.book.size_scale)
            bids, asks = ((_pairs(side), *scales) for side in book.top(max(TABLES.depths)))
            self._book = bids, asks, *book.status()
        if tables.trades is not None:
            log = tables.trades
            self._trades = _copied(log.latest(max(TABLES.trades))), log.price_scale, log.size_scale
        if tables.bars is not None:
            tables.bars.flush()
            for period, bars in tables.bars.by_period.items():
                self._bars[period] = _copied(bars.latest(max(TABLES.bars))), bars.price_scale, bars.size_scale

    def fields(self) -> Mapping[FieldKey, object]:
        """Its values as numbers."""
        if self._fields is None:
            self._fields = numbers(self.values, *self.scales)
        return self._fields

    def table(self, name: str) -> Mapping[str, object]:
        """One of its tables."""
        if self._tables is None:
            marks = {"status": self.values.get(Field.STATUS), "reason": self.values.get(Field.REASON)}
            sides: dict[str, tuple[Row, ...]] = {}
            book = {"status": "stale", "reason": "no_data"}
            if self._book is not None:
                bids, asks, status, reason = self._book
                sides = {"bids": _shown("bids", bids), "asks": _shown("asks", asks)}
                book = {"status": status} if reason is None else {"status": status, "reason": reason}
            self._tables = TablesPast(
                **sides,
                book=book,
                marks={key: str(value) for key, value in marks.items() if value is not None},
                trades=_shown("trades", self._trades),
                bars={period: _shown("candles", raw) for period, raw in self._bars.items()},
            )
        return self._tables.table(name)


class Market(NamedTuple):
    """All instruments at one cut, by symbol."""

    instruments: Mapping[str, Past]

    def has(self, state: InstrumentState | TableState) -> bool:
        """Whether a copy of an instrument or a table is as here, at any scale."""
        symbol, _, table = state.definition.symbol.partition(" ")
        past = self.instruments.get(symbol)
        if past is None:
            return False
        if isinstance(state, TableState):
            return table_fields(state) == past.table(table)
        return shown_fields(state) == past.fields()

    def shown(self, name: str) -> object:
        """A record for people."""
        symbol, _, table = name.partition(" ")
        past = self.instruments.get(symbol)
        return past and (past.table(table) if table else past.fields())

    def covered(self, names: Sequence[str]) -> set[str]:
        """The instruments, and tables of them, that a client of these names has to have."""
        found: set[str] = set()
        for name in names:
            _, space, table = name.partition(" ")
            found |= {each + space + table for each in self.instruments if covers(name, each + space + table)}
        return found


def market_of(cache: LastValueCache) -> Market:
    """The market as it is in the cache of a source that has just closed a cut."""
    return Market({each.symbol: Past(each, cache.tables.find(each)) for each in cache.instruments})


def shown_fields(state: InstrumentState) -> dict[FieldKey, object]:
    """The values of a copy as numbers."""
    definition = state.definition
    values: dict[FieldKey, WireValue] = state.values
    return dict(numbers(values, definition.price_scale, definition.size_scale))


def shown(state: InstrumentState | TableState) -> object:
    """A copy of a record for people."""
    return table_fields(state) if isinstance(state, TableState) else shown_fields(state)


def _pairs(flat: Rows) -> list[Rows]:
    return [flat[at : at + 2] for at in range(0, len(flat), 2)]


def _copied(rows: Sequence[Rows]) -> list[Rows]:
    return [list(row) for row in rows]


def _shown(name: str, raw: Raw) -> tuple[Row, ...]:
    rows, *scales = raw
    return tuple(shown_row(name, row, (scales[0], scales[1])) for row in rows)

"""The bars of an instrument: those that are there, and each later one as it closes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from ticker.client.bar_times import bar_end, filled, period_seconds
from ticker.client.columns import bar_columns
from ticker.client.frames import pandas_frame, polars_frame
from ticker.client.given import GivenLog, OwedRow
from ticker.client.reader import Reader, moment
from ticker.client.replica import Fields, Replica
from ticker.client.rows import Row, candle_row
from ticker.client.table_reader import TableReader
from ticker.client.table_state import TableState
from ticker.market import Field
from ticker.protocol.messages import Definition
from ticker.protocol.tables import parse_table, split_name

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """The trades of one period, from `start` on."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    """None if it is not known, as of bars made of quotes."""
    trades: int | None
    """The number of trades, None if it is not known."""
    correction: bool = False
    """Whether the loop has had this bar before: a trade came late, and this one counts."""


class Candles(TableReader[Bar]):
    """The latest bars of an instrument. Made by `Client.candles`.

        async with client.candles("BTC-USD", "1m", 300) as candles:
            chart(candles.bars)
            async for bar in candles:
                strategy(bar)

    Entering the block waits until all bars are there. `bars` are those of the present moment, the last of which is
    still open. The loop has each *closed* bar once: at first those that there are, then each as it closes, by the
    service's clock. A bar that changes when it is closed comes again, as a `correction`.

    With `fill`, periods without a trade have bars too: their prices are the last close, their volume is 0.
    """

    def __init__(
        self,
        name: str,
        count: int,
        close: Callable[[Reader[Any]], None],
        replica: Replica,
        *,
        fill: bool,
        held: bool = False,
    ) -> None:
        super().__init__(name, close, replica, held=held)
        table = parse_table(split_name(name)[1])
        self._seconds = period_seconds(table.period if table is not None else "")
        self._most = table.rows if table is not None else count
        self._count = count
        self._fill = fill
        self._bars: list[Bar] = []
        self._fills_at: float = math.inf
        """When there is one more bar to fill, in microseconds."""
        self._given = GivenLog(Field.CANDLES)
        self._closes: float = 0
        """When the next bar closes, in microseconds."""
        self._queue: deque[Bar] = deque()
        """Owed bars, no more than the table has."""

    @property
    def bars(self) -> list[Bar]:
        """The latest bars, as many as were asked for, the last one last; that is the one of now."""
        self._refresh()
        if self._time >= self._fills_at and self._shown is not None and not (self._lost or self._over):
            self._build(self._shown[0])
        return self._bars

    def to_pandas(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the bars as a DataFrame of pandas, by `start` (UTC): numbers are floats, with `exact` `Decimal`.

        Raises `ConfigError` if pandas is not installed.
        """
        return pandas_frame(bar_columns(self.bars), exact=exact)

    def to_polars(self, *, exact: bool = False) -> pl.DataFrame:
        """Return the bars as a DataFrame of polars, `start` in UTC: numbers are floats, with `exact` decimals.

        Raises `ConfigError` if polars is not installed.
        """
        return polars_frame(bar_columns(self.bars), exact=exact)

    def _build(self, state: TableState | None) -> None:
        rows = self._rows_of(state)[-self._count :] if state is not None else []
        # Behind the last bar, not at a multiple of the period: days may begin at another time than midnight UTC.
        filled_to = (cast("int", rows[-1][0]) + self._seconds) * _SECOND if rows else math.inf
        self._fills_at = filled_to if self._fill else math.inf
        self._bars = [_bar(OwedRow(row), state.definition) for row in rows] if state is not None else []

    def _rows_of(self, state: TableState) -> list[Row]:
        rows = state.ordered(Field.CANDLES)
        return filled(rows, self._seconds, self._time // _SECOND, self._most) if self._fill else rows

    def _note(self, changes: Mapping[str, Fields], tables: Collection[str]) -> bool:
        self._changed = super()._note(changes, tables) or self._time >= self._closes
        return self._changed

    def _take(self) -> Bar | None:
        if not self._queue and self._changed:
            self._changed = False
            state = self._replica.find_table(self.name)
            if state is not None:
                self._queue.extend(self._newly_closed(state))
        return self._queue.popleft() if self._queue else None

    def _newly_closed(self, state: TableState) -> list[Bar]:
        rows = self._rows_of(state)
        end = bar_end(cast("int", rows[-1][0]), self._seconds) * _SECOND if rows else float("inf")
        closed = rows if end <= self._time else rows[:-1]
        self._closes = end if end > self._time else float("inf")  # the next bar comes with a change of the table
        first_count = self._count - (len(rows) - len(closed))
        owed = self._given.owed({row[0]: row for row in closed}, state.definition, self._replica.run, first_count)
        return [_bar(each, state.definition) for each in owed]

    def _drop(self) -> None:
        super()._drop()
        self._queue.clear()


def _bar(owed: OwedRow, definition: Definition) -> Bar:
    row = candle_row(owed.row, definition)
    start = moment(row.start * _SECOND)
    return Bar(start, row.open, row.high, row.low, row.close, row.volume, row.trades, owed.correction)

"""The tape of an instrument: each of its trades once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ticker.client.columns import trade_columns
from ticker.client.frames import pandas_frame, polars_frame
from ticker.client.given import GivenLog, OwedRow
from ticker.client.reader import Reader, moment
from ticker.client.replica import Replica
from ticker.client.rows import trade_row
from ticker.client.table_reader import TableReader
from ticker.client.table_state import TableState
from ticker.market import Field
from ticker.protocol.messages import Definition

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True)
class Print:
    """A trade of an instrument, as it is printed on the tape."""

    number: int
    """The service's own number of it, one by one for each instrument."""
    price: Decimal
    size: Decimal
    """0 if the venue has declared the trade void."""
    time: datetime
    """The exchange's time."""
    side: Literal["buy", "sell"] | None
    """The side that took the liquidity, if it is known."""
    id: int | str | None
    """The venue's name of it, if it has one."""
    missed: int = 0
    """Prints right before this one that are lost to this reader, because it was away or did not read for too long."""
    correction: bool = False
    """Whether the reader has had a print with this number before: the venue has changed it, and this one counts."""
    restarted: bool = False
    """Whether the numbers begin anew with this print, as the service has: nobody counted the prints in between."""


class Trades(TableReader[Print]):
    """The trades of an instrument. Made by `Client.trades`.

        async for trade in client.trades("BTC-USD"):
            print(trade.time, trade.side, trade.size, trade.price)
            if trade.missed:
                print(trade.missed, "trades before this one were missed")

    The loop begins with the latest trades that there are, as many as were asked for, and has each later one once. A
    loop that is too slow misses the oldest of those that it has not had, and is told how many: the client keeps as many
    as the table has.
    """

    def __init__(
        self, name: str, count: int, close: Callable[[Reader[Any]], None], replica: Replica, *, held: bool = False
    ) -> None:
        super().__init__(name, close, replica, held=held)
        self._count = count
        self._latest: list[Print] = []
        self._given = GivenLog(Field.TRADES)
        self._queue: deque[Print] = deque()
        """Owed prints, no more than the table has."""

    @property
    def latest(self) -> list[Print]:
        """The latest trades, as many as were asked for, the last one last."""
        self._refresh()
        return self._latest

    def to_pandas(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the latest trades as a DataFrame of pandas by `time`: numbers are floats, with `exact` `Decimal`.

        Raises `ConfigError` if pandas is not installed.
        """
        return pandas_frame(trade_columns(self.latest), exact=exact)

    def to_polars(self, *, exact: bool = False) -> pl.DataFrame:
        """Return the latest trades as a DataFrame of polars: numbers are floats, with `exact` decimals.

        Raises `ConfigError` if polars is not installed.
        """
        return polars_frame(trade_columns(self.latest), exact=exact)

    def _build(self, state: TableState | None) -> None:
        rows = state.ordered(Field.TRADES)[-self._count :] if state is not None else []
        self._latest = [_print(OwedRow(row), state.definition) for row in rows] if state is not None else []

    def _take(self) -> Print | None:
        if not self._queue and self._changed:
            self._changed = False
            state = self._replica.find_table(self.name)
            if state is not None:
                owed = self._given.owed(
                    state.rows[Field.TRADES], state.definition, self._replica.run, first_count=self._count
                )
                self._queue.extend(_print(each, state.definition) for each in owed)
        return self._queue.popleft() if self._queue else None

    def _drop(self) -> None:
        super()._drop()
        self._queue.clear()


def _print(owed: OwedRow, definition: Definition) -> Print:
    row = trade_row(owed.row, definition)
    return Print(
        row.number,
        row.price,
        row.size,
        moment(row.time),
        row.side,
        row.id,
        owed.missed,
        owed.correction,
        owed.restarted,
    )

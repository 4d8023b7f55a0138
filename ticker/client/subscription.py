"""Subscriptions, and the changes that a user iterates over: merged until the user takes them.

The rule of the server holds here too: a slow consumer gets fewer and fuller changes, never old ones. A subscription
without a reader holds at most one value per field, and of a table no more than its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from ticker.client.columns import Column, value_columns
from ticker.client.fields import ChangedFields, Fields
from ticker.client.frames import pandas_frame, polars_frame
from ticker.client.given import GivenTable
from ticker.client.html_table import html_table
from ticker.client.reader import Reader, moment
from ticker.client.replica import Fields as FieldValues
from ticker.client.replica import Replica
from ticker.client.rows import changed_fields
from ticker.client.wanted import FieldSet
from ticker.errors import ConfigError
from ticker.protocol.tables import split_name

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """The changes of all the subscription's instruments and tables at one moment of the market.

    `cut` is the number of that moment and `time` its time by the server's clock. `changes` are the changed fields by
    name: prices and sizes as `Decimal`, None for a field that was withdrawn. Those of a table are the rows that changed
    (`bids` and `asks`, `trades` or `candles`).
    """

    cut: int
    time: datetime
    changes: Mapping[str, ChangedFields] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Change cut={self.cut} names={len(self.changes)}>"


class Subscription(Reader[Change]):
    """An endless asynchronous iterator of `Change`; the first one has the present values and rows, all of them.

    It ends when the client is closed, or when it is closed itself (`async with` does that). A client that gives up
    ends it with `ConnectionFailed`.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        close: Callable[[Reader[Any]], None],
        replica: Replica,
        *,
        held: bool = False,
        fields: FieldSet = None,
    ) -> None:
        super().__init__(names, close, held=held)
        self.fields = fields
        self._shown = None if fields is None else {*fields, "status", "reason"}
        self._replica = replica
        self._pending: dict[str, FieldValues] = {}
        self._tables: dict[str, None] = {}
        """Tables that changed since the last change was taken."""
        self._given: dict[str, GivenTable] = {}

    def __repr__(self) -> str:
        names = ", ".join(self.names[:3]) + f" and {len(self.names) - 3} more" * (len(self.names) > 3)
        pending = len(self._pending) + len(self._tables)
        return f"<Subscription to {names or 'nothing'} pending={pending}{' ended' * self._over}>"

    def _repr_html_(self) -> str:
        """Return the present values as a notebook shows them."""
        return html_table(value_columns(self.values, self.fields))

    @property
    def values(self) -> dict[str, Fields]:
        """The present values of its instruments, by symbol."""
        found = {symbol: self._replica.find(symbol) for symbol in self.select(self._replica.symbols)}
        return {symbol: cast("Fields", state.present()) for symbol, state in found.items() if state is not None}

    def to_pandas(self, *, exact: bool = False) -> pd.DataFrame:
        """Return the present values of its instruments as a DataFrame of pandas by symbol, as `ticker.to_pandas` does.

        Raises `ConfigError` if it has tables only, whose readers have such a method, and if pandas is not installed.
        """
        return pandas_frame(self._columns("to_pandas"), exact=exact)

    def to_polars(self, *, exact: bool = False) -> pl.DataFrame:
        """Return the present values of its instruments as a DataFrame of polars, as `ticker.to_polars` does.

        Raises `ConfigError` if it has tables only, and if polars is not installed.
        """
        return polars_frame(self._columns("to_polars"), exact=exact)

    def _columns(self, method: str) -> list[Column]:
        if self.names and all(split_name(name)[1] for name in self.names):
            text = "has tables only; what client.book(), client.trades() and client.candles() return has this method"
            raise ConfigError(f"{method}: the subscription to {self.names[0]!r} {text}")
        return value_columns(self.values, self.fields)

    def _note(self, changes: Mapping[str, FieldValues], tables: Collection[str]) -> bool:
        """Add the changes of its names to the pending ones."""
        for symbol in self.select(changes.keys()):
            fields = changes[symbol]
            if self._shown is not None:
                fields = {name: fields[name] for name in self._shown & fields.keys()}
            if fields:
                self._pending.setdefault(symbol, {}).update(fields)
        if tables:
            self._tables.update(dict.fromkeys(self.select(tables)))
        return bool(self._pending or self._tables)

    def _take(self) -> Change | None:
        changes, self._pending = self._pending, {}
        tables, self._tables = self._tables, {}
        for name in tables:
            state = self._replica.find_table(name)
            given = self._given.setdefault(name, GivenTable())
            owed = given.owed(state)
            if owed and given.definition is not None:
                changes[name] = changed_fields(owed, given.definition)
            if state is None:
                del self._given[name]
        if not changes:
            return None
        return Change(self._cut, moment(self._time), cast("dict[str, ChangedFields]", changes))

    def _drop(self) -> None:
        self._pending.clear()
        self._tables.clear()

"""The rows of a table that a reader has been given, and what it is owed since. Pure.

As the server does it for its clients, what a reader is owed is computed when it takes it, and never queued: so a slow
reader costs a copy of the table, however much has happened meanwhile.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

from ticker.client.rows import Row, TableValues
from ticker.client.table_state import FIELDS_OF, RowsByKey, TableState, ordered, rescaled
from ticker.market import Field, FieldKey, WireValue
from ticker.protocol.messages import Definition
from ticker.protocol.tables import BOOK


class GivenTable:
    """What one reader has been given of one table."""

    __slots__ = ("_definition", "_is_book", "_rows", "_values")

    def __init__(self) -> None:
        self._definition: Definition | None = None
        self._is_book = False
        self._values: dict[FieldKey, WireValue] = {}
        self._rows: dict[int, RowsByKey] = {}

    @property
    def definition(self) -> Definition | None:
        """The definition by which the numbers that are owed are read; None before anything was given."""
        return self._definition

    def owed(self, state: TableState | None) -> TableValues:
        """Return what the table has that was not given, and take it as given; empty if there is nothing.

        Levels that are gone have no size. Without a state, the copy does not hold the table any more: its levels are
        gone; trades and bars stay true.
        """
        if state is None:
            return self._withdrawn()
        if self._definition is not None and self._definition is not state.definition:
            self._rows = {
                field: rescaled(field, rows, self._definition, state.definition) for field, rows in self._rows.items()
            }
        self._definition, self._is_book = state.definition, state.table.kind == BOOK
        rows: TableValues = {field: self._changed_rows(field, now) for field, now in state.rows.items()}
        values: dict[FieldKey, WireValue] = dict.fromkeys(self._values.keys() - state.values.keys())
        values |= {key: value for key, value in state.values.items() if self._values.get(key) != value}
        self._rows = {field: dict(now) for field, now in state.rows.items()}
        self._values = dict(state.values)
        if not values and not any(rows.values()):
            return {}
        return {**rows, **values}

    def _changed_rows(self, field: int, now: RowsByKey) -> list[Row]:
        given = self._rows.get(field, {})
        changed = {key: row for key, row in now.items() if given.get(key) != row}
        if self._is_book:
            changed |= {key: (key, None) for key in given if key not in now}
        return ordered(field, changed, self._definition.price_scale if self._definition is not None else 0)

    def _withdrawn(self) -> TableValues:
        scale = self._definition.price_scale if self._definition is not None else 0
        gone: TableValues = dict.fromkeys(self._values)
        if self._is_book and any(self._rows.values()):
            for field in FIELDS_OF[BOOK]:
                gone[field] = ordered(field, {key: (key, None) for key in self._rows[field]}, scale)
        self._values = {}
        self._rows = {field: {} for field in self._rows} if self._is_book else self._rows
        return gone


class OwedRow(NamedTuple):
    """A row of a log that a reader is owed."""

    row: Row
    missed: int = 0
    """Numbers between the highest one given before and this one."""
    correction: bool = False
    """Whether the reader has had a row with this key, or with a higher one."""
    restarted: bool = False
    """Whether the keys begin anew."""


class GivenLog:
    """What one reader has been given of the rows of a log, of which each is given once, and again when it changes."""

    __slots__ = ("_begun", "_definition", "_field", "_first", "_last", "_restarted", "_rows", "_run")

    def __init__(self, field: Field) -> None:
        self._field = field
        self._definition: Definition | None = None
        self._rows: RowsByKey = {}
        self._first: float = -math.inf
        """The lowest key that can be owed: those before it were not asked for."""
        self._last: int | None = None
        self._begun = False
        self._run = 0
        self._restarted = False
        """Whether the next row is the first one of another life of the server."""

    def owed(self, rows: RowsByKey, definition: Definition, run: int, first_count: int) -> list[OwedRow]:
        """Return the rows that were not given, in their order, and take them as given; at first the latest ones only.

        `run` is the number of the server's life (`Replica.run`): in another one, keys mean the same only where a row
        is the same.
        """
        given = self._rows
        if self._definition is not None and self._definition is not definition:
            given = rescaled(self._field, given, self._definition, definition)
        if run != self._run and self._last is not None and all(rows.get(key) != row for key, row in given.items()):
            self._restarted, given, self._last, self._first = True, {}, None, -math.inf
        self._rows, self._definition, self._run = dict(rows), definition, run
        keys = sorted(cast("dict[int, Row]", rows))
        if not self._begun:
            self._begun = True
            before, keys = keys[: max(0, len(keys) - first_count)], keys[max(0, len(keys) - first_count) :]
            if before:
                self._last, self._first = before[-1], before[-1] + 1
        owed = []
        for key in keys:
            row, last = rows[key], self._last
            if last is None or key > last:
                owed.append(OwedRow(row, key - last - 1 if last is not None else 0, restarted=self._restarted))
                self._last, self._restarted = key, False
            elif key >= self._first and given.get(key) != row:
                owed.append(OwedRow(row, correction=True))
        return owed

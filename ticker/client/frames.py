"""Tables of pandas and polars, where these libraries are installed.

Numbers are floats, as everything in these libraries expects; with `exact` they are exact decimals, and slower. Times
are in UTC with microseconds, statuses and sides are categories, and counts are integers that may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticker.client.columns import CATEGORIES, Column, Kind, table_columns, value_columns
from ticker.client.fields import Fields
from ticker.client.rows import LevelChange
from ticker.errors import ConfigError
from ticker.protocol.tables import parse_table, split_name

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_DIGITS = 38
"""Of an exact number of polars."""


def to_pandas(values: Mapping[str, Fields], *, exact: bool = False) -> pd.DataFrame:
    """Return the present values of instruments, such as a `snapshot` has, as a DataFrame of pandas by symbol.

    All standard fields have a column, and so have the feed's own ones. Tables among the instruments are left out. Of a
    single table by itself these are the rows: levels from the best one on, or trades or bars by time. With `exact`,
    numbers are `Decimal`, not floats. Raises `ConfigError` for several tables without an instrument, which are not one
    frame, for the changes of a book, which are none, and if pandas is not installed.
    """
    return pandas_frame(_columns("to_pandas", values), exact=exact)


def to_polars(values: Mapping[str, Fields], *, exact: bool = False) -> pl.DataFrame:
    """Return the present values of instruments, or a table's rows, as a DataFrame of polars, as `to_pandas` does."""
    return polars_frame(_columns("to_polars", values), exact=exact)


def _columns(function: str, values: Mapping[str, Fields]) -> list[Column]:
    tables = [table for name in values if (table := parse_table(split_name(name)[1])) is not None]
    if len(tables) < len(values) or not tables:
        return value_columns(values)
    if len(tables) > 1:
        which = f"{next(iter(values))!r} is one of {len(tables)} tables, each a frame of its own"
        raise ConfigError(f"{function}: {which}: ticker.{function}({{name: values[name]}})")
    name, fields = next(iter(values.items()))
    if any(isinstance(row, LevelChange) for rows in fields.values() if isinstance(rows, list) for row in rows):
        raise ConfigError(f"{function}: {name!r}: these are levels that changed; the book is in the client's `values`")
    return table_columns(tables[0], fields)


def pandas_frame(columns: list[Column], *, exact: bool = False) -> pd.DataFrame:
    """Return a table by its first column. Raises `ConfigError` without pandas."""
    pandas = _library("pandas")

    def array(column: Column) -> Any:  # noqa: ANN401  # an array of a library that may not be there
        kind, cells = column.kind, column.cells
        if kind is Kind.NUMBER:
            return pandas.array(cells, dtype=object) if exact else pandas.array(_floats(cells), dtype="float64")
        if kind is Kind.TIME:
            return pandas.DatetimeIndex(cells, dtype="datetime64[us, UTC]")
        if kind in CATEGORIES:
            return pandas.Categorical(cells, categories=CATEGORIES[kind])
        return pandas.array(cells, dtype="Int64" if kind is Kind.COUNT else "string")

    first, *others = columns
    index = pandas.Index(array(first), name=first.name)
    frame: pd.DataFrame = pandas.DataFrame({column.name: array(column) for column in others}, index=index)
    return frame


def polars_frame(columns: list[Column], *, exact: bool = False) -> pl.DataFrame:
    """Return a table. Raises `ConfigError` without polars."""
    polars = _library("polars")

    def series(column: Column) -> Any:  # noqa: ANN401
        kind, cells = column.kind, column.cells
        if kind is Kind.NUMBER and exact:
            return polars.Series(column.name, cells, dtype=polars.Decimal(_DIGITS, _scale(column)))
        if kind is Kind.NUMBER:
            return polars.Series(column.name, _floats(cells), dtype=polars.Float64)
        if kind in CATEGORIES:
            return polars.Series(column.name, cells, dtype=polars.Enum(CATEGORIES[kind]))
        types = {Kind.TIME: polars.Datetime("us", "UTC"), Kind.COUNT: polars.Int64, Kind.TEXT: polars.String}
        return polars.Series(column.name, cells, dtype=types[kind])

    frame: pl.DataFrame = polars.DataFrame([series(column) for column in columns])
    return frame


def _floats(cells: list[Decimal | None]) -> list[float | None]:
    return [None if cell is None else float(cell) for cell in cells]


def _scale(column: Column) -> int:
    """Return the number of decimal places that a column needs. Raises `ConfigError` for one with too many digits."""
    numbers = [Decimal(cell).as_tuple() for cell in column.cells if cell is not None]
    scale = max((-int(number.exponent) for number in numbers), default=0)
    whole = max((len(number.digits) + int(number.exponent) for number in numbers), default=0)
    if max(scale, 0) + max(whole, 0) > _DIGITS:
        raise ConfigError(f"to_polars: {column.name} needs more than the {_DIGITS} digits of polars; use to_pandas")
    return max(scale, 0)


def _library(name: str) -> Any:  # noqa: ANN401  # a module that may not be there
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(f"to_{name}: {name} is not installed; pip install 'ticker-push[frames]'") from None

"""Bars as tables of pandas and polars, where these libraries are installed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticker.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ticker.client.candles import Bar

_NUMBERS = ("open", "high", "low", "close", "volume")


def pandas_frame(bars: Sequence[Bar]) -> pd.DataFrame:
    """Return bars as a DataFrame of pandas, indexed by their start. Raises `ConfigError` without pandas."""
    pandas = _library("pandas", "to_pandas")
    index = pandas.DatetimeIndex([bar.start for bar in bars], name="start", dtype="datetime64[us, UTC]")
    columns = {name: pandas.array(_floats(bars, name), dtype="float64") for name in _NUMBERS}
    columns["trades"] = pandas.array([bar.trades for bar in bars], dtype="Int64")
    frame: pd.DataFrame = pandas.DataFrame(columns, index=index)
    return frame


def polars_frame(bars: Sequence[Bar]) -> pl.DataFrame:
    """Return bars as a DataFrame of polars. Raises `ConfigError` without polars."""
    polars = _library("polars", "to_polars")
    columns = {
        "start": [bar.start for bar in bars],
        **{name: _floats(bars, name) for name in _NUMBERS},
        "trades": [bar.trades for bar in bars],
    }
    types = dict.fromkeys(_NUMBERS, polars.Float64)
    schema = {"start": polars.Datetime("us", "UTC"), **types, "trades": polars.Int64}
    frame: pl.DataFrame = polars.DataFrame(columns, schema=schema)
    return frame


def _floats(bars: Sequence[Bar], name: str) -> list[float | None]:
    numbers: list[Decimal | None] = [getattr(bar, name) for bar in bars]
    return [None if number is None else float(number) for number in numbers]


def _library(name: str, method: str) -> Any:  # noqa: ANN401  # a module that may not be there
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(f"{method}: {name} is not installed; pip install {name}") from None

"""Older bars, read by somebody other than the writer: each time with a connection of its own."""

from __future__ import annotations

from pathlib import Path

from ticker.history.bar_store import Bars, find_series, latest_bars
from ticker.history.database import faults, open_to_read

NO_BARS = Bars(0, 0, [])


def read_bars(path: Path, name: tuple[str, str, str], before: int, most: int) -> Bars:
    """Return the latest bars that start before a time in seconds. `name` is symbol, period and the beginning of a day.

    Blocks. Raises `HistoryFault`.
    """
    connection = open_to_read(path)
    try:
        with faults(path):
            series = find_series(connection, *name)
            return NO_BARS if series is None else latest_bars(connection, series.number, most, before)
    finally:
        connection.close()

"""`ticker history export`: the candles that a service has kept, as CSV or Parquet, also while it runs."""

from __future__ import annotations

import codecs
import csv as csv_format
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import App, Parameter

from ticker.commands.output_files import check_outputs, load_arrow, print_result, writing
from ticker.config import History
from ticker.errors import ConfigError, HistoryFault
from ticker.history.bar_store import Series, StoredBar, all_series
from ticker.history.database import faults, open_to_read
from ticker.history.history_file import history_path
from ticker.history.reading import Span, Widths, bars_in, widths_of
from ticker.market import Cell, is_symbol
from ticker.numbers import MAX_INTEGER, decimal_text
from ticker.protocol.symbols import is_pattern, matcher
from ticker.texts import printable
from ticker_feeds.recordings.table import escaped

ROWS = 20_000
"""Rows held in memory at a time, and rows per row group of a Parquet file."""

COLUMNS = ("symbol", "period", "start", "open", "high", "low", "close", "volume", "count")

_DIGITS = 38
"""Digits of a 128-bit decimal: scaled integers of 53 bits fit at any scale."""

history_app = App(
    name="history",
    help="Export the candles that a service has kept.",
    help_format="plaintext",
    backend="trio",
    result_action="return_value",
)


@history_app.command
def export(  # noqa: PLR0913  # one parameter per flag
    *,
    csv: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    parquet: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    symbols: Annotated[list[str] | None, Parameter(negative=())] = None,
    period: Annotated[list[str] | None, Parameter(negative=())] = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    file: Path | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write candles as a table: a row for each, by symbol and period, ascending in time.

    Columns: symbol, period, start (UTC), open, high, low, close, volume (empty where it is not known: bars of quotes)
    and count (of trades). The last bar of a symbol may still be open. The service may run meanwhile.

    Parameters
    ----------
    csv
        The CSV file to write, or - for stdout.
    parquet
        The Parquet file to write, or - for stdout; needs pyarrow (pip install 'ticker-push[parquet]'). Prices and
        sizes are decimals.
    symbols
        Symbol or pattern, such as 'EUR*'. Repeat the flag for more. [default: all]
    period
        Period of the candles, such as 1m. Repeat the flag for more. [default: all]
    from_
        First time: 2026-11-28 or 2026-11-28T09:30, UTC unless it says otherwise. [default: the first bar]
    to
        Time up to which bars may start, itself left out. [default: the last bar]
    file
        The file of the history. [default: history.sqlite in the data folder]
    force
        Replace files that exist.
    """
    check_outputs(parquet, csv, force=force)
    span = Span(_seconds("--from", from_, -MAX_INTEGER), _seconds("--to", to, MAX_INTEGER))
    if span.start >= span.end:
        raise ConfigError("--from is not before --to: there is no time between them")
    path = file if file is not None else history_path(History())
    if not path.exists():
        raise ConfigError(f"{path}: no history there; name the file of `history.file` with --file")
    try:
        with closing(open_to_read(path)) as connection:
            with faults(path):
                chosen = _chosen(all_series(connection), symbols, period)
            source = _Source(chosen, lambda each: _bars(path, bars_in(connection, each, span, ROWS)))
            if parquet is not None:
                with faults(path):
                    widths = [widths_of(connection, each, span) for each in chosen]
                print_result(_write_parquet(source, widths, parquet, force=force), parquet)
            if csv is not None:
                print_result(_write_csv(source, csv, force=force), csv)
    except HistoryFault as fault:
        raise ConfigError(str(fault)) from fault


class _Source(NamedTuple):
    """The series to export, and a function that reads the bars of one in pieces."""

    series: Sequence[Series]
    read: Callable[[Series], Iterator[list[StoredBar]]]

    def pieces(self) -> Iterator[tuple[Series, list[StoredBar]]]:
        """Yield all bars; meanwhile show their number on a terminal."""
        count, shown = 0, sys.stderr.isatty()
        for series in self.series:
            for rows in self.read(series):
                yield series, rows
                count += len(rows)
                if shown:
                    print(f"\r{count} rows", end="", file=sys.stderr, flush=True)
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _bars(path: Path, bars: Iterator[list[StoredBar]]) -> Iterator[list[StoredBar]]:
    """Yield bars that are read from this file; what goes wrong with them elsewhere is no fault of it."""
    with faults(path):
        yield from bars


def _seconds(flag: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ConfigError(f"{flag} {printable(text)}: give a time such as 2026-11-28 or 2026-11-28T09:30") from None


def _chosen(series: Sequence[Series], symbols: Sequence[str] | None, periods: Sequence[str] | None) -> list[Series]:
    """Return the series that the flags name. Raises `ConfigError` if one of the flags names none."""
    for name in symbols or ():
        if not is_symbol(name) and not is_pattern(name):
            several = "; for more than one, repeat the flag" if "," in name else ""
            raise ConfigError(f"--symbols {printable(name)}: neither a symbol nor a pattern{several}")
        if not any(map(matcher([name]), {each.symbol for each in series})):
            raise ConfigError(f"--symbols {printable(name)}: the history has no candles of it")
    there = {each.period for each in series}
    for period in periods or ():
        if period not in there:
            raise ConfigError(
                f"--period {printable(period)}: the history has {', '.join(sorted(there)) or 'no candles'}"
            )
    match = matcher(symbols or ["*"])
    return [each for each in series if match(each.symbol) and (periods is None or each.period in periods)]


def _write_csv(source: _Source, path: Path, *, force: bool) -> int:
    count = 0
    with writing(path, force=force) as file:
        writer = csv_format.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
        writer.writerow(COLUMNS)
        for series, rows in source.pieces():
            symbol = escaped(series.symbol)
            for start, price_scale, size_scale, *prices, volume, number in rows:
                time = datetime.fromtimestamp(start, UTC).isoformat().replace("+00:00", "Z")
                texts = [_text(price, price_scale) for price in prices]
                writer.writerow([symbol, series.period, time, *texts, _text(volume, size_scale), number])
            count += len(rows)
    return count


def _text(value: Cell, scale: int) -> str | None:
    return decimal_text(value, scale) if isinstance(value, int) else value


def _write_parquet(source: _Source, widths: Sequence[Widths], path: Path, *, force: bool) -> int:
    arrow, parquet = load_arrow()
    scales = [max((each[at] for each in widths), default=0) for at in (0, 1)]
    texts = any(each.texts for each in widths)
    price, size = (arrow.string() if texts else arrow.decimal128(_DIGITS, scale) for scale in scales)
    types = [arrow.string(), arrow.string(), arrow.timestamp("s", tz="UTC"), *[price] * 4, size, arrow.int64()]
    schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
    count = 0
    with writing(path, force=force) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for series, rows in source.pieces():
            cells = [_cells(series, row) if texts else _decimals(series, row, *scales) for row in rows]
            columns = zip(*cells, strict=True) if cells else [()] * len(COLUMNS)
            arrays = [arrow.array(column, kind) for column, kind in zip(columns, types, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            count += len(rows)
    return count


def _cells(series: Series, row: StoredBar) -> tuple[Any, ...]:
    start, price_scale, size_scale, *prices, volume, number = row
    texts = [_text(price, price_scale) for price in prices]
    return (series.symbol, series.period, start, *texts, _text(volume, size_scale), number)


def _decimals(series: Series, row: StoredBar, price_scale: int, size_scale: int) -> tuple[Any, ...]:
    """Return a row with numbers at these scales; finer ones can only have come since the scales were looked up."""
    *key, open_, high, low, close, volume, number = _cells(series, row)
    if row[1] > price_scale or row[2] > size_scale or any(isinstance(cell, str) for cell in row[3:8]):
        raise ConfigError(f"{series.symbol}: its prices have become finer meanwhile; run the command again")
    prices = [Decimal(each) for each in (open_, high, low, close)]
    return (*key, *prices, None if volume is None else Decimal(volume), number)

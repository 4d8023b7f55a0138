"""`ticker export`: a recording as a table, with a row for each update and a column for each field.

A recording is played twice: first for the columns, then for the rows, in groups of bounded size.
"""

from __future__ import annotations

import codecs
import csv as csv_format
import json
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ticker.commands.exported_rows import ExportedRow, RecordedMarket
from ticker.commands.output_files import check_outputs, load_arrow, print_result, writing
from ticker.market import Kind, Value, field_key, field_kind
from ticker_feeds.recordings import Capture
from ticker_feeds.recordings.table import EXCHANGE_TIME, SYMBOL, TIME, WITHDRAWN, column_of, escaped

ROWS = 20_000
"""Rows held in memory at a time, and rows per row group of a Parquet file."""

_DIGITS = 38
"""Maximum number of digits of a 128-bit decimal."""


def export(
    capture: Path,
    *,
    parquet: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    csv: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    trades: Annotated[bool, Parameter(negative=())] = False,
    force: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write a recording as a table: a row for each update, in order, and a column for each field.

    Columns: `time` (of the recording), `symbol`, then the fields; the field `time` is `exchange_time`. A feed's own
    fields that are no texts have their kind behind the name (`rate.decimal`, `trades.integer`). An empty cell is a
    field that did not change; `withdrawn` has the names of those that were withdrawn. `replay` plays both formats, as
    the market that was recorded. In CSV, texts that a spreadsheet would run as a formula begin with an apostrophe.

    With --trades, a row for each trade instead: `time`, `symbol`, `exchange_time`, `price`, `size`, `side`, `id`; one
    that was corrected has another row with its id. Order books and candles are not exported: `replay` plays them from
    the recording itself.

    Parameters
    ----------
    capture
        A file of `ticker record`; the files that continue it are read as well.
    parquet
        The Parquet file to write, or - for stdout; needs pyarrow (pip install 'ticker-push[parquet]'). Prices and
        sizes are decimals.
    csv
        The CSV file to write, or - for stdout.
    trades
        Write the trades.
    force
        Replace files that exist.
    """
    check_outputs(parquet, csv, force=force)
    source = Capture(str(capture))
    if parquet is not None:
        print_result(export_parquet(source, parquet, force=force, trades=trades), parquet)
    if csv is not None:
        print_result(export_csv(source, csv, force=force, trades=trades), csv)


class Column:
    """The values of a column: their field and kind, and the digits that hold all of them."""

    def __init__(self, field: str, value: Value) -> None:
        self.field = field
        self.type: type = type(value)
        self.decimal = isinstance(value, Decimal) or field_kind(field_key(field)) in {Kind.PRICE, Kind.SIZE}
        self.whole = self.places = 0
        """Maximum number of digits before and after the decimal point."""

    def __repr__(self) -> str:
        kind = f"decimal({self.whole}, {self.places})" if self.decimal else self.type.__name__
        return f"<{type(self).__name__} {self.field}: {kind}>"

    def add(self, value: Value) -> None:
        """Widen the column for a value."""
        if self.decimal:
            whole, _, places = format(Decimal(str(value)), "f").lstrip("-").partition(".")
            self.whole, self.places = max(self.whole, len(whole)), max(self.places, len(places))


class Table:
    """Columns of a recording, and its rows. `columns` are those of fields, by name."""

    def __init__(self, capture: Capture) -> None:
        self.columns: dict[str, Column] = {}
        market = RecordedMarket(capture)
        for row in market.rows():
            for name, value in row.fields.items():
                column = column_of(name, value)
                if column != EXCHANGE_TIME:
                    self.columns.setdefault(column, Column(name, value)).add(value)
        self.instruments = market.instruments
        self.names = [TIME, SYMBOL, EXCHANGE_TIME, *self.columns, WITHDRAWN]
        """All columns, in order."""
        self._capture = capture
        self._places = {name: at for at, name in enumerate(self.names)}

    def rows(self) -> Iterator[list[Any]]:
        """Yield the values of each row, None where there is none."""
        for row in RecordedMarket(self._capture).rows():
            yield self._cells(row)

    def _cells(self, row: ExportedRow) -> list[Any]:
        cells: list[Any] = [None] * len(self.names)
        cells[0], cells[1], cells[-1] = row.time, row.symbol, " ".join(row.withdrawn) or None
        for name, value in row.fields.items():
            cells[self._places[column_of(name, value)]] = value
        return cells


class TradesTable:
    """The trades of a recording, with the columns that all of them have."""

    def __init__(self, capture: Capture) -> None:
        self.columns = {
            "price": Column("last", "0"),
            "size": Column("last_size", "0"),
            "side": Column("note", ""),
            "id": Column("note", ""),
        }
        market = RecordedMarket(capture)
        for _, trade in market.trades():
            self.columns["price"].add(trade.price)
            self.columns["size"].add(trade.size)
        self.instruments = market.instruments
        self.names = [TIME, SYMBOL, EXCHANGE_TIME, *self.columns]
        """All columns, in order."""
        self._capture = capture

    def rows(self) -> Iterator[list[Any]]:
        """Yield the values of each row, None where there is none."""
        for time, trade in RecordedMarket(self._capture).trades():
            venue_id = None if trade.id is None else str(trade.id)
            yield [time, trade.symbol, trade.time, trade.price, trade.size, trade.side, venue_id]


def export_csv(capture: Capture, path: Path, *, force: bool = False, trades: bool = False) -> int:
    """Write a CSV file in the layout that `replay` plays; return the number of rows. Raises `ConfigError`."""
    table = TradesTable(capture) if trades else Table(capture)
    texts = {1, *(at for at, name in enumerate(table.names, 0) if name in table.columns and _is_text(table, name))}
    count = 0
    with writing(path, force=force) as file:
        writer = csv_format.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
        writer.writerow(table.names)
        for count, row in enumerate(table.rows(), 1):  # noqa: B007  # counted as they are written
            for at in texts:
                if row[at] is not None:
                    row[at] = escaped(row[at])
            writer.writerow(format(cell, "f") if isinstance(cell, Decimal) else cell for cell in row)
    return count


def _is_text(table: Table | TradesTable, name: str) -> bool:
    column = table.columns[name]
    return not column.decimal and column.type is not int


def export_parquet(capture: Capture, path: Path, *, force: bool = False, trades: bool = False) -> int:
    """Write a Parquet file; return the number of rows. Raises `ConfigError`, also if pyarrow is not installed."""
    arrow, parquet = load_arrow()
    table = TradesTable(capture) if trades else Table(capture)
    schema = _schema(arrow, table)
    count = 0
    with writing(path, force=force) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _groups(table.rows()):
            columns = [
                arrow.array(map(_converter(arrow, field.type), column), field.type)
                for field, column in zip(schema, zip(*rows, strict=True), strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _schema(arrow: Any, table: Table | TradesTable) -> Any:  # noqa: ANN401  # pyarrow has no types
    types = []
    for name in table.names:
        column = table.columns.get(name)
        if column is None:
            types.append(arrow.timestamp("us", tz="UTC") if name in {TIME, EXCHANGE_TIME} else arrow.string())
        elif column.decimal and column.whole + column.places <= _DIGITS:
            types.append(arrow.decimal128(max(1, column.whole) + column.places, column.places))
        else:
            types.append(arrow.int64() if column.type is int and not column.decimal else arrow.string())
    described = json.dumps([asdict(each) for each in table.instruments.values()], ensure_ascii=False)
    fields = [arrow.field(name, each) for name, each in zip(table.names, types, strict=True)]
    return arrow.schema(fields, metadata={"instruments": described})


def _converter(arrow: Any, wanted: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Return a function from a field's value to a value of the column's type."""
    if arrow.types.is_decimal(wanted):
        return lambda value: None if value is None else Decimal(value)
    if arrow.types.is_string(wanted):
        return lambda value: None if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)
    return lambda value: value


def _groups(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    group: list[list[Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS:
            yield group
            group = []
    if group:
        yield group

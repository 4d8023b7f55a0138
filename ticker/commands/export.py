"""`ticker export`: a recording as a table, with a row for each update and a column for each field.

A recording is read twice: first for the columns, then for the rows, in groups of bounded size.
"""

from __future__ import annotations

import csv as csv_format
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from ticker.errors import BadPublication, ConfigError
from ticker.market import Instrument, Kind, Publication, Update, Value, Withdrawal, field_key, field_kind, parse_decimal
from ticker_feeds.recordings import Capture

ROWS = 20_000
"""Rows held in memory at a time, and rows per row group of a Parquet file."""

_DIGITS = 38
"""Maximum number of digits of a 128-bit decimal."""


def export(
    capture: Path,
    *,
    parquet: Path | None = None,
    csv: Path | None = None,
) -> None:
    """Write the updates of a recording as a table: a row for each, in order, and a column for each field.

    Columns: `time` (of the recording), `symbol`, then the fields; the field `time` becomes `exchange_time`.
    An empty cell is a field that did not change. If anything was withdrawn there is a column `withdrawn`:
    the names of the fields, or * for all.

    Parameters
    ----------
    capture
        A file of `ticker record`; the files that continue it are read as well.
    parquet
        The Parquet file to write; needs pyarrow (pip install 'ticker-push[parquet]'). Prices and sizes are decimals.
    csv
        The CSV file to write, in the layout that `replay` plays.
    """
    if parquet is None and csv is None:
        raise ConfigError("export: give --parquet FILE or --csv FILE")
    source = Capture(str(capture))
    if parquet is not None:
        _print_result(export_parquet(source, parquet), parquet)
    if csv is not None:
        _print_result(export_csv(source, csv), csv)


def _print_result(count: int, path: Path) -> None:
    print(f"{count} rows in {path}", file=sys.stderr, flush=True)


class Column:
    """Type and precision that hold all values of a field."""

    def __init__(self, name: str) -> None:
        self.kind = field_kind(field_key(name))
        self.whole = self.places = 0
        """Maximum number of digits before and after the decimal point."""
        self.decimal = self.kind in {Kind.PRICE, Kind.SIZE}
        self.integer = not self.decimal

    def __repr__(self) -> str:
        kind = f"decimal({self.whole}, {self.places})" if self.decimal else "integer" if self.integer else "text"
        return f"<{type(self).__name__} of {kind}>"

    def add(self, value: Value) -> None:
        """Widen the column for a value."""
        self.integer = self.integer and (value is None or type(value) is int)
        if not self.decimal or value is None:
            return
        try:
            digits, places = parse_decimal(value)
        except BadPublication:
            self.decimal = False  # the service refuses it; the table has it as text
            return
        self.places = max(self.places, places)
        self.whole = max(self.whole, len(str(abs(digits))) - places)


class Contents:
    """Columns and instruments of a recording."""

    def __init__(self, capture: Capture) -> None:
        self.columns: dict[str, Column] = {}
        self.instruments: dict[str, Instrument] = {}
        self.has_withdrawals = False
        for _, publication in _publications(capture):
            if isinstance(publication, Instrument):
                self.instruments[publication.symbol] = publication
            elif isinstance(publication, Update):
                for name, value in publication.fields.items():
                    self.columns.setdefault(name, Column(name)).add(value)
                    self.has_withdrawals = self.has_withdrawals or value is None
            else:
                self.has_withdrawals = True

    def names(self) -> list[str]:
        """Return the names of the table's columns."""
        return ["time", "symbol", *map(_column_name, self.columns), *(["withdrawn"] if self.has_withdrawals else [])]

    def rows(self, capture: Capture) -> Iterator[list[Any]]:
        """Yield the rows of the table."""
        for time, publication in _publications(capture):
            if isinstance(publication, Instrument):
                continue
            fields = publication.fields if isinstance(publication, Update) else {}
            row: list[Any] = [time, publication.symbol, *map(fields.get, self.columns)]
            if self.has_withdrawals:
                withdrawn = [name for name, value in fields.items() if value is None]
                row.append("*" if isinstance(publication, Withdrawal) else " ".join(withdrawn) or None)
            yield row


def export_csv(capture: Capture, path: Path) -> int:
    """Write a CSV file in the layout that `replay` plays; return the number of rows."""
    contents = Contents(capture)
    count = 0
    with _replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv_format.writer(file, lineterminator="\n")
        writer.writerow(contents.names())
        for count, row in enumerate(contents.rows(capture), 1):  # noqa: B007  # counted as they are written
            writer.writerow(row)
    return count


def export_parquet(capture: Capture, path: Path) -> int:
    """Write a Parquet file; return the number of rows. Raises `ConfigError` if pyarrow is not installed."""
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(f"--parquet needs pyarrow: pip install 'ticker-push[parquet]' ({error})") from error
    contents = Contents(capture)
    schema = _schema(arrow, contents)
    count = 0
    with _replacing(path) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        for rows in _groups(contents.rows(capture)):
            columns = [
                arrow.array(map(_converter(arrow, field.type), column), field.type)
                for field, column in zip(schema, zip(*rows, strict=True), strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _schema(arrow: Any, contents: Contents) -> Any:  # noqa: ANN401  # pyarrow has no types
    types = [arrow.timestamp("us", tz="UTC"), arrow.string()]
    for name, column in contents.columns.items():
        if name == "time" and column.integer:
            types.append(arrow.timestamp("us", tz="UTC"))
        elif column.decimal and column.whole + column.places <= _DIGITS:
            types.append(arrow.decimal128(max(1, column.whole) + column.places, column.places))
        else:
            types.append(arrow.int64() if column.integer else arrow.string())
    if contents.has_withdrawals:
        types.append(arrow.string())
    described = json.dumps([asdict(each) for each in contents.instruments.values()], ensure_ascii=False)
    fields = [arrow.field(name, each) for name, each in zip(contents.names(), types, strict=True)]
    return arrow.schema(fields, metadata={"instruments": described})


def _converter(arrow: Any, wanted: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """Return a function from a field's value to a value of the column's type."""
    if arrow.types.is_decimal(wanted):
        return lambda value: None if value is None else Decimal(value)
    if arrow.types.is_string(wanted):
        return lambda value: None if value is None else str(value)
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


def _publications(capture: Capture) -> Iterator[tuple[int, Publication]]:
    for moments in capture.chunks():
        for time, publications in moments:
            for publication in publications:
                yield time, publication


def _column_name(name: str) -> str:
    """Return a field's column name, different from the names of the table's own columns."""
    return "exchange_time" if name == "time" else f"{name}_field" if name in {"symbol", "withdrawn"} else name


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` once it is complete. Raises `ConfigError`."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)

"""Recordings as tables: a row for each update, a column for each field.

A recording is read twice: first to learn which columns there are, then to write the rows, some at a time.
"""

from __future__ import annotations

import csv
import json
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
"""So many rows are held at a time, and make a row group of a Parquet file."""

_DIGITS = 38
"""The most digits of a decimal of 128 bits."""


class Column:
    """What a field's values in a recording have in common."""

    def __init__(self, name: str) -> None:
        self.kind = field_kind(field_key(name))
        self.whole = self.places = 0
        """The most digits before and behind the decimal point."""
        self.decimal = self.kind in {Kind.PRICE, Kind.SIZE}
        self.integer = not self.decimal

    def note(self, value: Value) -> None:
        """Take a value into account."""
        self.integer = self.integer and (value is None or type(value) is int)
        if not self.decimal or value is None:
            return
        try:
            digits, places = parse_decimal(value)
        except BadPublication:
            self.decimal = False  # the service refuses it; here it is shown as the text that it is
            return
        self.places = max(self.places, places)
        self.whole = max(self.whole, len(str(abs(digits))) - places)


class Contents:
    """What a recording holds, besides its rows."""

    def __init__(self, capture: Capture) -> None:
        self.columns: dict[str, Column] = {}
        self.instruments: dict[str, Instrument] = {}
        self.withdraws = False
        for _, publication in _publications(capture):
            if isinstance(publication, Instrument):
                self.instruments[publication.symbol] = publication
            elif isinstance(publication, Update):
                for name, value in publication.fields.items():
                    self.columns.setdefault(name, Column(name)).note(value)
                    self.withdraws = self.withdraws or value is None
            else:
                self.withdraws = True

    def names(self) -> list[str]:
        """The columns of the table."""
        return ["time", "symbol", *map(_column_name, self.columns), *(["withdrawn"] if self.withdraws else [])]

    def rows(self, capture: Capture) -> Iterator[list[Any]]:
        """The rows of the table."""
        for time, publication in _publications(capture):
            if isinstance(publication, Instrument):
                continue
            fields = publication.fields if isinstance(publication, Update) else {}
            row: list[Any] = [time, publication.symbol, *map(fields.get, self.columns)]
            if self.withdraws:
                gone = [name for name, value in fields.items() if value is None]
                row.append("*" if isinstance(publication, Withdrawal) else " ".join(gone) or None)
            yield row


def export_csv(capture: Capture, path: Path) -> int:
    """Write a CSV file in the layout that `replay` plays; returns the number of its rows."""
    contents = Contents(capture)
    count = 0
    with _replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(contents.names())
        for count, row in enumerate(contents.rows(capture), 1):  # noqa: B007  # counted as they are written
            writer.writerow(row)
    return count


def export_parquet(capture: Capture, path: Path) -> int:
    """Write a Parquet file; returns the number of its rows. Raises `ConfigError` where pyarrow is not installed."""
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
    if contents.withdraws:
        types.append(arrow.string())
    described = json.dumps([asdict(each) for each in contents.instruments.values()], ensure_ascii=False)
    fields = [arrow.field(name, each) for name, each in zip(contents.names(), types, strict=True)]
    return arrow.schema(fields, metadata={"instruments": described})


def _converter(arrow: Any, wanted: Any) -> Any:  # noqa: ANN401  # pyarrow has no types
    """What makes of a field's value one that a column of this type takes."""
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
    """`time` is when it was recorded; a field's name that is taken gets another."""
    return "exchange_time" if name == "time" else f"{name}_field" if name in {"symbol", "withdrawn"} else name


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file that takes the place of `path` once it is complete."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)

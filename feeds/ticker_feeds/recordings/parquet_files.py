"""Parquet files of recorded updates: those of `ticker export`, and tables of other programs by the names of columns.

Needs pyarrow. The columns mean the same as in CSV (`ticker_feeds.recordings.row_layout`), and values have types: a
decimal, an integer and a text stay as they are. A float is read as the shortest decimal that stands for it, which is
the number that its writer meant.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

from ticker.errors import BadPublication, ConfigError, count_cause
from ticker.market import Instrument, Kind, Update, Value, is_symbol
from ticker.texts import shown
from ticker_feeds.parsing import BadInput, encode_symbol
from ticker_feeds.recordings.columns import Columns, FieldColumn, find_columns
from ticker_feeds.recordings.row_layout import Row, TableOptions, read_decimal, read_integer
from ticker_feeds.recordings.table import NO_VALUE
from ticker_feeds.recordings.times import ReadTime, check_unit, exact_microseconds, iso_time, time_reader

MAGIC = b"PAR1"

CHUNK_ROWS = 250
"""Rows that are read in one go."""

_Convert: TypeAlias = Callable[[object], Value]
"""From a value of the file to that of a field. Raises `BadInput`."""

_READERS: Mapping[Kind | str | None, Callable[[str], Value]] = {"integer": read_integer, "decimal": read_decimal}
"""Readers of texts in columns of a feed's own integers and decimals."""

_log = logging.getLogger(__name__)


class ParquetRecording:
    """A Parquet file of recorded updates, read from its beginning by each call of `chunks`.

    `instruments` are those that the file declares. `skipped` counts rows and cells that could not be used, by cause.

    Raises `ConfigError` for a file that cannot be read, or without columns that can be used, or if pyarrow is missing.
    """

    def __init__(self, path: str, options: TableOptions) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._symbol = options.symbol
        if options.delimiter is not None or options.decimal_comma:
            raise ConfigError(f"{path}: delimiter and decimal are options of CSV files; this is Parquet")
        try:
            self._arrow, self._parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError as error:
            raise ConfigError(f"{path}: Parquet needs pyarrow: pip install 'ticker-push[parquet]' ({error})") from error
        try:
            with self._opened() as file:
                names = file.schema_arrow.names
                self._columns = find_columns(names, options.symbol, options.columns)
                self._names = [names[at] for at in _places(self._columns)]
                types = [file.schema_arrow.field(at).type for at in range(len(names))]
                self._time = self._time_of(self._columns.time, types, options)
                self._converters = [self._converter(each, types, options) for each in self._columns.fields]
                self.instruments = _instruments(file.schema_arrow.metadata)
                self._check_first(file, options)
        except (OSError, self._arrow.ArrowException) as error:
            raise ConfigError(f"{path}: cannot be read as Parquet ({error})") from error
        except (ConfigError, BadPublication) as error:
            raise ConfigError(f"{path}: {error}") from error

    def chunks(self) -> Generator[list[Row], None, None]:
        """The file's rows in order, up to `CHUNK_ROWS` at a time. Raises `OSError` where the file is gone by now."""
        number = 0
        with self._opened() as file:
            try:
                for batch in file.iter_batches(CHUNK_ROWS, columns=self._names, use_threads=False):
                    cells = zip(*(self._values(batch.column(name)) for name in self._names), strict=True)
                    rows = [self._row(at, row) for at, row in enumerate(cells, number + 1)]
                    number += len(rows)
                    yield [row for row in rows if row is not None]
            except self._arrow.ArrowException as error:
                self._skip(number + 1, BadInput("breaks off", str(error)))

    def _opened(self) -> Any:  # noqa: ANN401  # pyarrow has no types
        return self._parquet.ParquetFile(self.path, pre_buffer=False)

    def _time_of(self, at: int, types: Sequence[Any], options: TableOptions) -> Callable[[object], int]:
        return _time_reader(options, self._columns.time_unit, self._arrow.types.is_timestamp(types[at]))

    def _converter(self, column: FieldColumn, types: Sequence[Any], options: TableOptions) -> _Convert:
        if column.name == "time":
            return self._time_of(column.at, types, options)
        return partial(_value, _READERS.get(column.kind), self._columns.withdrawn is not None)

    def _values(self, column: Any) -> list[Any]:  # noqa: ANN401  # pyarrow has no types
        """A column's values; points in time as microseconds, unless they are in no zone."""
        arrow = self._arrow
        if arrow.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(arrow.timestamp("us", tz=column.type.tz), safe=False).cast(arrow.int64())
        elif arrow.types.is_timestamp(column.type):
            column = column.cast(arrow.timestamp("us"), safe=False)
        values: list[Any] = column.to_pylist()
        return values

    def _row(self, number: int, cells: Sequence[Any]) -> Row | None:
        time_cell, symbol, withdrawn, *values = cells
        if self._symbol is not None:
            symbol = self._symbol
        elif isinstance(symbol, str) and self._columns.withdrawn is None:
            symbol = encode_symbol(symbol)
        if not is_symbol(symbol):
            self._skip(number, BadInput("bad symbol", shown(symbol)))
            return None
        try:
            time = self._time(time_cell)
        except BadInput as error:
            self._skip(number, error)
            return None
        fields: dict[str, Value] = {} if self._columns.has_time_field else {"time": time}
        for column, convert, value in zip(self._columns.fields, self._converters, values, strict=True):
            # A float that is no number is not equal to itself.
            if value is not None and value == value:  # noqa: PLR0124
                try:
                    read = convert(value)
                except BadInput as error:
                    fields[column.name] = None
                    self._skip(number, BadInput(error.cause, f"{column.name}: {error}"))
                else:
                    if read is not None:
                        fields[column.name] = read
        if self._columns.withdrawn is not None and withdrawn:
            fields.update(dict.fromkeys(withdrawn.split(" ")))
        return Row(time, Update(symbol, fields))

    def _check_first(self, file: Any, options: TableOptions) -> None:  # noqa: ANN401  # pyarrow has no types
        """Raise `ConfigError` where the first row's time was not meant as it would be read."""
        kind = file.schema_arrow.field(self._columns.time).type
        if options.time_unit or self._columns.time_unit or not self._arrow.types.is_integer(kind):
            return
        for batch in file.iter_batches(1, columns=self._names[:1], use_threads=False):
            check_unit(str(batch.column(0)[0].as_py()))
            return

    def _skip(self, number: int, error: BadInput) -> None:
        if count_cause(self.skipped, error.cause):
            _log.warning("%s, row %d: %s; skipped, and from now on only counted", self.path, number, error)


def _places(columns: Columns) -> list[int]:
    """The places of the time, the symbol, the withdrawn fields and the fields; the time's where there is none."""
    time = columns.time
    marks = (time if at is None else at for at in (columns.symbol, columns.withdrawn))
    return [time, *marks, *(each.at for each in columns.fields)]


def _instruments(metadata: dict[bytes, bytes] | None) -> list[Instrument]:
    """The instruments in the metadata of an exported file. Raises `BadPublication`."""
    try:
        described = json.loads((metadata or {}).get(b"instruments", b"[]"))
        return [Instrument(**each) for each in described]
    except (ValueError, TypeError) as error:
        raise BadPublication(f"the instruments in its metadata cannot be read ({error})") from error


def _time_reader(options: TableOptions, unit: str | None, is_timestamp: bool) -> Callable[[object], int]:  # noqa: FBT001
    # Points in time come as microseconds, or as datetimes without a zone.
    read = exact_microseconds if is_timestamp else time_reader(options.time_unit or unit, options.zone)
    return partial(_time, read, options)


def _time(read: ReadTime, options: TableOptions, value: object) -> int:
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, date):
        return iso_time(value.isoformat(), options.zone)
    return read(format(value, "f") if isinstance(value, Decimal) else str(value))


def _value(read: Callable[[str], Value] | None, exported: bool, value: object) -> Value:  # noqa: FBT001
    if isinstance(value, str):
        if not exported and value.strip() in NO_VALUE:
            return None
        return value if read is None else read(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite():
        text = format(value, "f")  # without the zeros that fill the column's places
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
    if isinstance(value, date):
        return value.isoformat()
    if type(value) is int:
        return value
    raise BadInput("bad value", f"{shown(value)} is a {type(value).__name__}")

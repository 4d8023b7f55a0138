"""The layouts of recorded market data: from one line of text to one update. No files, no clock, no event loop.

A recording is text with one row per line; cells are separated by commas (or `;`, `|`, tabs) and quoted with " where
needed. There are two layouts, told apart by line 1:

**Table.** Line 1 names the columns, in any order: `time`, `symbol` (unless the symbol is given beside the file), and
any fields, standard (`bid`, `ask_size`, ...) or the file's own; `ticker_feeds.recordings.columns` says by which
other names they are known. A cell that is empty, `nan`, `None`, `null`, `NA` or `-` is no value: "no change".

- `time`: a number is microseconds since 1970-01-01 UTC, or as `time_unit` says; anything else is ISO 8601, in
  UTC (or `time_zone`) unless it has an offset. Digits finer than a microsecond are cut off. With a column
  `exchange_time` the update's time is that one, and `time` is only when the row is due.
- All other cells are handed over as they stand: the publisher reads numbers exactly, and withdraws unreadable ones.
- The tables of `ticker export` (`ticker_feeds.recordings.table`) have a column `withdrawn`.

**Quotes.** No line of names, three numbers per line: `milliseconds since midnight UTC,bid,ask`, also with fractions of
milliseconds. The date is the YYYYMMDD in the file's name, of the csv itself or of its archive. The symbol is
given beside the file, or in the name too: `20140508_eurusd_tick_quote.csv`, `oanda-eurusd-20140508_quote.zip`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal
from functools import partial
from typing import NamedTuple, TypeAlias

from ticker.errors import BadPublication, ConfigError
from ticker.market import Kind, Update, Value, is_symbol
from ticker.numbers import MAX_INTEGER, parse_decimal
from ticker_feeds.parsing import BadInput, encode_symbol
from ticker_feeds.recordings.columns import Columns, FieldColumn, find_columns, parse_columns
from ticker_feeds.recordings.table import NO_VALUE, unescaped
from ticker_feeds.recordings.times import (
    ReadTime,
    check_unit,
    exact_microseconds,
    time_of_day_reader,
    time_reader,
    time_zone,
)

DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

Read: TypeAlias = Callable[[str], Value]
"""From a cell to a value. Raises `BadInput`."""

_UNSIGNED = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_INTEGER = re.compile(r"-?[0-9]{1,16}")
_WITH_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
_THOUSANDS = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)")
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")
_DATE_IN_NAME = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])")
_SYMBOL_IN_NAME = re.compile(r"(?:[0-9]{8}_([a-z0-9]+)[_.]|[a-z0-9]+-([a-z0-9]+)-[0-9]{8}(?![0-9]))", re.IGNORECASE)
_NUMBERS = {Kind.PRICE, Kind.SIZE, Kind.INTEGER}


class Row(NamedTuple):
    """One line of a recording: when it is due, in microseconds since 1970 UTC, and its update."""

    time: int
    update: Update


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Facts about a file of rows that it does not contain itself."""

    symbol: str | None = None
    """The symbol of all rows."""
    columns: Mapping[str, str] | None = None
    """Fields to names of columns."""
    delimiter: str | None = None
    decimal_comma: bool = False
    time_unit: str | None = None
    zone: tzinfo = UTC

    @classmethod
    def of(
        cls,
        *,
        symbol: str | None = None,
        columns: str | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        time_unit: str | None = None,
        time_zone: str | None = None,
    ) -> TableOptions:
        """Return the options of a feed spec. Raises `ConfigError`."""
        symbol = None if symbol is None else encode_symbol(symbol)
        if symbol is not None and not is_symbol(symbol):
            raise ConfigError(f"symbol {symbol[:80]!r} cannot be a symbol: it has none of , * ? [ ]")
        between = DELIMITERS.get(delimiter, delimiter) if delimiter is not None else None
        if between is not None and (len(between) != 1 or between.isalnum() or between in '".-+\r\n'):
            raise ConfigError(f"delimiter {delimiter!r}: give one of {', '.join(DELIMITERS)}, or a character")
        if decimal not in {None, "comma", "point"}:
            raise ConfigError(f"decimal {decimal!r}: give comma or point")
        time_reader(time_unit, UTC)
        return cls(
            symbol,
            None if columns is None else parse_columns(columns),
            between,
            decimal == "comma",
            time_unit,
            UTC if time_zone is None else _zone(time_zone),
        )


_zone = time_zone
_DEFAULTS = TableOptions()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in a line everything stands, and how it is read. Rows begin at the file's line `first_line`."""

    first_line: int
    width: int
    symbol: str
    time_at: int
    time: ReadTime
    fields: Sequence[tuple[int, str, Read | None]]
    symbol_at: int | None = None
    withdrawn_at: int | None = None
    has_time_field: bool = False
    """Whether the field `time` has a column of its own."""
    delimiter: str = ","
    checks: Sequence[Callable[[Sequence[str]], None]] = ()
    """Checks of the first row: whether it was meant as it would be read. Each raises `ConfigError`."""

    def row(self, line: str, bad_cell: Callable[[BadInput], None] = lambda _error: None) -> Row:
        """Return the row in a line; `bad_cell` gets the error of a cell that costs only itself.

        Raises `BadInput` for a line that is no row.
        """
        cells = self._cells(line)
        if self.symbol_at is None:
            symbol = self.symbol
        else:
            cell = cells[self.symbol_at]
            symbol = encode_symbol(cell) if self.withdrawn_at is None else unescaped(cell)
        if not is_symbol(symbol):
            raise BadInput("bad symbol", repr(symbol))
        time = self.time(cells[self.time_at])
        fields: dict[str, Value] = {} if self.has_time_field else {"time": time}
        for at, name, read in self.fields:
            cell = cells[at]
            if cell in NO_VALUE:
                continue
            if read is None:
                fields[name] = cell
                continue
            try:
                fields[name] = read(cell)
            except BadInput as error:
                # A value that cannot be read is not known any more.
                fields[name] = None
                bad_cell(BadInput(error.cause, f"{name}: {error}"))
        if self.withdrawn_at is not None and cells[self.withdrawn_at]:
            fields.update(dict.fromkeys(cells[self.withdrawn_at].split(" ")))
        return Row(time, Update(symbol, fields))

    def check(self, line: str) -> None:
        """Raise `ConfigError` where a first row was not meant as it would be read, and `BadInput` if it is none."""
        cells = self._cells(line)
        for check in self.checks:
            check(cells)

    def _cells(self, line: str) -> list[str]:
        # The texts of an exported table may begin and end with spaces.
        cells = _cells(line, self.delimiter, strip=self.withdrawn_at is None)
        if len(cells) != self.width:
            raise BadInput("wrong number of cells", f"{len(cells)} instead of {self.width}")
        return cells


def find_layout(line: str, names: Sequence[str], options: TableOptions = _DEFAULTS) -> Layout:
    """The layout of a recording with this line 1 and these file names.

    Raises `ConfigError` or `BadInput` for a file in neither layout.
    """
    delimiter = options.delimiter or _delimiter(line)
    cells = _cells(line, delimiter)
    if len(cells) == 3 and all(_UNSIGNED.fullmatch(cell) for cell in cells):
        return _quotes(names, options, delimiter)
    return _table(find_columns(cells, options.symbol, options.columns), len(cells), options, delimiter)


def _delimiter(line: str) -> str:
    """The one that stands in a line of names; commas if that is not clear."""
    found = [each for each in DELIMITERS.values() if each in line]
    return found[0] if len(found) == 1 else ","


def _quotes(names: Sequence[str], options: TableOptions, delimiter: str) -> Layout:
    dates = [found[0] for name in names if (found := _DATE_IN_NAME.search(name))]
    symbols = [(found[1] or found[2]).upper() for name in names if (found := _SYMBOL_IN_NAME.match(name))]
    if not dates or not (options.symbol or symbols):
        raise ConfigError(
            "line 1 is numbers, not names: for quotes, the file's name says date and symbol, as in"
            " 20140508_eurusd_tick_quote.csv or oanda-eurusd-20140508_quote.zip; rename it, or name the columns"
        )
    if options.columns is not None:
        raise ConfigError("columns: line 1 is numbers, not names of columns; add a line of names")
    time = time_of_day_reader(dates[0], options.zone)
    fields = ((1, "bid", None), (2, "ask", None))
    return Layout(1, 3, options.symbol or symbols[0], 0, time, fields, delimiter=delimiter)


def _table(columns: Columns, width: int, options: TableOptions, delimiter: str) -> Layout:
    unit = options.time_unit or columns.time_unit
    exported = columns.withdrawn is not None
    time = exact_microseconds if exported and unit is None else time_reader(unit, options.zone)
    checks: list[Callable[[Sequence[str]], None]] = []
    if unit is None and not exported:
        checks.append(lambda cells: check_unit(cells[columns.time]))
    if not options.decimal_comma and not exported:
        checks.append(partial(_check_commas, [each for each in columns.fields if each.kind in _NUMBERS]))
    return Layout(
        2,
        width,
        options.symbol or "",
        columns.time,
        time,
        [(each.at, each.name, _reader(each, time, options, exported=exported)) for each in columns.fields],
        columns.symbol,
        columns.withdrawn,
        has_time_field=columns.has_time_field,
        delimiter=delimiter,
        checks=checks,
    )


def _check_commas(numbers: Sequence[FieldColumn], cells: Sequence[str]) -> None:
    for each in numbers:
        if _WITH_COMMA.fullmatch(cells[each.at]):
            raise ConfigError(f"{each.name} {cells[each.at]!r}: for numbers with a decimal comma give decimal=comma")


def _reader(column: FieldColumn, time: ReadTime, options: TableOptions, *, exported: bool) -> Read | None:
    """Return the reader of a column's cells; None if they are handed over as they stand."""
    if column.name == "time":
        return time
    if column.kind == "integer":
        return read_integer
    if column.kind == "decimal":
        return _decimal_with_comma if options.decimal_comma else read_decimal
    if column.kind is Kind.INTEGER:
        return _count
    if column.kind in _NUMBERS:
        return _number_with_comma if options.decimal_comma else None
    return unescaped if exported else None


def read_integer(cell: str) -> int:
    """Return the value of a feed's own integer. Raises `BadInput`."""
    if _INTEGER.fullmatch(cell) is None or abs(int(cell)) > MAX_INTEGER:
        raise BadInput("bad number", f"{cell!r} is not a whole number below 2**53")
    return int(cell)


def _count(cell: str) -> Value:
    """A `trade_count`: whatever is no whole number is left to the publisher."""
    return int(cell) if _INTEGER.fullmatch(cell) else cell


def read_decimal(cell: str) -> Decimal:
    """Return the value of a feed's own decimal. Raises `BadInput`."""
    try:
        parse_decimal(cell)
    except BadPublication as error:
        raise BadInput("bad number", str(error)) from error
    return Decimal(cell)


def _number_with_comma(cell: str) -> str:
    """A number with a decimal comma, with a point; points between its thousands are left out."""
    thousands = _THOUSANDS.fullmatch(cell)
    if thousands is not None:
        return f"{thousands[1].replace('.', '')}.{thousands[2]}"
    if "." in cell:
        raise BadInput("bad number", f"{cell!r} has a point where a comma is expected")
    return cell.replace(",", ".", 1)


def _decimal_with_comma(cell: str) -> Decimal:
    return read_decimal(_number_with_comma(cell))


def _cells(line: str, delimiter: str, *, strip: bool = True) -> list[str]:
    if not line.isascii() and _NOT_UTF_8.search(line):
        raise BadInput("not UTF-8", repr(line))
    if '"' not in line:
        cells = line.rstrip("\r\n").split(delimiter)
    else:
        # A reader for each line, because one for the file would look for the end of a stray quote in the next lines.
        try:
            cells = next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise BadInput("bad quoting", str(error)) from error
    return [cell.strip() for cell in cells] if strip else cells

"""The layouts of recorded market data: from one line of text to one update. No files, no clock, no event loop.

A recording is text with one row per line; cells are separated by commas and quoted with " where needed. There are two
layouts, told apart by line 1:

**Table.** Line 1 names the columns, in any order: `time`, `symbol` (unless the symbol is given beside the file), and
any fields, standard (`bid`, `ask_size`, ...) or the file's own. An empty cell means "no change".

- `time`: digits alone are microseconds since 1970-01-01 UTC; anything else is ISO 8601, in UTC unless it has an offset.
  Digits finer than a microsecond are cut off.
- Prices and sizes are decimals, kept exactly; `trade_count` is a whole number; all other fields, the file's own among
  them, are texts as they stand.

**Quotes.** No line of names, three numbers per line: `milliseconds since midnight UTC,bid,ask`, also with fractions of
milliseconds. The date is the YYYYMMDD in the file's name, of the csv itself or of its archive. The symbol is
given beside the file, or in the name too: `20140508_eurusd_tick_quote.csv`, `oanda-eurusd-20140508_quote.zip`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from ticker.errors import BadPublication, ConfigError
from ticker.market import (
    FIELDS,
    MAX_FIELDS,
    MAX_INTEGER,
    MAX_SCALE,
    MAX_TEXT,
    Kind,
    Update,
    Value,
    field_key,
    field_kind,
    is_symbol,
    parse_decimal,
    scale_up,
)
from ticker_feeds.parsing import BadInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_DIGITS = re.compile(r"[0-9]+")
_MILLISECONDS = re.compile(r"([0-9]{1,8})(?:\.([0-9]*))?")
_UNSIGNED = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_WHOLE = re.compile(r"-?[0-9]{1,16}")
_DATE_IN_NAME = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])")
_SYMBOL_IN_NAME = re.compile(r"(?:[0-9]{8}_([a-z0-9]+)[_.]|[a-z0-9]+-([a-z0-9]+)-[0-9]{8}(?![0-9]))", re.IGNORECASE)
_COLUMNS = f"line 1 names the columns: time, symbol, and fields such as {', '.join(list(FIELDS)[:5])}"


class Row(NamedTuple):
    """One line of a recording. `time` is in microseconds since 1970 UTC, and stands in the update as well."""

    time: int
    update: Update


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in a line everything stands, and how it is read. Rows begin at the file's line `first_line`."""

    first_line: int
    width: int
    symbol: str
    symbol_at: int | None
    time_at: int
    time: Callable[[str], int]
    fields: Sequence[tuple[int, str, Callable[[str], Value]]]

    def row(self, line: str) -> Row:
        """Return the row in a line. Raises `BadInput` for one that does not parse."""
        cells = _cells(line)
        if len(cells) != self.width:
            raise BadInput("wrong number of cells", f"{len(cells)} instead of {self.width}")
        symbol = self.symbol if self.symbol_at is None else cells[self.symbol_at]
        if not is_symbol(symbol):
            raise BadInput("bad symbol", repr(symbol))
        time = self.time(cells[self.time_at])
        fields: dict[str, Value] = {"time": time}
        for at, name, read in self.fields:
            if cells[at]:
                fields[name] = read(cells[at])
        return Row(time, Update(symbol, fields))


def find_layout(line: str, names: Sequence[str], symbol: str | None) -> Layout:
    """The layout of a recording with this line 1 and these file names; `symbol` is that of all rows, where it is given.

    Raises `ConfigError` or `BadInput` for a file in neither layout.
    """
    if symbol is not None and not is_symbol(symbol):
        raise ConfigError(f"symbol {symbol[:80]!r} cannot be a symbol: it has no spaces and none of * ? [ ]")
    cells = _cells(line)
    if len(cells) == 3 and all(_UNSIGNED.fullmatch(cell) for cell in cells):
        return _quotes(names, symbol)
    return _table(cells, symbol)


def _quotes(names: Sequence[str], symbol: str | None) -> Layout:
    dates = [found[0] for name in names if (found := _DATE_IN_NAME.search(name))]
    symbols = [(found[1] or found[2]).upper() for name in names if (found := _SYMBOL_IN_NAME.match(name))]
    if not dates or not (symbol or symbols):
        raise ConfigError(
            "line 1 is numbers, not names: for quotes, the file's name says date and symbol, as in"
            " 20140508_eurusd_tick_quote.csv or oanda-eurusd-20140508_quote.zip; rename it, or name the columns"
        )
    time = partial(_time_of_day, _iso_time(dates[0]))
    return Layout(1, 3, symbol or symbols[0], None, 0, time, ((1, "bid", _decimal), (2, "ask", _decimal)))


def _table(columns: list[str], symbol: str | None) -> Layout:
    for column in columns:
        try:
            field_key(column)
        except BadPublication as error:
            raise ConfigError(f"{error}; {_COLUMNS}") from error
        if columns.count(column) > 1:
            raise ConfigError(f"column {column} stands there twice; {_COLUMNS}")
    if "time" not in columns:
        raise ConfigError(f"there is no column time; {_COLUMNS}")
    if "symbol" not in columns and symbol is None:
        raise ConfigError(f"there is no column symbol: add it, or give the option symbol; {_COLUMNS}")
    if "symbol" in columns and symbol is not None:
        raise ConfigError("there is a column symbol: leave out the option symbol")
    places = {name: at for at, name in enumerate(columns)}
    symbol_at, time_at = places.pop("symbol", None), places.pop("time")
    if not 1 <= len(places) < MAX_FIELDS:
        raise ConfigError(f"{len(places)} fields beside symbol and time; give 1 to {MAX_FIELDS - 1}; {_COLUMNS}")
    fields = [(at, name, _READERS[field_kind(field_key(name))]) for name, at in places.items()]
    return Layout(2, len(columns), symbol or "", symbol_at, time_at, _time, fields)


def _cells(line: str) -> list[str]:
    if "\ufffd" in line:
        raise BadInput("not UTF-8", repr(line))
    if '"' not in line:
        return [cell.strip() for cell in line.split(",")]
    # A reader for each line, because one for the file would look for the end of a stray quote in the lines that follow.
    try:
        return [cell.strip() for cell in next(csv.reader([line], strict=True))]
    except csv.Error as error:
        raise BadInput("bad quoting", str(error)) from error


def _decimal(cell: str) -> str:
    try:
        digits, places = parse_decimal(cell)
        if places > MAX_SCALE:
            raise BadInput("bad number", f"{cell!r} has more than {MAX_SCALE} decimal places")
        scale_up(digits, places, places)
    except BadPublication as error:
        raise BadInput("bad number", str(error)) from error
    return cell


def _whole(cell: str) -> int:
    if _WHOLE.fullmatch(cell) is None or abs(int(cell)) > MAX_INTEGER:
        raise BadInput("bad number", f"{cell!r} is not a whole number below 2**53")
    return int(cell)


def _text(cell: str) -> str:
    if len(cell) > MAX_TEXT:
        raise BadInput("text too long", f"{len(cell)} characters, at most {MAX_TEXT}")
    return cell


_READERS: dict[Kind | None, Callable[[str], Value]] = {
    Kind.PRICE: _decimal,
    Kind.SIZE: _decimal,
    Kind.INTEGER: _whole,
    Kind.TEXT: _text,
    None: _text,
}


def _time(cell: str) -> int:
    """A table's time, in microseconds."""
    if _DIGITS.fullmatch(cell) is None:
        return _iso_time(cell)
    if len(cell) > 16 or int(cell) > MAX_INTEGER:
        raise BadInput("bad time", f"{cell!r} microseconds are not below 2**53")
    return int(cell)


def _iso_time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("bad time", f"{text!r} is neither microseconds nor ISO 8601") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    microseconds = since // timedelta(microseconds=1)
    if abs(microseconds) > MAX_INTEGER:
        raise BadInput("bad time", f"{text!r} is not within 2**53 microseconds of 1970")
    return microseconds


def _time_of_day(midnight: int, cell: str) -> int:
    """A quote's time, in microseconds."""
    found = _MILLISECONDS.fullmatch(cell)
    if found is None:
        raise BadInput("bad time", f"{cell!r} is not a number of milliseconds within a day")
    microseconds = int(found[1]) * 1_000 + int((found[2] or "")[:3].ljust(3, "0"))
    if microseconds > _DAY:
        raise BadInput("bad time", f"{cell!r} is not a number of milliseconds within a day")
    return midnight + microseconds

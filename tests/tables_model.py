"""Books, prints and bars as a test keeps them itself: what every client's copy of a table has to be at a cut.

It is written from the vocabulary's docstrings and PROTOCOL.md, with plain dicts of Decimals and nothing of the code
under test: whole tables are computed anew each time, where the service keeps views, rings and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeAlias

from ticker.client.table_state import TableState
from ticker.market import Candle, Levels, Trade, field_name
from ticker.protocol.tables import COLUMNS

_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US

CROSSED_US = 5_000_000
"""A book that is crossed for longer than this is stale."""

PERIODS = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}

Row: TypeAlias = tuple[Any, ...]
TableFields: TypeAlias = dict[str, Any]
"""A table as a test compares it: rows by their key under the name of their field, beside `status` and `reason`."""


def number(value: str | Decimal | int) -> Decimal | None:
    """The number that a feed's value is; None for one that nobody can read."""
    if isinstance(value, bool) or not isinstance(value, str | Decimal | int):
        return None
    try:
        found = Decimal(value)
    except ArithmeticError:
        return None
    return found if found.is_finite() and found.adjusted() < 40 else None


@dataclass(frozen=True)
class TablesPast:
    """One instrument's tables at one cut, and its own status and reason."""

    bids: tuple[Row, ...] = ()
    """The best first."""
    asks: tuple[Row, ...] = ()
    book: Mapping[str, str] = field(default_factory=lambda: {"status": "stale", "reason": "no_data"})
    """Status and reason of the book."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Those of the instrument."""
    trades: tuple[Row, ...] = ()
    bars: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    def table(self, text: str) -> TableFields:
        """The table with this name: `book:2`."""
        kind, *period, rows = text.split(":")
        count = int(rows)
        if kind == "book":
            sides: TableFields = {"bids": dict(self.bids[:count]), "asks": dict(self.asks[:count])}
            halted = self.marks.get("status") in {"halted", "closed"}
            return {**sides, **(self.marks if halted and self.book["status"] == "live" else self.book)}
        found = self.trades if kind == "trades" else self.bars.get(period[0], ())
        name = "trades" if kind == "trades" else "candles"
        return {name: {row[0]: row[1:] for row in found[-count:]}, **self.marks}


class BookModel:
    """An order book: all levels that are known, and whether they are current."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
        self.worst: dict[str, Decimal | None] = {"bids": None, "asks": None}
        """By side, the price beyond which nothing is known."""
        self.known = False
        self.reason = "no_data"
        self.giver: object = None
        self.crossed_since: int | None = None
        self.said_crossed = False
        self.marks: dict[str, str] = {}
        self.close(0)

    def apply(self, levels: Levels, giver: object) -> bool:
        """Take what a feed says; return whether it has any effect."""
        if not levels.complete and not (self.known and giver == self.giver):
            return False
        read = [[(number(price), number(size)) for price, size in side] for side in (levels.bids, levels.asks)]
        if any(price is None or size is None or size < 0 for side in read for price, size in side):
            self.stale("bad_data")
            return True
        for name, side in zip(("bids", "asks"), read, strict=True):
            if levels.complete:
                self.sides[name].clear()
                self.worst[name] = None
            for price, size in side:
                self._set(name, price, size)  # type: ignore[arg-type]  # none of them is None
            if levels.depth is not None and len(self.sides[name]) >= levels.depth:
                self.worst[name] = (min if name == "bids" else max)(self.sides[name])
        if levels.complete:
            self.known, self.reason, self.giver, self.said_crossed = True, "", giver, False
        return True

    def _set(self, name: str, price: Decimal, size: Decimal) -> None:
        side, worst = self.sides[name], self.worst[name]
        if not size:
            side.pop(price, None)
        elif price in side or worst is None or (price >= worst if name == "bids" else price <= worst):
            side[price] = size

    def stale(self, reason: str) -> None:
        """Nothing that is known is current until the whole book comes again."""
        self.known, self.reason, self.crossed_since = False, reason, None

    def stale_of(self, giver: object, reason: str) -> None:
        """A feed says that nothing it gave is current."""
        if self.giver is not None and giver == self.giver:
            self.stale(reason)

    def clear(self) -> None:
        """The instrument is withdrawn."""
        for name in self.sides:
            self.sides[name].clear()
            self.worst[name] = None
        self.stale("no_data")

    def close(self, time: int) -> None:
        """A cut is closed at this time."""
        bids, asks = self.sides["bids"], self.sides["asks"]
        crossed = self.known and bool(bids) and bool(asks) and max(bids) >= min(asks)
        self.crossed_since = (time if self.crossed_since is None else self.crossed_since) if crossed else None
        # Once it is said, it stays until that ends: the clock may be set back.
        said = self.said_crossed and self.crossed_since is not None
        self.said_crossed = said or (self.crossed_since is not None and time - self.crossed_since > CROSSED_US)
        reason = "crossed" if self.said_crossed else self.reason
        self.marks = {"status": "stale", "reason": reason} if reason else {"status": "live"}

    def best(self, name: str) -> tuple[Row, ...]:
        """The levels of a side, the best first."""
        return tuple(sorted(self.sides[name].items(), reverse=name == "bids"))


class TapeModel:
    """Prints: the last `kept`, numbered from 1. They are late if they come from before the minute of the newest one."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._newest: int | None = None
        """The latest time of a print."""
        self.rows: dict[int, Row] = {}
        """Price, size, time, side and id by number."""
        self.count = 0
        self._untimed: list[int] = []
        self._printed = False

    def apply(self, trade: Trade) -> Printed | None:
        """Take a print or a correction; None if it has no effect."""
        price, size = number(trade.price), number(trade.size)
        if price is None or size is None or size < 0:
            return None
        known = [key for key, row in self.rows.items() if trade.id is not None and row[4] == trade.id]
        if not known and not size:
            return None
        self._printed = True
        if known:
            key = max(known)
            before = self.rows[key]
            time = before[2] if trade.time is None else trade.time
            self.rows[key] = (price, size, time, trade.side, trade.id)
            return Printed(price, size, before[2], latest=key == self.count and bool(size), before=before[1])
        late = False
        if trade.time is not None:
            late = self._newest is not None and trade.time < self._newest // _MINUTE_US * _MINUTE_US
            self._newest = trade.time if self._newest is None else max(self._newest, trade.time)
        self.count += 1
        self.rows[self.count] = (price, size, trade.time, trade.side, trade.id)
        self.rows.pop(self.count - self.kept, None)
        if trade.time is None:
            self._untimed.append(self.count)
        return Printed(price, size, trade.time, latest=not late)

    def close(self, time: int) -> None:
        """A cut is closed at this time, which prints without one have."""
        for key in self._untimed:
            if key in self.rows and self.rows[key][2] is None:
                price, size, _, side, id_ = self.rows[key]
                self.rows[key] = (price, size, time, side, id_)
        if self._untimed:
            self._newest = time if self._newest is None else max(self._newest, time)
        self._untimed.clear()
        if self._printed and self._newest is not None and self._newest > time + _HOUR_US:
            self._newest = time
        self._printed = False


class Printed(NamedTuple):
    """The effect of a trade on the bars and the instrument."""

    price: Decimal
    size: Decimal
    time: int | None
    """That of its print; None for the time of the cut."""
    latest: bool
    """Whether it brings fields of the instrument: it is not late, and no correction of an earlier print or a bust."""
    before: Decimal | None = None
    """The size of the print that it corrects."""


class InstrumentModel:
    """All tables of one instrument."""

    def __init__(self, kept_trades: int, kept_bars: int, periods: Iterable[str]) -> None:
        self.book = BookModel()
        self.tape = TapeModel(kept_trades)
        self.bars = {period: BarsModel(PERIODS[period], kept_bars) for period in periods}
        self._printed: list[Printed] = []
        """Of the open cut: bars are made as it is closed."""

    def print(self, trade: Trade) -> Printed | None:
        """Take a print or a correction; None if it has no effect."""
        printed = self.tape.apply(trade)
        if printed is not None:
            self._printed.append(printed)
        return printed

    def replace(self, candle: Candle) -> None:
        """Take a bar of the past: prints before it in this cut are in it already, those from behind it are not."""
        end = (candle.start + self.bars[candle.period].seconds) * 1_000_000
        self._make_bars([each for each in self._printed if each.time is not None and each.time < end])
        self._printed = [each for each in self._printed if each.time is None or each.time >= end]
        self.bars[candle.period].replace(candle)

    def past(self, marks: Mapping[str, str]) -> TablesPast:
        """All tables as they are now; `marks` are the instrument's status and reason."""
        return TablesPast(
            self.book.best("bids"),
            self.book.best("asks"),
            self.book.marks,
            marks,
            tuple((key, *row) for key, row in sorted(self.tape.rows.items())),
            {period: bars.rows() for period, bars in self.bars.items()},
        )

    def close(self, time: int) -> None:
        """A cut is closed at this time."""
        self.book.close(time)
        self.tape.close(time)
        for printed in self._printed:
            ahead = printed.time is not None and printed.before is None and printed.time > time + _HOUR_US
            self._make_bars([printed._replace(time=time) if printed.time is None or ahead else printed])
        self._printed.clear()

    def _make_bars(self, prints: Iterable[Printed]) -> None:
        for printed in prints:
            assert printed.time is not None
            for bars in self.bars.values():
                bars.print(printed.time // 1_000_000, printed)


class BarsModel:
    """Bars of one period: the last `kept`."""

    def __init__(self, seconds: int, kept: int) -> None:
        self.seconds = seconds
        self.kept = kept
        self._bars: dict[int, list[Any]] = {}

    def rows(self) -> tuple[Row, ...]:
        """The bars, ascending: start, open, high, low, close, volume, count."""
        return tuple((start, *bar) for start, bar in sorted(self._bars.items()))

    def replace(self, candle: Candle) -> None:
        """Take a bar of the past."""
        volume = None if candle.volume is None else number(candle.volume)
        self._keep(candle.start, [*map(number, candle[3:7]), volume, candle.trades])

    def print(self, second: int, printed: Printed) -> None:
        """Take a print, or a correction, which changes volume and count alone."""
        start = second // self.seconds * self.seconds
        bar, size = self._bars.get(start), printed.size
        if printed.before is not None:
            if bar is not None and bar[4] is not None:
                bar[4] = max(bar[4] + size - printed.before, Decimal(0))
                count = bar[5]
                bar[5] = None if count is None else max(count + bool(size) - bool(printed.before), 0)
        elif bar is None:
            self._keep(start, [printed.price] * 4 + [size, 1])
        else:
            _, high, low, close, volume, count = bar
            late = not printed.latest or start < max(self._bars)
            bar[1:] = [
                max(high, printed.price),
                min(low, printed.price),
                close if late else printed.price,
                None if volume is None else volume + size,
                None if count is None else count + 1,
            ]

    def _keep(self, start: int, bar: list[Any]) -> None:
        self._bars[start] = bar
        for old in sorted(self._bars)[: -self.kept]:
            del self._bars[old]


# Names


def covers(name: str, record: str) -> bool:
    """Whether a subscribed name covers a record's: a pattern over symbols covers no table."""
    pattern, _, wanted = name.partition(" ")
    symbol, _, table = record.partition(" ")
    return wanted == table and fnmatchcase(symbol, pattern)


def opens(entitlement: str, record: str) -> bool:
    """Whether an entry of a token's `symbols` lets its bearer see a record; the table's part is a pattern, too."""
    pattern, _, tables = entitlement.partition(" ")
    symbol, _, table = record.partition(" ")
    return fnmatchcase(symbol, pattern) and bool(tables) == bool(table) and fnmatchcase(table, tables)


# A client's copy, read from what it holds of the wire


def exact(cell: Any, scale: int) -> Decimal | None:  # noqa: ANN401  # a cell of the wire
    """A price or size of the wire as a number."""
    if cell is None:
        return None
    return Decimal(cell).scaleb(-scale) if isinstance(cell, int) else Decimal(cell)


_SIDES = {1: "buy", -1: "sell", None: None}


def shown_row(field_name: str, row: Sequence[Any], scales: tuple[int, int]) -> Row:
    """A row of the wire with its numbers as such."""
    prices, sizes = scales
    if field_name in {"bids", "asks"}:
        return exact(row[0], prices), exact(row[1], sizes)
    if field_name == "trades":
        key, price, size, time, side, id_ = row
        return key, exact(price, prices), exact(size, sizes), time, _SIDES[side], id_
    start, *numbers, volume, count = row
    return start, *(exact(each, prices) for each in numbers), exact(volume, sizes), count


def table_fields(state: TableState) -> TableFields:
    """A client's copy of a table, with numbers as such."""
    definition = state.definition
    scales = definition.price_scale, definition.size_scale
    fields: TableFields = {}
    for key, value in state.wire().items():
        name = field_name(key)
        if isinstance(value, list):
            width = len(COLUMNS[key])  # type: ignore[index]  # only ids of the standard have rows
            rows = [shown_row(name, value[at : at + width], scales) for at in range(0, len(value), width)]
            fields[name] = {row[0]: row[1] if width == 2 else row[1:] for row in rows}
        elif value is not None:
            fields[name] = value
    return fields

"""Books, prints and bars as a test keeps them itself: what every client's copy of a table has to be at a cut.

It is written from the vocabulary's docstrings and PROTOCOL.md, with plain dicts of Decimals and nothing of the code
under test: whole tables are computed anew each time, where the service keeps views, rings and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from ticker.market import Candle, Level, Levels, Trade

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
class Past:
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
            self.known, self.reason, self.giver = True, "", giver
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
        reason = self.reason
        if self.crossed_since is not None and time - self.crossed_since > CROSSED_US:
            reason = "crossed"
        self.marks = {"status": "stale", "reason": reason} if reason else {"status": "live"}

    def best(self, name: str) -> tuple[Row, ...]:
        """The levels of a side, the best first."""
        return tuple(sorted(self.sides[name].items(), reverse=name == "bids"))


class TapeModel:
    """Prints: the last `kept`, numbered from 1."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.rows: dict[int, Row] = {}
        """Price, size, time, side and id by number."""
        self.count = 0
        self._untimed: list[int] = []

    def apply(self, trade: Trade) -> Correction | None:
        """Take a print or a correction; None if it has no effect."""
        price, size = number(trade.price), number(trade.size)
        if price is None or size is None or size < 0:
            return None
        known = [key for key, row in self.rows.items() if trade.id is not None and row[4] == trade.id]
        if not known and not size:
            return None
        if known:
            key = max(known)
            before = self.rows[key]
            time = before[2] if trade.time is None else trade.time
            self.rows[key] = (price, size, time, trade.side, trade.id)
            return Correction(key, key == self.count, before)
        self.count += 1
        self.rows[self.count] = (price, size, trade.time, trade.side, trade.id)
        self.rows.pop(self.count - self.kept, None)
        if trade.time is None:
            self._untimed.append(self.count)
        return Correction(self.count, latest=True)

    def close(self, time: int) -> None:
        """A cut is closed at this time, which prints without one have."""
        for key in self._untimed:
            if key in self.rows and self.rows[key][2] is None:
                price, size, _, side, id_ = self.rows[key]
                self.rows[key] = (price, size, time, side, id_)
        self._untimed.clear()


@dataclass(frozen=True)
class Correction:
    """The effect of a trade: the number of its print, whether that is the last one, and the row that it replaces."""

    number: int
    latest: bool
    before: Row | None = None


class InstrumentModel:
    """All tables of one instrument."""

    def __init__(self, kept_trades: int, kept_bars: int, periods: Iterable[str]) -> None:
        self.book = BookModel()
        self.tape = TapeModel(kept_trades)
        self.bars = {period: BarsModel(PERIODS[period], kept_bars) for period in periods}

    def past(self, marks: Mapping[str, str]) -> Past:
        """All tables as they are now; `marks` are the instrument's status and reason."""
        return Past(
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
        self._keep(candle.start, [*map(number, candle[3:7]), candle.volume, candle.trades])

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


__all__ = ["BarsModel", "BookModel", "InstrumentModel", "Level", "Past", "TapeModel", "covers", "shown_row"]

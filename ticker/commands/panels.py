"""The tables of `ticker watch`: a book as a ladder, prints as a tape, and bars, each a panel of the screen.

A panel shows the rows that the client's copy has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ticker.commands.cells import Cell, Row, rows_in, shown
from ticker.market import Side, Status
from ticker.protocol.tables import BOOK, CANDLES, TRADES, parse_table, split_name
from ticker.texts import printable

SIDES = ("bids", "asks")
FLASH_SECONDS = 0.5
UP, DOWN = "black on green", "white on red"

LEAST_LINES = 4
"""A title, a heading and two rows: with less room a panel is left out."""

_PANEL_HEAD = 2


class Panel(ABC):
    """One table of the screen. Times are seconds of any monotonic clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fields: Mapping[str, object] = {}

    def show(self, fields: Mapping[str, object], now: float) -> None:  # noqa: ARG002  # for panels that flash
        """Show these present fields, all of them, from `now` on."""
        self._fields = fields

    def rows(self, field: str) -> list[Row]:
        """Return the present rows of a field in their order: the best level first, other rows by their key."""
        return rows_in(field, self._fields.get(field) or ())

    @abstractmethod
    def body(self, now: float, rows: int) -> Table:
        """Return the panel's best or latest rows, at most so many."""

    @property
    @abstractmethod
    def height(self) -> int:
        """The number of its rows."""

    def render(self, now: float, lines: int, *, lost: bool) -> RenderableType:
        """Return the panel at `now` in at most so many lines."""
        body = self.body(now, max(1, lines - _PANEL_HEAD))
        body.row_styles = ("dim",) if lost else ("", "on grey7")
        title = Text.assemble((printable(self.name), "bold"), "  ", self._status(lost=lost))
        title.no_wrap, title.overflow = True, "ellipsis"
        return Group(title, body)

    def _status(self, *, lost: bool) -> Text:
        if lost:
            return Text("connection lost", "bold red")
        status, reason = (shown(cast("Cell", self._fields.get(name))) for name in ("status", "reason"))
        text = f"{status} {reason}".strip()
        return Text(text, "green" if status == Status.LIVE else "bold yellow")


class Ladder(Panel):
    """A book: the best levels of both sides beside each other, the best first. A changed size flashes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._moved: dict[tuple[str, Cell], tuple[float, str]] = {}
        """By side and price."""

    @property
    def height(self) -> int:
        """The number of levels of the longer side."""
        return max(len(self.rows(field)) for field in SIDES)

    def show(self, fields: Mapping[str, object], now: float) -> None:
        """Show these levels; those whose size is another one flash."""
        before = {(field, price): size for field in SIDES for price, size in self.rows(field)}
        super().show(fields, now)
        moved = {}
        for field in SIDES:
            for price, size in self.rows(field):
                key, old = (field, price), before.get((field, price))
                if old is not None and size != old:
                    moved[key] = now, UP if cast("Decimal", size) > cast("Decimal", old) else DOWN
                elif key in self._moved:
                    moved[key] = self._moved[key]
        self._moved = moved

    def body(self, now: float, rows: int) -> Table:
        """Return the best levels."""
        table = _table("bid size", "bid", "ask", "ask size")
        best = [self.rows(field)[:rows] for field in SIDES]
        for number in range(max(1, *map(len, best))):
            cells: list[Text] = []
            for field, levels in zip(SIDES, best, strict=True):
                price, size = levels[number] if number < len(levels) else (None, None)
                at, style = self._moved.get((field, price), (now - FLASH_SECONDS, ""))
                pair = [Text(shown(size), style if now - at < FLASH_SECONDS else ""), Text(shown(price))]
                cells += pair if field == "bids" else pair[::-1]
            table.add_row(*cells)
        return table


class _Log(Panel):
    """Rows that only become more, the latest shown first."""

    field = ""

    @property
    def height(self) -> int:
        """The number of its rows."""
        return len(self.rows(self.field))

    def _latest(self, count: int) -> list[Row]:
        return self.rows(self.field)[: -count - 1 : -1]


class Tape(_Log):
    """Prints, the latest first."""

    field = "trades"

    def body(self, now: float, rows: int) -> Table:  # noqa: ARG002
        """Return the latest prints."""
        table = _table("time", "side", "price", "size", "number")
        for number, price, size, time, side, _ in self._latest(rows):
            style = {Side.BUY: "green", Side.SELL: "red"}.get(cast("Side", side), "")
            clock = _clock(cast("int", time) / 1_000_000, "%H:%M:%S.%f")[:-3] if time is not None else ""
            table.add_row(clock, *(Text(shown(each), style) for each in (side, price, size)), shown(number))
        return table


class Bars(_Log):
    """Bars, the latest first; their times are UTC."""

    field = "candles"

    def body(self, now: float, rows: int) -> Table:  # noqa: ARG002
        """Return the latest bars."""
        table = _table("start", "open", "high", "low", "close", "volume", "count")
        for start, *numbers in self._latest(rows):
            first, last = cast("Decimal", numbers[0]), cast("Decimal", numbers[3])
            style = "green" if last > first else "red" if last < first else ""
            cells = [Text(shown(each), style if column < 4 else "") for column, each in enumerate(numbers)]
            table.add_row(_clock(cast("int", start), "%Y-%m-%d %H:%M:%S"), *cells)
        return table


def panel_for(name: str) -> Panel | None:
    """Return a panel for a table's name, None for an instrument."""
    table = parse_table(split_name(name)[1])
    kinds: dict[str, type[Ladder | Tape | Bars]] = {BOOK: Ladder, TRADES: Tape, CANDLES: Bars}
    return kinds[table.kind](name) if table is not None else None


def shares(heights: Sequence[int], lines: int) -> list[int]:
    """Divide so many lines among panels of these heights; those at the end for which there is no room have none.

    Room that a small panel does not need goes to the others.
    """
    wanted = [max(LEAST_LINES, height + _PANEL_HEAD) for height in heights[: max(1, lines // LEAST_LINES)]]
    given = [LEAST_LINES] * len(wanted)
    room = lines - sum(given)
    while room > 0 and given != wanted:
        for index, most in enumerate(wanted):
            if room > 0 and given[index] < most:
                given[index] += 1
                room -= 1
    return given


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _clock(seconds: float, form: str) -> str:
    """Return a time of day, UTC; a number that is no time is shown as itself."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return str(seconds)

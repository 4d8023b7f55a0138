"""The live table of `ticker watch`: one row per instrument; a moved price flashes green or red for a moment."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ticker.client.events import Connected, Disconnected, Event, Refused, Unmatched
from ticker.client.fields import by_name
from ticker.client.replica import Fields
from ticker.client.subscription import Change
from ticker.market import Status
from ticker.protocol.symbols import Match, is_pattern, matcher
from ticker.texts import printable

COLUMNS = ("bid_size", "bid", "ask", "ask_size", "last", "last_size", "high", "low", "volume")
DROP_ORDER = ("volume", "low", "high", "last_size", "bid_size", "ask_size", "last")
"""Columns to drop, in this order, if the window is too narrow: a price is never truncated."""
FLASH_SECONDS = 0.5
MAX_REMARKS = 5
"""Lines about names that are refused or unknown."""


class Screen:
    """State of the table. Times are seconds of any monotonic clock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rows: dict[str, Fields] = {}
        self._moved: dict[tuple[str, str], tuple[float, str]] = {}
        self._state = Text("connecting", "yellow")
        self._lost = False
        self._remarks: dict[str, str] = {}
        """A remark on each name that has no prices."""
        self._unmatched: dict[str, Match] = {}
        """The patterns among these names."""
        self._cut = 0
        self._changes = 0
        self._since: float | None = None

    def apply(self, change: Change, now: float) -> None:
        """Apply a change that arrived at `now`."""
        self._since = now if self._since is None else self._since
        self._cut = change.cut
        for symbol, fields in change.changes.items():
            row = self._rows.setdefault(symbol, {})
            self._drop_remarks(symbol)
            self._changes += len(fields)
            for name, value in by_name(fields).items():
                old = row.get(name)
                if isinstance(value, Decimal) and isinstance(old, Decimal) and value != old:
                    self._moved[symbol, name] = now, "black on green" if value > old else "white on red"
                row[name] = value

    def apply_event(self, event: Event) -> None:
        """Apply an event of the connection."""
        self._lost = isinstance(event, Disconnected) or (self._lost and not isinstance(event, Connected))
        if isinstance(event, Connected):
            self._state = Text("resumed" if event.resumed else "connected", "green")
        elif isinstance(event, Refused | Unmatched):
            self._remarks[event.name] = event.text
            if is_pattern(event.name):
                self._unmatched[event.name] = matcher([event.name])
        else:
            self._state = Text(f"{printable(event.reason)}; trying again in {event.retry_seconds:.1f} s", "bold red")

    def _drop_remarks(self, symbol: str) -> None:
        """Drop the remarks on names that have an instrument now."""
        self._remarks.pop(symbol, None)
        for name in [name for name, match in self._unmatched.items() if match(symbol)]:
            del self._remarks[name], self._unmatched[name]

    def render(self, now: float, height: int, width: int) -> RenderableType:
        """Return the table at `now` for a window of `height` lines and `width` columns."""
        symbols = sorted(self._rows)
        remarks = sorted(self._remarks.items())[:MAX_REMARKS]
        row_count = max(1, height - 6 - len(remarks))
        columns = self._columns_for(symbols[:row_count], width)
        table = Table(expand=True, box=None, header_style="bold", row_styles=("", "on grey7"))
        table.add_column("symbol", style="bold", no_wrap=True)
        for name in columns:
            table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
        table.add_column("status", no_wrap=True)
        for symbol in symbols[:row_count]:
            cells = self._cells(symbol, columns, now)
            table.add_row(Text(printable(symbol)), *cells, self._status(symbol), style="dim" if self._lost else "")
        lines: list[RenderableType] = [self._headline(now), table]
        if len(symbols) > row_count:
            lines.append(Text(f"… and {len(symbols) - row_count} more; make the window higher", "dim"))
        lines += [Text(printable(f"{name}: {text}"), "yellow") for name, text in remarks]
        return Group(*lines)

    def _columns_for(self, symbols: Sequence[str], width: int) -> list[str]:
        """Return the columns that fit the width."""
        widths = {
            name: 2 + max([len(name), *(len(shown(self._rows[symbol].get(name))) for symbol in symbols)])
            for name in COLUMNS
        }
        room = width - 2 - max([len("symbol"), *(len(printable(symbol)) for symbol in symbols)]) - 2
        room -= max([len("status"), *(self._status(symbol).cell_len for symbol in symbols)])
        for name in DROP_ORDER:
            if sum(widths.values()) > room:
                del widths[name]
        return list(widths)

    def _headline(self, now: float) -> Text:
        seconds = max(now - (self._since or now), 1.0)
        rate = Text(f"  cut {self._cut}  {self._changes / seconds:.0f} changes/s  Ctrl-C ends", "dim")
        return Text.assemble((f"{self._url}  ", "dim"), self._state, rate, no_wrap=True, overflow="ellipsis")

    def _cells(self, symbol: str, columns: Sequence[str], now: float) -> Sequence[Text]:
        cells = []
        for name in columns:
            value = self._rows[symbol].get(name)
            at, style = self._moved.get((symbol, name), (-FLASH_SECONDS, ""))
            cells.append(Text(shown(value), style if now - at < FLASH_SECONDS else ""))
        return cells

    def _status(self, symbol: str) -> Text:
        if self._lost:
            return Text("connection lost", "bold red")
        row = self._rows[symbol]
        status, reason = shown(row.get("status")), shown(row.get("reason"))
        return Text(f"{status} {reason}".strip(), "green" if status == Status.LIVE else "bold yellow")


def shown(value: Decimal | int | str | None) -> str:
    """Return a value as text, never with an exponent, and printable whatever the feed sent."""
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else printable(str(value))

"""The screen of `ticker watch`: one row per instrument, and below them a panel per table.

A moved price flashes green or red for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ticker.client.events import Connected, Disconnected, Event, Refused, SourceBack, SourceSilent, Unmatched
from ticker.client.fields import by_name
from ticker.client.replica import Fields
from ticker.client.subscription import Change
from ticker.commands.cells import shown
from ticker.commands.panels import DOWN, FLASH_SECONDS, LEAST_LINES, UP, Panel, panel_for, shares
from ticker.durations import duration
from ticker.market import Status
from ticker.protocol.symbols import Match, is_pattern, matcher
from ticker.texts import printable

COLUMNS = ("bid_size", "bid", "ask", "ask_size", "last", "last_size", "high", "low", "volume")
DROP_ORDER = ("volume", "low", "high", "last_size", "bid_size", "ask_size", "last")
"""Columns to drop, in this order, if the window is too narrow: a price is never truncated."""
Present: TypeAlias = Callable[[str], Mapping[str, object]]

MAX_REMARKS = 5
"""Lines about names that are refused or unknown."""


class Screen:
    """State of the table. Times are seconds of any monotonic clock."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rows: dict[str, Fields] = {}
        self._panels: dict[str, Panel] = {}
        """By the names of the tables."""
        self._moved: dict[tuple[str, str], tuple[float, str]] = {}
        self._state = Text("connecting", "yellow")
        self._lost = False
        self._silent = ""
        """A remark on the source of the service's data, while it is silent."""
        self._remarks: dict[str, str] = {}
        """A remark on each name that has no prices."""
        self._unmatched: dict[str, Match] = {}
        """The patterns among these names."""
        self._cut = 0
        self._changes = 0
        self._since: float | None = None

    def apply(self, change: Change, now: float, present: Present = lambda _name: {}) -> None:
        """Apply a change that arrived at `now`; `present` returns the fields that a table has now."""
        self._since = now if self._since is None else self._since
        self._cut = change.cut
        for symbol, fields in change.changes.items():
            self._drop_remarks(symbol)
            self._changes += len(fields)
            panel = self._panels.get(symbol) or panel_for(symbol)
            if panel is not None:
                self._panels[symbol] = panel
                panel.show(present(symbol), now)
            else:
                self._apply_fields(symbol, by_name(fields), now)

    def _apply_fields(self, symbol: str, fields: Mapping[str, Decimal | int | str | None], now: float) -> None:
        row = self._rows.setdefault(symbol, {})
        for name, value in fields.items():
            old = row.get(name)
            if isinstance(value, Decimal) and isinstance(old, Decimal) and value != old:
                self._moved[symbol, name] = now, UP if value > old else DOWN
            row[name] = value

    def apply_event(self, event: Event) -> None:
        """Apply an event of the connection."""
        self._lost = isinstance(event, Disconnected) or (self._lost and not isinstance(event, Connected))
        if isinstance(event, SourceSilent):
            self._silent = event.text
        elif isinstance(event, SourceBack):
            self._silent = ""
        elif isinstance(event, Connected):
            self._silent = ""
            self._state = Text("resumed" if event.resumed else "connected", "green")
            if event.delay_seconds:
                self._state.append(f", delayed {duration(event.delay_seconds)}", "bold yellow")
        elif isinstance(event, Refused | Unmatched):
            self._remarks[event.name] = event.text
            if is_pattern(event.name):
                self._unmatched[event.name] = matcher([event.name])
        elif isinstance(event, Disconnected):
            self._state = Text(f"{printable(event.reason)}; {event.retry_text}", "bold red")

    def _drop_remarks(self, symbol: str) -> None:
        """Drop the remarks on names that have an instrument now."""
        self._remarks.pop(symbol, None)
        for name in [name for name, match in self._unmatched.items() if match(symbol)]:
            del self._remarks[name], self._unmatched[name]

    def render(self, now: float, height: int, width: int) -> RenderableType:
        """Return the screen at `now` for a window of `height` lines and `width` columns."""
        remarks = sorted(self._remarks.items())[:MAX_REMARKS]
        room = height - 2 - len(remarks) - bool(self._silent)
        lines: list[RenderableType] = [self._headline(now)]
        lines += [Text(self._silent, "bold red")] if self._silent else []
        panels = [self._panels[name] for name in sorted(self._panels)]
        if self._rows or not panels:
            row_count = max(1, room - 4 - LEAST_LINES * len(panels)) if panels else max(1, room - 4)
            lines += self._instruments(now, row_count, width)
            room -= min(row_count, len(self._rows)) + 3
        if panels:
            lines += self._tables(panels, now, room)
        lines += [Text(printable(f"{name}: {text}"), "yellow") for name, text in remarks]
        return Group(*lines)

    def _instruments(self, now: float, row_count: int, width: int) -> list[RenderableType]:
        symbols = sorted(self._rows)
        columns = self._columns_for(symbols[:row_count], width)
        table = Table(expand=True, box=None, header_style="bold", row_styles=("", "on grey7"))
        table.add_column("symbol", style="bold", no_wrap=True)
        for name in columns:
            table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
        table.add_column("status", no_wrap=True)
        for symbol in symbols[:row_count]:
            cells = self._cells(symbol, columns, now)
            table.add_row(Text(printable(symbol)), *cells, self._status(symbol), style="dim" if self._lost else "")
        lines: list[RenderableType] = [table]
        if len(symbols) > row_count:
            lines.append(Text(f"… and {len(symbols) - row_count} more; make the window higher", "dim"))
        return lines

    def _tables(self, panels: Sequence[Panel], now: float, room: int) -> list[RenderableType]:
        """Return the panels that fit into so many lines, and how many do not."""
        given = shares([panel.height for panel in panels], room - 1)
        shown_panels = [panel.render(now, lines, lost=self._lost) for panel, lines in zip(panels, given, strict=False)]
        if len(panels) > len(given):
            shown_panels.append(Text(f"… and {len(panels) - len(given)} tables more; make the window higher", "dim"))
        return shown_panels

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

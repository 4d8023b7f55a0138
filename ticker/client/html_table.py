"""Present values as a table of HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from html import escape

from ticker.client.columns import Column, Kind
from ticker.texts import printable

MOST_ROWS = 100
"""Rows that a table shows; how many more there are stands below them."""


def html_table(columns: list[Column]) -> str:
    """Return a table of the columns with anything in them; texts of the service stay texts, and never become HTML."""
    shown = [column for column in columns if any(cell is not None for cell in column.cells)] or columns[:1]
    count = len(columns[0].cells)
    heads = "".join(f"<th>{escape(printable(column.name))}</th>" for column in shown)
    rows = ["<tr>" + "".join(_cell(column, row) for column in shown) + "</tr>" for row in range(min(count, MOST_ROWS))]
    more = f"<p>and {count - MOST_ROWS} more</p>" if count > MOST_ROWS else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _cell(column: Column, row: int) -> str:
    cell = column.cells[row]
    text = "" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
    style = ' style="text-align: right"' if column.kind in {Kind.NUMBER, Kind.COUNT} else ""
    return f"<td{style}>{escape(printable(text))}</td>"


def with_changes(values: dict[str, dict[str, object]], changes: Mapping[str, Mapping[str, object]]) -> None:
    """Bring values up to date with the changes of a moment."""
    for name, fields in changes.items():
        present = values.setdefault(name, {})
        present.update(fields)
        for field in [field for field, value in fields.items() if value is None]:
            del present[field]

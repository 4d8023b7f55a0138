"""A live table in a notebook: `ticker.show`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ticker.client.arguments import check_seconds, listed_names, wanted_fields
from ticker.client.client import connect
from ticker.client.columns import value_columns
from ticker.client.connection import Token
from ticker.client.fields import Fields
from ticker.client.html_table import html_table, with_changes
from ticker.client.sync_client import iterate
from ticker.errors import ConfigError
from ticker.protocol.symbols import is_table, is_table_pattern
from ticker.texts import shown

_INTERVAL_MS = 250
"""Four pictures a second: what a reader can follow."""


def show(
    url: str | Sequence[str],
    names: Iterable[str],
    *,
    ca: str | Path | None = None,
    token: Token | None = None,
    fields: Iterable[str] | None = None,
    seconds: float | None = None,
) -> None:
    """Show a live table of instruments in a cell of a notebook, until the cell is interrupted, or for some seconds.

    The table has up to 100 rows, and is drawn four times a second at most. The last picture stays. `fields` is as in
    `Client.subscribe`, the other arguments are those of `connect`. Raises `ConfigError` outside of a notebook and for
    tables, and the exceptions of `connect`.
    """
    listed, wanted = listed_names(names), wanted_fields(fields)
    for name in listed:
        if is_table(name) or is_table_pattern(name):
            raise ConfigError(f"show: {shown(name)} is a table; give symbols and patterns")
    if seconds is not None:
        check_seconds("seconds", seconds)
    draw = _display()
    values: dict[str, dict[str, object]] = {}
    client = partial(connect, url, ca=ca, token=token, interval_ms=_INTERVAL_MS)
    changes = iterate(client, listed, wanted, seconds)
    with contextlib.closing(changes), contextlib.suppress(KeyboardInterrupt):
        for change in changes:
            with_changes(values, cast("dict[str, dict[str, object]]", change.changes))
            draw(html_table(value_columns(cast("dict[str, Fields]", values), wanted)))


def _display() -> Any:  # noqa: ANN401  # a function of a library without types
    """Return the function that draws HTML in the present cell. Raises `ConfigError` outside of a notebook."""
    try:
        ipython = import_module("IPython")
    except ImportError:
        ipython = None
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        raise ConfigError("show: this is no notebook; in a terminal there is `ticker watch`")
    display = import_module("IPython.display")
    handle = display.display(display.HTML(""), display_id=True)

    def draw(html: str) -> None:
        handle.update(display.HTML(html))

    return draw

"""The tables that a service offers: which there are, and the texts that say so."""

from __future__ import annotations

from typing import Any

from ticker.config import Tables
from ticker.protocol.tables import BOOK, CANDLES, TRADES, TableName


def offers(tables: Tables, table: TableName) -> bool:
    """Return whether the service has this table."""
    if table.kind == CANDLES:
        return table.period in tables.periods and table.rows in tables.bars
    return table.rows in (tables.depths if table.kind == BOOK else tables.trades)


def offer_text(tables: Tables) -> str:
    """Return the tables that there are, for people."""
    return (
        f"there are {BOOK}:{_one_of(tables.depths)}, {TRADES}:{_one_of(tables.trades)}"
        f" and {CANDLES}:{_one_of(tables.periods)}:{_one_of(tables.bars)}"
    )


def features(tables: Tables) -> dict[str, Any]:
    """Return the features of WELCOME (PROTOCOL.md, section 3.1)."""
    return {
        BOOK: list(tables.depths),
        TRADES: list(tables.trades),
        CANDLES: {"periods": list(tables.periods), "rows": list(tables.bars)},
        "digest": True,
    }


def _one_of(values: tuple[object, ...]) -> str:
    return "|".join(map(str, values))

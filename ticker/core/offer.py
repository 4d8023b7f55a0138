"""The tables that a service offers: which there are, and the texts that say so."""

from __future__ import annotations

from typing import Any

from ticker.bounds import MAX_SELECTIONS
from ticker.config import Tables
from ticker.protocol.tables import BOOK, CANDLES, TRADES, TableName


def offers(tables: Tables, table: TableName) -> bool:
    """Return whether the service has this table."""
    if table.kind == CANDLES:
        return table.period in tables.periods and table.rows in tables.bars
    return table.rows in (tables.depths if table.kind == BOOK else tables.trades)


def offer_text(tables: Tables, wanted: TableName | None) -> str:
    """Return the tables that there are in place of one that there is not, for people: those of its kind, if any."""
    offer = _offer(tables)
    if wanted is None:
        return f"this service offers {', '.join(each for some in offer.values() for each in some) or 'no tables'}"
    return f"this service offers {', '.join(offer[wanted.kind]) or f'no tables {wanted.kind}:N'}"


def _offer(tables: Tables) -> dict[str, list[str]]:
    """Return the tables by kind; of candles, all in one text."""
    candles = tables.periods and tables.bars
    return {
        BOOK: [f"{BOOK}:{depth}" for depth in tables.depths],
        TRADES: [f"{TRADES}:{count}" for count in tables.trades],
        CANDLES: [f"{CANDLES}:{_one_of(tables.periods)}:{_one_of(tables.bars)}"] if candles else [],
    }


def features(tables: Tables, delay: int) -> dict[str, Any]:
    """Return the features of WELCOME (PROTOCOL.md, section 3.1); `delay` in seconds."""
    return {
        **({"delay": delay} if delay else {}),
        BOOK: list(tables.depths),
        TRADES: list(tables.trades),
        CANDLES: {"periods": list(tables.periods), "rows": list(tables.bars)},
        "digest": True,
        "fields": MAX_SELECTIONS,
    }


def _one_of(values: tuple[object, ...]) -> str:
    return "|".join(map(str, values))

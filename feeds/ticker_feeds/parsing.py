"""Shared by feeds whose input other programs write: symbols with spaces, input errors, undeclared instruments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote

from ticker.market import FIELDS, KINDS, Candle, Instrument, Kind, Levels, Trade, Update, Value
from ticker.numbers import MAX_DIGITS, MAX_SCALE


class BadInput(Exception):
    """A row or object that cannot be used. `cause` is its name in the counters; the text adds the offending input."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause} ({detail[:200]})")
        self.cause = cause


_ENCODED = re.compile(r"\s|%(?=[0-9A-Fa-f]{2})")


def encode_symbol(text: str) -> str:
    """Return a symbol from outside as a published one: `SPX 5000 C` becomes `SPX%205000%20C`.

    A space separates a symbol from the name of a table, so white space is percent-encoded in UTF-8 (RFC 3986), and so
    is a `%` that would read as such a code: two symbols never become one, and `urllib.parse.unquote` gives the text
    back. All other characters stay; `ticker.market.is_symbol` tells whether the result can be a symbol.
    """
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text)


def guessed_instrument(said: Update | Levels | Trade | Candle) -> Instrument:
    """Return an instrument for data without a declaration: its scales are the decimal places of the values."""
    places = {Kind.PRICE: 0, Kind.SIZE: 0}
    for kind, value in _numbers(said):
        if isinstance(value, str | Decimal):
            text = value if isinstance(value, str) else format(value, "f") if abs(value.adjusted()) < MAX_DIGITS else ""
            places[kind] = max(places[kind], min(len(text.partition(".")[2]), MAX_SCALE))
    return Instrument(said.symbol, places[Kind.PRICE], places[Kind.SIZE])


def _numbers(said: Update | Levels | Trade | Candle) -> Iterator[tuple[Kind, Value]]:
    """Yield the prices and sizes in a publication."""
    if isinstance(said, Update):
        for name, value in said.fields.items():
            kind = KINDS.get(FIELDS.get(name, 0))
            if kind is Kind.PRICE or kind is Kind.SIZE:
                yield kind, value
    elif isinstance(said, Levels):
        for price, size in (*said.bids, *said.asks):
            yield Kind.PRICE, price
            yield Kind.SIZE, size
    elif isinstance(said, Trade):
        yield Kind.PRICE, said.price
        yield Kind.SIZE, said.size
    else:
        for price in (said.open, said.high, said.low, said.close):
            yield Kind.PRICE, price
        yield Kind.SIZE, said.volume

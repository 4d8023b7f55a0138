"""The tables that a service offers, as its WELCOME says, and the choice of the one that serves a user. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from ticker.errors import Code, ConfigError, ProtocolError
from ticker.protocol.messages import Natural
from ticker.protocol.tables import BOOK, CANDLES, TRADES, TableName
from ticker.texts import shown

_MAX_OFFERS = 1_000
"""Depths, counts or periods of a service; more than these break the protocol."""


class _Candles(msgspec.Struct):
    periods: list[str] = []
    rows: list[int] = []


class _Offer(msgspec.Struct):
    """The keys of `features` that this client knows; others are of a later version."""

    book: list[int] = []
    trades: list[int] = []
    candles: _Candles = msgspec.field(default_factory=_Candles)
    digest: bool = False
    delay: Natural = 0
    fields: Natural = 0


@dataclass(frozen=True, slots=True)
class Features:
    """What a service offers beside the last values of its instruments."""

    book: tuple[int, ...] = ()
    """Numbers of levels of each side of a book."""
    trades: tuple[int, ...] = ()
    """Numbers of prints."""
    periods: tuple[str, ...] = ()
    """Periods of candles: `1m`, `1h`."""
    bars: tuple[int, ...] = ()
    """Numbers of bars."""
    digest: bool = False
    """Whether it answers `digest`, so that a copy can be verified."""
    delay: int = 0
    """The seconds by which it shows the market later than it is, because its licence says so; 0 in real time."""
    fields: int = 0
    """The different sets of fields that a connection may ask for; 0 if it can only ask for all fields."""

    def book_name(self, depth: int) -> TableName:
        """Return the book with at least so many levels. Raises `ConfigError` if there is none."""
        return TableName(BOOK, _at_least("depth", depth, self.book, "books"))

    def trades_name(self, count: int) -> TableName:
        """Return the table of at least so many prints. Raises `ConfigError` if there is none."""
        return TableName(TRADES, _at_least("count", count, self.trades, "prints"))

    def candles_name(self, period: str, count: int) -> TableName:
        """Return the table of at least so many bars of a period. Raises `ConfigError` if there is none."""
        if period not in self.periods:
            raise ConfigError(f"period: {shown(period)}; {_there_are(self.periods, 'candles')}")
        return TableName(CANDLES, _at_least("count", count, self.bars, "candles"), period)


def features_of(offer: dict[str, Any]) -> Features:
    """Return the `features` of a WELCOME. Raises `ProtocolError` for what they cannot be."""
    try:
        known = msgspec.convert(offer, _Offer)
    except msgspec.ValidationError as error:
        raise ProtocolError(Code.MALFORMED, f"WELCOME: features: {error}") from None
    lists: list[Collection[object]] = [known.book, known.trades, known.candles.periods, known.candles.rows]
    if max(map(len, lists)) > _MAX_OFFERS or any(len(period) > _MAX_PERIOD for period in known.candles.periods):
        raise ProtocolError(Code.MALFORMED, f"WELCOME: features: more than {_MAX_OFFERS} of a kind, or a long period")
    return Features(
        tuple(sorted(known.book)),
        tuple(sorted(known.trades)),
        tuple(known.candles.periods),
        tuple(sorted(known.candles.rows)),
        known.digest,
        known.delay,
        known.fields,
    )


_MAX_PERIOD = 8


def _at_least(argument: str, wanted: object, offered: tuple[int, ...], kind: str) -> int:
    """Return the smallest number offered that is not below the wanted one. Raises `ConfigError`."""
    if type(wanted) is not int or wanted < 1:
        raise ConfigError(f"{argument}: {shown(wanted)}; give a whole number, 1 or more")
    for number in offered:
        if number >= wanted:
            return number
    raise ConfigError(f"{argument}: {wanted}; {_there_are(offered, kind)}")


def _there_are(offered: Collection[object], kind: str) -> str:
    return f"the service's {kind}: {', '.join(map(str, offered))}" if offered else f"the service has no {kind}"

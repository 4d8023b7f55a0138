"""Levels as feeds publish them, read as integers: at once where they are plain texts, else by the general parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from ticker.core.tables.decimals import Scale, scaled, written_places
from ticker.errors import BadPublication
from ticker.market import Level, Levels
from ticker.numbers import MAX_DIGITS, parse_decimal
from ticker.texts import shown

NumberedLevel: TypeAlias = tuple[int, int]
"""Price and size as integers at the scales of the book."""

_Parsed: TypeAlias = tuple[int, int, int, int]
"""Digits and places of a price, then those of a size."""

_PLAIN = 30
"""Longer texts are left to the general parser, which knows the limits."""
_POWERS: list[int] = [10**places for places in range(MAX_DIGITS + 1)]


class LevelReader:
    """Reads both sides of a publication, and finds the places at which its numbers have to be held."""

    __slots__ = ("_parsed", "price_places", "size_places")

    def __init__(self, levels: Levels) -> None:
        """Raises `BadPublication` for a level that cannot be read."""
        self.price_places = self.size_places = 0
        self._parsed = self._parse(levels.bids), self._parse(levels.asks)

    def __repr__(self) -> str:
        return f"<LevelReader of {len(self._parsed[0])} bids and {len(self._parsed[1])} asks>"

    def numbers(self, prices: Scale, sizes: Scale) -> tuple[list[NumberedLevel], list[NumberedLevel]]:
        """Return bids and asks at these scales, which hold no fewer places."""
        held = prices.held, sizes.held
        bids, asks = (
            [(scaled(price, at, held[0]), scaled(size, its, held[1])) for price, at, size, its in side]
            for side in self._parsed
        )
        return bids, asks

    def _parse(self, levels: Sequence[Level]) -> list[_Parsed]:
        parsed = []
        try:
            pairs = [(price, size) for price, size in levels]
        except (TypeError, ValueError):
            raise BadPublication("bids and asks are sequences of pairs, price and size") from None
        for price, size in pairs:
            digits, places = parse_decimal(price)
            amount, its_places = parse_decimal(size)
            if amount < 0:
                raise BadPublication(f"a level's size {shown(size)}: give 0 or more")
            parsed.append((digits, places, amount, its_places))
            self.price_places = max(self.price_places, places, written_places(price))
            self.size_places = max(self.size_places, its_places, written_places(size))
        return parsed


def plain_levels(levels: Sequence[Level], price_places: int, size_places: int) -> list[NumberedLevel] | None:
    """Return levels that are pairs of plain decimal texts, with so many places at most; None if any is not.

    It is for the many levels of a book: several times as fast as the general parser.
    """
    read: list[NumberedLevel] = []
    try:
        for price, size in cast("Sequence[tuple[str, str]]", levels):  # anything else fails below
            whole, _, fraction = price.partition(".")
            digits, short = whole + fraction, price_places - len(fraction)
            amount, _, fraction = size.partition(".")
            amount, lacking = amount + fraction, size_places - len(fraction)
            both = digits + amount
            if short < 0 or lacking < 0 or len(both) > _PLAIN or not both.isdigit() or not both.isascii():
                return None
            read.append(
                (
                    int(digits) * _POWERS[short] if short else int(digits),
                    int(amount) * _POWERS[lacking] if lacking else int(amount),
                )
            )
    except (TypeError, ValueError, AttributeError):
        return None
    return read

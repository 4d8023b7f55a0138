"""Levels as feeds publish them, read as integers: all at once where they are plain texts, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple, TypeAlias, cast

from msgspec import DecodeError, Meta
from msgspec.json import Decoder

from ticker.core.tables.decimals import Scale, scaled, written_places
from ticker.errors import BadPublication
from ticker.market import Level, Levels
from ticker.numbers import EXACT_TEXT, MAX_DIGITS, parse_decimal
from ticker.texts import shown


class Columns(NamedTuple):
    """Levels of a side, as integers at the scales of the book: their prices, and their sizes."""

    prices: Sequence[int]
    sizes: Sequence[int]


NO_LEVELS = Columns((), ())

_Parsed: TypeAlias = tuple[int, int, int, int]
"""Digits and places of a price, then those of a size."""

_PLAIN = 30
"""Longer texts are left to the general parser, which knows the limits."""
_EXACT = 10**15
_POWERS: list[int] = [10**places for places in range(MAX_DIGITS + 1)]
# Not strict: a float without a fraction is an integer. The decoder looks at the bounds in no time.
_decode = Decoder(list[Annotated[int, Meta(ge=0, lt=_EXACT)]], strict=False).decode


class LevelReader:
    """Reads both sides of a publication, and finds the places at which its numbers have to be held."""

    __slots__ = ("_parsed", "price_places", "size_places")

    def __init__(self, levels: Levels) -> None:
        """Raises `BadPublication` for a level that cannot be read."""
        self.price_places = self.size_places = 0
        self._parsed = self._parse(levels.bids), self._parse(levels.asks)

    def __repr__(self) -> str:
        return f"<LevelReader of {len(self._parsed[0])} bids and {len(self._parsed[1])} asks>"

    def numbers(self, prices: Scale, sizes: Scale) -> tuple[Columns, Columns]:
        """Return bids and asks at these scales, which hold no fewer places."""
        bids, asks = (
            Columns(
                [scaled(price, places, prices.held) for price, places, _, _ in side],
                [scaled(size, places, sizes.held) for _, _, size, places in side],
            )
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


def plain_levels(
    bids: Sequence[Level], asks: Sequence[Level], price_places: int, size_places: int
) -> tuple[Columns, Columns] | None:
    """Return levels that are pairs of plain decimal texts, with so many places at most; None if any is not.

    It is for the many levels of a book: several times as fast as the general parser.
    """
    try:
        pairs = cast("Sequence[tuple[str, str]]", [*bids, *asks])  # anything else fails below
        if not pairs:
            return NO_LEVELS, NO_LEVELS
        both = _at_once(pairs, price_places, size_places) or _one_by_one(pairs, price_places, size_places)
    except (TypeError, ValueError, AttributeError):
        return None
    if both is None:
        return None
    prices, sizes, count = *both, len(bids)
    return Columns(prices[:count], sizes[:count]), Columns(prices[count:], sizes[count:])


def _at_once(pairs: Sequence[tuple[str, str]], price_places: int, size_places: int) -> Columns | None:
    """Return levels with numbers of fifteen digits at most; None if any has more, or cannot be read this way.

    With an exponent behind it, a text is that integer in JSON, whose decoder reads a number in a fraction of the time
    that `int` takes, so a level costs half of that in `_one_by_one`. In between it is a float, which tells decimals of
    fifteen digits apart: one that is finer than the places does not become an integer, and is refused.
    """
    prices, sizes = zip(*pairs, strict=True)
    if max(map(len, prices + sizes)) > EXACT_TEXT:
        return None
    price_end, size_end = f"e{price_places}", f"e{size_places}"
    text = f"[{f'{price_end},'.join(prices)}{price_end},{f'{size_end},'.join(sizes)}{size_end}]"
    try:
        numbers = _decode(text)
    except DecodeError:
        return None
    count = len(pairs)
    if len(numbers) != 2 * count or len(text.split(None, 1)) > 1:  # JSON may have blanks, and a number may not
        return None
    return Columns(numbers[:count], numbers[count:])


def _one_by_one(pairs: Sequence[tuple[str, str]], price_places: int, size_places: int) -> Columns | None:
    """Return levels with at most these places; None if any is not."""
    prices: list[int] = []
    sizes: list[int] = []
    for price, size in pairs:
        whole, _, fraction = price.partition(".")
        digits, short = whole + fraction, price_places - len(fraction)
        amount, _, fraction = size.partition(".")
        amount, lacking = amount + fraction, size_places - len(fraction)
        both = digits + amount
        if short < 0 or lacking < 0 or len(both) > _PLAIN or not both.isdigit() or not both.isascii():
            return None
        prices.append(int(digits) * _POWERS[short] if short else int(digits))
        sizes.append(int(amount) * _POWERS[lacking] if lacking else int(amount))
    return Columns(prices, sizes)

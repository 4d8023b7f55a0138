"""The values of an instrument's quote, on their way into its bars.

They wait here, at the instrument's scale, until their bar of the smallest period is over or somebody needs the bars: so
a change of a quote costs little where nobody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ticker.market import Field, FieldKey, WireValue

LAST: Final = int(Field.LAST)
BID: Final = int(Field.BID)


class QuoteMove:
    """The range of `last`, or of `bid` where an instrument never had a `last`, within one bar."""

    __slots__ = ("close", "cut", "end", "fresh", "high", "low", "of_last", "open", "scale", "second", "seen", "waiting")

    def __init__(self) -> None:
        self.seen: WireValue = None
        """The latest value, also in the open cut."""
        self.fresh: list[WireValue] = []
        """Those of the open cut."""
        self.of_last = False
        """Whether it is `last` that is followed."""
        self.open = self.high = self.low = self.close = 0
        self.scale = 0
        """Decimal places of these."""
        self.second = self.end = 0
        """The time of the first of them, and the end of their bar, in seconds since 1970 UTC."""
        self.cut = 0
        """The cut of the last of them."""
        self.waiting = False
        """Whether they are not in the bars yet."""

    def __repr__(self) -> str:
        return f"<QuoteMove from {self.low} to {self.high}>"

    def value_of(self, values: Mapping[FieldKey, WireValue]) -> WireValue:
        """Return the one of these values of an instrument that is followed."""
        value = values.get(LAST)
        return value if value is not None or self.of_last else values.get(BID)

    def take(self, second: int, scale: int, cut: int, *, of_last: bool) -> bool:
        """Take in the values of the open cut, if they are only more of the same: of this bar and at this scale."""
        if second >= self.end or second < self.second or scale != self.scale or of_last != self.of_last:
            return False
        high, low, value = self.high, self.low, self.close
        for each in self.fresh:
            if type(each) is not int:  # a text, or withdrawn
                return False
            value = each
            if value > high:
                high = value
            elif value < low:
                low = value
        if self.fresh:
            self.high, self.low, self.close, self.cut, self.waiting = high, low, value, cut, True
            self.fresh.clear()
        return True

    def begin(self, values: list[int], scale: int, second: int, end: int) -> None:
        """Begin a bar with these values."""
        self.open, self.high, self.low, self.close = values[0], max(values), min(values), values[-1]
        self.scale = scale
        self.second, self.end = second, end
        self.waiting = True

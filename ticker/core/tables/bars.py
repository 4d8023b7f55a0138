"""The bars of one instrument, of all periods, and what they are made of.

The rules:

1. Bars are made of prints. An instrument that never had any has bars of `last`, and one that never had that, of `bid`:
   every value counts, also where several come within a cut. When the better source appears, what was made of the
   lesser one in this run is removed.
2. Values of quotes wait (`QuoteMove`) until their bar of the smallest period is over, or somebody needs the bars.
3. The scales are those of the instrument, or finer where bars of an earlier run have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ticker.core.quotes import QuoteMove
from ticker.core.state import State
from ticker.core.tables.candles import Candles, Move
from ticker.core.tables.decimals import Scale, scaled
from ticker.core.tables.periods import Period
from ticker.market import Rows
from ticker.numbers import parse_decimal, rescaled_number

MADE_OF_TRADES, MADE_OF_LAST, MADE_OF_BID = "trades", "last", "bid"
Parsed: TypeAlias = tuple[int, int]
"""A number as digits and decimal places."""

_RANK = {None: 0, MADE_OF_BID: 1, MADE_OF_LAST: 2, MADE_OF_TRADES: 3}


_INTEGERS = {int}


class Bars:
    """The bars of one instrument."""

    __slots__ = (
        "_given",
        "_made_since",
        "_quotes",
        "by_period",
        "prices",
        "sizes",
        "smallest",
        "source",
        "updates",
    )

    def __init__(self, price_scale: int, size_scale: int, periods: Sequence[Period], capacity: int) -> None:
        """`periods` are ordered, the smallest one first; there is at least one."""
        self.prices, self.sizes = Scale(price_scale), Scale(size_scale)
        self.by_period = {period.name: Candles(period, self.prices, self.sizes, capacity) for period in periods}
        self.smallest = periods[0]
        self.source: str | None = None
        """What bars are made of: `trades`, `last` or `bid`; None before the first of any."""
        self._made_since: int | None = None
        """The time of the first bar made of this source, in seconds, if that is a quote."""
        self._quotes: QuoteMove | None = None
        self._given = False
        """Whether there are bars from elsewhere whose times nobody has looked at."""
        self.updates = 0
        """Number of prints and corrections, or of changes of a quote."""

    def __repr__(self) -> str:
        return f"<Bars of {self.source}: {', '.join(self.by_period)}>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing came so far."""
        return self.source is None and all(candles.is_empty for candles in self.by_period.values())

    def make_of(self, source: str, cut: int) -> bool:
        """Have bars made of this source from now on; return False where they are made of a better one."""
        if source == self.source:
            return True
        if _RANK[source] < _RANK[self.source]:
            return False
        self.flush()
        if self._made_since is not None:
            for candles in self.by_period.values():
                candles.remove_quotes(candles.period.bounds(self._made_since)[0], cut)
        self.source, self._made_since, self._quotes = source, None, None
        return True

    def drop_after(self, second: int, cut: int) -> int:
        """Drop bars from elsewhere that begin after this time: what comes would lie before them. Return how many."""
        if not self._given:
            return 0
        self._given = False
        dropped = 0
        for candles in self.by_period.values():
            last = candles.last
            if last is not None and last > second:
                dropped += candles.remove_after(second, cut)
        return dropped

    def state(self, per_cut: int = 1) -> State:
        """Return it as plain data, between two cuts; without the number of updates, in which quotes count when somebody
        needs them, and so not alike in two caches."""
        self.flush()
        periods = [[name, candles.state(per_cut)] for name, candles in self.by_period.items()]
        scales = self.prices.state(), self.sizes.state()
        return [*scales, self.source, self._made_since, self._given, periods]

    def restore_state(self, state: State, per_cut: int = 1) -> None:
        """Take over such data of the same periods, between two cuts."""
        self._quotes = None
        prices, sizes, self.source, self._made_since, self._given, periods = state
        self.prices.restore(prices)
        self.sizes.restore(sizes)
        for name, candles in periods:
            self.by_period[name].restore(candles, per_cut)

    # Numbers

    def hold(self, price_places: int, size_places: int = 0) -> None:
        """Hold numbers at no fewer places than these."""
        if price_places > self.prices.held or size_places > self.sizes.held:
            self.flush()
            factors = self.prices.hold(price_places), self.sizes.hold(size_places)
            for candles in self.by_period.values():
                candles.rescale(*factors)

    def follow(self, price_scale: int, size_scale: int, cut: int) -> None:
        """Have scales on the wire that are no coarser than these."""
        before = self.prices.wire, self.sizes.wire
        if price_scale <= before[0] and size_scale <= before[1]:
            return
        self.flush()  # what waits is of an earlier cut than that at which all rows change
        self.hold(price_scale, size_scale)
        for candles in self.by_period.values():
            candles.latest(0)  # writes the last bar at the former scales
        self.prices.declare(price_scale)
        self.sizes.declare(size_scale)
        for candles in self.by_period.values():
            candles.follow(before, cut)

    # Changes

    def fold(self, move: Move, cut: int) -> None:
        """Take in something that happened within one bar of the smallest period."""
        self.updates += 1
        for candles in self.by_period.values():
            candles.fold(move, cut)

    def take_print(self, second: int, price: Parsed, size: Parsed, cut: int, *, late: bool) -> None:
        """Take in a print."""
        self.hold(price[1], size[1])
        at, volume = scaled(*price, self.prices.held), scaled(*size, self.sizes.held)
        self.fold(Move(second, at, at, at, at, volume, 1, late), cut)

    def take_correction(self, second: int, former: Parsed, size: Parsed, cut: int) -> None:
        """Change volume and count of the bars with a print that was corrected or busted; their prices stay."""
        self.updates += 1
        self.hold(0, max(former[1], size[1]))
        volume = scaled(*size, self.sizes.held) - scaled(*former, self.sizes.held)
        count = (size[0] > 0) - (former[0] > 0)
        for candles in self.by_period.values():
            candles.adjust(second, volume, count, cut)

    def begin_quotes(self, quotes: QuoteMove, values: Sequence[int | str], scale: int, second: int, cut: int) -> None:
        """Take in values of a quote at this scale, with which a bar begins, or which are texts."""
        self.flush()
        if not values or not self.make_of(MADE_OF_LAST if quotes.of_last else MADE_OF_BID, cut):
            return
        if self._made_since is None:
            self._made_since = second
        parsed = [(value, scale) if isinstance(value, int) else parse_decimal(value) for value in values]
        places = max(scale, *(its for _, its in parsed))
        quotes.begin([scaled(*value, places) for value in parsed], places, second, self.smallest.bounds(second)[1])
        quotes.cut = cut
        self._quotes = quotes

    def flush(self) -> None:
        """Bring the values of a quote that wait into the bars."""
        quotes = self._quotes
        if quotes is not None and quotes.waiting:
            quotes.waiting = False
            self.hold(quotes.scale)
            values = (quotes.open, quotes.high, quotes.low, quotes.close)
            first, high, low, close = (scaled(each, quotes.scale, self.prices.held) for each in values)
            self.fold(Move(quotes.second, first, high, low, close), quotes.cut)
            # More of the same bar can come: what is in the bars already has no effect there.
            quotes.open = quotes.high = quotes.low = quotes.close

    def put(self, period: str, row: Rows, scales: tuple[int, int], cut: int) -> None:
        """Add or replace a bar, given at these scales of the wire."""
        self.flush()
        self._given = True
        self.by_period[period].put(self._at_our_scales(row, scales), cut)

    def estimate(self, period: str, row: Rows, scales: tuple[int, int], cut: int) -> None:
        """Take in a bar that may be an invention, given at these scales of the wire."""
        self.flush()
        self._given = True
        self.by_period[period].estimate(self._at_our_scales(row, scales), cut)

    def restore(self, period: str, rows: Iterable[Rows], scales: tuple[int, int], cut: int) -> None:
        """Take in bars of an earlier run, given at these scales of the wire."""
        self.flush()
        self._given = True
        self.follow(*scales, cut)
        for row in rows:
            self.by_period[period].merge(self._at_our_scales(row, scales), cut)

    def _at_our_scales(self, row: Rows, scales: tuple[int, int]) -> Rows:
        """Return a row of the wire at our scales there; its numbers can be held."""
        if scales == (self.prices.wire, self.sizes.wire) and set(map(type, row)) == _INTEGERS:
            return row
        start, *prices, volume, count = row
        numbers = [rescaled_number(price, scales[0], self.prices.wire) for price in prices if price is not None]
        if volume is not None:
            volume = rescaled_number(volume, scales[1], self.sizes.wire)
        texts = [parse_decimal(cell)[1] for cell in numbers if isinstance(cell, str)]
        self.hold(max(texts, default=0), parse_decimal(volume)[1] if isinstance(volume, str) else 0)
        return [start, *numbers, volume, count]

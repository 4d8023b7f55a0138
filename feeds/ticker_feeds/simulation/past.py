"""The past of an invented price: bars that end where its live prices begin, the same for the same seed and time.

The bars of all periods agree: where bars of a shorter period exist, a longer one's are made of them; from there on they
go further back in steps of their own, drawn back to the anchor as the live price is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import NamedTuple

PERIODS = {"1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}
"""Periods with a past, and their seconds: each divides the next one."""

_MINUTE_SHARE = 0.0006
"""The price moves by at most this share of its anchor within a minute."""

_LOTS = 25
"""The most lots of a trade, on average of its bar: as those of the live market."""


class PastBar(NamedTuple):
    """A bar; prices in ticks, the start in seconds since 1970 UTC."""

    start: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int


def past_bars(
    last: int, anchor: int, count: int, random: Random, now: int, trades_per_minute: float
) -> dict[str, list[PastBar]]:
    """Return for each period its latest `count` bars, the oldest first; the newest one ends with the price `last`."""
    periods: dict[str, list[PastBar]] = {}
    bars: list[PastBar] = []
    for period, seconds in PERIODS.items():
        # The newest first.
        bars = [_joined(start, list(some)) for start, some in itertools.groupby(bars, partial(_begin, seconds))]
        longer = next((each for each in PERIODS.values() if each > seconds), seconds)
        start = bars[-1].start - seconds if bars else now // seconds * seconds
        close = bars[-1].open if bars else last
        # They begin with a bar of the next longer period, which can then be made of them.
        while len(bars) < count or bars[-1].start % longer:
            bars.append(_bar_before(start, close, anchor, seconds, random, trades_per_minute))
            start, close = start - seconds, bars[-1].open
        periods[period] = bars[count - 1 :: -1]
    return periods


def _begin(seconds: int, bar: PastBar) -> int:
    """Return the start of the longer bar that this one belongs to."""
    return bar.start // seconds * seconds


def _joined(start: int, bars: Sequence[PastBar]) -> PastBar:
    """Join bars, the newest first, into one."""
    return PastBar(
        start,
        bars[-1].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[0].close,
        sum(bar.lots for bar in bars),
        sum(bar.trades for bar in bars),
    )


def _bar_before(start: int, close: int, anchor: int, seconds: int, random: Random, trades_per_minute: float) -> PastBar:
    """Return a bar that ends with this price."""
    minutes = seconds // 60
    span = max(1, int(anchor * _MINUTE_SHARE * minutes**0.5))
    step = 1 + int(random.random() * span)
    # As the live price: at an eighth of the anchor every step leads back.
    first = max(1, close + (step if random.random() < 0.5 - 4 * (close - anchor) / anchor else -step))
    high = max(first, close) + int(random.random() * span / 2)
    low = max(1, min(first, close) - int(random.random() * span / 2))
    trades = max(1, int(minutes * trades_per_minute * (0.5 + random.random())))
    return PastBar(start, first, high, low, close, trades + int(trades * random.random() * (_LOTS - 1)), trades)

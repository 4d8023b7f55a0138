"""The past of the workload `bars`: the bars and books that its feed publishes before anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

PERIODS = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86_400}
"""By name, in seconds."""

NOW = 1_795_824_000
"""The start of the day at which the past ends, in seconds since 1970 UTC."""

Bar: TypeAlias = tuple[int, str, str, str, str, str, int]
"""Start, open, high, low, close, volume and count."""


def bars(number: int, seconds: int, count: int) -> Iterator[Bar]:
    """Yield the last `count` bars of so many seconds before `NOW`, of the instrument with this number."""
    for index in range(count):
        start = NOW - (count - index) * seconds
        price = 10_000 + 97 * number + start // seconds % 1000
        opened, high, low, close = (_price(price + step) for step in (0, 25, -25, 10))
        yield start, opened, high, low, close, f"{100 + index}.{number % 10}", 10 + index


def levels_of(number: int, count: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return so many bids and asks of the instrument with this number."""
    middle = 1_000_000 + 97 * number
    bids = [(_price(middle - step), f"{step % 90 + 1}.{step % 1000:03}") for step in range(1, count + 1)]
    asks = [(_price(middle + step), f"{step % 80 + 1}.{step % 1000:03}") for step in range(1, count + 1)]
    return bids, asks


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"

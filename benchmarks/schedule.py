"""The updates of one phase, computed beforehand, so that a slow server cannot change the load (open loop).

Every update has a unique price, and prices only rise: a price identifies the latest update of a client and implies all
earlier ones, whether or not the server conflates.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.workloads import Phase

FIRST_PRICE = 10_000


class Schedule:
    """Times, instruments and prices of the updates. Times are seconds since the phase's start."""

    def __init__(self, phase: Phase, symbols: int, *, first_price: int, seed: int) -> None:
        choose = random.Random(seed)  # noqa: S311  # the same schedule for every server
        self.phase = phase
        self.first_price = first_price
        count = int(phase.rate * phase.seconds)
        self.numbers = choose.choices(range(symbols), k=count)
        self.intended = [index // phase.burst * phase.burst / phase.rate for index in range(count)]
        self._by_instrument: list[list[int]] = []
        """For each instrument, the indexes of its updates."""
        self.truncate(count)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.numbers)} updates at {self.phase.rate}/s>"

    def truncate(self, count: int) -> None:
        """Keep only the first `count` updates."""
        if self._by_instrument and count == len(self.numbers):
            return  # rebuilding the index of a million updates would stall the clients
        del self.numbers[count:], self.intended[count:]
        self._by_instrument = [[] for _ in range(max(self.numbers, default=0) + 1)]
        for index, number in enumerate(self.numbers):
            self._by_instrument[number].append(index)

    def updates_of(self, number: int) -> list[int]:
        """Return the indexes of an instrument's updates."""
        return self._by_instrument[number] if number < len(self._by_instrument) else []

    def lines(self, wall: float) -> list[bytes]:
        """Return the server's input for a phase that starts at `wall` (seconds since 1970 UTC)."""
        return [
            b"%d %d %d\n" % (number, self.first_price + index, int((wall + intended) * 1e6))
            for index, (number, intended) in enumerate(zip(self.numbers, self.intended, strict=True))
        ]

    def due(self, now: float) -> int:
        """Return the number of updates due at `now`."""
        phase = self.phase
        return min(len(self.numbers), (int(now * phase.rate / phase.burst) + 1) * phase.burst) if now >= 0 else 0

    def latest(self) -> Mapping[int, int]:
        """Return the last price of each updated instrument."""
        return {number: self.first_price + index for index, number in enumerate(self.numbers)}

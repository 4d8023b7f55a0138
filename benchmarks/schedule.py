"""The updates of one phase, computed beforehand, so that nothing that happens can change what is asked (open loop).

Every update has a price of its own, and prices only rise: a price tells which update a client has, and that it has
everything before it, whether or not a server merges updates on the way.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from benchmarks.workloads import Phase

FIRST_PRICE = 10_000


class Schedule:
    """When which instrument gets its next price. Times are seconds since the phase's start."""

    def __init__(self, phase: Phase, symbols: int, *, first_price: int, seed: int) -> None:
        choose = random.Random(seed)  # noqa: S311  # the same schedule for every server
        self.phase = phase
        self.first_price = first_price
        count = int(phase.rate * phase.seconds)
        self.numbers = choose.choices(range(symbols), k=count)
        self.intended = [index // phase.burst * phase.burst / phase.rate for index in range(count)]
        self.places: list[list[int]] = []
        """For each instrument, which updates are its own."""
        self.cut_to(count)

    def cut_to(self, count: int) -> None:
        """Only the first `count` updates were needed."""
        if self.places and count == len(self.numbers):
            return  # with a million of them, the clients would have to wait
        del self.numbers[count:], self.intended[count:]
        self.places = [[] for _ in range(max(self.numbers, default=0) + 1)]
        for index, number in enumerate(self.numbers):
            self.places[number].append(index)

    def places_of(self, number: int) -> list[int]:
        """Which updates are this instrument's."""
        return self.places[number] if number < len(self.places) else []

    def lines(self, wall: float) -> list[bytes]:
        """What the server reads, if the phase starts at `wall` (seconds since 1970 UTC)."""
        return [
            b"%d %d %d\n" % (number, self.first_price + index, int((wall + intended) * 1e6))
            for index, (number, intended) in enumerate(zip(self.numbers, self.intended, strict=True))
        ]

    def due(self, now: float) -> int:
        """How many updates are due."""
        phase = self.phase
        return min(len(self.numbers), (int(now * phase.rate / phase.burst) + 1) * phase.burst) if now >= 0 else 0

    def latest(self) -> Mapping[int, int]:
        """The last price of each instrument that got one."""
        return {number: self.first_price + index for index, number in enumerate(self.numbers)}

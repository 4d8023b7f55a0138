"""Keeps the market out of the garbage collector's way: instruments stay for the life of the process.

A full collection looks at every object, ten for each instrument: with 100,000 of them, everybody waits for a third of a
second.
"""

from __future__ import annotations

import gc

_LEAST = 1_000
"""The least number of new instruments that are worth it: a collection among them takes some milliseconds."""

_SHARE = 10
"""And one of so many of those that are there."""


class FrozenMarket:
    """The instruments that the collector does not look at any more."""

    def __init__(self) -> None:
        self._frozen = 0

    def __repr__(self) -> str:
        return f"<FrozenMarket of {self._frozen} instruments>"

    def grow(self, instruments: int) -> None:
        """Freeze all objects once there are many more instruments, in a process whose imports are frozen as well.

        Garbage among the young objects is collected before: what is frozen is never collected.
        """
        if instruments - self._frozen >= max(_LEAST, self._frozen // _SHARE) and gc.get_freeze_count():
            self._frozen = instruments
            gc.collect(1)
            gc.freeze()

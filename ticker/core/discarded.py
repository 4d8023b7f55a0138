"""Large dicts that nobody needs any more, freed in steps: 400,000 entries at once would take 50 ms and more."""

from __future__ import annotations

from typing import Any

_SMALL = 1_000
"""A dict with no more entries is freed at once."""


class Discarded:
    """The dicts that are still to be freed."""

    def __init__(self) -> None:
        self._dicts: list[dict[Any, Any]] = []

    def __repr__(self) -> str:
        return f"<Discarded: {sum(map(len, self._dicts))} entries>"

    def add(self, *dicts: dict[Any, Any]) -> None:
        """Take over dicts that their owners have dropped."""
        self._dicts += [each for each in dicts if len(each) > _SMALL]

    def free(self, most: int) -> None:
        """Free so many entries."""
        while self._dicts and most > 0:
            entries = self._dicts[-1]
            some = min(most, len(entries))
            for _ in range(some):
                entries.popitem()
            if not entries:
                self._dicts.pop()
            most -= some

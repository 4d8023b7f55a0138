"""The names that a user wants, each with the fields that are wanted of it. Pure.

One name may be wanted several times, with other fields each time: the union of them is asked for. Different names that
match one instrument are put together by the server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, KeysView
from typing import TypeAlias

FieldSet: TypeAlias = frozenset[str] | None
"""Names of fields; None for all of them."""


class WantedNames:
    """The names of one client, counted by how often they are wanted."""

    __slots__ = ("_counts", "_selected")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._selected: dict[str, Counter[FieldSet]] = {}
        """By name: how often only these fields of it are wanted."""

    def __repr__(self) -> str:
        return f"<WantedNames: {len(self._counts)}, {len(self._selected)} with fields>"

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, name: str) -> bool:
        return name in self._counts

    @property
    def names(self) -> KeysView[str]:
        """The names."""
        return self._counts.keys()

    def add(self, names: Iterable[str], fields: FieldSet) -> None:
        """Want these names, once more each, with these fields."""
        names = list(names)
        self._counts.update(names)
        if fields is not None:
            for name in names:
                self._selected.setdefault(name, Counter())[fields] += 1

    def remove(self, names: Iterable[str], fields: FieldSet) -> None:
        """Take an `add` back."""
        names = list(names)
        self._counts.subtract(names)
        self._counts += Counter()
        for name in names if fields is not None else ():
            selected = self._selected.get(name, Counter())
            selected[fields] -= 1
            if not +selected:
                self._selected.pop(name, None)

    def by_name(self, most: int) -> dict[str, FieldSet]:
        """Return the fields to ask for by name: at most so many different sets of fields; names beyond have all."""
        wanted: dict[str, FieldSet] = dict.fromkeys(self._counts)
        if not self._selected or not most:
            return wanted
        known: set[FieldSet] = set()
        for name, selected in self._selected.items():
            if " " in name or self._counts[name] > selected.total():
                continue  # a table comes whole, and all fields of this one are wanted as well
            fields = frozenset().union(*(each for each, count in selected.items() if count and each is not None))
            if fields in known or len(known) < most:
                known.add(fields)
                wanted[name] = fields
        return wanted


def covers(fields: FieldSet, wanted: FieldSet) -> bool:
    """Return whether these fields have all that are wanted."""
    return fields is None or (wanted is not None and wanted <= fields)

"""The numbers of a table: unlimited integers at one scale inside, cells of the wire at another."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ticker.core.scales import risen_scale
from ticker.core.state import State
from ticker.numbers import MAX_DIGITS, MAX_INTEGER, decimal_text, fewest_places, parse_decimal

_POWERS: list[int] = [10**places for places in range(MAX_DIGITS + 1)]
_WRITTEN = 15
"""The most places, zeros at the end included, that are kept so that a venue's texts are read in one step."""


class Scale:
    """The decimal places of a table's prices or sizes.

    Inside, numbers are integers at `held` places, without a bound, so that any decimal is exact. `wire` is the scale of
    the cells, never above it: a number without an integer of 53 bits at that scale is a plain decimal text there.
    """

    __slots__ = ("_refused", "held", "unit", "wire")

    def __init__(self, wire: int) -> None:
        self.held = self.wire = wire
        self.unit = 1
        """The step of the wire's scale: numbers that are no multiple of it are finer than that."""
        # A scale that left too little room: it, and finer ones, are not tried again.
        self._refused = MAX_DIGITS + 1

    def __repr__(self) -> str:
        return f"<Scale {self.wire}, held at {self.held}>"

    def state(self) -> State:
        """Return it as plain data."""
        return [self.held, self.wire, self._refused]

    def restore(self, state: State) -> None:
        """Take over such data, as a new object."""
        self.held, self.wire, self._refused = state
        self.unit = _POWERS[self.held - self.wire]

    def cell(self, number: int) -> int | str:
        """Return a number of ours as a cell of the wire."""
        unit = self.unit
        whole = number // unit
        if whole * unit != number or not -MAX_INTEGER <= whole <= MAX_INTEGER:
            return decimal_text(*fewest_places(number, self.held))
        return whole

    def number(self, cell: int | str) -> int:
        """Return a cell of the wire as a number of ours: it has at most `held` places."""
        return cell * self.unit if isinstance(cell, int) else scaled(*parse_decimal(cell), self.held)

    def hold(self, places: int) -> int:
        """Hold numbers at no fewer places than these; return the factor by which those held so far have to grow."""
        factor = _POWERS[max(places - self.held, 0)]
        self.held = max(self.held, places)
        self.unit *= factor
        return factor

    def raise_wire(self, numbers: Collection[int], largest: Callable[[], int]) -> bool:
        """Raise the wire's scale for these new numbers, if that serves; `largest` returns the largest of all."""
        wanted = {places for number in numbers if (places := fewest_places(number, self.held)[1]) < self._refused}
        finer = {places for places in wanted if places > self.wire}
        if not finer:
            return False
        risen = risen_scale(self.wire, finer, largest(), self.held)
        if risen < max(finer):
            self._refused = min(places for places in finer if places > risen)
        return self.declare(risen)

    def declare(self, wire: int) -> bool:
        """Have the wire's scale at no fewer places than these; return whether it has risen. `hold` them before."""
        if wire <= self.wire:
            return False
        self.unit //= _POWERS[wire - self.wire]
        self.wire = wire
        return True


def scaled(digits: int, places: int, held: int) -> int:
    """Return `digits / 10**places` at `held` places, which are no fewer."""
    return digits * _POWERS[held - places]


def written_places(value: object) -> int:
    """Return the places with which a venue writes its numbers, zeros at the end included, if they are worth holding."""
    fraction = value.partition(".")[2] if type(value) is str else ""
    return len(fraction) if len(fraction) <= _WRITTEN and fraction.isdigit() else 0

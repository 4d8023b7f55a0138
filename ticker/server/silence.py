"""The instruments of a feed that have fallen silent, while the feed itself goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ticker.server.feed_channel import Applied, MarkSilent


class InstrumentSilence:
    """Watches the numbers of publications of a feed's instruments: one that stays the same is silence.

    An instrument is told of once for each silence of its values, and once more when its book falls silent too.
    """

    def __init__(self, applied_of: Callable[[str], Applied], seconds: float) -> None:
        self._applied_of = applied_of
        self._seconds = seconds
        self._values: dict[str, tuple[int, float]] = {}
        self._levels: dict[str, tuple[int, float]] = {}
        """By symbol, the number that was seen last, and the time since which it is that."""
        self._values_told: dict[str, int] = {}
        self._levels_told: dict[str, int] = {}
        """The numbers at which an instrument was told of: once for each silence."""

    def __repr__(self) -> str:
        return f"<InstrumentSilence of {len(self._values)} instruments, {self._seconds:g} s>"

    def look(self, symbols: Sequence[str], now: float) -> list[MarkSilent]:
        """Look at these instruments; return the marks of those that have fallen silent since the last look."""
        with_books: list[str] = []
        values_only: list[str] = []
        for symbol in symbols:
            applied = self._applied_of(symbol)
            values = self._is_silent(self._values, symbol, applied.values, now)
            levels = self._is_silent(self._levels, symbol, applied.levels, now)
            if not values or not (levels or applied.values):  # of one with a book only, levels are the sign of life
                continue
            news = self._values_told.get(symbol) != applied.values
            if levels:
                news |= self._levels_told.get(symbol) != applied.levels
                self._levels_told[symbol] = applied.levels
            if news:
                self._values_told[symbol] = applied.values
                (with_books if levels else values_only).append(symbol)
        found = ((with_books, True), (values_only, False))
        return [MarkSilent(silent, books=books) for silent, books in found if silent]

    def _is_silent(self, seen: dict[str, tuple[int, float]], symbol: str, number: int, now: float) -> bool:
        before, since = seen.get(symbol, (-1, now))
        if number != before:
            seen[symbol] = number, now
            return False
        return now - since >= self._seconds

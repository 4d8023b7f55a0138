"""ticker/server/silence.py: which instruments have fallen silent, and whether their books have, too."""

from __future__ import annotations

from collections import Counter

from ticker.server.feed_channel import Applied
from ticker.server.silence import InstrumentSilence


class Market:
    """The publications of instruments, and what is told of them at each look; the limit is ten seconds."""

    def __init__(self, *symbols: str) -> None:
        self.symbols = symbols
        self.values: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.now = 0.0
        self._silence = InstrumentSilence(lambda symbol: Applied(self.values[symbol], self.levels[symbol]), 10)

    def after(self, seconds: float) -> list[tuple[list[str], bool]]:
        """The marks after so many seconds: instruments, and whether it is of their books as well."""
        self.now += seconds
        marks = self._silence.look(self.symbols, self.now)
        return [(list(each.symbols_of(None)), each.books) for each in marks]  # type: ignore[arg-type]  # given ones


def test_an_instrument_with_values_only_is_told_of_once_for_each_silence() -> None:
    market = Market("A", "B")
    market.values.update("AB")
    assert market.after(0) == []
    market.values.update("B")
    assert market.after(10) == [(["A"], True)]
    assert market.after(10) == [(["B"], True)]
    assert market.after(10) == []
    market.values.update("A")
    assert market.after(0) == []
    assert market.after(9) == []
    assert market.after(1) == [(["A"], True)]


def test_levels_are_the_sign_of_life_of_an_instrument_with_a_book_only() -> None:
    market = Market("A")
    for _ in range(5):
        market.levels.update("A")
        assert market.after(8) == []
    assert market.after(10) == [(["A"], True)]
    assert market.after(10) == []
    market.levels.update("A")
    assert market.after(1) == []
    assert market.after(10) == [(["A"], True)]


def test_values_that_fall_silent_are_told_of_while_the_book_goes_on_and_the_book_once_it_does_not() -> None:
    market = Market("A")
    market.values.update("A")
    market.levels.update("A")
    assert market.after(0) == []
    market.levels.update("A")
    assert market.after(9) == []
    market.levels.update("A")
    assert market.after(1) == [(["A"], False)]
    assert market.after(9) == []
    assert market.after(1) == [(["A"], True)]
    market.levels.update("A")
    assert market.after(1) == []
    assert market.after(10) == [(["A"], True)]


def test_a_book_that_is_quiet_beside_values_that_come_is_not_silent() -> None:
    market = Market("A")
    market.levels.update("A")
    for _ in range(5):
        market.values.update("A")
        assert market.after(8) == []


def test_an_instrument_that_was_only_declared_is_silent() -> None:
    market = Market("A")
    assert market.after(0) == []
    assert market.after(10) == [(["A"], True)]
    assert market.after(100) == []

"""Instruments found by words: each is in the symbol, with or without its separators, or in the name, venue or currency,
in any case and without accents. The texts of an instrument are folded when it is first compared, in the steps of a
search; they take some 200 bytes each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from ticker.market import Instrument

TEXT_WEIGHT: Final = 4
"""Cost of a comparison with words, in comparisons with a pattern."""

SEARCHED: Final = ("name", "venue", "currency")
"""The metadata that are searched."""

_SEPARATORS = str.maketrans("", "", "-/_.:")


def fold(text: str) -> str:
    """Return a text without case and accents."""
    if not text.isascii():
        text = "".join(each for each in unicodedata.normalize("NFD", text) if unicodedata.category(each) != "Mn")
    return text.lower()


def words_of(text: str) -> list[tuple[str, str]]:
    """Return the words of a search, as they are compared: each as it is, and without separators."""
    return [(word, word.translate(_SEPARATORS)) for word in fold(text).split()]


class FoldedTexts:
    """The texts of instruments as they are compared."""

    def __init__(self) -> None:
        # Two dicts, and no pairs: many new objects at once make the garbage collector go through the whole market.
        self._of: dict[str, Instrument] = {}
        self._texts: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<FoldedTexts of {len(self._of)} instruments>"

    def has_words(self, instrument: Instrument, words: Sequence[tuple[str, str]]) -> bool:
        """Return whether an instrument has all of these words."""
        symbol = instrument.symbol
        if self._of.get(symbol) is not instrument:
            self._of[symbol], self._texts[symbol] = instrument, _folded(instrument)
        found = self._texts[symbol]
        return all(word in found or (bare != "" and bare in found) for word, bare in words)


def _folded(instrument: Instrument) -> str:
    symbol, metadata = instrument.symbol, instrument.metadata
    texts = [symbol, symbol.translate(_SEPARATORS), *[metadata[key] for key in SEARCHED if key in metadata]]
    return fold("\n".join(texts))

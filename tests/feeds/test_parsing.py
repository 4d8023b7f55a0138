"""ticker_feeds/parsing.py: symbols from outside can be published, and no two of them become one."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.market import MAX_SYMBOL, is_symbol
from ticker_feeds.parsing import encode_symbol


@pytest.mark.parametrize(
    ("written", "published"),
    [
        ("EURUSD", "EURUSD"),
        ("SPX 2026-12-18 C 5000", "SPX%202026-12-18%20C%205000"),
        ("A\tB\nC", "A%09B%0AC"),
        ("A\xa0B\u3000C", "A%C2%A0B%E3%80%80C"),
        ("50%", "50%"),
        ("A%20B", "A%2520B"),
        ("\u00c4/\u20ac", "\u00c4/\u20ac"),
    ],
)
def test_white_space_is_percent_encoded_and_other_characters_stay(written: str, published: str) -> None:
    assert encode_symbol(written) == published
    assert is_symbol(published)


@given(st.text(alphabet=st.sampled_from(" %20aAfF\t\u3000"), max_size=12))
def test_every_encoded_symbol_gives_its_text_back(written: str) -> None:
    assert unquote(encode_symbol(written)) == written


def test_a_symbol_that_is_too_long_or_a_pattern_stays_no_symbol() -> None:
    assert is_symbol(encode_symbol("A " * (MAX_SYMBOL // 4)))
    for written in ("A " * MAX_SYMBOL, "A*", "A,B", "[A]", ""):
        assert not is_symbol(encode_symbol(written))

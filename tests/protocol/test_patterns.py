"""Patterns mean what PROTOCOL.md says, by a matcher that was written from its section 5 alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.protocol.symbols import matcher

CHARACTERS = "abc-!^\\.é"
SYMBOLS = st.text(CHARACTERS, min_size=1, max_size=6)
PATTERNS = st.text(CHARACTERS + "*?[]", max_size=9).map(lambda text: text + "*")


def matches(pattern: str, symbol: str) -> bool:
    if not pattern:
        return not symbol
    if pattern[0] == "*":
        return any(matches(pattern[1:], symbol[start:]) for start in range(len(symbol) + 1))
    end = closing(pattern) if pattern[0] == "[" else 0
    if end:
        inside = pattern[1:end]
        negated = inside.startswith("!")
        good = bool(symbol) and among(inside[negated:], symbol[0]) != negated
        return good and matches(pattern[end + 1 :], symbol[1:])
    return bool(symbol) and pattern[0] in {"?", symbol[0]} and matches(pattern[1:], symbol[1:])


def closing(pattern: str) -> int:
    """The place of the ] that ends a class at the beginning; 0 if nothing closes it."""
    first = 2 if pattern[1:2] == "!" else 1
    return max(pattern.find("]", first + 1), 0)


def among(characters: str, one: str) -> bool:
    at = 0
    while at < len(characters):
        if characters[at + 1 : at + 2] == "-" and at + 2 < len(characters):
            if characters[at] <= one <= characters[at + 2]:
                return True
            at += 3
        else:
            if characters[at] == one:
                return True
            at += 1
    return False


@given(PATTERNS, SYMBOLS)
def test_a_pattern_matches_what_the_text_says(pattern: str, symbol: str) -> None:
    assert bool(matcher([pattern])(symbol)) == matches(pattern, symbol)


@pytest.mark.parametrize(
    ("pattern", "symbol", "expected"),
    [
        ("[]a]*", "a", True),
        ("[a-c]", "b", True),
        ("[c-a]", "b", False),
        ("[!c-a]", "b", True),
        ("[-a]", "-", True),
        ("[a-]", "-", True),
        ("[a-c-e]", "d", False),
        ("[a-c-e]", "-", True),
        ("[^a]", "b", False),
        ("[^a]", "^", True),
        ("[a", "[a", True),
        ("?", "é", True),
        ("?", "😀", True),
        ("a?", "a", False),
    ],
)
def test_classes_and_characters(pattern: str, symbol: str, expected: bool) -> None:  # noqa: FBT001  # a column
    assert bool(matcher([pattern])(symbol)) is matches(pattern, symbol) is expected

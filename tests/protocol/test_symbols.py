"""ticker/protocol/symbols.py: patterns, and the one matcher of names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticker.market import MAX_SYMBOL, is_symbol
from ticker.protocol.symbols import is_pattern, matcher

SYMBOLS = ["A", "AB", "ABC", "B", "a", "A-B", "A.B", "A!", "^A", "A^B", "日経", "AA", "C", "-", "!"]


def matched(*names: str) -> list[str]:
    match = matcher(names)
    return [symbol for symbol in SYMBOLS if match(symbol)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", SYMBOLS),
        ("?", ["A", "B", "a", "C", "-", "!"]),
        ("??", ["AB", "日経", "A!", "^A", "AA"]),
        ("A*", ["A", "AB", "ABC", "A-B", "A.B", "A!", "A^B", "AA"]),
        ("*B", ["AB", "B", "A-B", "A.B", "A^B"]),
        ("A?B", ["A-B", "A.B", "A^B"]),
        ("A.?", ["A.B"]),
        ("*A*B*", ["AB", "ABC", "A-B", "A.B", "A^B"]),
        ("日?", ["日経"]),
        ("a*", ["a"]),
        ("[AB]", ["A", "B"]),
        ("[A-C]", ["A", "B", "C"]),
        ("[C-A]", []),
        ("[!AB]", ["a", "C", "-", "!"]),
        ("[!A-C]", ["a", "-", "!"]),
        ("[A!]", ["A", "!"]),
        ("[!]", []),
        ("[!!]", ["A", "B", "a", "C", "-"]),
        ("[-A]", ["A", "-"]),
        ("[A-]", ["A", "-"]),
        ("[A-C-]", ["A", "B", "C", "-"]),
        ("A[^]B", ["A^B"]),
        ("A[!^]B", ["A-B", "A.B"]),
        ("[^A]*", ["A", "AB", "ABC", "A-B", "A.B", "A!", "^A", "A^B", "AA"]),
        ("[]A]", ["A"]),
        ("[!]A]", ["B", "a", "C", "-", "!"]),
        ("[[A]", ["A"]),
        ("[A", []),
        ("[", []),
        ("[]", []),
        ("A[]B", []),
        ("A[B]*", ["AB", "ABC"]),
        ("[A][B]", ["AB"]),
        ("(A|B)*", []),
        ("A+*", []),
        ("\\*", []),
    ],
)
def test_a_pattern_matches_whole_symbols_by_their_characters(pattern: str, expected: list[str]) -> None:
    assert sorted(matched(pattern)) == sorted(expected)


def test_any_of_several_names_may_match() -> None:
    assert matched("A", "B") == ["A", "B"]
    assert matched("A", "?B") == ["A", "AB"]
    assert matched("C", "A", "B*", "*C") == ["A", "ABC", "B", "C"]
    assert matched("B?*", "日*", "AA") == ["日経", "AA"]
    assert matched("AB", "AB", "A[B]") == ["AB"]
    assert matched() == []


def test_a_symbol_matches_itself_only() -> None:
    for symbol in SYMBOLS:
        assert matched(symbol) == [symbol]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", True),
        ("?", True),
        ("[", True),
        ("A[BC]", True),
        ("EUR*", True),
        ("EUR", False),
        ("A]", False),
        ("", False),
        ("A *", False),
        ("A\t*", False),
        ("A,*", False),
        ("*,A", False),
        ("* ", False),
        ("*" * MAX_SYMBOL, True),
        ("*" * (MAX_SYMBOL + 1), False),
    ],
)
def test_a_pattern_has_a_wildcard_and_no_spaces_or_commas(text: str, expected: bool) -> None:  # noqa: FBT001
    assert is_pattern(text) is expected


names = st.text(st.sampled_from("AB-!^[]*?&|~.\\"), min_size=1, max_size=8)


@given(st.lists(names, max_size=4), names)
@example(["[a--b]"], "-")
@example(["[[", "[[]", "[a||b]", "[a&&b]", "[a~~b]"], "[")
def test_any_names_match_as_each_of_them_alone(some: list[str], symbol: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as re's warnings of sets within sets
        found = bool(matcher(some)(symbol))
    assert found == any(name == symbol if is_symbol(name) else fnmatchcase(symbol, name) for name in some)


@given(names)
def test_no_text_is_a_pattern_and_a_symbol(text: str) -> None:
    assert not (is_pattern(text) and is_symbol(text))


class Counted(list[str]):
    """Names that count how often somebody goes through them."""

    passes = 0

    def __iter__(self) -> Iterator[str]:
        self.passes += 1
        return super().__iter__()


@pytest.mark.parametrize("more", [[], ["X*"]], ids=["symbols", "symbols and a pattern"])
def test_the_names_are_not_gone_through_again_for_each_symbol(more: list[str]) -> None:
    some = Counted([f"S{number}" for number in range(1000)] + more)
    match = matcher(some)
    passes = some.passes
    assert sum(bool(match(f"S{number}")) for number in range(2000)) == 1000
    assert some.passes == passes <= 3


def test_patterns_are_one_regular_expression_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, compile_ = list[str](), re.compile

    def count(pattern: str) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_(pattern)

    monkeypatch.setattr(re, "compile", count)
    match = matcher([f"P{number}?*" for number in range(100)])
    assert len(compiled) == 1
    assert match("P7X")
    assert not match("Q")
    assert len(compiled) == 1


def test_a_pattern_of_many_stars_is_no_trap() -> None:
    """Backtracking over thirty stars would take longer than the age of the market."""
    assert not matcher(["*A" * 30 + "*B"])("A" * MAX_SYMBOL)

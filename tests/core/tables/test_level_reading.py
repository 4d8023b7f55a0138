"""ticker/core/tables/level_reading.py: levels read all at once are those that the general parser reads one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.core.tables.level_reading import NO_LEVELS, LevelReader, plain_levels
from ticker.market import Levels

PLACES = st.integers(0, 8)


def text_at(number: int, places: int) -> str:
    digits = str(number).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def plain_bids(levels: list[Any], price_places: int, size_places: int) -> tuple[list[int], list[int]] | None:
    read = plain_levels(levels, [], price_places, size_places)
    if read is None:
        return None
    bids, asks = read
    assert asks == ([], [])
    return list(bids.prices), list(bids.sizes)


NUMBERS = st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=40)


@given(PLACES, PLACES, NUMBERS, NUMBERS)
def test_levels_that_are_written_alike_are_their_digits(
    price_places: int, size_places: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    texts = [
        [(text_at(price, price_places), text_at(size, size_places)) for price, size in side] for side in (bids, asks)
    ]
    read = plain_levels(texts[0], texts[1], price_places, size_places)
    assert read is not None
    for columns, side in zip(read, (bids, asks), strict=True):
        assert list(zip(*columns, strict=True)) == side


@given(st.lists(st.tuples(*[st.tuples(st.integers(0, 10**9), st.integers(0, 4))] * 2), min_size=1, max_size=10))
def test_levels_with_different_places_are_read(given_levels: list[Any]) -> None:
    levels = [(text_at(*price), text_at(*size)) for price, size in given_levels]
    assert plain_bids(levels, 4, 4) == (
        [price * 10 ** (4 - places) for (price, places), _ in given_levels],
        [size * 10 ** (4 - places) for _, (size, places) in given_levels],
    )
    reader = LevelReader(Levels("A", levels, []))
    places = tuple(max(each[side][1] for each in given_levels) for side in (0, 1))
    assert (reader.price_places, reader.size_places) == places


@pytest.mark.parametrize(
    "bad",
    [
        [("1.00", "2.0", "3.00"), ("4.0",)],
        [("1.00,2.0,3.00", "4.0")],
        [("1.00", "2.0,3.00,4.0")],
        [("1.00", "2.0\n")],
        [("\u0661.00", "2.0")],
        [("1_0.00", "2.0")],
        [("1.00", "-2.0")],
        [("-1.00", "2.0")],
        [(" 1.00", "2.0")],
        [("1.00", "\n2.0")],
        [("1.00 ", "2.0")],
        [("1e1", "2.0")],
        [("null", "2.0")],
        [("9" * 38, "2.0")],
        [("1.00", "12345678901234.55")],
        [("1.00", "")],
        [("1" * 31 + ".00", "2.0")],
        [("1.001", "2.0")],
        [(Decimal("1.00"), "2.0")],
        [("1.00", 2)],
        ["1.00"],
        [None],
    ],
)
def test_anything_else_is_left_to_the_general_parser(bad: Any) -> None:  # noqa: ANN401  # whatever a feed gives
    assert plain_bids([("1.00", "2.0"), *bad], 2, 1) is None
    assert plain_levels([("1.00", "2.0")], bad, 2, 1) is None


@pytest.mark.parametrize("places", [0, 1, 2, 8])
@pytest.mark.parametrize("number", [10**15 - 1, 10**15, 10**15 + 1, 2**53 - 1, 2**53 + 1, 10**16 - 1, 10**17 + 1])
def test_integers_beyond_those_that_a_float_tells_apart_are_exact(number: int, places: int) -> None:
    levels = [(text_at(number, places), "1"), ("1", text_at(number, places))]
    assert plain_bids(levels, places, places) == ([number, 10**places], [10**places, number])
    assert plain_bids([(text_at(number, places), "1")], places + 8, 0) == ([number * 10**8], [1])


@given(st.integers(1, 10**15 - 1), st.integers(1, 8), st.integers(0, 8))
def test_a_number_finer_than_the_places_is_not_read(number: int, places: int, fewer: int) -> None:
    text, held = text_at(number, places), max(places - fewer, 0)
    exact = number % 10 ** (places - held) == 0
    for levels in ([(text, "1")], [("2", text)]):
        read = plain_bids(levels, held, held)
        assert (read is not None) is (held == places or (exact and len(text) <= 16))


def test_no_levels_are_none() -> None:
    assert plain_levels([], [], 2, 1) == (NO_LEVELS, NO_LEVELS)

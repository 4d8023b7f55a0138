"""ticker/core/bitmaps.py: sets of instruments."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from ticker.core.bitmaps import bitmap_of, flags_of, numbers_in, selected, take_lowest

sparse = st.sets(st.integers(0, 5000), max_size=40)
dense = st.sets(st.integers(0, 200))


@given(sparse | dense)
def test_a_bitmap_holds_a_set(numbers: set[int]) -> None:
    bits = bitmap_of(numbers)
    assert numbers_in(bits) == sorted(numbers)
    assert bits.bit_count() == len(numbers)
    assert list(selected(bits, range(6000))) == sorted(numbers)
    flags = flags_of(bits)
    assert {number for number in range(8 * len(flags)) if flags[number >> 3] >> (number & 7) & 1} == numbers


@given(sparse | dense, st.integers(1, 50))
def test_the_lowest_are_taken_and_the_others_left(numbers: set[int], count: int) -> None:
    part, rest = take_lowest(bitmap_of(numbers), count)
    assert part == sorted(numbers)[:count]
    assert numbers_in(rest) == sorted(numbers)[count:]

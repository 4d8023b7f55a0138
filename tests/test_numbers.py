"""ticker/numbers.py: numbers that are never rounded."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticker.errors import BadPublication
from ticker.market import (
    Field,
    shown_value,
)
from ticker.numbers import (
    MAX_INTEGER,
    MAX_SCALE,
    decimal_text,
    is_plain_decimal,
    parse_decimal,
    rescaled_number,
    scaled_number,
)


class Weird:
    """Something a careless feed may hand over."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


class Windy:
    """Something that talks over several lines."""

    def __repr__(self) -> str:
        return "first line\nsecond line"


HUGE = 10**5000
"""An integer that Python refuses to print."""


def type_name(value: object) -> str:
    return type(value).__name__


digits = st.integers(1 - 10**40, 10**40 - 1)
numbers = st.builds(lambda number, places: Decimal(f"{number}E-{places}"), digits, st.integers(0, 40))
"""Every number of at most 40 digits on either side of the point, with or without zeros at its end."""


# Numbers


@given(numbers)
@example(Decimal("-0"))
@example(Decimal("0E+3"))
@example(Decimal("1E+39"))
@example(Decimal("1E-40"))
def test_a_number_is_parsed_exactly_with_as_few_places_as_can_be(number: Decimal) -> None:
    parsed, places = parse_decimal(number)
    assert Fraction(parsed, 10**places) == Fraction(number)
    assert places == 0 or parsed % 10 != 0


@given(numbers)
def test_a_number_is_the_same_however_it_is_written(number: Decimal) -> None:
    plain = format(number, "f")
    assert parse_decimal(plain) == parse_decimal(f"{number:E}") == parse_decimal(number)
    if "." not in plain:
        assert parse_decimal(int(number)) == parse_decimal(plain)


PIECES = ["0", "5", "00", "123456789", ".", "e", "E-", "+", "-", "_", " ", "\n", "nan", "inf", "٣"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=5))
def test_any_text_is_a_number_exactly_or_refused(text: str) -> None:
    try:
        parsed, places = parse_decimal(text)
    except BadPublication:
        return
    assert text.isascii()
    assert "_" not in text
    assert Fraction(parsed, 10**places) == Fraction(Decimal(text))


@given(st.decimals())
def test_any_decimal_is_taken_exactly_or_refused_for_its_length(number: Decimal) -> None:
    if not number.is_finite() or not -40 <= number.adjusted() < 40 or -number.as_tuple().exponent > 40:  # type: ignore[operator]
        with pytest.raises(BadPublication):
            parse_decimal(number)
    else:
        parsed, places = parse_decimal(number)
        assert Fraction(parsed, 10**places) == Fraction(number)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("190.25", (19025, 2)),
        ("190.250", (19025, 2)),
        ("-0.05", (-5, 2)),
        ("-.5", (-5, 1)),
        ("+1.", (1, 0)),
        ("-0", (0, 0)),
        ("007", (7, 0)),
        ("0" * 65 + "1", (1, 0)),
        ("1." + "0" * 60, (1, 0)),
        ("0E+50", (0, 0)),
        (Decimal("0E-60"), (0, 0)),
        ("1.50E+12", (1_500_000_000_000, 0)),
        ("1E-7", (1, 7)),
        ("12e3", (12000, 0)),
        (Decimal("1E+2"), (100, 0)),
        (-17, (-17, 0)),
        (1200, (1200, 0)),
        (10**40 - 1, (10**40 - 1, 0)),
    ],
)
def test_numbers_come_as_text_decimal_or_int(value: object, parsed: tuple[int, int]) -> None:
    assert parse_decimal(value) == parsed


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), float("inf"), True, None, b"1", [1], 1 + 2j, Fraction(1, 2), Weird()]
)
def test_other_types_are_refused_by_name(value: object) -> None:
    with pytest.raises(
        BadPublication, match=f"is a {type(value).__name__}: give prices and sizes as str, Decimal or int"
    ):
        parse_decimal(value)


@pytest.mark.parametrize(
    "value",
    [
        *["", "-", ".", "1_0", "1,5", "0x10", "1.2.3", "ten", "٣", "1 0", "--1", "1e", "\ud800", "\x00"],
        *["nan", "NaN", "sNaN", "inf", "-Infinity", "1e41", "1e-41", "1e9999999999999999999", "-1e999999999"],
        *["9" * 41, "0." + "1" * 41, "1" * 65],
        *[Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E+1000000"), Decimal("1E-1000000")],
        *[Decimal("9" * 41), Decimal("0." + "1" * 41)],
    ],
)
def test_what_is_no_finite_number_of_40_digits_is_refused(value: object) -> None:
    with pytest.raises(BadPublication, match=r"is not a (decimal|finite) number|more than 40 digits"):
        parse_decimal(value)


@pytest.mark.parametrize(
    "value", [HUGE, -HUGE, 10**40, "9" * 10**6, "1" + "0" * 5000, "1." + "0" * 5000, "-" * 10**6], ids=type_name
)
def test_a_huge_number_is_refused_with_a_short_text(value: object) -> None:
    with pytest.raises(BadPublication) as caught:
        parse_decimal(value)
    assert len(str(caught.value)) < 200


@given(numbers, st.integers(0, MAX_SCALE))
@example(Decimal(MAX_INTEGER), 0)
@example(Decimal(-MAX_INTEGER - 1), 0)
@example(Decimal("1127313210.00855204"), 8)
@example(Decimal("1.5E+12"), 5)
def test_a_number_is_an_integer_of_53_bits_at_its_scale_or_else_its_text(number: Decimal, scale: int) -> None:
    wire = scaled_number(*parse_decimal(number), scale)
    exact = Fraction(number) * 10**scale
    if exact.denominator == 1 and abs(exact) <= MAX_INTEGER:
        assert wire == exact
    else:
        assert isinstance(wire, str)
        assert is_plain_decimal(wire)
        assert Fraction(Decimal(wire)) == Fraction(number)


@given(numbers, st.integers(0, MAX_SCALE), st.integers(0, MAX_SCALE))
def test_a_number_at_another_scale_is_the_number_that_was_never_at_the_first(
    number: Decimal, old: int, new: int
) -> None:
    parsed = parse_decimal(number)
    assert rescaled_number(scaled_number(*parsed, old), old, new) == scaled_number(*parsed, new)


@given(numbers, st.integers(0, MAX_SCALE), st.sampled_from([Field.BID, Field.VOLUME]))
def test_a_number_survives_the_whole_way_to_a_client(number: Decimal, scale: int, key: Field) -> None:
    text = shown_value(key, scaled_number(*parse_decimal(number), scale), scale, scale)
    assert isinstance(text, str)
    assert Fraction(Decimal(text)) == Fraction(number)


def test_a_decimal_text_has_exactly_as_many_places_as_the_scale() -> None:
    assert decimal_text(139121, 5) == "1.39121"
    assert decimal_text(-5, 2) == "-0.05"
    assert decimal_text(0, 3) == "0.000"
    assert decimal_text(-17, 0) == "-17"

"""ticker/market.py: the vocabulary, and numbers that are never rounded."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ticker.errors import BadPublication
from ticker.market import (
    FIELDS,
    KINDS,
    MAX_INTEGER,
    MAX_METADATA,
    MAX_SCALE,
    MAX_SYMBOL,
    MAX_TEXT,
    NAMES,
    Field,
    Instrument,
    Kind,
    decimal_text,
    field_key,
    field_kind,
    field_name,
    is_symbol,
    is_text,
    parse_decimal,
    scale_up,
    shown,
)


class Weird:
    """Something a careless feed may hand over."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


class Windy:
    def __repr__(self) -> str:
        return "first line\nsecond line"


HUGE = 10**5000
"""Python refuses to print so many digits."""

numbers = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places) if abs(digits) < 10**28 else Decimal(f"{digits}E-{places}"),
    st.integers(-(10**40) + 1, 10**40 - 1),
    st.integers(0, 40),
)
"""Every number of at most 40 digits on either side of the point, and zeros at its end as they come."""


# Symbols and instruments


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "EUR/USD", "^GSPC", "日経225", "€", "x" * MAX_SYMBOL])
def test_a_symbol_is_printable_text_without_spaces(symbol: str) -> None:
    assert is_symbol(symbol)
    assert Instrument(symbol).symbol == symbol


@(
    pytest.mark.parametrize(
        "symbol",
        ["", "A B", "A,B", "A*", "A?", "[A", "A]", "A\n", "\tA", "A\x00", "A\x7f", "A\u2028", "\ud800", "\u200b"]
        + ["x" * (MAX_SYMBOL + 1), "x" * 10**6, None, 5, b"A", ["A"], Weird()],
        ids=repr_or_type,
    )
    if False
    else pytest.mark.parametrize(
        "symbol",
        [
            *["", "A B", "A,B", "A*", "A?", "[A", "A]", "A\n", "\tA", "A\x00", "A\x7f", "A\u2028", "\ud800", "\u200b"],
            *["x" * (MAX_SYMBOL + 1), "x" * 10**6, None, 5, b"A", ["A"], Weird()],
        ],
    )
)
def test_what_could_be_a_pattern_or_break_a_line_is_no_symbol(symbol: object) -> None:
    assert not is_symbol(symbol)
    with pytest.raises(BadPublication, match=r"^symbol .*: give 1 to 64 printable characters"):
        Instrument(symbol)  # type: ignore[arg-type]

"""ticker/core/field_reading.py: fields that are read at once are those that are read one by one."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticker.bounds import MAX_KNOWN_FORMS
from ticker.core.field_reading import FieldReader
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.market import Field, Instrument, Kind, field_kind
from ticker.numbers import MAX_INTEGER, MAX_SCALE, scaled_number

NAMES = ["bid", "ask_size", "time", "ask", "trade_count", "volume"]
SCALES = st.integers(0, MAX_SCALE)


class Text(StrEnum):
    """A text that is no plain one."""

    ONE = "1.00"


def a_reader(price_scale: int = 2, size_scale: int = 1, names: list[str] = NAMES) -> tuple[FieldReader, Record]:
    """A reader that has met these fields, and an instrument."""
    reader = FieldReader()
    reader.read(dict.fromkeys(names, "1"), [], [])
    return reader, LastValueCache("e").add_instrument(Instrument("A", price_scale, size_scale))


def one_by_one(record: Record, fields: dict[str, Any]) -> dict[Any, Any]:
    """What the general parsers make of these fields."""
    reader, found, numbers = FieldReader(), [], []  # type: ignore[var-annotated]
    assert reader.read(fields, found, numbers) == ([], False)
    scales = {Kind.PRICE: record.price_scale, Kind.SIZE: record.size_scale}
    return dict(found) | {key: scaled_number(digits, places, scales[kind]) for key, kind, digits, places in numbers}


def at_once(text: object, scale: int, name: str = "bid") -> object:
    """What is read of a text, as the price of an instrument of this scale; None if it is unusual."""
    reader, record = a_reader(scale, scale)
    found = reader.read_usual(record, {name: text})
    return None if found is None else dict(found)[int(Field[name.upper()])]


PIECES = [
    "1", "0", ".", "-", "+", "e", "E", " ", "\n", "_", "12.50", "000", ",", '"', "]", "[", "null", "\u0661", "\udcff",
]  # fmt: skip
TEXTS = (
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
    | st.from_regex(r"-?[0-9]{0,17}(\.[0-9]{0,18})?0{0,20}", fullmatch=True)
    | st.text(max_size=4)
)


@given(TEXTS, TEXTS, SCALES, SCALES)
@example("1.", "1", 2, 2)
@example(".5", "1", 2, 2)
@example(" 1", "1", 0, 0)
@example("1\t", "1", 0, 0)
@example("1,2", "", 0, 0)
@example('1,"', '",1', 0, 0)
@example("1] ", "1", 0, 0)
@example("12.00000000000000000001", "1", 2, 2)
@example("-0", "0.0", 2, 2)
@example("007.50", "1", 1, 1)
@example("999999999999999", "9007199254740992", 0, 0)
@example("90071992547409.92", "90071992547409.91", 2, 2)
def test_texts_that_are_read_at_once_are_the_numbers_that_they_are_by_themselves(
    price: str, size: str, price_scale: int, size_scale: int
) -> None:
    reader, record = a_reader(price_scale, size_scale)
    fields = {"bid": price, "ask_size": size}
    found = reader.read_usual(record, fields)
    if found is not None:
        assert dict(found) == one_by_one(record, fields)


@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 2)), min_size=6, max_size=6), st.permutations(NAMES)
)
def test_usual_fields_are_read_at_once_in_whatever_order(given_numbers: list[Any], names: list[str]) -> None:
    reader, record = a_reader(price_scale=3, size_scale=2)
    for order in (NAMES, names):  # the second time, the fields are those of the last update in another order
        fields: dict[str, Any] = {
            name: number if field_kind(Field[name.upper()]) is Kind.INTEGER else f"{Decimal(number).scaleb(-places):f}"
            for name, (number, places) in zip(order, given_numbers, strict=True)
        }
        found = reader.read_usual(record, fields)
        assert found is not None
        assert dict(found) == one_by_one(record, fields)


def test_usual_texts_are_read_at_once() -> None:
    texts = ["1.10", "110", "0.5", "50000.01000000", "0", "-1.10", "1234567890123.45", "90071992547409"]
    assert [at_once(text, 2) for text in texts] == [
        110, 11000, 50, 5000001, 0, -110, 123456789012345, 9007199254740900,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "1.101", "1e2", "", "1.0000000000000000", "90071992547410", " 1", "\n1", "1 ", "1_0", "+1", "\u0661", "NaN",
        "null", "true", "1,2", '"1"', "[1]", "1]", 5, 1.5, True, None, Decimal("1.10"), Text.ONE, b"1", ["1"],
    ],
)  # fmt: skip
def test_anything_else_is_left_to_be_read_one_by_one(text: object) -> None:
    assert at_once(text, 2) is None
    reader, record = a_reader()
    assert reader.read_usual(record, {"ask": "1.00", "bid": text, "ask_size": "1"}) is None


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, -MAX_INTEGER - 1, True, "5", 5.0, None])
def test_an_integer_beyond_its_bounds_or_of_another_type_is_unusual(value: object) -> None:
    assert at_once(value, 2, "time") is None
    assert at_once(MAX_INTEGER, 2, "time") == MAX_INTEGER
    assert at_once(-MAX_INTEGER, 2, "time") == -MAX_INTEGER


@given(st.integers(1, 10**15 - 1), st.integers(1, 8), st.integers(0, 8))
def test_a_text_finer_than_its_scale_is_unusual(number: int, places: int, fewer: int) -> None:
    text, scale = f"{Decimal(number).scaleb(-places):f}", max(places - fewer, 0)
    exact = number % 10 ** (places - scale) == 0
    assert at_once(text, scale) == (number // 10 ** (places - scale) if exact and len(text) <= 16 else None)


def test_fields_that_were_never_met_or_are_no_numbers_are_unusual() -> None:
    reader, record = a_reader(names=["bid", "status", "own"])
    assert reader.read_usual(record, {"bid": "1.00"}) is not None
    assert reader.read_usual(record, {"ask": "1.00"}) is None
    assert reader.read_usual(record, {"bid": "1.00", "ask": "1.00"}) is None
    assert reader.read_usual(record, {"status": "live"}) is None
    assert reader.read_usual(record, {"own": 5}) is None


def test_fields_of_the_same_number_as_those_before_are_still_their_own() -> None:
    reader, record = a_reader()
    for name in ("time", "trade_count", "time"):
        fields = {"bid": "1.00", name: 5}
        assert dict(reader.read_usual(record, fields) or ()) == one_by_one(record, fields)
    assert reader.read_usual(record, {"bid": "1.00", "status": "live"}) is None
    assert reader.read_usual(record, {"bid": "1.00", "time": "5"}) is None


def test_a_form_is_of_its_scales_only() -> None:
    reader, record = a_reader(price_scale=2)
    fields = {"bid": "1.25", "ask": "1.50"}
    assert dict(reader.read_usual(record, fields) or ()) == {Field.BID: 125, Field.ASK: 150}
    record.have_scales(3, 1)
    assert dict(reader.read_usual(record, fields) or ()) == {Field.BID: 1250, Field.ASK: 1500}


def test_forms_are_kept_within_a_bound() -> None:
    reader = FieldReader()
    reader.read({"bid": "1", "ask": "1", "last": "1", "low": "1", "high": "1", "open": "1"}, [], [])
    scales = range(MAX_SCALE + 1)
    orders = [
        ["bid", "ask"],
        ["ask", "bid"],
        ["bid", "last"],
        ["last", "bid"],
        ["low", "bid"],
        ["high"],
        ["open"],
        ["bid"],
    ]
    assert len(orders) * len(scales) ** 2 > MAX_KNOWN_FORMS
    for order in orders:
        for price_scale in scales:
            for size_scale in scales:
                record = LastValueCache("e").add_instrument(Instrument("A", price_scale, size_scale))
                found = reader.read_usual(record, dict.fromkeys(order, "7"))
                assert found is not None
                assert set(dict(found).values()) == {7 * 10**price_scale}
    assert len(reader._forms) <= MAX_KNOWN_FORMS

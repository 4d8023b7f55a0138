"""ticker/market.py: the vocabulary of feeds and the service."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from ticker.errors import BadPublication
from ticker.market import (
    FIELDS,
    KINDS,
    MAX_METADATA,
    MAX_SYMBOL,
    MAX_TEXT,
    NAMES,
    Field,
    Instrument,
    Kind,
    Reason,
    Status,
    Withdrawal,
    batches,
    field_key,
    field_kind,
    field_name,
    is_symbol,
    is_text,
    read_value,
)
from ticker.numbers import (
    MAX_INTEGER,
    MAX_SCALE,
)
from ticker.texts import shown


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


# Symbols and instruments


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "EUR/USD", "^GSPC", "日経225", "€", "x" * MAX_SYMBOL])
def test_a_symbol_is_printable_text_without_spaces(symbol: str) -> None:
    assert is_symbol(symbol)
    assert Instrument(symbol).symbol == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        *["", "A B", "A,B", "A*", "A?", "[A", "A]", "A\n", "\tA", "A\x00", "A\x7f", "A\u2028", "\ud800", "\u200b"],
        *["x" * (MAX_SYMBOL + 1), None, 5, b"A", ["A"], Weird()],
    ],
)
def test_what_is_a_pattern_or_breaks_a_line_is_no_symbol(symbol: object) -> None:
    assert not is_symbol(symbol)
    with pytest.raises(BadPublication, match=r"^symbol .*: give 1 to 128 printable characters"):
        Instrument(symbol)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["price_scale", "size_scale"])
@pytest.mark.parametrize("scale", [-1, MAX_SCALE + 1, True, 2.0, "2", None, HUGE, Weird()], ids=type_name)
def test_a_scale_is_a_whole_number_from_0_to_15(name: str, scale: object) -> None:
    with pytest.raises(BadPublication, match=f"^A: {name} .*: give a whole number from 0 to 15$"):
        Instrument("A", **{name: scale})  # type: ignore[arg-type]


def test_the_coarsest_and_the_finest_scale_are_allowed() -> None:
    instrument = Instrument("A", 0, MAX_SCALE)
    assert (instrument.price_scale, instrument.size_scale) == (0, 15)


def test_metadata_is_a_bounded_map_of_short_texts() -> None:
    largest = {f"key {number}": "x" * MAX_TEXT for number in range(MAX_METADATA)}
    assert Instrument("A", metadata=largest).metadata == largest
    with pytest.raises(BadPublication, match=r"^A: 33 metadata entries; at most 32 are kept$"):
        Instrument("A", metadata={**largest, "more": ""})


@pytest.mark.parametrize(
    "metadata",
    [
        {"note": 5},
        {"note": None},
        {5: "note"},
        {"note": "x" * (MAX_TEXT + 1)},
        {"x" * (MAX_TEXT + 1): "note"},
        {"note": "two\nlines"},
        {"note": "\ud800"},
        {"note": Weird()},
    ],
)
def test_other_metadata_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(BadPublication, match=r"^A: metadata .*: give printable texts of at most 256 characters$"):
        Instrument("A", metadata=metadata)


@pytest.mark.parametrize("metadata", [None, 5, ["name"], "name", Weird()])
def test_metadata_that_is_no_map_is_refused(metadata: object) -> None:
    with pytest.raises(BadPublication, match=r"^A: .*metadata"):
        Instrument("A", metadata=metadata)  # type: ignore[arg-type]


def test_an_instrument_does_not_change_with_the_map_it_was_made_of() -> None:
    metadata = {"name": "Apple"}
    instrument = Instrument("A", metadata=metadata)
    metadata["name"] = "Pear"
    assert instrument.metadata == {"name": "Apple"}


# Fields


def test_every_standard_field_has_a_name_and_a_kind() -> None:
    assert set(KINDS) == set(NAMES) == set(Field)
    assert set(FIELDS.values()) == {key for key in Field if KINDS[key] is not Kind.ROWS}
    for name, key in FIELDS.items():
        assert field_key(name) == key
        assert type(field_key(name)) is int
        assert field_name(key) == name
        assert field_kind(key) is KINDS[key]


def test_the_ids_of_the_standard_fields_are_those_of_the_protocol() -> None:
    assert " ".join(FIELDS) == (
        "bid bid_size ask ask_size last last_size open high low prev_close volume trade_count time status reason"
    )
    assert [int(field) for field in Field] == list(range(1, 20))
    assert [field.name for field in Field if KINDS[field] is Kind.SIZE] == [
        "BID_SIZE",
        "ASK_SIZE",
        "LAST_SIZE",
        "VOLUME",
    ]


@pytest.mark.parametrize("name", ["x", "yield_10y", "a" * 32])
def test_a_feeds_own_field_is_known_by_its_name_and_has_no_kind(name: str) -> None:
    assert field_key(name) == name
    assert field_name(name) == name
    assert field_kind(name) is None


@pytest.mark.parametrize("name", ["", "Bid", "10y", "_x", "a-b", "a b", "a" * 33, "ä", "bid\n", 5, None, Weird()])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadPublication, match="a name is 1 to 32 lower case letters, digits and _"):
        field_key(name)


def test_a_field_of_a_later_version_has_no_name_and_no_kind() -> None:
    with pytest.raises(KeyError):
        field_name(99)
    assert field_kind(99) is None


@pytest.mark.parametrize("text", ["", "halted", "Ünïcödé 日経", "x" * MAX_TEXT])
def test_a_text_is_printable_and_short(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize("value", ["x" * (MAX_TEXT + 1), "two\nlines", "\x00", "\udcff", b"bytes", 5, None])
def test_nothing_else_is_a_text(value: object) -> None:
    assert not is_text(value)


# Other values


@pytest.mark.parametrize(
    ("kind", "value", "wire"),
    [
        (Kind.INTEGER, 5, 5),
        (Kind.INTEGER, "5", 5),
        (Kind.INTEGER, Decimal("1.7E15"), 1_700_000_000_000_000),
        (Kind.TEXT, "x", "x"),
        (Kind.TEXT, Reason.GAP, "gap"),
        (Kind.STATUS, Status.HALTED, "halted"),
        (Kind.STATUS, "live", "live"),
        (None, -MAX_INTEGER, -MAX_INTEGER),
        (None, MAX_INTEGER + 1, ("9007199254740992",)),
        (None, Decimal("0.00010"), ("0.0001",)),
        (None, Decimal("1E+3"), ("1000",)),
        (None, "0.0001", "0.0001"),
        *[(kind, None, None) for kind in (Kind.INTEGER, Kind.TEXT, Kind.STATUS, None)],
    ],
)
def test_a_value_is_read_as_its_kind_says(kind: Kind | None, value: object, wire: object) -> None:
    found = read_value(kind, value)
    assert found == wire
    assert type(found) is type(wire)


@pytest.mark.parametrize("kind", [Kind.INTEGER, Kind.TEXT, Kind.STATUS, None])
@pytest.mark.parametrize(
    "value",
    [True, 1.5, float("nan"), Decimal("NaN"), Decimal("Infinity"), "two\nlines", "x" * 257, b"x", [1], HUGE, Weird()],
    ids=type_name,
)
def test_no_kind_has_such_a_value(kind: Kind | None, value: object) -> None:
    with pytest.raises(BadPublication) as caught:
        read_value(kind, value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.INTEGER, "1.5"), (Kind.INTEGER, 2**53), (Kind.TEXT, 5), (Kind.STATUS, "suspended"), (Kind.STATUS, "Live")],
)
def test_a_value_of_another_kind_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(BadPublication):
        read_value(kind, value)


# Error texts


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**5)), HUGE, Weird(), Windy(), "two\nlines", "\ud800", None], ids=type_name
)
def test_any_value_is_shown_in_less_than_a_line(value: object) -> None:
    text = shown(value)
    assert 0 < len(text) <= 80
    assert text.isprintable()


def test_the_protocol_lists_every_reason_with_its_status() -> None:
    """PROTOCOL.md, section 4: the table and the enumerations name the same words."""
    text = (Path(__file__).parent.parent / "PROTOCOL.md").read_text()
    table = text.split("| reason | status | cause |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| \S.* \|$", table, re.MULTILINE)
    assert [word for word, _ in rows] == [str(reason) for reason in Reason]
    assert {status for _, status in rows} == {str(status) for status in Status} - {"live"}
    assert all(f"`{status}`" in text for status in Status)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (7, [3, 3, 1])])
def test_publications_are_divided_into_batches_in_order(count: int, sizes: list[int]) -> None:
    publications = [Withdrawal(f"S{number}") for number in range(count)]
    made = list(batches(iter(publications), 3))
    assert [len(batch) for batch in made] == sizes
    assert [each for batch in made for each in batch] == publications

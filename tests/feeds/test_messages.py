"""ticker_feeds/venues/messages.py: frames of every coding, and readers that return the documented type or raise."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import pytest

from ticker_feeds.venues import (
    BadMessage,
    decode_json,
    decode_object,
    decompress,
    messages,
    read_decimal,
    read_decimals,
    read_integer,
    read_kind,
    read_microseconds,
    read_text,
    without_empty_sides,
)

Coding = Literal["gzip", "zlib", "deflate"]


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODINGS: list[tuple[Coding, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("zlib", zlib.compress),
    ("deflate", deflate),
]


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
def test_a_compressed_frame_is_read_in_its_coding_and_in_no_other(
    coding: Coding, pack: Callable[[bytes], bytes]
) -> None:
    assert decode_object(decompress(pack(b'{"price": 1.10}'), coding)) == {"price": Decimal("1.10")}
    for other, _ in CODINGS:
        if other != coding:
            with pytest.raises(BadMessage, match=other):
                decompress(pack(b'{"price": 1.10}'), other)


@pytest.mark.parametrize(("coding", "pack"), CODINGS)
def test_compressed_data_that_breaks_off_or_is_text_is_refused(coding: Coding, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"x" * 1_000)
    with pytest.raises(BadMessage, match="breaks off"):
        decompress(packed[:-1], coding)
    with pytest.raises(BadMessage, match=f"a text frame instead of {coding} data"):
        decompress("text", coding)


def test_a_small_frame_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_MESSAGE_BYTES", 1_000)
    assert decompress(gzip.compress(b"x" * 1_000), "gzip") == b"x" * 1_000
    with pytest.raises(BadMessage, match="more than 1000 bytes of gzip data"):
        decompress(gzip.compress(b"x" * 100_000), "gzip")


def test_json_of_any_shape_is_decoded_exactly_and_an_object_is_insisted_on_where_one_is_needed() -> None:
    assert decode_json('[1, "a", 0.10]') == [1, "a", Decimal("0.10")]
    assert decode_json(b"5") == 5
    with pytest.raises(BadMessage, match="not JSON"):
        decode_json("{")
    with pytest.raises(BadMessage, match="not a JSON object"):
        decode_object("[1]")


@pytest.mark.parametrize(("message", "key"), [({"k": "a"}, "k"), (["x", "a"], 1), (["a"], -1), (("a",), 0)])
def test_readers_take_a_name_in_an_object_or_an_index_in_an_array(message: Any, key: str | int) -> None:  # noqa: ANN401
    assert read_text(message, key) == "a"
    assert read_kind(message, key) == "a"


@pytest.mark.parametrize(("message", "key"), [({}, "k"), (["a"], 1), (["a"], -2), (["a"], "a"), ({"k": 1}, "k")])
def test_a_text_that_is_missing_is_refused_or_empty(message: Any, key: str | int) -> None:  # noqa: ANN401
    assert read_kind(message, key) == ""
    with pytest.raises(BadMessage, match=f"{key}: no text") as caught:
        read_text(message, key, "A")
    assert caught.value.symbol == "A"


def test_integers_are_those_that_every_client_can_hold() -> None:
    assert [read_integer([value], 0) for value in (0, 2**53 - 1)] == [0, 2**53 - 1]
    for value in (-1, 2**53, True, "1", Decimal(1), None):
        with pytest.raises(BadMessage, match="no whole number"):
            read_integer([value], 0)


def test_decimals_are_texts_as_they_came_or_json_numbers() -> None:
    good: list[object] = ["-1.50", "0", 7, Decimal("1E+40"), Decimal("1E-40")]
    assert [read_decimal([value], 0, "A") for value in good] == good
    bad: list[object] = [
        "",
        "1.",
        "+1",
        "1e5",
        "9" * 41,
        Decimal("NaN"),
        Decimal("1E+41"),
        Decimal("1E-41"),
        True,
        None,
        [],
    ]
    for value in bad:
        with pytest.raises(BadMessage, match="no decimal number"):
            read_decimal([value], 0, "A")
    fields = {"b": "bid", "a": "ask"}
    assert read_decimals({"b": "1", "a": None, "x": "?"}, fields, "A") == {"bid": "1"}


def test_times_in_utc_are_microseconds_and_finer_digits_are_cut_off() -> None:
    for text, microseconds in [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.5+00:00", 500_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
    ]:
        assert read_microseconds([text], 0, "A") == microseconds
    for text in ("1970-01-01T00:00:01", "1970-01-01T00:00:01+01:00", "1970-13-01T00:00:01Z", "now", ""):
        with pytest.raises(BadMessage):
            read_microseconds([text], 0, "A")


def test_a_side_of_zero_is_withdrawn_with_its_size_and_another_one_stays() -> None:
    fields = without_empty_sides({"bid": "0.00", "bid_size": "5", "ask": "1", "ask_size": "2"})
    assert fields == {"bid": None, "bid_size": None, "ask": "1", "ask_size": "2"}
    assert without_empty_sides({"last": "0"}) == {"last": "0"}

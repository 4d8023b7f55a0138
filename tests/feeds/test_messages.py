"""ticker_feeds/venues/messages.py: frames of every coding, and readers that return the documented type or raise."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import pytest

from ticker.market import Value
from ticker_feeds.venues import (
    BadMessage,
    decode_json,
    decode_object,
    decompress,
    messages,
    named_symbols,
    read_integer,
    read_kind,
    read_sequence,
    read_text,
    read_unix_time,
    read_utc,
    read_value,
    read_values,
    without_empty_sides,
    without_zero_prices,
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


def test_a_sequence_number_may_be_missing_and_is_otherwise_an_integer() -> None:
    assert [read_sequence(message, "n") for message in ({}, {"n": None}, {"n": 7})] == [None, None, 7]
    with pytest.raises(BadMessage, match="no whole number") as caught:
        read_sequence({"n": "7"}, "n", "A")
    assert caught.value.symbol == "A"


def test_values_are_handed_over_as_they_came_and_what_is_missing_is_none() -> None:
    message = {"b": "1.50", "a": None, "q": Decimal("NaN"), "x": "?"}
    assert repr(read_values(message, {"b": "bid", "a": "ask", "q": "bid_size", "z": "ask_size"})) == repr(
        {"bid": "1.50", "ask": None, "bid_size": Decimal("NaN"), "ask_size": None}
    )
    assert [read_value(["x", "oops"], at) for at in (1, 2)] == ["oops", None]


def test_times_in_utc_are_microseconds_and_finer_digits_are_cut_off() -> None:
    for text, microseconds in [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.5+00:00", 500_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
    ]:
        assert read_utc([text], 0) == microseconds


def test_times_since_1970_are_milliseconds_or_microseconds_by_their_size() -> None:
    for value in (1_714_979_289_123, 1_714_979_289_123_000):
        assert read_unix_time([value], 0) == 1_714_979_289_123_000
    assert read_unix_time([0], 0) == 0


@pytest.mark.parametrize(
    "value", ["1970-01-01T00:00:01", "1970-01-01T00:00:01+01:00", "1970-13-01T00:00:01Z", "now", "", "5", [], True]
)
def test_a_time_that_cannot_be_read_is_a_text_that_no_one_takes_for_a_time(value: object) -> None:
    for read in (read_utc, read_unix_time):
        assert read({}, "t") is None
        handed_over = read([value], 0)
        assert isinstance(handed_over, str)
        assert not handed_over.isdigit()


def test_symbols_in_a_text_are_whole_words_and_never_a_part_of_another() -> None:
    symbols = ["BTC/USD", "ETH-USD"]
    for text, named in [
        ("Currency pair not supported BTC/USD", ["BTC/USD"]),
        ("Currency pair not supported BBTC/USD", []),
        ("'ETH-USD', BTC/USD: not valid.", ["BTC/USD", "ETH-USD"]),
        ("ETH-USD-PERP and ETH-USDC are not valid", []),
        ("No such product: ETH-USD.", ["ETH-USD"]),
        ("Rate limit exceeded", []),
    ]:
        assert named_symbols(text, symbols) == named


def test_a_side_of_zero_is_withdrawn_with_its_size_and_another_one_stays() -> None:
    fields = without_empty_sides({"bid": "0.00", "bid_size": "5", "ask": "1", "ask_size": "2"})
    assert fields == {"bid": None, "bid_size": None, "ask": "1", "ask_size": "2"}
    assert without_empty_sides({"last": "0"}) == {"last": "0"}


def test_prices_of_zero_are_withdrawn_with_their_sizes_where_an_instrument_cannot_have_them() -> None:
    zero: dict[str, Value] = {"bid": "0.00", "bid_size": "5", "ask": Decimal("0E-8"), "last": 0, "last_size": 1}
    assert without_zero_prices(zero | {"open": "0", "high": "0.1", "low": "x", "volume": "0"}) == {
        **dict.fromkeys(("bid", "bid_size", "ask", "ask_size", "last", "last_size", "open")),
        "high": "0.1",
        "low": "x",
        "volume": "0",
    }

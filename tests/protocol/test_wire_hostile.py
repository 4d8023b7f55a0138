"""ticker/protocol/wire.py: bytes that are no message, and messages that no peer should send."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.test_wire import DELTA, REQUEST, both, is_plain, refused
from tests.support import payload
from ticker.errors import Code, ProtocolError
from ticker.protocol.messages import (
    parse_request,
    parse_server_message,
)
from ticker.protocol.wire import JSON, MSGPACK, Encoding


def test_an_encoding_refuses_the_other_kind_of_message() -> None:
    assert refused(MSGPACK, '{"op":"ping","id":1}').code == Code.WRONG_ENCODING
    assert refused(JSON, msgpack.packb({"op": "ping", "id": 1})).code == Code.WRONG_ENCODING


@both
def test_a_payload_cut_off_anywhere_is_malformed(encoding: Encoding) -> None:
    for whole in (encoding.encode_request(REQUEST), payload(encoding.frame(DELTA))):
        for length in range(len(whole)):
            assert refused(encoding, whole[:length]).code == Code.MALFORMED


@both
def test_what_follows_the_payload_is_malformed(encoding: Encoding) -> None:
    whole = encoding.encode_request(REQUEST)
    assert refused(encoding, whole + whole[:1]).code == Code.MALFORMED  # type: ignore[operator]


@given(st.binary(max_size=60))
@example(b"\x81\xc7\x00\x05\x01")
def test_random_bytes_are_plain_objects_or_malformed(data: bytes) -> None:
    for decode in (MSGPACK.decode_request, MSGPACK.decode_message):
        try:
            value = decode(data)
        except ProtocolError as error:
            value = str(error)
            assert len(value) <= 220
        assert is_plain(value)


@given(st.text(max_size=60) | st.text('[]{}":,0123456789.eE+-\\utrfalsn ', max_size=60))
@example("[6,0,1,2,[[],{}]]")
def test_random_text_is_plain_objects_or_malformed(data: str) -> None:
    for decode in (JSON.decode_request, JSON.decode_message):
        try:
            value = decode(data)
        except ProtocolError as error:
            value = str(error)
        assert is_plain(value)


@pytest.mark.parametrize("depth", [500, 900, 990, 1000, 1010, 1020, 1024, 5000, 60_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01", b"\x81\xa2op"])
def test_msgpack_of_any_depth_is_refused(depth: int, opening: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request(MSGPACK.decode_request(opening * depth + b"\x90"))
    assert caught.value.code in {Code.MALFORMED, Code.BAD_REQUEST}


@pytest.mark.parametrize("depth", [100, 490, 900, 980, 990, 1000, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"op":', "}"), ('{"op":[', "]}")])
def test_json_of_any_depth_is_refused(depth: int, opening: str, closing: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request(JSON.decode_request(opening * depth + "1" + closing * depth))
    assert caught.value.code in {Code.MALFORMED, Code.BAD_REQUEST}


@pytest.mark.parametrize("depth", [100, 490, 900, 1000, 5000])
def test_a_data_message_of_any_depth_is_an_object_or_malformed(depth: int) -> None:
    with suppress(ProtocolError):
        JSON.decode_message('[6,0,1,2,[0,{"a":' * depth + "1" + "}]]" * depth)
    with suppress(ProtocolError):
        MSGPACK.decode_message(b"\x91" * depth + b"\x90")


@pytest.mark.parametrize(
    "data",
    [
        *[b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"],
        *[
            b"\xdc\xff\xff",
            b"\xde\xff\xff",
            b"\xda\xff\xff",
            b"\xd9\xff",
            b"\xc4\xff",
            b"\xc5\xff\xff",
            b"\x9f",
            b"\x8f",
        ],
    ],
)
def test_a_length_that_lies_is_malformed_before_memory_is_taken_for_it(data: bytes) -> None:
    assert refused(MSGPACK, data).code == Code.MALFORMED
    assert refused(MSGPACK, b"\x91" + data + b"\x00").code == Code.MALFORMED


def test_a_request_that_is_too_wide_is_malformed() -> None:
    assert MSGPACK.decode_request(msgpack.packb([0] * 16_384)) == [0] * 16_384
    for wide in ([0] * 16_385, dict.fromkeys(range(16_385))):
        with pytest.raises(ProtocolError, match="16385 exceeds") as caught:
            MSGPACK.decode_request(msgpack.packb(wide))
        assert caught.value.code == Code.MALFORMED


def test_a_server_may_send_wider_messages_but_not_any() -> None:
    assert MSGPACK.decode_message(msgpack.packb([0] * 20_000)) == [0] * 20_000
    with pytest.raises(ProtocolError, match="1000001 exceeds"):
        MSGPACK.decode_message(msgpack.packb([0] * 1_000_001))


@pytest.mark.parametrize(
    "data",
    [
        *[b"\xd4\x05a", b"\xd5\x05ab", b"\xd6\x05abcd", b"\xd7\x05abcdefgh", b"\xd8\x05" + b"a" * 16],
        *[
            b"\xc7\x00\x05",
            b"\xc7\x01\x05a",
            b"\xc8\x00\x00\x05",
            b"\xc9\x00\x00\x00\x00\x05",
            b"\xc9\xff\xff\xff\xff\x05",
        ],
        *[b"\xd6\xff\x00\x00\x00\x00", b"\xd7\xff" + bytes(8), b"\xc7\x0c\xff" + bytes(12), b"\xc7\x00\xff"],
    ],
)
def test_extension_types_are_malformed(data: bytes) -> None:
    assert refused(MSGPACK, data).code == Code.MALFORMED
    assert refused(MSGPACK, b"\x81" + data + b"\x01").code == Code.MALFORMED
    assert refused(MSGPACK, b"\x81\xa2id" + data).code == Code.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"\xa1\xff",
        b"\xa2\xc3\x28",
        b"\xa3\xed\xa0\x80",
        b"\xa4\xf4\x90\x80\x80",
        b"\x81\x90\x01",
        b"\x81\x80\x01",
        b"",
    ],
)
def test_bytes_that_are_no_msgpack_are_malformed(data: bytes) -> None:
    assert refused(MSGPACK, data).code == Code.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            "NaN",
            "Infinity",
            "-Infinity",
            "nan",
            "1e999",
            "-1e999",
            "0x1",
            "01",
            "+1",
            ".5",
            "1.",
            "tru",
            "None",
        ],
        *[
            "[1,]",
            "{,}",
            '{"a"}',
            '{"a":1,}',
            "{a:1}",
            "{'a':1}",
            "[1] [2]",
            "// x\n1",
            "\ufeff1",
            '"a',
            '"\n"',
            '"\\x"',
        ],
        *[
            '"\\ud800"',
            '"\\ud800\\u0041"',
            '"\\udc00"',
            "\ud800",
            '"\udfff"',
            "1" * 5000,
            "-" + "9" * 5000,
            "[" * 60_000,
        ],
    ],
)
def test_text_that_is_no_json_is_malformed(text: str) -> None:
    assert refused(JSON, text).code == Code.MALFORMED


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 2**63, -(2**63), 1.0, 5e-324])
def test_numbers_that_are_no_natural_ones_are_refused_by_the_shape_of_a_message(number: float) -> None:
    with pytest.raises(ProtocolError):
        parse_request(MSGPACK.decode_request(msgpack.packb({"op": "ping", "id": number})))
    with pytest.raises(ProtocolError):
        parse_server_message(MSGPACK.decode_message(msgpack.packb([7, number, 0])))


@pytest.mark.parametrize("digits", [16, 20, 100, 4000])
def test_json_integers_of_any_length_are_refused_by_the_shape_of_a_message(digits: int) -> None:
    number = "9" * digits
    with pytest.raises(ProtocolError):
        parse_request(JSON.decode_request(f'{{"op":"ping","id":{number}}}'))
    with pytest.raises(ProtocolError):
        parse_server_message(JSON.decode_message(f"[7,{number},0]"))


def test_a_key_given_twice_counts_as_its_last() -> None:
    """In both encodings alike, so that a proxy cannot see another request than we do."""
    assert JSON.decode_request('{"a":1,"a":2}') == MSGPACK.decode_request(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}

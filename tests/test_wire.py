"""ticker/wire.py: two encodings of the same messages, and what is made of bytes that are none."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.support import messages, payload
from ticker.errors import Code, ProtocolError
from ticker.market import MAX_INTEGER, MAX_SCALE, FieldKey, WireValue
from ticker.messages import (
    Close,
    Definition,
    Delta,
    Error,
    Goodbye,
    Heartbeat,
    Instruments,
    Reply,
    ServerMessage,
    Snapshot,
    Welcome,
    parse_request,
    parse_server_message,
)
from ticker.wire import ENCODINGS, JSON, MSGPACK, Encoding, close_code, frame_header

both = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=["msgpack", "json"])

naturals = st.integers(0, MAX_INTEGER)
texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
keys = st.integers(1, 15) | st.integers(0, 99_999) | st.sampled_from(["note", "yield_10y", "z"])
values = st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
pairs = st.lists(st.tuples(naturals, st.dictionaries(keys, values, max_size=3)), max_size=6)
entries = pairs.map(lambda items: [part for item in items for part in item])
definitions = st.builds(
    Definition, naturals, names, *[st.integers(0, MAX_SCALE)] * 2, st.dictionaries(texts, texts, max_size=2)
)
server_messages: st.SearchStrategy[ServerMessage] = st.one_of(
    st.builds(Welcome, naturals, texts, texts, *[naturals] * 3, st.dictionaries(texts, naturals, max_size=3)),
    st.builds(Reply, naturals, st.dictionaries(texts, plain, max_size=3)),
    st.builds(Error, st.none() | naturals, naturals, texts, st.booleans()),
    st.builds(Instruments, st.lists(definitions, max_size=5)),
    st.builds(Snapshot, naturals, naturals, naturals, entries, entries),
    st.builds(Delta, naturals, naturals, naturals, entries),
    st.builds(Heartbeat, naturals, naturals),
    st.builds(Goodbye, texts, naturals, st.booleans()),
)

DELTA = Delta(1, 2, 3, [0, {1: 19025, 14: "live", "own": -1}, 300, {13: None}])
REQUEST = {"op": "subscribe", "id": 7, "symbols": ["A", "日経*"], "interval_ms": 250}


def refused(encoding: Encoding, data: bytes | str) -> ProtocolError:
    """The error that both ends make of these bytes."""
    with pytest.raises(ProtocolError) as caught:
        encoding.decode_message(data)
    with pytest.raises(ProtocolError) as caught:
        encoding.decode_request(data)
    return caught.value


def is_plain(value: object) -> bool:
    """Whether this is made of what msgpack and JSON have in common with Python, and of nothing else."""
    if isinstance(value, list):
        return type(value) is list and all(map(is_plain, value))
    if isinstance(value, dict):
        return type(value) is dict and all(map(is_plain, value)) and all(map(is_plain, value.values()))
    return type(value) in (type(None), bool, int, float, str, bytes)


# Messages there and back


@both
@given(message=server_messages)
def test_a_client_reads_what_the_server_meant(encoding: Encoding, message: ServerMessage) -> None:
    assert messages([encoding.frame(message)], encoding) == [message]


@given(server_messages)
def test_both_encodings_say_the_same(message: ServerMessage) -> None:
    in_msgpack = MSGPACK.decode_message(payload(MSGPACK.frame(message)))
    assert in_msgpack == JSON.decode_message(payload(JSON.frame(message)))


@both
@given(request_=st.dictionaries(texts, plain, max_size=5))
def test_the_server_reads_what_a_client_asked(encoding: Encoding, request_: dict[str, Any]) -> None:
    assert encoding.decode_request(encoding.encode_request(request_)) == request_


@both
@given(head=st.tuples(naturals, naturals, naturals), changes=pairs, records=pairs)
def test_data_messages_made_of_parts_are_the_whole_ones(
    encoding: Encoding, head: tuple[int, int, int], changes: list[Any], records: list[Any]
) -> None:
    changed = [encoding.entry(number, fields) for number, fields in changes]
    complete = [encoding.entry(number, fields) for number, fields in records]
    flat_changes, flat_records = ([part for pair in some for part in pair] for some in (changes, records))
    assert encoding.delta(encoding.step(*head), changed) == encoding.frame(Delta(*head, flat_changes))
    snapshot = encoding.snapshot(encoding.step(*head), changed, complete)
    assert snapshot == encoding.frame(Snapshot(*head, flat_changes, flat_records))


@both
@given(some=st.lists(definitions, max_size=5))
def test_instruments_made_of_definitions_are_the_whole_message(encoding: Encoding, some: list[Definition]) -> None:
    parts = [encoding.definition(definition) for definition in some]
    assert encoding.instruments(parts) == encoding.frame(Instruments(some))


@both
@pytest.mark.parametrize("count", [7, 8, 15, 16, 32_767, 32_768])
def test_any_number_of_entries_can_be_joined(encoding: Encoding, count: int) -> None:
    frame = encoding.delta(encoding.step(1, 2, 3), [encoding.entry(5, {1: 7})] * count)
    whole = Delta(1, 2, 3, [5, {1: 7}] * count)
    assert messages([frame], encoding) == [whole]
    assert frame == encoding.frame(whole)


@both
@pytest.mark.parametrize("count", [15, 16, 65_535, 65_536])
def test_any_number_of_definitions_can_be_joined(encoding: Encoding, count: int) -> None:
    definition = Definition(0, "A", 2, 0, {})
    frame = encoding.instruments([encoding.definition(definition)] * count)
    whole = Instruments([definition] * count)
    assert messages([frame], encoding) == [whole]
    assert frame == encoding.frame(whole)


def test_the_frames_of_the_protocol() -> None:
    """Spelled out once, so that a change of the wire does not pass unseen."""
    assert MSGPACK.frame(Heartbeat(5, 1000)).hex() == "8206" + "93" + "07" + "05" + "cd03e8"
    assert JSON.frame(Heartbeat(5, 1000)) == b"\x81\x0a[7,5,1000]"
    entry: dict[FieldKey, WireValue] = {1: 19025, 14: "live"}
    step = JSON.step(1, 2, 3)
    assert MSGPACK.delta(MSGPACK.step(1, 2, 3), [MSGPACK.entry(0, entry)])[2:].hex() == (
        "95" + "06" + "01" + "02" + "03" + "92" + "00" + "82" + "01cd4a51" + "0e" + "a4" + b"live".hex()
    )
    assert JSON.delta(step, [JSON.entry(0, entry)])[2:] == b'[6,1,2,3,[0,{"1":19025,"14":"live"}]]'
    assert JSON.snapshot(step, [], [JSON.entry(0, entry)])[2:] == b'[5,1,2,3,[],[0,{"1":19025,"14":"live"}]]'
    assert JSON.encode_request({"op": "ping", "id": 1}) == '{"op":"ping","id":1}'


def test_the_default_encoding_comes_first_and_each_is_found_by_its_subprotocol() -> None:
    assert list(ENCODINGS) == ["ticker.v1.msgpack", "ticker.v1.json"]
    assert [encoding.text for encoding in ENCODINGS.values()] == [False, True]


def test_json_keys_are_ids_only_if_they_are_short_ascii_digits() -> None:
    keys = ["1", "99999", "100000", "-1", "1.0", "1e3", "٣", "²", "", "one"]
    sent = json.dumps([6, 0, 1, 2, [0, dict.fromkeys(keys, 5)]], ensure_ascii=False)
    message = JSON.decode_message(sent)
    assert isinstance(message, list)
    assert list(message[4][1]) == [1, 99999, *keys[2:]]


@pytest.mark.parametrize(
    "text", ["[6]", "[6,0,1,2,5]", "[6,0,1,2,[0,5,1]]", "[5,0,1,2,[0],{}]", "[6.0]", "[[6]]", "{}"]
)
def test_json_that_is_no_data_message_is_left_to_the_parser(text: str) -> None:
    assert JSON.decode_message(text) == json.loads(text)


def test_digits_are_keys_in_data_messages_only() -> None:
    assert JSON.decode_message('[2,1,{"1":{"2":3}}]') == [2, 1, {"1": {"2": 3}}]
    assert JSON.decode_request('{"1":2}') == {"1": 2}


# Frames


@both
@pytest.mark.parametrize("length", [125, 126, 65_535, 65_536])
def test_a_frame_of_any_length_is_read_by_another_implementation(encoding: Encoding, length: int) -> None:
    frames = (encoding.frame(Error(1, 2, "x" * room, fatal=False)) for room in range(length - 30, length))
    frame = next(frame for frame in frames if len(payload(frame)) == length)
    reader = FrameProtocol(client=True, extensions=[])
    reader.receive_bytes(frame)
    parts = list(reader.received_frames())
    content = b""
    for part in parts:
        assert not isinstance(part.payload, tuple)
        content += part.payload.encode() if isinstance(part.payload, str) else part.payload
    assert content == frame[-length:]
    assert len(frame) - length == {125: 2, 126: 4, 65_535: 4, 65_536: 10}[length]
    assert parts[0].opcode is (Opcode.TEXT if encoding.text else Opcode.BINARY)
    assert parts[-1].message_finished


@both
def test_a_frame_is_as_long_as_its_header_says(encoding: Encoding) -> None:
    """Whether it was encoded whole or joined from parts."""
    for count in (0, 1, 30, 5000):
        frame = encoding.delta(encoding.step(1, 2, 3), [encoding.entry(5, {1: 7, "own": "x" * 5})] * count)
        assert messages([frame, encoding.frame(DELTA)], encoding)[1] == DELTA


def test_a_close_frame_is_known_by_its_code() -> None:
    for close in Close:
        content = int(close).to_bytes(2, "big") + b"reason"
        assert close_code(frame_header(0x88, len(content)) + content) == close
    assert close_code(frame_header(0x88, 0)) == 1005


@pytest.mark.parametrize("frame", [b"", MSGPACK.frame(DELTA), JSON.frame(DELTA), b"\x89\x00", b"\x8a\x02\x03\xe8"])
def test_other_frames_have_no_close_code(frame: bytes) -> None:
    assert close_code(frame) is None


# Hostile payloads


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
    """In both encodings alike, so that nobody sees another request than we do."""
    assert JSON.decode_request('{"a":1,"a":2}') == MSGPACK.decode_request(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}


def test_header_lengths_step_up_where_the_protocol_says() -> None:
    lengths = [len(frame_header(0x82, length)) for length in (0, 125, 126, 65_535, 65_536, 2**40)]
    assert lengths == [2, 2, 4, 4, 10, 10]
    assert all(before <= after for before, after in pairwise(lengths))

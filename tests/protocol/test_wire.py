"""ticker/protocol/wire.py: two encodings of the same messages, and frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.support import messages, payload
from ticker.errors import ProtocolError
from ticker.market import FieldKey, WireValue
from ticker.numbers import MAX_INTEGER, MAX_SCALE
from ticker.protocol.messages import (
    PROTOCOL_VERSION,
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
)
from ticker.protocol.wire import ENCODINGS, JSON, MSGPACK, Encoding, close_code, close_frame, frame_header

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
    """The error of both ends for these bytes."""
    with pytest.raises(ProtocolError) as by_client:
        encoding.decode_message(data)
    with pytest.raises(ProtocolError) as by_server:
        encoding.decode_request(data)
    assert by_client.value.code == by_server.value.code
    return by_server.value


def is_plain(value: object) -> bool:
    """Whether this consists of the types that msgpack and JSON share with Python, and no others."""
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
    step = encoding.step(head[0], encoding.reached(*head[1:]))
    assert encoding.delta(step, changed) == encoding.frame(Delta(*head, flat_changes))
    snapshot = encoding.snapshot(step, changed, complete)
    assert snapshot == encoding.frame(Snapshot(*head, flat_changes, flat_records))


@both
@given(some=st.lists(definitions, max_size=5))
def test_instruments_made_of_definitions_are_the_whole_message(encoding: Encoding, some: list[Definition]) -> None:
    parts = [encoding.definition(definition) for definition in some]
    assert encoding.instruments(parts) == encoding.frame(Instruments(some))


@both
@pytest.mark.parametrize("count", [7, 8, 15, 16, 32_767, 32_768])
def test_any_number_of_entries_can_be_joined(encoding: Encoding, count: int) -> None:
    frame = encoding.delta(encoding.step(1, encoding.reached(2, 3)), [encoding.entry(5, {1: 7})] * count)
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
    step = JSON.step(1, JSON.reached(2, 3))
    assert MSGPACK.delta(MSGPACK.step(1, MSGPACK.reached(2, 3)), [MSGPACK.entry(0, entry)])[2:].hex() == (
        "95" + "06" + "01" + "02" + "03" + "92" + "00" + "82" + "01cd4a51" + "0e" + "a4" + b"live".hex()
    )
    assert JSON.delta(step, [JSON.entry(0, entry)])[2:] == b'[6,1,2,3,[0,{"1":19025,"14":"live"}]]'
    assert JSON.snapshot(step, [], [JSON.entry(0, entry)])[2:] == b'[5,1,2,3,[],[0,{"1":19025,"14":"live"}]]'
    assert JSON.encode_request({"op": "ping", "id": 1}) == '{"op":"ping","id":1}'


def test_the_default_encoding_comes_first_and_each_is_found_by_its_subprotocol() -> None:
    assert list(ENCODINGS) == ["ticker.v1.msgpack", "ticker.v1.json"]
    assert all(name.startswith(f"ticker.v{PROTOCOL_VERSION}.") for name in ENCODINGS)
    assert [encoding.text for encoding in ENCODINGS.values()] == [False, True]


def test_json_keys_are_ids_only_if_they_are_short_ascii_digits() -> None:
    keys = ["1", "99999", "100000", "-1", "1.0", "1e3", "٣", "²", "", "one"]
    sent = json.dumps([6, 0, 1, 2, [0, dict.fromkeys(keys, 5)]], ensure_ascii=False)
    message = JSON.decode_message(sent)
    assert isinstance(message, list)
    assert list(message[4][1]) == [1, 99999, *keys[2:]]


def test_elements_of_a_later_version_keep_their_json_keys() -> None:
    message = JSON.decode_message('[5,0,1,2,[0,{"1":5}],[1,{"2":6}],[2,{"3":7}]]')
    assert message == [5, 0, 1, 2, [0, {1: 5}], [1, {2: 6}], [2, {"3": 7}]]


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
def test_a_delta_of_any_length_is_the_same_as_a_whole_message(encoding: Encoding) -> None:
    for length in [*range(90, 140), *range(65_500, 65_560)]:
        text = "x" * length
        frame = encoding.delta(encoding.step(1, encoding.reached(2, 3)), [encoding.entry(0, {"own": text})])
        assert frame == encoding.frame(Delta(1, 2, 3, [0, {"own": text}]))


@both
def test_a_frame_is_as_long_as_its_header_says(encoding: Encoding) -> None:
    """Whether it was encoded whole or joined from parts."""
    for count in (0, 1, 30, 5000):
        frame = encoding.delta(
            encoding.step(1, encoding.reached(2, 3)), [encoding.entry(5, {1: 7, "own": "x" * 5})] * count
        )
        assert messages([frame, encoding.frame(DELTA)], encoding)[1] == DELTA


@pytest.mark.parametrize("reason", ["", "reason", "x" * 123])
def test_a_close_frame_is_known_by_its_code(reason: str) -> None:
    for close in Close:
        frame = close_frame(close, reason)
        assert frame == bytes((0x88, 2 + len(reason))) + int(close).to_bytes(2, "big") + reason.encode()
        assert close_code(frame) == close
    assert close_code(frame_header(0x88, 0)) == 1005


def test_a_reason_is_cut_where_a_control_frame_ends() -> None:
    assert close_frame(1001, "x" * 124) == close_frame(1001, "x" * 123)
    assert len(close_frame(1001, "é" * 100)) == 127


@pytest.mark.parametrize("frame", [b"", MSGPACK.frame(DELTA), JSON.frame(DELTA), b"\x89\x00", b"\x8a\x02\x03\xe8"])
def test_other_frames_have_no_close_code(frame: bytes) -> None:
    assert close_code(frame) is None


def test_header_lengths_step_up_where_the_protocol_says() -> None:
    lengths = [len(frame_header(0x82, length)) for length in (0, 125, 126, 65_535, 65_536, 2**40)]
    assert lengths == [2, 2, 4, 4, 10, 10]

"""ticker/protocol/messages.py: shapes of requests and messages, and refusals of anything else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.errors import Code, ProtocolError
from ticker.numbers import MAX_INTEGER
from ticker.protocol.messages import (
    OPS,
    Authenticate,
    BadRequest,
    Close,
    Definition,
    Delta,
    Digest,
    Error,
    Expiring,
    FindInstruments,
    Goodbye,
    Heartbeat,
    Instruments,
    MessageKind,
    Ping,
    Removed,
    Reply,
    Request,
    Resume,
    ServerMessage,
    Snapshot,
    Source,
    Stats,
    Subscribe,
    Subscriptions,
    Unsubscribe,
    Welcome,
    parse_request,
    parse_server_message,
)

REQUESTS: list[tuple[dict[str, Any], Request]] = [
    ({"op": "subscribe", "id": 7, "symbols": ["A", "B*"]}, Subscribe(7, ["A", "B*"])),
    ({"op": "subscribe", "id": 7, "symbols": [], "interval_ms": 250}, Subscribe(7, [], 250)),
    ({"op": "unsubscribe", "id": 0, "symbols": ["A"]}, Unsubscribe(0, ["A"])),
    ({"op": "subscriptions", "id": MAX_INTEGER}, Subscriptions(MAX_INTEGER)),
    ({"op": "instruments", "id": 1}, FindInstruments(1, "*", "")),
    ({"op": "instruments", "id": 1, "match": "A*", "after": "AB"}, FindInstruments(1, "A*", "AB")),
    ({"op": "instruments", "id": 1, "text": "apple"}, FindInstruments(1, "*", "", "apple")),
    ({"op": "resume", "id": 1, "epoch": "e", "cursor": 9, "symbols": ["A"]}, Resume(1, "e", 9, ["A"])),
    ({"op": "auth", "id": 1, "token": "a.b.c"}, Authenticate(1, "a.b.c")),
    ({"op": "stats", "id": 1}, Stats(1)),
    (
        {"op": "resume", "id": 1, "epoch": "e", "cursor": 0, "symbols": [], "interval_ms": 0},
        Resume(1, "e", 0, [], interval_ms=0),
    ),
    ({"op": "ping", "id": 1}, Ping(1)),
    ({"op": "digest", "id": 1}, Digest(1)),
]

MESSAGES: list[tuple[list[Any], ServerMessage]] = [
    (
        [1, 1, "e", "s", 5, 6, 10_000, {"max_symbols": 9}, {"book": [10]}],
        Welcome(1, "e", "s", 5, 6, 10_000, {"max_symbols": 9}, {"book": [10]}),
    ),
    ([2, 7, {"outcomes": []}], Reply(7, {"outcomes": []})),
    ([3, 7, 4, "unknown op", False], Error(7, 4, "unknown op", fatal=False)),
    ([3, None, 1, "no map", True], Error(None, 1, "no map", fatal=True)),
    ([4, [[0, "A", 2, 0, {"name": "x"}]]], Instruments([Definition(0, "A", 2, 0, {"name": "x"})])),
    ([4, []], Instruments([])),
    ([5, 1, 2, 3, [0, {1: 5}], [1, {}]], Snapshot(1, 2, 3, [0, {1: 5}], [1, {}])),
    ([6, 1, 2, 3, [0, {1: None, "own": "x"}]], Delta(1, 2, 3, [0, {1: None, "own": "x"}])),
    ([7, 9, 99], Heartbeat(9, 99)),
    ([8, "stopping", 500, True], Goodbye("stopping", 500, come_back=True)),
    ([9, 99], Expiring(99)),
    ([10, 5, 6, [0, 3]], Removed(5, 6, [0, 3])),
    ([11, 5], Source(5)),
    ([11, None], Source(None)),
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["op", "id", "symbols", "x"]) | st.integers() | st.binary(), inner, max_size=5
        )
    ),
    max_leaves=20,
)


def bad(message: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_request(message)
    error = caught.value.error
    assert (error.code, error.text) == (caught.value.code, str(caught.value))
    assert len(error.text) <= 300
    return caught.value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


# Requests


@pytest.mark.parametrize(("message", "request_"), REQUESTS)
def test_every_request_is_read_from_its_map(message: dict[str, Any], request_: Request) -> None:
    assert parse_request(message) == request_


def test_the_list_of_ops_is_complete() -> None:
    assert set(OPS) == {message["op"] for message, _ in REQUESTS}


@pytest.mark.parametrize("message", [None, 5, "ping", b"ping", [], [{"op": "ping", "id": 1}], 1.5])
def test_a_message_that_is_no_map_is_fatal(message: object) -> None:
    error = bad(message).error
    assert error == Error(None, Code.MALFORMED, "a message is a map with the keys op and id", fatal=True)


@pytest.mark.parametrize(
    "op",
    ["", "Ping", "order", "x" * 10**6, "\n" * 50],
    ids=lambda op: op[:9],
)
def test_an_unknown_op_is_answered_with_those_there_are(op: str) -> None:
    error = bad({"op": op, "id": 7}).error
    assert (error.id, error.code, error.fatal) == (7, Code.UNKNOWN_OP, False)
    assert error.text.startswith("unknown op ")
    assert error.text.endswith(
        "there are: subscribe, unsubscribe, subscriptions, instruments, resume, ping, auth, stats, digest"
    )
    assert len(error.text) < 300


@pytest.mark.parametrize(
    "op",
    [None, 5, True, ["ping"], {"ping": 1}, b"ping", nested(5), nested(1020), float("nan"), 10**5000],
    ids=lambda op: type(op).__name__,
)
def test_an_op_that_is_no_text_is_a_bad_request(op: object) -> None:
    """A payload of a kilobyte can nest deeper, or hold more digits, than Python can print."""
    error = bad({"op": op, "id": 7}).error
    assert (error.id, error.code, error.fatal) == (7, Code.BAD_REQUEST, False)
    assert error.text.startswith("a request has a text op; there are: ")


def test_a_request_without_op_is_answered_too() -> None:
    assert bad({"id": 7}).error.code == Code.BAD_REQUEST
    assert bad({}).error.id is None


@pytest.mark.parametrize("number", [None, -1, MAX_INTEGER + 1, 2**80, 1.0, True, "7", [7], float("nan")])
def test_an_id_that_is_no_natural_number_is_refused_and_not_repeated(number: object) -> None:
    for op in OPS:
        error = bad({"op": op, "id": number, "symbols": [], "epoch": "e", "cursor": 0}).error
        assert (error.id, error.code, error.fatal) == (None, Code.BAD_REQUEST, False)
        assert error.text.startswith(f"{op}: ")
    assert bad({"op": "order", "id": number}).error.id is None


@pytest.mark.parametrize("message", [message for message, _ in REQUESTS])
def test_a_request_with_a_key_that_it_does_not_have_is_refused(message: dict[str, Any]) -> None:
    keys: list[Any] = ["intervall_ms", "", "x" * 10**4, 5, b"id", None, 1.5]
    for key in keys:
        error = bad({**message, key: 1}).error
        assert (error.id, error.code, error.fatal) == (message["id"], Code.BAD_REQUEST, False)


def test_no_repr_shows_a_token() -> None:
    assert repr(Authenticate(7, "a.b.c")) == "Authenticate(id=7, token=...)"


def test_a_typing_mistake_is_named() -> None:
    assert "intervall_ms" in bad({"op": "subscribe", "id": 1, "symbols": [], "intervall_ms": 5}).error.text


@pytest.mark.parametrize("message", [message for message, _ in REQUESTS])
def test_a_request_that_lacks_a_key_is_refused(message: dict[str, Any]) -> None:
    for key in message.keys() - {"op", "id", "interval_ms", "match", "after", "text"}:
        less = {name: value for name, value in message.items() if name != key}
        assert bad(less).error.code == Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("symbols", value) for value in (None, "A", 5, {"A": 1}, [5], [None], [["A"]], [b"A"], ["A"] * 10_001)],
        *[("interval_ms", value) for value in (None, -1, 0.5, "250", True, 2**53)],
        *[("cursor", value) for value in (None, -1, 0.5, "9", 2**53)],
        *[("epoch", value) for value in (None, 5, b"e")],
    ],
)
def test_a_value_of_another_type_or_beyond_its_range_is_refused(key: str, value: object) -> None:
    message = {"op": "resume", "id": 1, "epoch": "e", "cursor": 9, "symbols": ["A"], key: value}
    error = bad(message).error
    assert (error.id, error.code, error.fatal) == (1, Code.BAD_REQUEST, False)


@pytest.mark.parametrize(("key", "value"), [("match", ""), ("match", "x" * 129), ("match", 5), ("after", 5)])
def test_a_search_needs_a_short_pattern(key: str, value: object) -> None:
    assert bad({"op": "instruments", "id": 1, key: value}).error.code == Code.BAD_REQUEST


@given(anything | st.fixed_dictionaries({"op": st.sampled_from(OPS)}, optional={"id": anything, "symbols": anything}))
def test_anything_is_a_request_or_a_bad_request(message: object) -> None:
    try:
        result: Request | Error = parse_request(message)
    except BadRequest as error:
        result = error.error
    assert isinstance(result, Request | Error)
    assert isinstance(message, dict) is not (isinstance(result, Error) and result.fatal)


@pytest.mark.parametrize(
    "message", [message for _, message in [*REQUESTS, *MESSAGES]], ids=lambda each: type(each).__name__
)
def test_a_message_does_not_change(message: Request | ServerMessage) -> None:
    for name in message.__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(message, name, None)


# Server messages


@pytest.mark.parametrize(("array", "message"), MESSAGES)
def test_every_server_message_is_read_from_its_array(array: list[Any], message: ServerMessage) -> None:
    assert parse_server_message(array) == message
    assert msgspec.to_builtins(message) == array


def test_every_kind_has_a_message() -> None:
    assert {array[0] for array, _ in MESSAGES} == set(MessageKind)


@pytest.mark.parametrize(("array", "message"), MESSAGES)
def test_elements_of_a_later_version_are_ignored(array: list[Any], message: ServerMessage) -> None:
    assert parse_server_message([*array, "new", {"more": [1]}]) == message


def test_elements_that_a_later_version_adds_to_a_definition_are_ignored() -> None:
    later = [4, [[0, "A", 2, 0, {}, "new"]]]
    assert parse_server_message(later) == Instruments([Definition(0, "A", 2, 0, {})])


@pytest.mark.parametrize("kind", [0, 12, 99, -1, 10**30])
def test_kinds_of_a_later_version_are_ignored(kind: int) -> None:
    assert parse_server_message([kind]) is None
    assert parse_server_message([kind, {"anything": 1}, None]) is None


@pytest.mark.parametrize("message", [None, 5, "x", {}, {7: 1}, [], [None], ["7", 9, 99], [7.0, 9, 99], [True], [[7]]])
def test_what_does_not_start_with_a_kind_is_no_message(message: object) -> None:
    with pytest.raises(ProtocolError, match="an array that starts with an integer kind") as caught:
        parse_server_message(message)
    assert caught.value.code == Code.MALFORMED


@pytest.mark.parametrize("array", [array for array, _ in MESSAGES])
def test_a_message_that_ends_too_early_is_malformed(array: list[Any]) -> None:
    optional = array[0] == MessageKind.WELCOME  # its last element, the features
    for length in range(1, len(array) - optional):
        with pytest.raises(ProtocolError, match=f"^{MessageKind(array[0]).name}: ") as caught:
            parse_server_message(array[:length])
        assert caught.value.code == Code.MALFORMED


@pytest.mark.parametrize(
    "array",
    [
        [7, -1, 0],
        [7, 2**53, 0],
        [7, 1.5, 0],
        [7, "9", 0],
        [7, float("nan"), 0],
        [4, [[0, "", 2, 0, {}]]],
        [4, [[0, "x" * 162, 2, 0, {}]]],
        [4, [[0, "A", 16, 0, {}]]],
        [4, [[0, "A", -1, 0, {}]]],
        [4, [[0, "A", 2, 0, {"name": 5}]]],
        [4, {"A": 1}],
        [6, 0, 1, 2, {0: {}}],
        [5, 0, 1, 2, [], None],
        [2, None, {}],
        [2, 1, []],
        [3, 1, 2, "text", 1],
        [8, None, 0, True],
    ],
)
def test_an_element_of_another_type_or_beyond_its_range_is_malformed(array: list[Any]) -> None:
    with pytest.raises(ProtocolError, match=f"^{MessageKind(array[0]).name}: "):
        parse_server_message(array)


@given(anything | st.tuples(st.integers(1, 8), anything, anything, anything, anything, anything).map(list))
def test_anything_is_a_message_or_ignored_or_a_protocol_error(message: object) -> None:
    try:
        parsed = parse_server_message(message)
    except ProtocolError as error:
        parsed = Error(None, error.code, str(error), fatal=True)
        assert parsed.code == Code.MALFORMED
    assert parsed is None or isinstance(parsed, ServerMessage)


# Closing


def test_the_protocol_lists_every_close_code_and_whether_to_come_back() -> None:
    """PROTOCOL.md, section 8: the table and the enumeration agree."""
    text = (Path(__file__).parents[2] / "PROTOCOL.md").read_text()
    rows = re.findall(r"^\| (\d{4}) \| .* \| (yes|no)\b.*\|$", text, re.MULTILINE)
    assert {int(code): answer == "yes" for code, answer in rows} == {int(each): each.come_back for each in Close}

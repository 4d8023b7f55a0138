"""ticker/core/session.py: malformed messages, and any input at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.talk import Talk
from ticker.config import Limits
from ticker.errors import Code
from ticker.protocol.messages import Close, Error, Reply
from ticker.protocol.wire import ENCODINGS, JSON, Encoding

both = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=["msgpack", "json"])
OK = [Code.OK, ""]


@pytest.mark.parametrize(
    ("payload", "code", "close"),
    [
        (b"\xc1", Code.MALFORMED, Close.MALFORMED),
        (b"", Code.MALFORMED, Close.MALFORMED),
        (b"\x90", Code.MALFORMED, Close.MALFORMED),
        ("{}", Code.WRONG_ENCODING, Close.WRONG_ENCODING),
    ],
)
def test_a_message_that_is_no_map_in_the_right_encoding_ends_the_connection(
    payload: bytes, code: Code, close: Close
) -> None:
    error, closed = Talk().send(payload)
    assert isinstance(error, Error)
    assert (error.id, error.code, error.fatal, closed) == (None, code, True, close)


def test_binary_messages_end_a_connection_that_speaks_json() -> None:
    error, close = Talk(encoding=JSON).send(b"\x80")
    assert isinstance(error, Error)
    assert (error.code, close) == (Code.WRONG_ENCODING, Close.WRONG_ENCODING)


@both
def test_a_message_beyond_the_limit_ends_the_connection(encoding: Encoding) -> None:
    talk = Talk(encoding=encoding, limits=Limits(max_message_bytes=100))
    message, close = talk.read(talk.session.too_large())
    assert message == Error(None, Code.TOO_LARGE, "a message may have 100 bytes", fatal=True)
    assert close is Close.TOO_LARGE


@both
def test_a_request_that_fails_does_not_end_the_connection(encoding: Encoding) -> None:
    talk = Talk(encoding=encoding)
    assert talk.fail("order") == Code.UNKNOWN_OP
    assert talk.fail("subscribe") == Code.BAD_REQUEST
    assert talk.fail("subscribe", symbols=["A"], intervall_ms=5) == Code.BAD_REQUEST
    assert talk.fail("subscribe", symbols=["A", 5]) == Code.BAD_REQUEST
    assert talk.subscribed() == []
    assert talk.outcomes("subscribe", "A") == [OK]


requests = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["subscribe", "unsubscribe", "subscriptions", "instruments", "resume", "ping", "order"]),
        "id": st.integers(0, 9),
    },
    optional={
        "symbols": st.lists(st.sampled_from(["A", "Z", "*", "[", ""]) | st.text(max_size=70), max_size=4),
        "interval_ms": st.integers(-1, 100_000),
        "match": st.sampled_from(["*", "[", ""]) | st.text(max_size=70),
        "after": st.text(max_size=5),
        "epoch": st.sampled_from(["epoch", "other"]),
        "cursor": st.integers(0, 3),
    },
)


@both
@given(requests=st.lists(requests, max_size=8))
def test_every_request_is_answered_and_every_answer_is_well_formed(encoding: Encoding, requests: list[Any]) -> None:
    talk = Talk(encoding=encoding)
    for request in requests:
        answer, close = talk.send(encoding.encode_request(request))
        assert isinstance(answer, Reply | Error)
        assert answer.id == request["id"]
        assert close is None
        assert talk.subscriber.is_member
    assert len(talk.subscribed()) <= 4


@given(st.binary(max_size=40))
def test_any_bytes_are_answered(data: bytes) -> None:
    answer, close = Talk().send(data)
    assert isinstance(answer, Error)
    assert answer.fatal is (close is not None)


@given(st.text(max_size=40))
def test_any_text_is_answered(data: str) -> None:
    answer, close = Talk(encoding=JSON).send(data)
    assert isinstance(answer, Error)
    assert answer.fatal is (close is not None)

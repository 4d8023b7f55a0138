"""The golden frames of PROTOCOL.md, section 10, through the Python client's state machine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.golden import CONVERSATIONS, check
from ticker.protocol.wire import JSON, MSGPACK, Encoding

ENCODINGS = pytest.mark.parametrize("encoding", [MSGPACK, JSON], ids=["msgpack", "json"])


@ENCODINGS
@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each["name"])
def test_each_message_leaves_the_stated_copy_and_each_malformed_one_is_refused_whole(
    conversation: dict[str, Any], encoding: Encoding
) -> None:
    check(conversation, encoding)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each["name"])
def test_both_encodings_of_a_frame_mean_the_same(conversation: dict[str, Any]) -> None:
    frames = [step for step in conversation["steps"] if "receives" in step]
    assert frames
    for frame in frames:
        assert MSGPACK.decode_message(bytes.fromhex(frame["msgpack"])) == JSON.decode_message(frame["json"])

"""The golden frames through an independent client (tests/stranger/client.py)."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stranger.client import Copy, Message, Refused, decode

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_frames.json").read_text(encoding="utf-8"))


def golden(frame: dict[str, Any], encoding: str) -> Message:
    return decode(bytes.fromhex(frame["msgpack"]) if encoding == "msgpack" else frame["json"])


def after_the_conversation(encoding: str, see: Callable[[Copy, dict[str, Any]], None] | None = None) -> Copy:
    copy = Copy()
    for frame in GOLDEN["conversation"]:
        message = golden(frame, encoding)
        copy.apply(message)
        if message[0] == 1:
            copy.epoch, copy.cursor = message[2], message[4]
            copy.ask(1, ["*"])
        if see:
            see(copy, frame)
    return copy


@pytest.mark.parametrize("encoding", ["msgpack", "json"])
def test_every_golden_message_leaves_the_cursor_and_the_copy_that_stand_beside_it(encoding: str) -> None:
    def see(copy: Copy, frame: dict[str, Any]) -> None:
        expected = {
            symbol: {name: value for name, value in record.items() if not re.fullmatch(r"field_\d+", name)}
            for symbol, record in frame["copy"].items()
        }
        assert (frame["name"], copy.cursor, copy.view()) == (frame["name"], frame["cursor"], expected)

    assert after_the_conversation(encoding, see).names == {"*": None}


@pytest.mark.parametrize(
    ("frame", "encoding"),
    [
        pytest.param(frame, encoding, id=f"{frame['name']} ({encoding})")
        for frame in GOLDEN["refused"]
        for encoding in ("msgpack", "json")
        if encoding in frame
    ],
)
def test_a_refused_golden_payload_leaves_the_copy_as_it_was(frame: dict[str, Any], encoding: str) -> None:
    copy = after_the_conversation(encoding)
    with pytest.raises(Refused):
        copy.apply(golden(frame, encoding))
    assert copy == after_the_conversation(encoding)


def test_a_heartbeat_moves_the_cursor_unless_a_resume_is_unanswered() -> None:
    copy = Copy(cursor=5, names={"*": None}, resuming=1)
    copy.apply([7, 9, 0])
    assert copy.cursor == 5
    copy.apply([2, 1, {"outcomes": [["*", 0, ""]], "interval_ms": 0}])
    copy.apply([7, 9, 0])
    copy.apply([7, 8, 0])
    assert copy.cursor == 9

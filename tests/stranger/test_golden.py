"""The golden frames through an independent client (tests/stranger/held_copy.py)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.__main__ import text
from tests.stranger.client import decode
from tests.stranger.held_copy import Copy
from tests.stranger.values import Message, Refused

FILE = Path(__file__).parents[1] / "golden_frames.json"
CONVERSATIONS = json.loads(FILE.read_text(encoding="utf-8"))["conversations"]
EACH = pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each["name"])
ENCODINGS = pytest.mark.parametrize("encoding", ["msgpack", "json"])


def message(frame: dict[str, Any], encoding: str) -> Message:
    return decode(bytes.fromhex(frame["msgpack"]) if encoding == "msgpack" else frame["json"])


def sorted_names(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Requests without ids, names in the order of the alphabet: both are the client's own choice."""
    return [
        {key: sorted(value) if isinstance(value, list) else value for key, value in each.items() if key != "id"}
        for each in requests
    ]


def after(conversation: dict[str, Any], encoding: str) -> Copy:
    """The copy at the end; on the way, each step is compared with the file."""
    copy = Copy()
    due: list[dict[str, Any]] = []
    some = any("fields" in step for step in conversation["steps"])  # it always asks for all fields, and takes any
    for step in conversation["steps"]:
        if "wants" in step:
            copy.wanted = step["wants"]
        elif "sends" in step:
            assert not due or sorted_names(due) == sorted_names(step["sends"])
            due = []
            for request in step["sends"]:
                copy.sent(request)
        elif "closed" in step:
            copy.lost()
        elif step.get("refused"):
            with pytest.raises(Refused):
                copy.apply(message(step, encoding))
            copy.refusals += 1
        elif "receives" in step:
            assert due == []
            received = message(step, encoding)
            copy.apply(received)
            if received[0] == 1:
                due = copy.begin(received)
                due = [] if some else due
        if "receives" in step:
            state = {"cursor": copy.cursor, "copy": copy.view(), "digest": copy.checksum()}
            assert state == {key: step[key] for key in state}, step["receives"]
            assert copy.limits == step.get("limits", copy.limits)
            assert copy.delay == step.get("delay", copy.delay)
            assert copy.silent_since == step.get("silent", copy.silent_since)
            proved = [digest for cut, digest, _ in copy.digests if cut == copy.cursor]
            copy.digests.clear()
            assert (proved == [copy.checksum()]) == ("mismatch" not in step) or proved == []
    return copy


@EACH
@ENCODINGS
def test_every_golden_message_leaves_the_state_that_stands_beside_it(
    conversation: dict[str, Any], encoding: str
) -> None:
    after(conversation, encoding)


@pytest.mark.parametrize(
    ("conversation", "frame", "encoding"),
    [
        pytest.param(each, frame, encoding, id=f"{frame['name']} ({encoding})")
        for each in CONVERSATIONS
        for frame in each["refused"]
        for encoding in ("msgpack", "json")
        if encoding in frame
    ],
)
def test_a_refused_golden_payload_leaves_the_copy_as_it_was(
    conversation: dict[str, Any], frame: dict[str, Any], encoding: str
) -> None:
    copy = after(conversation, encoding)
    with pytest.raises(Refused):
        copy.apply(message(frame, encoding))
    assert copy == after(conversation, encoding)


def test_the_file_is_the_one_that_its_source_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run `python -m tests.golden`"

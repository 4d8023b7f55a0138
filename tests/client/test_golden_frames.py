"""The golden frames of PROTOCOL.md, section 10, through the Python client's state machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ticker.client.session import ClientSession
from ticker.commands.cells import shown
from ticker.errors import ProtocolError
from ticker.protocol.wire import JSON, MSGPACK, Encoding

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_frames.json").read_text())
CONVERSATION: list[dict[str, Any]] = GOLDEN["conversation"]
ENCODINGS = pytest.mark.parametrize("encoding", [MSGPACK, JSON], ids=["msgpack", "json"])


def payload(frame: dict[str, Any], encoding: Encoding) -> bytes | str:
    text: str = frame["json" if encoding.text else "msgpack"]
    return text if encoding.text else bytes.fromhex(text)


def copy(session: ClientSession) -> dict[str, dict[str, int | str]]:
    """The client's copy in the form of the file."""
    held = {}
    for each in session.replica:
        fields = each.present()
        held[each.definition.symbol] = {
            name: value if isinstance(value, int | str) else shown(value) for name, value in fields.items()
        }
    return held


def begun(encoding: Encoding) -> ClientSession:
    session = ClientSession(encoding)
    session.add_names(["*"])
    session.begin(payload(CONVERSATION[0], encoding))
    session.requests()
    return session


def at_the_end(encoding: Encoding) -> ClientSession:
    session = begun(encoding)
    for frame in CONVERSATION[1:]:
        session.receive(payload(frame, encoding))
    return session


@ENCODINGS
def test_each_frame_of_the_conversation_leaves_the_copy_and_the_cursor_that_it_states(encoding: Encoding) -> None:
    session = begun(encoding)
    for frame in CONVERSATION[1:]:
        session.receive(payload(frame, encoding))
        assert copy(session) == frame["copy"], frame["name"]
        assert session.replica.cursor == frame["cursor"], frame["name"]


@pytest.mark.parametrize("frame", CONVERSATION, ids=lambda frame: frame["name"])
def test_both_encodings_of_a_frame_mean_the_same(frame: dict[str, Any]) -> None:
    assert MSGPACK.decode_message(bytes.fromhex(frame["msgpack"])) == JSON.decode_message(frame["json"])


REFUSED = [
    pytest.param(encoding, frame, id=f"{form}-{frame['name']}")
    for frame in GOLDEN["refused"]
    for form, encoding in (("msgpack", MSGPACK), ("json", JSON))
    if form in frame
]


@pytest.mark.parametrize(("encoding", "frame"), REFUSED)
def test_a_malformed_frame_is_refused_whole_and_leaves_the_copy_as_it_was(
    encoding: Encoding, frame: dict[str, Any]
) -> None:
    session = at_the_end(encoding)
    before, cursor = copy(session), session.replica.cursor
    with pytest.raises(ProtocolError):
        session.receive(payload(frame, encoding))
    assert copy(session) == before
    assert session.replica.cursor == cursor

"""ticker/client/session.py: fresh tokens during a connection."""

from __future__ import annotations

import pytest

from tests.client.test_session import Conversation
from ticker.errors import Code, ProtocolError
from ticker.protocol.messages import Error, Expiring, Heartbeat, Removed, Reply
from ticker.protocol.wire import MSGPACK


def test_a_fresh_token_is_presented_when_the_server_asks_for_one() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    assert not talk.says(Heartbeat(6, 6000)).expiring
    assert talk.says(Expiring(60_000)).expiring
    request = MSGPACK.decode_request(talk.session.authenticate("fresh"))
    assert request == {"op": "auth", "id": 2, "token": "fresh"}
    assert not talk.session.complete
    received = talk.says(Reply(2, {}))
    assert (received.token_refused, received.refused) == (None, [])
    assert talk.session.complete


def test_a_fresh_token_that_is_declined_is_no_refusal_of_names() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.authenticate("fresh")
    assert talk.says(Error(1, Code.BAD_REQUEST, "another request", fatal=False)).token_refused is None
    received = talk.says(Error(2, Code.BAD_TOKEN, "for other symbols", fatal=False))
    assert (received.token_refused, received.refused) == ("for other symbols", [])


def test_what_a_fresh_token_changes_is_taken_over() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.authenticate("fresh")
    talk.says(Removed(5, 5, [0]))
    talk.says(Reply(2, {"expires": 7, "epoch": "e9", "limits": {"max_symbols": 1, "max_message_bytes": 999}}))
    assert talk.session.limits == {"max_symbols": 1, "max_message_bytes": 999}
    assert talk.session.replica.symbols == {"B"}
    run = talk.session.replica.run
    talk.welcome("e9", cut=9)
    assert [request["op"] for request in talk.asked()] == ["resume"]
    assert talk.session.replica.run == run


@pytest.mark.parametrize(
    "result", [{"epoch": 5}, {"epoch": "x" * 257}, {"limits": []}, {"limits": {"max_symbols": -1}}]
)
def test_what_no_result_of_a_fresh_token_can_be_is_refused(result: dict[str, object]) -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.authenticate("fresh")
    with pytest.raises(ProtocolError):
        talk.says(Reply(2, result))
    assert talk.session.replica.epoch == "e1"

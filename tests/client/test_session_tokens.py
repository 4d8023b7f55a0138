"""ticker/client/session.py: fresh tokens during a connection."""

from __future__ import annotations

from tests.client.test_session import Conversation
from ticker.errors import Code
from ticker.protocol.messages import Error, Expiring, Heartbeat, Reply
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

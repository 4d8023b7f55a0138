"""ticker/client/session.py: the client's side of the conversation, message by message."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.client.work import calls_during
from tests.support import payload
from ticker.client.events import Refused
from ticker.client.session import ClientSession
from ticker.errors import Code, Gap, ProtocolError
from ticker.protocol.messages import (
    Definition,
    Delta,
    Error,
    Goodbye,
    Heartbeat,
    Instruments,
    Removed,
    Reply,
    ServerMessage,
    Snapshot,
    Welcome,
)
from ticker.protocol.wire import ENCODINGS, MSGPACK, Encoding

A, B = Definition(0, "A", 2, 0, {}), Definition(1, "B", 2, 0, {})


class Conversation:
    """A client session, and a server that sends the messages of the test."""

    def __init__(self, encoding: Encoding = MSGPACK, interval_ms: int | None = None) -> None:
        self.encoding = encoding
        self.session = ClientSession(encoding, interval_ms)

    def welcome(self, epoch: str = "e1", cut: int = 0, limit: int = 65_536) -> None:
        message = Welcome(1, epoch, "session", cut, 1000 * cut, 10_000, {"max_message_bytes": limit})
        assert self.session.begin(self.sent(message)) == message

    def says(self, message: ServerMessage) -> Any:  # noqa: ANN401  # tests look at different parts
        return self.session.receive(self.sent(message))

    def sent(self, message: ServerMessage) -> bytes | str:
        return payload(self.encoding.frame(message))

    def asked(self) -> list[dict[str, Any]]:
        """The requests that the client makes now."""
        requests = [self.encoding.decode_request(request) for request in self.session.requests()]
        assert all(isinstance(request, dict) for request in requests)
        return requests  # type: ignore[return-value]

    def accept(self, request: dict[str, Any]) -> Any:  # noqa: ANN401
        outcomes = [[name, 0, ""] for name in request["symbols"]]
        return self.says(Reply(request["id"], {"outcomes": outcomes}))

    def hold(self, *names: str) -> None:
        """Subscribe these and get records of A and B at cut 5."""
        self.session.add_names(names)
        self.welcome(cut=5)
        (request,) = self.asked()
        self.says(Instruments([A, B]))
        self.says(Snapshot(5, 5, 5000, [], [0, {1: 100, 3: 101}, 1, {1: 200}]))
        self.accept(request)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_what_is_wanted_is_asked_for_once_and_the_copy_fills(encoding: Encoding) -> None:
    talk = Conversation(encoding)
    talk.session.add_names(["A", "B", "A"])
    talk.welcome(cut=5)
    assert talk.session.heartbeat_seconds == 10
    (request,) = talk.asked()
    assert request == {"op": "subscribe", "id": 1, "symbols": ["A", "B"]}
    assert talk.asked() == []
    assert not talk.session.complete
    talk.says(Instruments([A]))
    received = talk.says(Snapshot(5, 5, 5000, [], [0, {1: 100}]))
    assert received.changes == {"A": {"bid": Decimal("1.00")}}
    talk.accept(request)
    assert talk.session.complete
    assert talk.says(Delta(5, 6, 6000, [0, {1: None}])).changes == {"A": {"bid": None}}
    assert talk.session.replica.cursor == 6


def test_an_interval_goes_with_every_subscription() -> None:
    talk = Conversation(interval_ms=250)
    talk.session.add_names(["A"])
    talk.welcome()
    assert talk.asked() == [{"op": "subscribe", "id": 1, "symbols": ["A"], "interval_ms": 250}]


def test_many_names_are_asked_for_in_several_requests() -> None:
    talk = Conversation()
    names = [f"S{number}" for number in range(1001)]
    talk.session.add_names(names)
    talk.welcome(limit=1000)
    parts = [request["symbols"] for request in talk.asked()]
    assert len(parts) > 1
    assert [name for part in parts for name in part] == names


@pytest.mark.parametrize("name", ["S", "価"])
def test_no_request_is_larger_than_the_server_takes(name: str) -> None:
    talk = Conversation()
    talk.session.add_names([f"{number:04}{name * 60}" for number in range(500)])
    talk.welcome(limit=65_536)
    assert all(len(request) <= 65_536 for request in talk.session.requests())


def test_a_name_wanted_twice_is_given_up_twice() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.add_names(["A"])
    talk.session.remove_names(["A"])
    assert talk.asked() == []
    talk.session.remove_names(["A"])
    assert talk.asked() == [{"op": "unsubscribe", "id": 2, "symbols": ["A"]}]
    assert talk.says(Removed(5, 5, [0])).changes == {"A": {"bid": None, "ask": None}}
    assert talk.session.replica.find("A") is None
    assert talk.says(Delta(5, 6, 6000, [0, {1: 1}, 1, {1: 201}])).changes == {"B": {"bid": Decimal("2.01")}}


def test_only_the_server_takes_records_out_of_the_copy() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    talk.asked()
    assert talk.says(Delta(5, 6, 6000, [0, {1: 110}])).changes == {"A": {"bid": Decimal("1.10")}}
    assert talk.session.replica.symbols == {"A", "B"}
    talk.says(Removed(6, 6, [0]))
    assert talk.session.replica.symbols == {"B"}


def test_a_name_given_up_and_wanted_again_is_asked_for_at_once_and_holds_what_comes_last() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    (unsubscribe,) = talk.asked()
    talk.session.add_names(["A"])
    (subscribe,) = talk.asked()
    assert (subscribe["op"], subscribe["symbols"]) == ("subscribe", ["A"])
    talk.says(Removed(5, 6, [0]))
    talk.says(Reply(unsubscribe["id"], {"outcomes": [["A", 0, ""]]}))
    assert not talk.session.has_all_of(["A"])
    assert talk.says(Snapshot(6, 7, 7000, [], [0, {1: 300}])).changes == {"A": {"bid": Decimal("3.00")}}
    talk.accept(subscribe)
    assert talk.session.has_all_of(["A"])
    assert talk.session.complete


def test_a_name_given_up_and_wanted_again_before_anything_was_asked_changes_nothing() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    talk.session.add_names(["A"])
    assert talk.asked() == []
    assert talk.session.replica.find("A") is not None


def test_records_cost_a_few_calls_each() -> None:
    talk = Conversation()
    talk.session.add_names(["*"])
    talk.welcome(cut=5)
    talk.asked()
    talk.says(Instruments([Definition(number, f"S{number}", 2, 0, {}) for number in range(2000)]))
    records = [entry for number in range(2000) for entry in (number, {1: 100})]
    snapshot = talk.sent(Snapshot(5, 5, 5000, [], records))
    assert calls_during(lambda: talk.session.receive(snapshot)) < 60 * 2000
    assert len(talk.session.replica.symbols) == 2000


# Refusals


def test_outcomes_that_are_not_ok_are_reported() -> None:
    talk = Conversation()
    talk.session.add_names(["A", "a b", "Z"])
    talk.welcome()
    (request,) = talk.asked()
    outcomes = [["A", 0, ""], ["a b", 7, "neither"], ["Z", 6, "not yet"]]
    received = talk.says(Reply(request["id"], {"outcomes": outcomes}))
    assert received.refused == [Refused("a b", 7, "neither"), Refused("Z", 6, "not yet")]
    talk.welcome()
    resume, subscribe = talk.asked()
    assert resume["symbols"] == ["A", "Z"]
    assert subscribe["symbols"] == ["a b"]


def test_a_request_that_fails_refuses_all_its_names() -> None:
    talk = Conversation()
    talk.session.add_names(["B", "A"])
    talk.welcome()
    (request,) = talk.asked()
    error = Error(request["id"], Code.BAD_REQUEST, "no", fatal=False)
    received = talk.says(error)
    assert received.error == error
    assert received.refused == [Refused("A", 5, "no"), Refused("B", 5, "no")]
    assert talk.says(Error(None, Code.MALFORMED, "what", fatal=True)).refused == []


def test_giving_up_a_name_that_was_refused_is_no_second_refusal() -> None:
    talk = Conversation()
    talk.session.add_names(["a b"])
    talk.welcome()
    (request,) = talk.asked()
    assert talk.says(Reply(request["id"], {"outcomes": [["a b", 7, "neither"]]})).refused
    talk.session.remove_names(["a b"])
    for unsubscribe in talk.asked():
        reply = Reply(unsubscribe["id"], {"outcomes": [["a b", 9, "it was not subscribed"]]})
        assert talk.says(reply).refused == []


def test_what_a_declined_name_kept_in_the_copy_leaves_it_as_the_server_says() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    assert talk.says(Removed(5, 5, [0])).changes == {"A": {"bid": None, "ask": None}}
    received = talk.says(Reply(resume["id"], {"outcomes": [["A", 8, "too many"], ["B", 0, ""]]}))
    assert received.refused == [Refused("A", 8, "too many")]
    assert talk.session.replica.symbols == {"B"}
    talk.welcome(cut=9)
    again, subscribe = talk.asked()
    assert (again["symbols"], subscribe["symbols"]) == (["B"], ["A"])
    assert "forget" not in again


def test_a_name_that_was_declined_and_is_accepted_later_is_confirmed() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    talk.says(Removed(5, 5, [0]))
    talk.says(Reply(resume["id"], {"outcomes": [["A", 8, "too many"], ["B", 0, ""]]}))
    assert talk.session.kept_names() == {"B"}
    talk.session.remove_names(["A"])
    (unsubscribe,) = talk.asked()
    talk.says(Reply(unsubscribe["id"], {"outcomes": [["A", 9, "it was not subscribed"]]}))
    talk.session.add_names(["A"])
    (subscribe,) = talk.asked()
    assert subscribe["symbols"] == ["A"]
    assert talk.says(Snapshot(5, 9, 9000, [], [0, {1: 100}])).changes == {"A": {"bid": Decimal("1.00")}}
    talk.says(Reply(subscribe["id"], {"outcomes": [["A", 0, ""]]}))
    assert talk.session.kept_names() == {"A", "B"}


# Other messages


def test_goodbye_is_handed_on() -> None:
    talk = Conversation()
    talk.welcome()
    goodbye = Goodbye("over", 100, come_back=True)
    assert talk.says(goodbye).goodbye == goodbye


def test_kinds_of_messages_that_are_not_known_mean_nothing() -> None:
    talk = Conversation()
    talk.welcome()
    received = talk.session.receive(MSGPACK.encode_request([99, "later"]))  # type: ignore[arg-type]
    assert (received.changes, received.refused, received.error, received.goodbye) == (None, [], None, None)
    assert talk.says(Welcome(1, "e", "s", 0, 0, 0, {})).changes is None


def test_a_connection_begins_with_welcome() -> None:
    talk = Conversation()
    with pytest.raises(ProtocolError, match="the first message of a connection is WELCOME"):
        talk.session.begin(talk.sent(Heartbeat(1, 1)))


def test_a_gap_is_refused_and_the_copy_stays() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    with pytest.raises(Gap):
        talk.says(Delta(7, 8, 8000, [0, {1: 1}]))
    assert talk.session.replica.cursor == 5


@pytest.mark.parametrize("outcomes", [[["A"]], [7], 7, None])
def test_outcomes_that_are_none_break_the_protocol(outcomes: object) -> None:
    talk = Conversation()
    talk.session.add_names(["A"])
    talk.welcome()
    (request,) = talk.asked()
    with pytest.raises(ProtocolError):
        talk.says(Reply(request["id"], {"outcomes": outcomes}))

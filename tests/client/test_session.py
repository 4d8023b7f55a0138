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
    assert talk.session.replica.find("A") is None
    assert talk.says(Delta(5, 6, 6000, [0, {1: 1}, 1, {1: 201}])).changes == {"B": {"bid": Decimal("2.01")}}


def test_a_name_given_up_and_wanted_again_before_anything_was_asked_changes_nothing() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    talk.session.add_names(["A"])
    assert talk.asked() == []
    assert talk.session.replica.find("A") is not None


def test_an_instrument_that_a_pattern_still_matches_stays_in_the_copy() -> None:
    talk = Conversation()
    talk.hold("A", "?")
    talk.session.remove_names(["A"])
    assert [request["op"] for request in talk.asked()] == ["unsubscribe"]
    assert talk.session.replica.find("A") is not None


@pytest.mark.parametrize("pattern", ["S{}", "S{}*"])
def test_records_cost_a_few_calls_each_however_many_names_are_wanted(pattern: str) -> None:
    talk = Conversation()
    talk.session.add_names([pattern.format(number) for number in range(1000, 2000)])
    talk.welcome(cut=5)
    talk.asked()
    talk.says(Instruments([Definition(number, f"S{number}", 2, 0, {}) for number in range(2000)]))
    records = [entry for number in range(2000) for entry in (number, {1: 100})]
    talk.says(Snapshot(5, 5, 5000, [], records[:2]))  # patterns are compiled once
    snapshot = talk.sent(Snapshot(5, 5, 5000, [], records))
    assert calls_during(lambda: talk.session.receive(snapshot)) < 50 * 2000
    assert len(talk.session.replica.symbols) == 1000


def test_giving_up_one_name_of_many_costs_a_look_up_for_each_instrument() -> None:
    talk = Conversation()
    names = [f"S{number}" for number in range(1000)]
    talk.session.add_names(names)
    talk.welcome(cut=5)
    talk.asked()
    talk.says(Instruments([Definition(number, name, 2, 0, {}) for number, name in enumerate(names)]))
    talk.says(Snapshot(5, 5, 5000, [], [entry for number in range(1000) for entry in (number, {1: 100})]))
    talk.session.remove_names(["S7"])
    assert calls_during(talk.session.requests) < 8 * 1000
    assert talk.session.replica.symbols == set(names) - {"S7"}


# Coming back


def test_on_the_same_epoch_the_copy_is_resumed_from_its_cursor() -> None:
    talk = Conversation(interval_ms=100)
    talk.hold("A", "B")
    talk.welcome(cut=9)
    assert talk.session.replica.resuming
    (resume,) = talk.asked()
    assert resume == {
        "op": "resume",
        "id": 2,
        "epoch": "e1",
        "cursor": 5,
        "symbols": ["A", "B"],
        "interval_ms": 100,
    }
    talk.says(Heartbeat(9, 9000))
    assert talk.session.replica.cursor == 5
    assert talk.says(Delta(5, 9, 9000, [0, {1: 110}])).changes == {"A": {"bid": Decimal("1.10")}}
    talk.accept(resume)
    assert not talk.session.replica.resuming
    assert talk.session.complete
    talk.says(Heartbeat(10, 10_000))
    assert talk.session.replica.cursor == 10


def test_names_without_a_reply_are_subscribed_after_the_resume() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.add_names(["C"])
    assert [request["op"] for request in talk.asked()] == ["subscribe"]
    talk.welcome(cut=9)
    resume, subscribe = talk.asked()
    assert (resume["op"], resume["symbols"]) == ("resume", ["A", "B"])
    assert (subscribe["op"], subscribe["symbols"]) == ("subscribe", ["C"])


def test_what_was_given_up_while_away_is_not_resumed() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    assert resume["symbols"] == ["B"]
    assert talk.session.replica.find("A") is None


def test_a_resume_larger_than_the_server_takes_is_not_tried() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9, limit=50)
    assert [request["op"] for request in talk.asked()] == ["subscribe", "subscribe"]
    assert talk.session.replica.cursor == 9


@pytest.mark.parametrize(("epoch", "cut"), [("e2", 9), ("e1", 4)])
def test_on_another_epoch_everything_comes_anew_and_what_is_gone_is_withdrawn(epoch: str, cut: int) -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(epoch, cut)
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("subscribe", ["A", "B"])
    talk.says(Instruments([Definition(0, "A", 3, 0, {})]))
    received = talk.says(Snapshot(cut, cut, 1000, [], [0, {1: 1234}]))
    assert received.changes == {"A": {"bid": Decimal("1.234"), "ask": None}}
    assert talk.accept(request).changes == {"B": {"bid": None}}
    assert talk.says(Heartbeat(cut + 1, 1001)).changes is None


def test_what_vanished_is_remembered_through_two_restarts() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome("e2", 1)
    talk.asked()
    talk.welcome("e3", 1)
    (request,) = talk.asked()
    assert talk.accept(request).changes == {"A": {"bid": None, "ask": None}, "B": {"bid": None}}


def test_a_resume_that_is_refused_leads_to_a_subscribe() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    received = talk.says(Error(resume["id"], Code.WRONG_EPOCH, "that epoch is over", fatal=False))
    assert received.refused == []
    assert not talk.session.replica.symbols
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("subscribe", ["A", "B"])
    talk.welcome(cut=9)
    assert [again["op"] for again in talk.asked()] == ["subscribe"], "nothing is confirmed yet"


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


def test_a_resumed_name_that_is_declined_leaves_the_copy_and_its_fields_are_withdrawn() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    received = talk.says(Reply(resume["id"], {"outcomes": [["A", 7, "not for you"], ["B", 0, ""]]}))
    assert received.refused == [Refused("A", 7, "not for you")]
    assert received.changes == {"A": {"bid": None, "ask": None}}
    assert talk.session.replica.symbols == {"B"}
    assert talk.says(Snapshot(5, 9, 9000, [], [0, {1: 100}])).changes == {}
    talk.session.remove_names(["B"])
    talk.session.add_names(["B"])
    assert talk.asked() == []


def test_a_name_that_was_declined_and_is_accepted_later_has_its_values() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    talk.says(Reply(resume["id"], {"outcomes": [["A", 8, "too many"], ["B", 0, ""]]}))
    talk.session.remove_names(["A"])
    (unsubscribe,) = talk.asked()
    talk.says(Reply(unsubscribe["id"], {"outcomes": [["A", 9, "it was not subscribed"]]}))
    talk.session.add_names(["A"])
    (subscribe,) = talk.asked()
    assert subscribe["symbols"] == ["A"]
    talk.says(Reply(subscribe["id"], {"outcomes": [["A", 0, ""]]}))
    assert talk.says(Snapshot(5, 9, 9000, [], [0, {1: 100}])).changes == {"A": {"bid": Decimal("1.00")}}


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


def test_a_field_that_was_withdrawn_while_away_is_reported_even_if_the_reply_had_not_come() -> None:
    talk = Conversation()
    talk.session.add_names(["A"])
    talk.welcome(cut=5)
    talk.asked()
    talk.says(Instruments([A]))
    talk.says(Snapshot(5, 5, 5000, [], [0, {1: 100, 3: 101}]))
    talk.welcome(cut=7)
    talk.asked()
    talk.says(Instruments([A]))
    received = talk.says(Snapshot(7, 7, 7000, [], [0, {1: 100}]))
    assert received.changes == {"A": {"bid": Decimal("1.00"), "ask": None}}

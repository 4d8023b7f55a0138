"""ticker/client/session.py: new connections, on which a copy is resumed or starts afresh."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.client.test_session import A, Conversation
from ticker.errors import Code, Gap
from ticker.protocol.messages import Definition, Delta, Error, Heartbeat, Instruments, Removed, Reply, Snapshot


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


def test_what_was_given_up_while_away_is_forgotten_with_the_resume() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    assert (resume["symbols"], resume["forget"]) == (["B"], ["A"])
    talk.says(Removed(5, 5, [0]))
    talk.accept(resume)
    assert talk.session.replica.symbols == {"B"}
    talk.welcome(cut=9)
    assert "forget" not in talk.asked()[0]


def test_names_without_a_reply_are_forgotten_with_the_resume_and_then_asked_for() -> None:
    """The copy may hold a part of a new name, and of one that was given up still everything."""
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.add_names(["C", "D"])
    talk.session.remove_names(["A"])
    talk.asked()
    talk.session.remove_names(["D"])
    talk.welcome(cut=9)
    resume, subscribe = talk.asked()
    assert (resume["symbols"], resume["forget"]) == (["B"], ["A", "C", "D"])
    assert subscribe["symbols"] == ["C"]
    talk.welcome(cut=9)  # the reply did not come
    again, _ = talk.asked()
    assert again["forget"] == ["A", "C", "D"]
    talk.accept(again)
    talk.welcome(cut=9)
    assert talk.asked()[0]["forget"] == ["C"]


def test_a_name_given_up_with_a_reply_is_not_forgotten_again() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.session.remove_names(["A"])
    (unsubscribe,) = talk.asked()
    talk.says(Removed(5, 5, [0]))
    talk.says(Reply(unsubscribe["id"], {"outcomes": [["A", 0, ""]]}))
    talk.welcome(cut=9)
    assert "forget" not in talk.asked()[0]


def test_a_name_given_up_before_the_reply_to_its_resume_is_forgotten_by_the_next() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    talk.session.remove_names(["A"])
    talk.asked()
    talk.accept(resume)
    talk.welcome(cut=9)
    (again,) = talk.asked()
    assert (again["symbols"], again["forget"]) == (["B"], ["A"])


def test_a_resume_larger_than_the_server_takes_is_not_tried() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9, limit=50)
    assert [request["op"] for request in talk.asked()] == ["subscribe", "subscribe"]
    assert talk.session.replica.cursor == 9


@pytest.mark.parametrize("cut", [4, 9])
def test_on_another_epoch_everything_comes_anew_and_what_there_was_is_withdrawn(cut: int) -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome("e2", cut)
    assert talk.session.take_withdrawn().changes == {"A": {"bid": None, "ask": None}, "B": {"bid": None}}
    assert talk.session.take_withdrawn().changes == {}
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("subscribe", ["A", "B"])
    talk.says(Instruments([Definition(0, "A", 3, 0, {})]))
    received = talk.says(Snapshot(cut, cut, 1000, [], [0, {1: 1234}]))
    assert received.changes == {"A": {"bid": Decimal("1.234")}}
    assert talk.says(Heartbeat(cut + 1, 1001)).changes is None


def test_a_resume_that_is_refused_leads_to_a_subscribe() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    talk.welcome(cut=9)
    (resume,) = talk.asked()
    talk.says(Heartbeat(12, 12_000))
    received = talk.says(Error(resume["id"], Code.WRONG_EPOCH, "that epoch is over", fatal=False))
    assert received.refused == []
    assert received.changes == {"A": {"bid": None, "ask": None}, "B": {"bid": None}}
    assert not talk.session.replica.symbols
    assert talk.session.replica.cursor == 12
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("subscribe", ["A", "B"])
    talk.welcome(cut=9)
    assert [again["op"] for again in talk.asked()] == ["subscribe"], "nothing is confirmed yet"


def test_a_field_that_was_withdrawn_while_away_is_reported_even_if_the_reply_had_not_come() -> None:
    talk = Conversation()
    talk.session.add_names(["A"])
    talk.welcome(cut=5)
    talk.asked()
    talk.says(Instruments([A]))
    talk.says(Snapshot(5, 5, 5000, [], [0, {1: 100, 3: 101}]))
    talk.welcome(cut=7)
    withdrawn = talk.session.take_withdrawn().changes
    assert withdrawn == {"A": {"bid": None, "ask": None}}
    talk.asked()
    talk.says(Instruments([A]))
    received = talk.says(Snapshot(7, 7, 7000, [], [0, {1: 100}]))
    assert received.changes == {"A": {"bid": Decimal("1.00")}}


# Messages that this client refuses


def test_after_a_refusal_the_copy_is_resumed_once_and_then_starts_afresh() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    operations = []
    for _ in range(3):
        with pytest.raises(Gap):
            talk.says(Delta(99, 99, 99, []))
        talk.welcome(cut=9)
        operations.append([request["op"] for request in talk.asked()])
    assert operations == [["resume"], ["subscribe"], ["subscribe"]]
    assert not talk.session.replica.symbols


def test_a_reply_between_two_refusals_shows_that_the_copy_is_of_use() -> None:
    talk = Conversation()
    talk.hold("A", "B")
    for _ in range(3):
        with pytest.raises(Gap):
            talk.says(Delta(99, 99, 99, []))
        talk.welcome(cut=9)
        (resume,) = talk.asked()
        assert resume["op"] == "resume"
        talk.accept(resume)


# Servers that are behind the copy


def behind(resume: dict[str, object]) -> Error:
    number = resume["id"]
    assert isinstance(number, int)
    return Error(number, Code.WRONG_EPOCH, "behind", fatal=False)


def test_a_copy_is_kept_for_other_servers_until_all_of_them_were_behind_it() -> None:
    talk = Conversation()
    talk.session.servers = 3
    talk.hold("A", "B")
    for kept in (True, True, False):
        talk.welcome(cut=4)
        (resume,) = talk.asked()
        assert (resume["op"], resume["cursor"]) == ("resume", 5)
        received = talk.says(behind(resume))
        assert received.behind == kept
        assert bool(talk.session.replica.symbols) == kept
    assert talk.session.replica.cursor == 4
    assert [request["op"] for request in talk.asked()] == ["subscribe"]


def test_a_reply_between_two_servers_that_are_behind_begins_the_count_anew() -> None:
    talk = Conversation()
    talk.session.servers = 2
    talk.hold("A", "B")
    for _ in range(3):
        talk.welcome(cut=4)
        assert talk.says(behind(talk.asked()[0])).behind
        talk.welcome(cut=9)
        talk.accept(talk.asked()[0])


def test_another_error_on_a_resume_has_the_copy_given_up_at_once() -> None:
    talk = Conversation()
    talk.session.servers = 2
    talk.hold("A", "B")
    talk.welcome(cut=4)
    (resume,) = talk.asked()
    assert not talk.says(Error(resume["id"], Code.BAD_REQUEST, "no", fatal=False)).behind
    assert not talk.session.replica.symbols

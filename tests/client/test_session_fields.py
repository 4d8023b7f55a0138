"""ticker/client/session.py and wanted.py: subscriptions to some fields, and what is asked for when they change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.test_session import A, B, Conversation
from ticker.client.wanted import WantedNames
from ticker.errors import Code
from ticker.protocol.messages import Error, Instruments, Reply, Snapshot, Welcome

BID, ASK, BOTH = frozenset(["bid"]), frozenset(["ask"]), frozenset(["bid", "ask"])


class Fields(Conversation):
    """With a server that takes so many sets of fields."""

    def begin(self, cut: int = 5, *, sets: int = 8) -> None:
        limits, features = {"max_message_bytes": 65_536}, {"fields": sets}
        self.session.begin(self.sent(Welcome(1, "e1", "session", cut, 1000 * cut, 10_000, limits, features)))

    def hold_bids(self) -> None:
        """Subscribe to the bids of A, and to all of B."""
        self.session.add_names(["A"], BID)
        self.session.add_names(["B"])
        self.begin()
        requests = self.asked()
        self.says(Instruments([A, B]))
        self.says(Snapshot(5, 5, 5000, [], [0, {1: 100}, 1, {1: 200}]))
        for request in requests:
            self.accept(request)

    def subscribed(self) -> list[tuple[list[str], Any]]:
        """The names and fields of the subscribe requests that the client makes now."""
        requests = self.asked()
        assert all(request["op"] == "subscribe" for request in requests)
        return [(request["symbols"], request.get("fields")) for request in requests]


def test_names_are_asked_for_with_their_fields() -> None:
    talk = Fields()
    talk.session.add_names(["A", "B"], BOTH)
    talk.session.add_names(["C"])
    talk.session.add_names(["D"], BID)
    talk.begin()
    assert talk.subscribed() == [(["C"], None), (["A", "B"], ["ask", "bid"]), (["D"], ["bid"])]


def test_a_name_wanted_with_several_sets_of_fields_has_the_union_of_them() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.session.add_names(["A"], ASK)
    assert talk.subscribed() == [(["A"], ["ask", "bid"])]
    talk.session.add_names(["A"], BID)
    assert talk.subscribed() == []
    talk.session.add_names(["A"])
    assert talk.subscribed() == [(["A"], None)]
    talk.session.remove_names(["A"])
    talk.session.remove_names(["A"], ASK)
    assert talk.subscribed() == [(["A"], ["bid"])]
    talk.session.remove_names(["A"], BID)
    talk.session.remove_names(["A"], BID)
    assert [request["op"] for request in talk.asked()] == ["unsubscribe"]


def test_the_copy_has_added_fields_when_the_reply_has_come() -> None:
    talk = Fields()
    talk.hold_bids()
    assert talk.session.has_all_of(["A"], BID)
    assert not talk.session.has_all_of(["A"])
    talk.session.add_names(["A"])
    assert not talk.session.has_all_of(["A"])
    (request,) = talk.asked()
    assert not talk.session.has_all_of(["A"])
    received = talk.says(Snapshot(5, 5, 5000, [], [0, {1: 100, 3: 101}]))
    assert received.changes["A"].keys() == {"bid", "ask"}
    talk.accept(request)
    assert talk.session.has_all_of(["A"])
    assert talk.session.complete


def test_a_resume_says_the_fields() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.begin(cut=9)
    (resume,) = talk.asked()
    assert (resume["op"], resume["symbols"], resume["selected"]) == ("resume", ["B"], [[["bid"], ["A"]]])
    talk.says(Reply(resume["id"], {"outcomes": [["B", 0, ""], ["A", 0, ""]]}))
    assert talk.session.complete


def test_a_name_whose_other_fields_have_no_reply_is_forgotten_and_asked_for_again() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.session.add_names(["A"])
    talk.asked()
    talk.begin(cut=9)
    resume, subscribe = talk.asked()
    assert (resume["symbols"], resume["forget"]) == (["B"], ["A"])
    assert "selected" not in resume
    assert (subscribe["symbols"], subscribe.get("fields")) == (["A"], None)


def test_other_fields_that_are_wanted_while_away_are_asked_for_behind_the_resume() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.session.add_names(["A"], ASK)
    talk.begin(cut=9)
    resume, subscribe = talk.asked()
    assert (resume["symbols"], resume["selected"]) == (["B"], [[["bid"], ["A"]]])
    assert (subscribe["symbols"], subscribe["fields"]) == (["A"], ["ask", "bid"])
    talk.says(Reply(resume["id"], {"outcomes": [["B", 0, ""], ["A", 0, ""]]}))
    assert not talk.session.has_all_of(["A"], ASK)
    talk.accept(subscribe)
    assert talk.session.has_all_of(["A"], ASK)


def test_a_name_whose_other_fields_were_refused_is_in_the_copy_with_the_former() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.session.add_names(["A"])
    (request,) = talk.asked()
    talk.says(Error(request["id"], Code.BAD_REQUEST, "no", fatal=False))
    talk.begin(cut=9)
    resume, _ = talk.asked()
    assert resume["forget"] == ["A"]


@pytest.mark.parametrize("sets", [0, 1])
def test_a_server_that_knows_no_fields_is_asked_for_all(sets: int) -> None:
    talk = Fields()
    talk.session.add_names(["A"], BID)
    talk.begin(sets=sets)
    assert talk.subscribed() == [(["A"], None)]
    assert not talk.session.has_all_of(["A"], BID)


def test_a_copy_of_some_fields_is_not_resumed_where_none_are_known() -> None:
    talk = Fields()
    talk.hold_bids()
    talk.begin(cut=9, sets=0)
    assert talk.subscribed() == [(["A", "B"], None)]
    assert not talk.session.replica.symbols


def test_further_sets_of_fields_than_serve_are_all_fields() -> None:
    talk = Fields()
    for number in range(4):
        talk.session.add_names([f"S{number}"], frozenset([f"f{number}"]))
    talk.begin(sets=4)
    assert talk.subscribed() == [(["S2", "S3"], None), (["S0"], ["f0"]), (["S1"], ["f1"])]
    talk.session.remove_names(["S0"], frozenset(["f0"]))
    requests = talk.asked()
    assert [(each["op"], each["symbols"], each.get("fields")) for each in requests] == [
        ("unsubscribe", ["S0"], None),
        ("subscribe", ["S2"], ["f2"]),
    ]


def test_a_table_is_wanted_whole() -> None:
    wanted = WantedNames()
    wanted.add(["A", "A book:10"], BID)
    assert wanted.by_name(4) == {"A": BID, "A book:10": None}
    assert repr(wanted) == "<WantedNames: 2, 2 with fields>"
    assert len(wanted) == 2

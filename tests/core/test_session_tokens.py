"""ticker/core/session.py: a fresh token during a connection. The check of the token itself is a table here."""

from __future__ import annotations

import pytest

from tests.core.talk import Talk
from ticker.config import Limits
from ticker.core.session import ServerSession, Terms
from ticker.door.grants import Grant
from ticker.errors import BadToken, Code
from ticker.protocol.messages import Removed, Snapshot

OWN = Grant("alice", 100, frozenset({"A*"}))
LATER, SLOWER, OTHER, LESS = "later", "slower", "other symbols", "less"
GRANTS = {
    LATER: Grant("alice", 200, frozenset({"A*"})),
    SLOWER: Grant("alice", 300, frozenset({"A*"}), min_interval_ms=250),
    "another subject": Grant("bob", 200, frozenset({"A*"})),
    OTHER: Grant("alice", 200, frozenset({"A*", "B"})),
    LESS: Grant("alice", 200, frozenset({"B"})),
}


def check(token: str, _present: Grant) -> Grant:
    if token not in GRANTS:
        raise BadToken("its signature is not valid")
    return GRANTS[token]


class Authenticated(Talk):
    """A conversation of a client with the grant `OWN`."""

    def __init__(self) -> None:
        super().__init__(grant=OWN)
        self.session = ServerSession(self.hub, self.subscriber, "s1", Terms(Limits(max_symbols=4), 0, OWN, check))


def test_a_fresh_token_of_the_same_subject_and_symbols_prolongs_the_grant() -> None:
    talk = Authenticated()
    epoch, limits = talk.session.epoch, talk.session.limits()
    assert talk.ask("auth", token=LATER) == {"expires": 200, "epoch": epoch, "limits": limits}
    assert talk.session.grant == GRANTS[LATER]


def test_a_token_for_other_symbols_adds_what_is_seen_now_and_removes_the_rest() -> None:
    talk = Authenticated()
    talk.ask("subscribe", symbols=["*"])
    talk.sink.take()
    answer = talk.ask("auth", token=OTHER)
    assert answer["epoch"] == talk.session.epoch != "epoch" + OWN.view
    _, more = talk.sink.take()
    assert isinstance(more, Snapshot)
    assert more.records[::2] == [2]
    talk.ask("auth", token=LESS)
    (removed,) = talk.sink.take()
    assert isinstance(removed, Removed)
    assert removed.ids == [0, 1]


def test_the_answer_to_a_token_says_the_limits_that_hold_now() -> None:
    assert Authenticated().ask("auth", token=SLOWER)["limits"]["min_interval_ms"] == 250


@pytest.mark.parametrize("token", ["another subject", "forged"])
def test_any_other_token_is_refused_and_changes_nothing(token: str) -> None:
    talk = Authenticated()
    assert talk.fail("auth", token=token) == Code.BAD_TOKEN
    assert talk.session.grant == OWN


def test_a_fresh_token_may_lengthen_the_interval() -> None:
    talk = Authenticated()
    assert talk.ask("subscribe", symbols=["A"], interval_ms=100)["interval_ms"] == 100
    talk.ask("auth", token=SLOWER)
    assert talk.ask("subscriptions")["interval_ms"] == 250

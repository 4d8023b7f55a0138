"""ticker/core/session.py: a fresh token during a connection. The check of the token itself is a table here."""

from __future__ import annotations

import pytest

from tests.core.talk import Talk
from ticker.config import Limits
from ticker.core.session import ServerSession, Terms
from ticker.door.grants import Grant
from ticker.errors import BadToken, Code

OWN = Grant("alice", 100, frozenset({"A*"}))
LATER, SLOWER = "later", "slower"
GRANTS = {
    LATER: Grant("alice", 200, frozenset({"A*"})),
    SLOWER: Grant("alice", 300, frozenset({"A*"}), min_interval_ms=250),
    "another subject": Grant("bob", 200, frozenset({"A*"})),
    "other symbols": Grant("alice", 200, frozenset({"A*", "B"})),
    "all symbols": Grant("alice", 200, None),
}


def check(token: str) -> Grant:
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
    assert talk.ask("auth", token=LATER) == {"expires": 200}
    assert talk.session.grant == GRANTS[LATER]


@pytest.mark.parametrize("token", ["another subject", "other symbols", "all symbols", "forged"])
def test_any_other_token_is_refused_and_changes_nothing(token: str) -> None:
    talk = Authenticated()
    assert talk.fail("auth", token=token) == Code.BAD_TOKEN
    assert talk.session.grant == OWN


def test_a_fresh_token_may_lengthen_the_interval() -> None:
    talk = Authenticated()
    assert talk.ask("subscribe", symbols=["A"], interval_ms=100)["interval_ms"] == 100
    talk.ask("auth", token=SLOWER)
    assert talk.ask("subscriptions")["interval_ms"] == 250

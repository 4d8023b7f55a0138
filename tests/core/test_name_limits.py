"""ticker/core/session.py, `exceeded_limit`: the limit that every interface applies to the names of a client."""

from __future__ import annotations

import pytest

from ticker.config import Limits
from ticker.core.subscribed_names import exceeded_limit, most_names
from ticker.door.grants import ANYONE, Grant
from ticker.errors import Code

from .talk import Talk

LIMITS = Limits(max_symbols=4, max_patterns=2)


@pytest.mark.parametrize(
    ("names", "patterns", "exceeded"),
    [(0, 0, ""), (4, 2, ""), (5, 2, "4 symbols and patterns"), (4, 3, "2 patterns"), (5, 3, "4 symbols and patterns")],
)
def test_the_limits_of_the_service_hold_for_names_and_for_patterns(names: int, patterns: int, exceeded: str) -> None:
    assert exceeded_limit(LIMITS, ANYONE, names, patterns) == exceeded


def test_a_grant_lowers_the_number_of_names_and_never_raises_it() -> None:
    assert most_names(LIMITS, ANYONE) == 4
    assert most_names(LIMITS, Grant(max_symbols=100)) == 4
    assert not exceeded_limit(LIMITS, Grant(max_symbols=1), 1, 1)
    assert exceeded_limit(LIMITS, Grant(max_symbols=1), 2, 1) == "1 symbols and patterns"
    assert exceeded_limit(LIMITS, Grant(max_symbols=100), 5, 0) == "4 symbols and patterns"


def test_a_session_applies_the_limit_of_its_grant() -> None:
    talk = Talk(grant=Grant(max_symbols=2))
    outcomes = talk.outcomes("subscribe", "A", "B*", "C")
    assert outcomes[2] == [Code.TOO_MANY_SYMBOLS, "a connection may have 2 symbols and patterns"]

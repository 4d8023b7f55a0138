"""ticker/door/grants.py: visible symbols, and the view that limits resuming."""

from __future__ import annotations

import re

from ticker.door.grants import ANYONE, Grant
from ticker.numbers import MAX_INTEGER


def test_a_grant_without_symbols_sees_everything_and_one_with_none_sees_nothing() -> None:
    assert Grant(None, None, None, MAX_INTEGER, 0) == ANYONE
    assert ANYONE.sees("A")
    assert not Grant(symbols=frozenset()).sees("A")


def test_grants_for_the_same_symbols_have_the_same_view_and_others_another() -> None:
    views = [Grant(symbols=frozenset(names)).view for names in (["A", "B"], ["B", "A"], ["A"], [])]
    assert views[0] == views[1]
    assert len({*views, ANYONE.view}) == 4
    assert ANYONE.view == ""
    assert all(re.fullmatch(r"\.[0-9a-f]{12}", view) for view in views)


def test_the_repr_of_a_grant_is_short() -> None:
    assert repr(ANYONE) == "<Grant of anyone: all symbols>"
    assert repr(Grant("alice", symbols=frozenset(map(str, range(1000))))) == "<Grant of alice: 1000 names>"

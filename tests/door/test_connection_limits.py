"""ticker/door/connection_limits.py, ticker/door/rate_limit.py: places, and how much one may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.config import Limits
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.rate_limit import RateLimiter
from ticker.errors import RefusalCause


def test_places_are_counted_in_all_by_address_and_by_subject() -> None:
    books = ConnectionLimits(Limits(max_connections=4, max_per_address=2, max_per_subject=2))
    for address in ("a", "a", "b", "b", "b"):
        assert books.arrive(address)
    assert books.enter("a", "x") is None
    assert books.enter("a", "x") is None
    assert books.enter("a", "x") is RefusalCause.SUBJECT
    assert books.enter("b", None) is RefusalCause.ADDRESS
    books.leave("b")
    assert books.enter("b", None) is None
    assert books.enter("b", "y") is None
    assert books.enter("c", "z") is RefusalCause.FULL
    books.go("x")
    assert books.enter("c", "x") is None


def test_beyond_the_lobby_nobody_is_talked_to() -> None:
    books = ConnectionLimits(Limits(max_connections=1, max_per_address=1))
    assert all(books.arrive(str(number)) for number in range(1001))
    assert not books.arrive("more")
    assert books.turned_away[RefusalCause.OVERRUN] == 1
    books.leave("more")
    books.leave("0")
    assert books.arrive("again")


def test_nothing_is_kept_of_those_who_have_left() -> None:
    books = ConnectionLimits(Limits())
    for number in range(100):
        books.arrive(str(number))
        books.enter(str(number), str(number))
    for number in range(100):
        books.go(str(number))
        books.leave(str(number))
    assert (books.arrived, books.inside) == (0, 0)
    assert not books._addresses
    assert not books._subjects


def test_a_burst_is_free_and_what_is_beyond_it_waits() -> None:
    allowance = RateLimiter(per_second=10, burst=5, now=100)
    assert [allowance.spend(1, 100) for _ in range(5)] == [0] * 5
    assert allowance.spend(1, 100) == pytest.approx(0.1)
    assert allowance.spend(1, 100) == pytest.approx(0.2)
    assert allowance.spend(1, 100.4) == 0
    assert allowance.spend(5, 1000) == 0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 3)), min_size=1))
def test_whoever_waits_as_told_spends_no_more_than_the_rate_and_the_burst(steps: list[tuple[float, float]]) -> None:
    allowance = RateLimiter(per_second=10, burst=20, now=0)
    now = spent = 0.0
    for cost, pause in steps:
        now += pause
        before = spent
        assert before <= 20 + 10 * now + 50 + 1e-6
        spent += cost
        now += allowance.spend(cost, now)
        assert spent <= 20 + 10 * now + 1e-6

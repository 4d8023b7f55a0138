"""ticker/door/connection_limits.py and ticker/door/rate_limit.py: limits of connections and of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticker.config import Limits
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.rate_limit import RateLimiter
from ticker.errors import RefusalCause


def test_connections_are_limited_in_all_by_address_and_by_subject() -> None:
    limits = ConnectionLimits(Limits(max_connections=4, max_per_address=2, max_per_subject=2))
    for address in ("a", "a", "b", "b", "b"):
        assert limits.connected(address)
    assert limits.admit("a", "x") is None
    assert limits.admit("a", "x") is None
    assert limits.admit("a", "x") is RefusalCause.SUBJECT
    assert limits.admit("b", None) is RefusalCause.ADDRESS
    limits.disconnected("b")
    assert limits.admit("b", None) is None
    assert limits.admit("b", "y") is None
    assert limits.admit("c", "z") is RefusalCause.FULL
    limits.release("x")
    assert limits.admit("c", "x") is None


def test_beyond_the_pending_connections_they_are_closed_at_once() -> None:
    limits = ConnectionLimits(Limits(max_connections=1, max_per_address=1))
    assert all(limits.connected(str(number)) for number in range(1001))
    assert not limits.connected("more")
    assert limits.refusals[RefusalCause.OVERRUN] == 1
    limits.disconnected("more")
    limits.disconnected("0")
    assert limits.connected("again")


def test_ended_connections_leave_nothing_behind() -> None:
    limits = ConnectionLimits(Limits())
    for number in range(100):
        limits.connected(str(number))
        limits.admit(str(number), str(number))
    for number in range(100):
        limits.release(str(number))
        limits.disconnected(str(number))
    assert (limits.open, limits.admitted) == (0, 0)
    assert not limits._addresses
    assert not limits._subjects


def test_a_burst_is_free_and_what_is_beyond_it_waits() -> None:
    limiter = RateLimiter(per_second=10, burst=5, now=100)
    assert [limiter.spend(1, 100) for _ in range(5)] == [0] * 5
    assert limiter.spend(1, 100) == pytest.approx(0.1)
    assert limiter.spend(1, 100) == pytest.approx(0.2)
    assert limiter.spend(1, 100.4) == 0
    assert limiter.spend(5, 1000) == 0


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 3)), min_size=1))
def test_a_client_that_waits_as_told_stays_within_rate_and_burst(
    steps: list[tuple[float, float]],
) -> None:
    limiter = RateLimiter(per_second=10, burst=20, now=0)
    now = spent = 0.0
    for cost, pause in steps:
        now += pause
        before = spent
        assert before <= 20 + 10 * now + 50 + 1e-6
        spent += cost
        now += limiter.spend(cost, now)
        assert spent <= 20 + 10 * now + 1e-6


def test_their_reprs_show_the_counts() -> None:
    limits = ConnectionLimits(Limits())
    limits.connected("a")
    limits.connected("b")
    limits.admit("a", None)
    assert repr(limits) == "<ConnectionLimits: 1 admitted of 2 open>"
    limiter = RateLimiter(10, 5, 0)
    limiter.spend(2, 0)
    assert repr(limiter) == "<RateLimiter: 3 of 5 left, 10 per second>"

"""ticker/supervisor/places.py: the limits of one service, whatever workers its connections are at."""

from __future__ import annotations

from ticker.bounds import MAX_PENDING_CONNECTIONS
from ticker.config import Config, Limits, Proxies
from ticker.errors import RefusalCause
from ticker.supervisor.places import Places

PROXY, CLIENT, OTHER = "10.1.0.1", "203.0.113.7", "203.0.113.8"


def places(*proxies: str, **limits: int) -> Places:
    return Places(Config(limits=Limits(**limits), proxies=Proxies(x_forwarded_for=list(proxies))))


def opened(of: Places, address: str) -> int:
    number = of.open(address)
    assert number is not None
    return number


def test_each_limit_holds_for_all_and_an_end_makes_room() -> None:
    of = places(max_connections=4, max_per_address=2, max_per_subject=1)
    one, two, three = (opened(of, CLIENT) for _ in range(3))
    assert of.admit(one, CLIENT, "alice") is RefusalCause.ADDRESS  # all that are open count
    of.close(three)
    assert of.admit(one, CLIENT, "alice") is None
    assert of.admit(two, CLIENT, "alice") is RefusalCause.SUBJECT
    assert of.admit(two, CLIENT, "bob") is None
    others = [opened(of, f"203.0.113.{number}") for number in range(20, 23)]
    assert [of.admit(number, f"203.0.113.{20 + at}", None) for at, number in enumerate(others)] == [
        None,
        None,
        RefusalCause.FULL,
    ]
    of.close(one)
    assert of.admit(others[2], "203.0.113.22", "alice") is None
    for number in (two, *others):
        of.close(number)
    assert (of.limits.open, of.limits.admitted) == (0, 0)


def test_a_client_behind_a_proxy_counts_for_its_own_address_once_that_is_known() -> None:
    of = places(PROXY, max_per_address=1)
    one, two, three = (opened(of, PROXY) for _ in range(3))
    assert of.admit(one, CLIENT, None) is None
    assert of.admit(two, CLIENT, None) is RefusalCause.ADDRESS
    assert of.admit(three, OTHER, None) is None
    of.close(one)
    of.close(two)
    assert of.admit(opened(of, PROXY), CLIENT, None) is None


def test_an_address_with_far_too_many_is_not_even_handed_over() -> None:
    of = places(max_per_address=1)
    for _ in range(1 + MAX_PENDING_CONNECTIONS):
        opened(of, CLIENT)
    assert of.open(CLIENT) is None
    assert of.limits.refusals == {RefusalCause.OVERRUN: 1}
    assert of.limits.open == 1 + MAX_PENDING_CONNECTIONS
    opened(of, OTHER)


def test_what_a_worker_says_of_a_connection_that_has_ended_is_passed_over() -> None:
    of = places()
    number = opened(of, CLIENT)
    assert of.admit(number, CLIENT, "alice") is None
    assert of.admit(number, CLIENT, "alice") is None, "said twice"
    of.close(number)
    of.close(number)
    assert of.admit(number, CLIENT, "alice") is None
    assert (of.limits.open, of.limits.admitted) == (0, 0)

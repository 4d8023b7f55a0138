"""ticker/client/addresses.py: which address is next, and when."""

from __future__ import annotations

import pytest
import trio

from ticker.client.addresses import Address, Addresses, hosts_of, together
from ticker.client.reconnect import LOST, ConnectionEnd
from ticker.errors import ConnectionFailed

FINAL = ConnectionEnd("no", retryable=False)


async def no_stream() -> trio.abc.Stream:
    raise AssertionError


def some(*names: str) -> Addresses:
    return Addresses([Address(name, no_stream) for name in names])


def left(
    addresses: Addresses, end: ConnectionEnd = LOST, now: float = 0.0, *, useful: bool = False
) -> tuple[str, float]:
    """The next address and the wait before it."""
    wait = addresses.leave(end, now, useful=useful)
    assert wait is not None
    return addresses.current.url, wait


def test_the_next_address_is_tried_at_once_and_after_all_of_them_comes_a_wait() -> None:
    addresses = some("a", "b", "c")
    assert addresses.current.url == "a"
    assert [left(addresses) for _ in range(2)] == [("b", 0), ("c", 0)]
    url, wait = left(addresses)
    assert url in {"a", "b", "c"}, "the one whose random wait ends first"
    assert 0.125 <= wait <= 0.25


def test_a_single_address_waits_longer_with_each_failure_until_a_reply_came() -> None:
    addresses = some("a")
    for top in (0.25, 0.5, 1, 2, 4, 8, 15, 15):
        url, wait = left(addresses)
        assert url == "a"
        assert top / 2 <= wait <= top
    assert left(addresses, useful=True)[1] <= 0.25


def test_where_all_are_down_the_round_is_as_slow_as_for_a_single_one() -> None:
    addresses, now = some("a", "b", "c"), 0.0
    for _ in range(3 * 8):
        now += left(addresses, now=now)[1]
    assert now > 8, "the longest waits were at least 0.125, 0.25, 0.5, 1, 2, 4 and 7.5 seconds"


def test_the_wait_that_a_server_asks_for_is_that_of_its_address_only() -> None:
    addresses = some("a", "b")
    assert left(addresses, ConnectionEnd("full", retry_seconds=60), now=0) == ("b", 0)
    for now in (1, 2, 3):
        url, wait = left(addresses, now=now)
        assert url == "b"
        assert wait <= 2
    assert left(addresses, now=61) == ("a", 0)


def test_an_address_that_is_ready_again_is_tried_at_once_when_the_other_is_lost() -> None:
    addresses = some("a", "b")
    assert left(addresses, now=0, useful=True) == ("b", 0)
    assert left(addresses, now=3600, useful=True) == ("a", 0)


def test_an_address_without_a_chance_is_left_out_and_without_a_further_one_nothing_is_tried() -> None:
    addresses = some("a", "b")
    assert left(addresses, FINAL) == ("b", 0)
    assert left(addresses)[0] == "b"
    assert addresses.leave(FINAL, 1, useful=False) is None
    assert addresses.current.url == "b"


def test_failures_at_several_addresses_are_one_that_names_each() -> None:
    first = ConnectionFailed("a: no", status=403)
    later = ConnectionFailed("b: busy", status=503, retryable=True, retry_seconds=7)
    assert together([first]) is first
    error = together([first, later])
    assert str(error) == "a: no; b: busy"
    assert (error.status, error.retryable, error.retry_seconds) == (503, True, 7)
    assert together([first, first]).retry_seconds == 0


@pytest.mark.parametrize(
    ("urls", "hosts"),
    [(["wss://me:secret@a:1/?token=secret"], "a"), (["wss://a:1", "wss://a:2", "wss://b"], "a, b")],
)
def test_the_hosts_of_addresses_are_shown_once_and_without_secrets(urls: list[str], hosts: str) -> None:
    assert hosts_of([Address(url, no_stream) for url in urls]) == hosts

"""ticker/door/memory.py: the bytes that clients make the service keep."""

from __future__ import annotations

import pytest

from ticker.config import Limits
from ticker.door.connection_limits import ConnectionLimits
from ticker.door.memory import MemoryLedger, network_of
from ticker.errors import RefusalCause

LIMITS = Limits(max_client_bytes=100, max_address_bytes=150, max_clients_bytes=200)


def test_a_client_an_address_and_all_together_have_a_limit_of_their_own() -> None:
    ledger = MemoryLedger(LIMITS)
    one, other, foreign = (ledger.account(address) for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"))
    assert one.hold(100)
    assert not one.hold(101)
    assert one.hold(100)
    assert other.hold(50)
    assert not other.hold(51)
    assert other.hold(50)
    assert foreign.hold(50)
    assert not foreign.hold(51)
    assert (ledger.total, ledger.most_of_an_address) == (201, 150)


def test_a_client_that_keeps_less_than_before_is_never_refused() -> None:
    ledger = MemoryLedger(LIMITS)
    account = ledger.account("10.0.0.1")
    account.hold(1000)
    assert account.hold(999)


def test_nothing_is_left_of_clients_that_have_gone() -> None:
    ledger = MemoryLedger(LIMITS)
    for address in ("10.0.0.1", "2001:db8::1"):
        account = ledger.account(address)
        account.hold(50)
        account.close()
    assert (ledger.total, ledger.most_of_an_address) == (0, 0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("?", "?"),
    ],
)
def test_an_ipv6_address_counts_as_its_64(address: str, network: str) -> None:
    assert network_of(address) == network


def test_the_addresses_of_one_64_share_its_places() -> None:
    limits = ConnectionLimits(Limits(max_per_address=2))
    for number in range(3):
        assert limits.connected(f"2001:db8::{number}")
    assert limits.admit("2001:db8::1", None) is RefusalCause.ADDRESS
    assert limits.connected("2001:db8:0:1::1")
    assert limits.admit("2001:db8:0:1::1", None) is None
    for number in range(3):
        limits.disconnected(f"2001:db8::{number}")
    assert limits.admit("2001:db8::1", None) is None

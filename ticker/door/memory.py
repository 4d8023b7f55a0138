"""The bytes that clients make the service keep: one client, all from one address, and all. No I/O.

Counted are a client's subscriptions and the bytes that its socket has not taken yet, as an upper estimate. The cost of
every connection, some 30 KB for TLS and the WebSocket, is bounded by the number of connections.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from ticker.bounds import NETWORKS_REMEMBERED
from ticker.config import Limits

_IPV6_PREFIX = 64
"""One subscriber of an Internet provider has at least so many addresses (RFC 6177)."""


@lru_cache(maxsize=NETWORKS_REMEMBERED)
def network_of(address: str) -> str:
    """Return the text by which limits per address are counted: of an IPv6 address its /64, else the address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address  # not an Internet address, as in the simulation
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)


class MemoryLedger:
    """The bytes that are kept for clients."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._networks: Counter[str] = Counter()
        self.total = 0

    def __repr__(self) -> str:
        return f"<MemoryLedger: {self.total} bytes for clients of {len(self._networks)} addresses>"

    @property
    def most_of_an_address(self) -> int:
        """The bytes that are kept for the clients of the address with the most."""
        return max(self._networks.values(), default=0)

    def account(self, address: str) -> Account:
        """Return the account of a client."""
        return Account(self, network_of(address))

    def change(self, network: str, size: int) -> None:
        """Count so many further bytes, or fewer."""
        self.total += size
        self._networks[network] += size
        if not self._networks[network]:
            del self._networks[network]

    def exceeded(self, network: str, size: int) -> bool:
        """Return whether a client that keeps so many bytes exceeds a limit, alone or with the others."""
        limits = self._limits
        return (
            size > limits.max_client_bytes
            or self._networks[network] > limits.max_address_bytes
            or self.total > limits.max_clients_bytes
        )


class Account:
    """The bytes that are kept for one client."""

    __slots__ = ("_ledger", "_network", "held")

    def __init__(self, ledger: MemoryLedger, network: str) -> None:
        self._ledger = ledger
        self._network = network
        self.held = 0

    def __repr__(self) -> str:
        return f"<Account of a client of {self._network}: {self.held} bytes>"

    def hold(self, size: int) -> bool:
        """Count that this client keeps so many bytes now; return False if it keeps more than before, and too many."""
        more, self.held = size - self.held, size
        self._ledger.change(self._network, more)
        return more <= 0 or not self._ledger.exceeded(self._network, size)

    def close(self) -> None:
        """Count that nothing is kept any more."""
        self.hold(0)

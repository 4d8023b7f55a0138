"""The sender of a request: the address that it comes from, its rights, and the program that it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticker.bounds import USAGE_AGENT
from ticker.door.grants import ANYONE, Grant
from ticker.door.memory import network_of


class Sender(NamedTuple):
    """The address and the grant to which the cost of a request is charged."""

    address: str
    grant: Grant = ANYONE
    agent: str = ""
    """The beginning of the header User-Agent."""

    @property
    def payer(self) -> str:
        """The text by which shares are counted: its subject, or else its address (of IPv6, the /64)."""
        return self.grant.subject or network_of(self.address)


def agent_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the User-Agent among headers by lower-cased name; empty without one."""
    return headers.get(b"user-agent", b"").decode("latin-1")[:USAGE_AGENT]

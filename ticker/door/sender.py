"""The sender of a request: the address that it comes from, and its rights."""

from __future__ import annotations

from typing import NamedTuple

from ticker.door.grants import ANYONE, Grant
from ticker.door.memory import network_of


class Sender(NamedTuple):
    """The address and the grant to which the cost of a request is charged."""

    address: str
    grant: Grant = ANYONE

    @property
    def payer(self) -> str:
        """The text by which shares are counted: its subject, or else its address (of IPv6, the /64)."""
        return self.grant.subject or network_of(self.address)

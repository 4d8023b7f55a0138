"""The sender of a request: the address that it comes from, and its rights."""

from __future__ import annotations

from typing import NamedTuple

from ticker.door.grants import ANYONE, Grant


class Sender(NamedTuple):
    """The address and the grant to which the cost of a request is charged."""

    address: str
    grant: Grant = ANYONE

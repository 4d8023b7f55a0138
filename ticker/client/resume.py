"""Whether the copy is resumed on a new connection, and with which names. Pure.

The rules (PROTOCOL.md, section 5):

1. Names that are confirmed and still wanted are resumed. All others that may have brought something into the copy are
   *forgotten* in the same request: those without a reply, as the copy may hold them in part, and those given up.
2. A resume is one request, so all the names have to fit into one.
3. The server has the copy's epoch (`Replica.can_continue`). One that is behind the copy answers when it has caught up,
   or with an ERROR if that takes too long. Then another server may have what this one has not; the copy is only given
   up when as many servers in a row as the client knows have said so.
4. A copy of which two messages in a row were refused, without a REPLY in between, is of no use: it starts afresh.
"""

from __future__ import annotations

from collections.abc import Collection

from ticker.client.replica import Replica
from ticker.protocol.messages import Welcome

_MAX_REQUEST_BYTES = 65_536
"""Limit of a server that names none."""

MAX_REFUSALS = 1
"""Messages that a client may refuse and still resume its copy."""


def may_resume(replica: Replica, welcome: Welcome, names: Collection[str], request: bytes | str, refusals: int) -> bool:
    """Return whether the confirmed names can be resumed with this request."""
    return (
        bool(names)
        and refusals <= MAX_REFUSALS
        and len(request) <= max_request_bytes(welcome.limits)
        and replica.can_continue(welcome)
    )


def max_request_bytes(limits: dict[str, int]) -> int:
    """Return the limit on the size of a request."""
    return limits.get("max_message_bytes", _MAX_REQUEST_BYTES)

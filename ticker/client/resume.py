"""Whether the copy is resumed on a new connection, and the fields that are gone where it is not. Pure.

The rules (PROTOCOL.md, section 5):

1. Only confirmed names are resumed: of the others the copy may lack something.
2. A resume is one request, so all the names have to fit into one.
3. The server has the copy's epoch, and its cut is not below the copy's cursor (`Replica.can_continue`).
4. Otherwise the copy starts anew. The fields that it had are kept aside: an instrument that comes again takes its own
   out, and the rest are reported as withdrawn once no name without a reply can bring them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ticker.client.replica import Fields, InstrumentState, Replica
from ticker.protocol.messages import Welcome
from ticker.protocol.symbols import Match

_MAX_REQUEST_BYTES = 65_536
"""Limit of a server that names none."""


def may_resume(replica: Replica, welcome: Welcome, names: Collection[str], request: bytes | str) -> bool:
    """Return whether the confirmed names can be resumed with this request."""
    return bool(names) and len(request) <= max_request_bytes(welcome) and replica.can_continue(welcome)


def max_request_bytes(welcome: Welcome | None) -> int:
    """Return the limit on the size of a request."""
    return welcome.limits.get("max_message_bytes", _MAX_REQUEST_BYTES) if welcome is not None else _MAX_REQUEST_BYTES


class VanishedFields:
    """Fields that left the copy, until they come again or are reported as withdrawn."""

    def __init__(self) -> None:
        self._fields: dict[str, Fields] = {}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def add(self, states: Iterable[InstrumentState]) -> None:
        """Keep the fields of instruments that the copy drops."""
        self._fields |= {state.definition.symbol: state.present() for state in states}

    def complete(self, changes: dict[str, Fields]) -> None:
        """Add to the changes of instruments that came again the withdrawal of the fields that did not."""
        if not self._fields:
            return
        for symbol, fields in changes.items():
            gone = self._fields.pop(symbol, {}).keys() - fields.keys()
            fields.update(dict.fromkeys(gone))

    def take_withdrawals(self, may_come: Match) -> dict[str, Fields]:
        """Return the withdrawal of the fields left of instruments that cannot come any more, and forget them."""
        gone = [symbol for symbol in self._fields if not may_come(symbol)]
        return {symbol: dict.fromkeys(self._fields.pop(symbol)) for symbol in gone}

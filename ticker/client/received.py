"""The meaning of a message from the server, as far as it concerns the user. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ticker.client.events import Refused
from ticker.client.replica import Fields, InstrumentState, State
from ticker.protocol.messages import Error, Goodbye


@dataclass(slots=True)
class Received:
    """The meaning of a message from the server."""

    changes: dict[str, Fields] | None = None
    """Changed fields by symbol, if it brought data (perhaps none)."""
    tables: set[str] = field(default_factory=set)
    """Names of the tables that it changed, or that left the copy."""
    moved: bool = False
    """Whether the copy's cursor or time may have moved."""
    refused: list[Refused] = field(default_factory=list)
    answered: bool = False
    """Whether it answered a request: the copy may be complete for more names."""
    replied: bool = False
    """Whether it is a REPLY: the server and this client understand each other."""
    error: Error | None = None
    goodbye: Goodbye | None = None
    source: bool = False
    """Whether it says something new of the source of the server's data."""
    behind: bool = False
    """Whether the server has not caught up with the copy, which is kept for another server."""
    expiring: bool = False
    """Whether the server asks for a fresh token."""
    token_refused: str | None = None
    """The reason why the fresh token was not accepted; a new connection with it may be."""
    verified: bool | None = None
    """Whether the copy has the checksum of the server's, if the message says so."""
    unverified: str | None = None
    """The reason why the copy could not be compared."""

    def withdraw(self, states: Iterable[State]) -> None:
        """Report records that left the copy."""
        self.moved = True
        changes = self.changes = self.changes if self.changes is not None else {}
        for state in states:
            if isinstance(state, InstrumentState):
                changes[state.definition.symbol] = dict.fromkeys(state.present())
            else:
                self.tables.add(state.definition.symbol)

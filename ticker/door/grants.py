"""Grants: the rights of one client, as its token states them.

A grant only narrows the limits of the service. Everywhere, a symbol outside a grant behaves like a symbol that does not
exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from ticker.numbers import MAX_INTEGER
from ticker.protocol.symbols import Match, shared_matcher


@dataclass(frozen=True)
class Grant:
    """The rights of one client. Times are microseconds since 1970 UTC."""

    subject: str | None = None
    """The token's `sub`, by which connections and requests are limited."""
    expires: int | None = None
    symbols: frozenset[str] | None = None
    """Visible symbols and patterns; None: all."""
    max_symbols: int = MAX_INTEGER
    min_interval_ms: int = 0
    metrics: bool = False
    """Whether it may read `/metrics`."""
    follow: bool = False
    """Whether another server may follow this one with it."""
    realtime: bool | None = None
    """Whether it may see the market in real time, where it is also served later; None: its issuer did not say."""

    def __repr__(self) -> str:
        names = "all symbols" if self.symbols is None else f"{len(self.symbols)} names"
        return f"<Grant of {self.subject or 'anyone'}: {names}>"

    @cached_property
    def sees(self) -> Match:
        """Match the visible symbols."""
        return (lambda _symbol: True) if self.symbols is None else shared_matcher(self.symbols)

    @cached_property
    def view(self) -> str:
        """Suffix of the epoch that is the same for equal `symbols`; a client resumes only within its own view."""
        if self.symbols is None:
            return ""
        return "." + sha256("\n".join(sorted(self.symbols)).encode()).hexdigest()[:12]


ANYONE = Grant()
"""The grant of every client where no tokens are needed."""

"""No frozen price is shown as if it were live: the `status` and `reason` fields that the service and the recorder set.

An instrument becomes `stale` when its feed fails, ends or falls silent, or when an update of it was refused. The next
good publication makes it `live`, unless it sets these fields itself.
"""

from __future__ import annotations

from ticker.market import Publication, Status, Update, Value


class StaleMarks:
    """The instruments that are marked stale."""

    def __init__(self) -> None:
        self.symbols: set[str] = set()

    def __repr__(self) -> str:
        return f"<StaleMarks: {len(self.symbols)} instruments>"

    def mark(self, symbol: str, reason: str) -> dict[str, Value]:
        """Note that an instrument is stale; return the fields that say so."""
        self.symbols.add(symbol)
        return {"status": Status.STALE, "reason": reason}

    def revive(self, publication: Publication) -> dict[str, Value]:
        """Note that a stale instrument was updated; return the fields that make it live, without those it sets."""
        self.symbols.discard(publication.symbol)
        own = publication.fields if type(publication) is Update else {}
        live: dict[str, Value] = {"status": Status.LIVE, "reason": None}
        return {name: value for name, value in live.items() if name not in own}

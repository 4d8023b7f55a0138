"""State of one run of a venue's feed, shared by its connections: sequence numbers, gaps, and statuses. No I/O.

- A symbol has a set of open problems (reasons). Clients see the gravest of them as `status` and `reason`, once.
- `gap` and `bad_message` end with the next full quote of the symbol, `no_data` with its first data; the other reasons
  end when `clear` is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ticker.market import Publication, Reason, Status, Update, Value

_STATUSES = {
    Reason.DELISTED: Status.CLOSED,
    Reason.EXCHANGE_HALT: Status.HALTED,
    Reason.REFUSED: Status.STALE,
    Reason.GAP: Status.STALE,
    Reason.BAD_MESSAGE: Status.STALE,
    Reason.NO_DATA: Status.STALE,
}
"""Status for clients by reason, the gravest reason first."""

_REPAIRABLE = (Reason.GAP, Reason.BAD_MESSAGE)
"""Reasons that end with the next full quote."""


class StatusTracker:
    """The open problems of each instrument, and the status that clients were last sent. Symbols are the published ones.

    An update that follows from it carries `status` and `reason` only when they differ from those last sent.
    """

    def __init__(self) -> None:
        self._problems: dict[str, set[str]] = {}
        self._sent: dict[str, str | None] = {}

    def __repr__(self) -> str:
        open_problems = {symbol: sorted(map(str, each)) for symbol, each in self._problems.items() if each}
        return f"<StatusTracker: {open_problems or 'all live'}>"

    def add(self, symbol: str, reason: str) -> None:
        """Open a problem: one of `delisted`, `exchange_halt`, `refused`, `gap`, `bad_message`, `no_data`."""
        self._problems.setdefault(symbol, set()).add(reason)

    def remove(self, symbol: str, *reasons: str) -> None:
        """End these problems, if they are open."""
        if symbol in self._problems:
            self._problems[symbol].difference_update(reasons)

    def has(self, symbol: str, *reasons: str) -> bool:
        """Whether any of these problems is open."""
        return not self._problems.get(symbol, set()).isdisjoint(reasons)

    def changes(self, symbol: str) -> list[Update]:
        """Return the update of `status` and `reason`; none if clients have them."""
        marks = self._marks(symbol)
        return [Update(symbol, marks)] if marks else []

    def with_changes(self, update: Update) -> Update:
        """Return the update, with `status` and `reason` added if clients do not have them."""
        marks = self._marks(update.symbol)
        return Update(update.symbol, {**update.fields, **marks}) if marks else update

    def _marks(self, symbol: str) -> dict[str, Value]:
        problems = self._problems.get(symbol)
        reason = next((each for each in _STATUSES if each in problems), None) if problems else None
        if symbol in self._sent and self._sent[symbol] == reason:
            return {}
        self._sent[symbol] = reason
        return {"status": _STATUSES[reason] if reason else Status.LIVE, "reason": reason}


class VenueState:
    """Sequence numbers, gaps and statuses of one run. Symbols in its methods are the venue's.

    `names` maps them to the published symbols. `counters` are the feed's: `gaps`, `duplicates` and `refused` are
    counted here.
    """

    def __init__(self, names: Mapping[str, str], counters: Counter[str]) -> None:
        self.names = names
        self.counters = counters
        self.without_data: set[str] = set(names)
        """Symbols that had no data yet."""
        self._statuses = StatusTracker()
        self._trades: dict[str, int] = {}
        self._quotes: dict[str, int] = {}
        self._repairs: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<VenueState: {len(self.names)} symbols, {len(self.without_data)} without data, {self._statuses!r}>"

    def update(self, symbol: str, fields: Mapping[str, Value], *, full_quote: bool) -> list[Publication]:
        """Return good data of a symbol, with its status if that changes.

        `full_quote`: the fields are all of the symbol's quote, so that nothing missed before matters any more.
        """
        name = self.names[symbol]
        self.without_data.discard(symbol)
        if full_quote and self._statuses.has(name, *_REPAIRABLE):
            self._repairs[symbol] += 1
        self._statuses.remove(name, Reason.NO_DATA, *(_REPAIRABLE if full_quote else ()))
        return [self._statuses.with_changes(Update(name, fields))]

    def mark(self, symbol: str, reason: str) -> list[Publication]:
        """Open a problem; return the update of the status, if it changes. Reasons: `StatusTracker.add`."""
        self._statuses.add(self.names[symbol], reason)
        return [*self._statuses.changes(self.names[symbol])]

    def clear(self, symbol: str, reason: str) -> None:
        """End a problem, if it is open. The symbol's next update carries the status."""
        self._statuses.remove(self.names[symbol], reason)

    def mark_refused(self, symbol: str) -> list[Publication]:
        """The venue does not offer this symbol; the others go on."""
        self.counters["refused"] += 1
        self.without_data.discard(symbol)
        return self.mark(symbol, Reason.REFUSED)

    def mark_without_data(self, symbols: Iterable[str]) -> list[Publication]:
        """Mark those of these symbols that had no data yet (`no_data`)."""
        return [
            update for symbol in symbols if symbol in self.without_data for update in self.mark(symbol, Reason.NO_DATA)
        ]

    def mark_gap(self, symbol: str) -> None:
        """Count missing messages of a symbol. Its next update carries the status `stale`, unless it is a full quote."""
        self.counters["gaps"] += 1
        self._statuses.add(self.names[symbol], Reason.GAP)

    def mark_missed_trade(self, symbol: str, trade: int) -> list[Publication]:
        """The venue names this trade as the last one, and it never came: a gap."""
        self._trades[symbol] = trade
        self.mark_gap(symbol)
        return self.mark(symbol, Reason.GAP)

    def is_new_trade(self, symbol: str, trade: int) -> bool:
        """Whether this trade follows all earlier ones; duplicates are counted.

        For numbers that count a symbol's trades one by one: a number left out is a gap.
        """
        last = self._trades.get(symbol)
        if last is not None and trade <= last:
            self.counters["duplicates"] += 1
            return False
        self._trades[symbol] = trade
        if last is not None and trade > last + 1:
            self.mark_gap(symbol)
        return True

    def last_trade(self, symbol: str) -> int | None:
        """Number of the symbol's last trade; None before the first."""
        return self._trades.get(symbol)

    def is_new_quote(self, symbol: str, sequence: int) -> bool:
        """Whether this quote follows all earlier ones; duplicates are counted.

        For numbers that only rise: they tell new from old, and show no gap.
        """
        last = self._quotes.get(symbol)
        if last is not None and sequence <= last:
            self.counters["duplicates"] += 1
            return False
        self._quotes[symbol] = sequence
        return True

    def reset_quote(self, symbol: str) -> None:
        """Accept any number for the symbol's next quote: its snapshot is requested, and may repeat the last number."""
        self._quotes.pop(symbol, None)

    def unrepaired(self, symbols: Iterable[str]) -> dict[str, int]:
        """Return those of these symbols that had a gap or a bad message since their last full quote.

        The values are the number of earlier repairs, which tells one gap from the next. A refused symbol is none of
        them: the venue has no data of it to send.
        """
        found = {}
        for symbol in symbols:
            name = self.names[symbol]
            if self._statuses.has(name, *_REPAIRABLE) and not self._statuses.has(name, Reason.REFUSED):
                found[symbol] = self._repairs[symbol]
        return found

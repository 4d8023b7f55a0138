"""State of one run of a venue's feed, shared by its connections: sequence numbers, gaps, halts. No I/O and no clock.

Whether an instrument is live is the service's decision. A feed says two things that it builds on:

- `Stale`: the values of the instrument are no longer current (a gap, an unreadable message, a lost connection). It
  lasts until the next update, which brings the fields that it names; all others are withdrawn. As long as the quote of
  a symbol is missing, it is said again after any other data.
- `status` in an update, as a fact of the venue: `halted`, `closed`. A `Stale` ends it, so it is said again afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ticker.market import Publication, Reason, Stale, Status, Trade, Update, Value

_STATUSES: Mapping[str, Status] = {Reason.EXCHANGE_HALT: Status.HALTED, Reason.DELISTED: Status.CLOSED}

LATE_MICROSECONDS = 1_000_000
"""A message that is late by its number can be younger than its successors by this much: venues' clocks step back."""

LATE_IN_A_ROW = 10
"""After so many late numbers without a new one between them, the venue counts anew."""


@dataclass(slots=True)
class _Sequence:
    """The highest number so far, its time if it had one, and the late numbers since it came."""

    number: int
    time: int | None
    late: int = 0


class VenueState:
    """Sequence numbers, gaps and halts of one run. Symbols in its methods are the venue's.

    `names` maps them to the published symbols. `counters` are the feed's: `gaps`, `duplicates`, `renumbered` and
    `refused` are counted here.
    """

    def __init__(self, names: Mapping[str, str], counters: Counter[str]) -> None:
        self.names = names
        self.counters = counters
        self.without_data: set[str] = set(names)
        """Symbols that had no data yet."""
        self.refused: set[str] = set()
        """Symbols that the venue does not offer."""
        self._halts: dict[str, str] = {}
        """Reasons for which the venue says that a symbol is not traded."""
        self._said: dict[str, str | None] = {}
        """Those that the service was told; None where a `Stale` ended it, or the symbol was said to be live."""
        self._current: set[str] = set()
        """Symbols with an update since their last `Stale`."""
        self._with_last: set[str] = set()
        """Symbols whose last price was said since their last `Stale`."""
        self._unrepaired: dict[str, str] = {}
        """Reasons for which the quote of a symbol is not current, until a full one comes."""
        self._trades: dict[str, _Sequence] = {}
        self._quotes: dict[str, _Sequence] = {}
        self._repairs: Counter[str] = Counter()
        self.stales: Counter[str] = Counter()
        """How often each symbol was said to be stale, which its book then is as well."""

    def __repr__(self) -> str:
        notes = [("unrepaired", self._unrepaired), ("refused", self.refused), ("not traded", self._halts)]
        noted = "".join(f", {name} {sorted(symbols)[:10]}" for name, symbols in notes if symbols)
        return f"<VenueState: {len(self.names)} symbols, {len(self.without_data)} without data{noted}>"

    def update(self, symbol: str, fields: Mapping[str, Value], *, full_quote: bool) -> list[Publication]:
        """Return good data of a symbol; with its status, if it is the first or the service does not know of a halt.

        `full_quote`: the fields are all of the symbol's quote, so that nothing missed before matters any more. Other
        data of a symbol with a gap or a bad message is followed by another `Stale`: its quote is still missing.
        """
        if not fields and symbol not in self._current and self._halts.get(symbol) == self._said.get(symbol):
            return []  # it would make the symbol live again with nothing
        if fields.get("last") is not None:
            self._with_last.add(symbol)
        news = self._news(symbol)
        update = Update(self.names[symbol], {**fields, **news} if news else fields)
        if full_quote and self._unrepaired.pop(symbol, None) is not None:
            self._repairs[symbol] += 1
        return [update, *self._still_stale(symbol)]

    def trade(self, symbol: str, trade: Trade) -> list[Publication]:
        """Return a print of a symbol, which brings its last price, its size and its time as well; else as `update`."""
        news = self._news(symbol)
        self._with_last.add(symbol)
        told: list[Publication] = [Update(trade.symbol, news)] if news else []
        return [*told, trade, *self._still_stale(symbol)]

    def _news(self, symbol: str) -> Mapping[str, Value]:
        """Good data of a symbol have come: the fields that say its status, if the service does not know it."""
        self.without_data.discard(symbol)
        self.refused.discard(symbol)
        self._current.add(symbol)
        halt = self._halts.get(symbol)
        if symbol in self._said and self._said[symbol] == halt:
            return {}
        self._said[symbol] = halt
        return {"status": _STATUSES[halt] if halt else Status.LIVE, "reason": halt}

    def _still_stale(self, symbol: str) -> list[Publication]:
        """Data of a symbol whose quote is not repaired leave it stale."""
        reason = self._unrepaired.get(symbol)
        return [] if reason is None else self.mark_stale(symbol, reason)

    def mark_stale(self, symbol: str, reason: str) -> list[Publication]:
        """The values of this symbol are no longer current; a full quote repairs that. Reasons: `Reason`."""
        self._said[symbol] = None
        self._current.discard(symbol)
        self._with_last.discard(symbol)
        self._unrepaired[symbol] = reason
        return [self._stale(symbol, reason)]

    def is_unrepaired(self, symbol: str) -> bool:
        """Whether this symbol is stale until its next full quote."""
        return symbol in self._unrepaired

    def withdraw(self, symbol: str, fields: Iterable[str]) -> list[Publication]:
        """These fields are no longer current; the symbol's others are."""
        return [Update(self.names[symbol], dict.fromkeys(fields))] if symbol in self._current else []

    def halt(self, symbol: str) -> list[Publication]:
        """The venue says that this symbol is not traded now. Of one that it refuses, that says more."""
        return [] if symbol in self.refused else self._mark_not_traded(symbol, Reason.EXCHANGE_HALT)

    def close(self, symbol: str) -> list[Publication]:
        """The venue says that this symbol is delisted."""
        return self._mark_not_traded(symbol, Reason.DELISTED)

    def resume(self, symbol: str) -> None:
        """The venue says that this symbol is traded. Its next update carries that."""
        self._halts.pop(symbol, None)

    def mark_refused(self, symbol: str) -> list[Publication]:
        """The venue does not offer this symbol; the others go on."""
        self.counters["refused"] += 1
        self.without_data.discard(symbol)
        self.refused.add(symbol)
        if self._halts.get(symbol) == Reason.DELISTED:
            return []  # that says more
        return self.mark_stale(symbol, Reason.REFUSED)

    def mark_without_data(self, symbols: Iterable[str]) -> list[Publication]:
        """Return `Stale` (`no_data`) for those of these symbols that had no data yet, unless they are not traded."""
        missing = [each for each in symbols if each in self.without_data and each not in self._halts]
        return [self._stale(each, Reason.NO_DATA) for each in missing]

    def mark_gap(self, symbol: str) -> list[Publication]:
        """Messages of a symbol are missing."""
        self.counters["gaps"] += 1
        return self.mark_stale(symbol, Reason.GAP)

    def mark_missed_trade(self, symbol: str, trade: int) -> list[Publication]:
        """The venue names this trade as the last one, and it never came: a gap."""
        self._trades[symbol] = _Sequence(trade, None)
        return self.mark_gap(symbol)

    def is_new_trade(self, symbol: str, trade: int | None, time: Value = None) -> bool:
        """Whether this trade follows all earlier ones, as `is_new_quote` tells.

        For numbers that count a symbol's trades one by one: a number left out is a gap. The `update` that follows says
        so.
        """
        before = self._trades.get(symbol)
        last = None if before is None else before.number
        if not self._is_new(self._trades, symbol, trade, time):
            return False
        if last is not None and trade is not None and trade > last + 1:
            self.counters["gaps"] += 1
            self._unrepaired[symbol] = Reason.GAP
        return True

    def last_trade(self, symbol: str) -> int | None:
        """Number of the symbol's last trade; None before the first."""
        last = self._trades.get(symbol)
        return None if last is None else last.number

    def has_trade(self, symbol: str) -> bool:
        """Whether trades come, and a last price is current: then one that comes with other data is older."""
        return symbol in self._trades and symbol in self._with_last

    def is_new_quote(self, symbol: str, sequence: int | None, time: Value = None) -> bool:
        """Whether this quote follows all earlier ones; duplicates are counted. One without a number is new.

        For numbers that only rise: they tell new from old, and show no gap. They rise until the venue starts again
        (`renumbered`): a number that falls is new if its `time` (in microseconds) is later, if it has fallen to less
        than half, or after `LATE_IN_A_ROW` others.
        """
        return self._is_new(self._quotes, symbol, sequence, time)

    def reset_quote(self, symbol: str) -> None:
        """Accept any number for the symbol's next quote: its snapshot is requested, and may repeat the last number."""
        self._quotes.pop(symbol, None)

    def reset(self, symbols: Iterable[str], reason: str) -> list[Publication]:
        """The connection of these symbols was lost: forget their state, and return `Stale` for each."""
        told: list[Publication] = []
        for symbol in symbols:
            told += self.mark_stale(symbol, reason)
            for known in (self._trades, self._quotes, self._halts):
                known.pop(symbol, None)
            self._unrepaired.pop(symbol, None)
            self.refused.discard(symbol)
            self.without_data.add(symbol)
        return told

    def unrepaired(self, symbols: Iterable[str]) -> dict[str, int]:
        """Return those of these symbols that had a gap or a bad message since their last full quote.

        The values are the number of earlier repairs, which tells one gap from the next. A refused symbol is none of
        them: the venue has no data of it to send.
        """
        return {each: self._repairs[each] for each in symbols if each in self._unrepaired and each not in self.refused}

    def _stale(self, symbol: str, reason: str) -> Stale:
        self.stales[symbol] += 1
        return Stale(self.names[symbol], reason)

    def _mark_not_traded(self, symbol: str, reason: str) -> list[Publication]:
        self._halts[symbol] = reason
        if self._said.get(symbol) == reason:
            return []
        self._said[symbol] = reason
        return [Update(self.names[symbol], {"status": _STATUSES[reason], "reason": reason})]

    def _is_new(self, known: dict[str, _Sequence], symbol: str, number: int | None, time: Value) -> bool:
        if number is None:
            return True
        last, moment = known.get(symbol), time if type(time) is int else None
        if last is not None and number <= last.number and not _counts_anew(last, number, moment):
            last.late += number < last.number
            self.counters["duplicates"] += 1
            return False
        if last is not None and number < last.number:
            self.counters["renumbered"] += 1
        known[symbol] = _Sequence(number, moment)
        return True


def _counts_anew(last: _Sequence, number: int, time: int | None) -> bool:
    """Whether a number that is not above the last one shows that the venue has started again."""
    if number == last.number:
        return False
    if time is not None and last.time is not None and time != last.time:
        return time > last.time + LATE_MICROSECONDS
    return 2 * number < last.number or last.late >= LATE_IN_A_ROW

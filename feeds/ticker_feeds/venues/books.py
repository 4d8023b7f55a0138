"""The order books of a run: chains of numbered changes, snapshots, and when to ask for one. No I/O and no clock.

The same for all venues. A book is *current* from a snapshot on, and until something shows that a message of it was lost
or wrong: a number left out, a checksum that differs, a level that cannot be read, best prices that are crossed for
longer than `CROSSED_SECONDS`. Then its book alone is `stale`, with the reason, until the next snapshot; the quotes of
the symbol go on.

Changes of venues with numbers form a chain: each covers the numbers after `previous`, up to `last`, and holds absolute
sizes. So one that is not above the number of the book is old, and one whose `previous` is above it shows that another
one is missing. While a snapshot is under way, changes are kept, and those that are newer follow it.

Snapshots are asked for one by one (`next_request`), those of a symbol with a wait that doubles from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ticker.market import Level, Levels, Publication, Reason, Stale
from ticker_feeds.venues.messages import BadMessage
from ticker_feeds.venues.order_book import OrderBook
from ticker_feeds.venues.state import VenueState

CROSSED_SECONDS = 5.0
"""A book that is crossed for so long must have missed something."""

FIRST_WAIT, LONGEST_WAIT = 5.0, 320.0
"""Bounds of the wait, in seconds, from one request for a symbol's snapshot to the next."""

CALM_SECONDS = 60.0
"""A book that needed no snapshot for so long after the last wait was over starts with the first wait again."""

MAX_KEPT = 1_000
"""The most changes that are kept for a snapshot under way: at ten a second, those of more than its time limit. With
more of them the attempt fails."""

LATE_CHANGES = 100
"""After so many old changes without a new one between them, the venue counts anew: no snapshot runs ahead so far."""


class Change(NamedTuple):
    """Changed levels of a book. Its sizes are absolute, and cover the numbers after `previous`, up to `last`."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    previous: int | None = None
    last: int | None = None


@dataclass(slots=True)
class _Followed:
    """A symbol whose book is followed."""

    asked: bool
    """Whether its first snapshot comes without a request."""
    book: OrderBook | None = None
    """The book, while it is current."""
    number: int | None = None
    """Number of the last change, whether there was a book to apply it to or not."""
    kept: list[Change] | None = None
    """The changes since a snapshot was asked for; None while none is under way."""
    told: int = 0
    """The symbol's count of `Stale` when the whole book was last stated."""
    late: int = 0
    attempts: int = 0
    not_before: float | None = None
    """Time of the next request at the earliest; None before the first."""
    crossed_since: float | None = None


Check = Callable[[OrderBook], bool]
"""Tells whether a book is as the venue says."""


@dataclass
class Books:
    """The books of one run. Symbols are the venue's.

    `depth` is the number of levels of a side in a venue's snapshot where it is not all, or that are to be kept of it;
    with `cut`, the venue's book is no deeper than that, and does not say which levels fall out.
    """

    state: VenueState
    depth: int | None = None
    cut: int | None = None
    keeps: bool = False
    """Whether changes have numbers, and have to be kept while a snapshot is under way."""
    _followed: dict[str, _Followed] = field(default_factory=dict)

    def __repr__(self) -> str:
        current = sum(each.book is not None for each in self._followed.values())
        return f"<Books: {current} of {len(self._followed)} current>"

    def follow(self, symbols: Iterable[str], *, asked: bool) -> None:
        """The venue sends the changes of these books from now on; `asked`: and their snapshots."""
        for symbol in symbols:
            self._followed.setdefault(symbol, _Followed(asked))

    def unfollowed(self, symbols: Iterable[str]) -> list[str]:
        """Return those of these symbols whose books are not followed."""
        return [symbol for symbol in symbols if symbol not in self._followed]

    def forget(self, symbols: Iterable[str]) -> None:
        """The venue does not send these books any more."""
        for symbol in symbols:
            self._followed.pop(symbol, None)

    def snapshot(
        self,
        symbol: str,
        bids: Sequence[Level],
        asks: Sequence[Level],
        number: int | None = None,
        check: Check | None = None,
    ) -> list[Publication]:
        """A whole book has come, of this number; return it with the kept changes that are newer.

        A snapshot that does not reach up to the first of them, or to the book that is there, is of no use.
        """
        followed = self._followed.get(symbol)
        if followed is None:
            return []
        kept, followed.kept = followed.kept or [], None
        try:
            book = OrderBook(bids, asks, self.depth)
            for change in kept:
                if number is None or change.previous is None or change.last is None or change.previous > number:
                    break
                if change.last > number:
                    book.change(change.bids, change.asks)
                    number = change.last
        except BadMessage:
            return self.bad(symbol)
        if followed.number is not None and (number is None or number < followed.number):
            self.state.counters["failed_snapshots"] += 1
            return []
        followed.number, followed.book, followed.late = number, book, 0
        return self._verified(symbol, followed, check) or self._complete(symbol, followed)

    def change(self, symbol: str, change: Change, check: Check | None = None) -> list[Publication]:
        """Levels of a book have changed; return them as far as they are known."""
        followed = self._followed.get(symbol)
        if followed is None:
            return []
        if change.last is not None and change.previous is not None:
            before = followed.number
            if before is not None and change.last <= before:
                return self._late(symbol, followed, change.last)
            followed.number, followed.late = change.last, 0
            if followed.kept is not None and len(followed.kept) < MAX_KEPT:
                followed.kept.append(change)
            if before is not None and change.previous > before and followed.book is not None:
                return self.lose(symbol, Reason.GAP)
        if followed.book is None:
            return []
        try:
            bids, asks = followed.book.change(change.bids, change.asks)
        except BadMessage:
            return self.bad(symbol)
        if self.cut is not None:
            gone = followed.book.cut(self.cut)
            bids, asks = bids + gone[0], asks + gone[1]
        wrong = self._verified(symbol, followed, check)
        if wrong or followed.told != self.state.stales[symbol]:
            return wrong or self._restated(symbol, followed)
        return [Levels(self.state.names[symbol], bids, asks)] if bids or asks else []

    def lose(self, symbol: str, reason: str) -> list[Publication]:
        """This book is not current any more, and needs a snapshot. Reasons: `Reason`."""
        followed = self._followed.get(symbol)
        if followed is None or followed.book is None:
            return []
        followed.book = followed.crossed_since = None
        self.state.counters[f"book_{reason}"] += 1
        return [Stale(self.state.names[symbol], reason, book_only=True)]

    def bad(self, symbol: str) -> list[Publication]:
        """A message of this book cannot be read: it cannot be known what it would have changed."""
        self.state.counters["parse_errors"] += 1
        return self.lose(symbol, Reason.BAD_MESSAGE)

    def failed(self, symbol: str) -> None:
        """A snapshot that was asked for will not come."""
        self.state.counters["failed_snapshots"] += 1
        if symbol in self._followed:
            self._followed[symbol].kept = None

    def tick(self, now: float) -> list[Publication]:
        """Return what follows from the time, once a second or so: books that are crossed, or to be stated again."""
        return [
            each
            for symbol, followed in self._followed.items()
            if followed.book is not None
            for each in self._look(symbol, followed, followed.book, now)
        ]

    def next_request(self, now: float) -> str | None:
        """Return a symbol of which a snapshot should be asked for now, if there is one: stale books come first."""
        due = [(followed.book is not None, wait, symbol) for symbol, followed, wait in self._due(now)]
        if not due:
            return None
        _, wait, symbol = min(due)
        followed = self._followed[symbol]
        if now - wait > CALM_SECONDS:
            followed.attempts = 0
        followed.not_before = now + min(LONGEST_WAIT, FIRST_WAIT * 2**followed.attempts)
        followed.attempts = min(followed.attempts + 1, 10)
        followed.kept = [] if self.keeps else None
        self.state.counters["book_requests"] += 1
        return symbol

    def _due(self, now: float) -> Iterable[tuple[str, _Followed, float]]:
        for symbol, followed in self._followed.items():
            if followed.not_before is None:
                followed.not_before = now + FIRST_WAIT if followed.asked else now
            needed = followed.book is None or followed.book.short
            if needed and followed.kept is None and now >= followed.not_before and symbol not in self.state.refused:
                yield symbol, followed, followed.not_before

    def _look(self, symbol: str, followed: _Followed, book: OrderBook, now: float) -> list[Publication]:
        if not book.crossed:
            followed.crossed_since = None
        elif followed.crossed_since is None:
            followed.crossed_since = now
        elif now - followed.crossed_since > CROSSED_SECONDS:
            return self.lose(symbol, Reason.CROSSED)
        return [] if followed.told == self.state.stales[symbol] else self._restated(symbol, followed)

    def _verified(self, symbol: str, followed: _Followed, check: Check | None) -> list[Publication]:
        """Return that the book is lost if it is not as the venue says, or if nothing is known of a side any more."""
        if followed.book is None or followed.book.exhausted:
            return self.lose(symbol, Reason.NO_DATA)
        return self.lose(symbol, Reason.CHECKSUM) if check is not None and not check(followed.book) else []

    def _restated(self, symbol: str, followed: _Followed) -> list[Publication]:
        """The whole book, once the symbol itself is not stale any more: a `Stale` of it was one of its book as well."""
        return [] if self.state.is_unrepaired(symbol) else self._complete(symbol, followed)

    def _complete(self, symbol: str, followed: _Followed) -> list[Publication]:
        if followed.book is None:
            return []
        followed.told = self.state.stales[symbol]
        return [followed.book.complete(self.state.names[symbol])]

    def _late(self, symbol: str, followed: _Followed, number: int) -> list[Publication]:
        followed.late += 1
        if followed.late < LATE_CHANGES:
            return []
        self.state.counters["renumbered"] += 1
        followed.number, followed.late = number, 0
        return self.lose(symbol, Reason.GAP)

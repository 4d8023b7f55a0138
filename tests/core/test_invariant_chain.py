"""The invariant where others follow the cache that has the clients, as one ticker follows another.

The market, the feeds and the clients are those of the invariant test. At any moment between two cuts others begin to
follow, and later nobody does. Each of them has the same market as the cache, cut after cut: also those that clients of
the cache make by opening tables, and over restarts.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule

from tests.core.invariant_market import TABLES
from tests.core.test_invariant import World
from tests.core.test_invariant_edges import carried, check_same
from ticker.core.following import FollowingCache
from ticker.core.journal import Journal, part_of
from ticker.core.state import State

MOST_COPIES = 3


class Chain(World):
    """A cache with clients of its own, and those that follow it."""

    copies: tuple[FollowingCache, ...] = ()
    told: tuple[tuple[int, int, State], ...] = ()
    """Cuts that the copies have not taken yet."""
    restarted: int | None = None
    """The number of those among them that are of the run before."""

    def new_copy(self) -> FollowingCache:
        source = self.cache
        copy = FollowingCache("epoch", max_instruments=100, tables=TABLES, has_clients=bool(len(self.copies) % 2))
        for record in source.instruments:
            copy.take_part(source.cut, carried(part_of(record, source.tables)))
        copy.begin_at(source.cut, source.time)
        return copy

    def begin_journal(self) -> None:
        source, journal = self.cache, Journal(3)
        source.tables.tell(journal)

        def note() -> None:
            self.told = (*self.told, (source.cut, source.time, carried(journal.news)))  # as of now

        journal.on_closed = note

    @precondition(lambda self: not self.cut_is_open and len(self.copies) < MOST_COPIES)
    @rule()
    def another_one_follows(self) -> None:
        """It may be in the middle of a pass."""
        if not self.copies:
            self.begin_journal()
        self.copies = (*self.copies, self.new_copy())

    @precondition(lambda self: not self.cut_is_open and self.copies)
    @rule()
    def nobody_follows_any_more(self) -> None:
        self.copies = ()
        self.cache.tables.tell_nobody()

    def restored(self) -> None:
        """Those that follow are told the first cut of the new run, too."""
        if self.copies:
            self.restarted = len(self.told)
            self.begin_journal()

    @precondition(lambda self: hasattr(self, "cache") and not self.cut_is_open)
    @invariant()
    def every_copy_follows(self) -> None:
        told, self.told = self.told, ()
        source = self.cache
        for copy in self.copies:
            for number, (cut, time, news) in enumerate(told):
                if number == self.restarted:
                    copy.change_source()
                assert copy.wire_cut(copy.cut) == cut - 1
                copy.apply(cut, time, carried(news))  # each has its own, as at the other ends of a bus
            assert (copy.wire_cut(copy.cut), copy.time) == (source.cut, source.time)
        self.restarted = None

    @precondition(lambda self: not self.cut_is_open and self.copies)
    @rule()
    def every_copy_is_the_same(self) -> None:
        """Not after every cut: whoever compares asks for all tables, and they must not depend on that."""
        for copy in self.copies:
            check_same(self.cache, copy)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "cache"):
            self.every_copy_follows()
            self.every_copy_is_the_same()


Chain.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None, report_multiple_bugs=False)
TestThoseThatFollowHaveTheSameMarket = Chain.TestCase

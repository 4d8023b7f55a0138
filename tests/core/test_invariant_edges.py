"""The invariant with edges: each follows one source, and clients move between them as their connections break.

The market, the feeds and the clients are those of the invariant test. The source has no clients; what it tells of each
cut goes to every edge as it would over a bus.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import precondition, rule

from tests.core.invariant_market import TABLES
from tests.core.test_invariant import World
from ticker.core.following import FollowingCache, digest
from ticker.core.hub import Hub
from ticker.core.journal import Journal, part_of
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.state import State, packed, unpacked
from ticker.core.tables.table_record import TableRecord

MOST_EDGES = 3


def carried(state: State) -> State:
    """What comes of plain data at the other end of a bus."""
    (data,) = unpacked(io.BytesIO(packed(state)))
    return data


def check_same(source: LastValueCache, copy: FollowingCache) -> None:
    """Those that follow have the market of their source."""
    for its, record in zip(source.instruments, copy.instruments, strict=True):
        wanted, found = part_of(its, source.tables), part_of(record, copy.tables, copy.per_cut)
        del wanted[1][-1], wanted[-1], found[1][-1], found[-1]  # as `compared` has it
        assert found == wanted, [(at, a, b) for at, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b]
    count = len(source.instruments)
    assert digest(copy, 0, count) == digest(source, 0, count)


class EdgeCache(FollowingCache):
    """The cache of an edge, which notes when its clients can know of each record."""

    def __init__(self) -> None:
        super().__init__("epoch", max_instruments=100, tables=TABLES)
        self.told_at: dict[str, int] = {}

    def close_cut(self, time: int, *, always: bool = False) -> bool:
        closed = super().close_cut(time, always=always)
        if closed:
            for record in self.records[len(self.told_at) :]:
                self.told_at[record.symbol] = self.cut
        return closed

    def redeclare(self, records: Sequence[Record | TableRecord]) -> None:
        super().redeclare(records)
        self.told_at |= {record.symbol: self.cut + 1 for record in records}


class Edges(World):
    """A source, edges, and clients that are at one edge or another."""

    def new_hub(self) -> Hub:
        """Begin an edge: from a keyframe, if anything has happened."""
        source = self.cache
        if source.journal is None:
            source.tables.tell(Journal(3))
        edge = EdgeCache()
        for record in source.instruments:
            edge.take_part(source.cut, carried(part_of(record, source.tables)))
        edge.begin_at(source.cut, source.time)
        edge.told_at = {record.symbol: 0 for record in edge.records}
        return Hub(edge, snapshot_part=1, burst=1, group_audiences=self.group, step=self.hub_step)

    def close_cut(self) -> None:
        before = self.cache.cut
        self.cache.close_cut(self.now)
        if self.cache.cut == before:
            return
        journal = self.cache.journal
        assert journal is not None
        data = packed(journal.news)
        for hub in self.hubs:
            assert isinstance(hub.cache, EdgeCache)
            (news,) = unpacked(io.BytesIO(data))
            hub.cache.apply(self.cache.cut, self.now, news)

    @precondition(lambda self: not self.cut_is_open)
    @rule()
    def all_edges_are_the_source(self) -> None:
        """Not after every cut: whoever compares asks for all tables, and they must not depend on that."""
        for hub in self.hubs:
            assert isinstance(hub.cache, EdgeCache)
            check_same(self.cache, hub.cache)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "cache"):
            self.all_edges_are_the_source()

    @precondition(lambda self: len(self.hubs) < MOST_EDGES and not self.cut_is_open)
    @rule()
    def another_edge_begins(self) -> None:
        self.finish_pass()
        self.hubs.append(self.new_hub())

    @rule()
    def those_who_connect_are_given_to_the_next_edge(self) -> None:
        self.hub = self.hubs[(self.hubs.index(self.hub) + 1) % len(self.hubs)]

    @precondition(lambda self: not self.cut_is_open)
    @rule(number=st.integers(0, MOST_EDGES - 1))
    def the_service_restarts(self, number: int = 0) -> None:
        """An edge dies; its clients come back to another one."""
        self.finish_pass()
        dead = self.hubs.pop(number % len(self.hubs))
        if not self.hubs:
            self.hubs.append(self.new_hub())
        if self.hub is dead:
            self.hub = self.hubs[0]
        for client in self.all_clients:
            if client.hub is dead:
                client.connect()

    def known(self, cut: int, hub: Hub) -> Iterator[str]:
        """The instruments and tables with which all patterns had been compared at the first cut with this number."""
        cache = hub.cache
        assert isinstance(cache, EdgeCache)
        for record in cache.records[: hub.index.visible]:
            if cache.told_at.get(record.symbol, cache.cut + 1) <= cache.first_cut(cut):
                yield record.symbol


Edges.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None, report_multiple_bugs=False)
TestEveryReplicaEqualsTheSourceAtItsCut = Edges.TestCase

"""The central promise: after every data frame, a client's copy equals the cache at that frame's cut.

A stateful property test drives the real cache, hub, sessions and replicas through any schedule of updates, books,
prints, bars, cuts, stalls, partial writes, reconnects, subscribes, unsubscribes, withdrawn fields and raised scales.
Only the socket is played: a `Pipe` takes as many bytes as it has room for and keeps the rest, as a socket does.

The model is kept apart from the code under test: as a cut is closed, the test copies its own publications, as Decimals.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.invariant_client import Client
from tests.core.invariant_market import (
    ANY_DECIMAL,
    COARSE,
    FEEDS,
    FIELDS,
    LEVELS,
    PRICES,
    SELECTIONS,
    SIZES,
    SYMBOLS,
    TABLES,
    UNREADABLE,
    Level,
    Market,
    Number,
    Shown,
    market_of,
)
from tests.tables_model import PERIODS, covers
from ticker.client.wanted import FieldSet
from ticker.core.audience_index import Step
from ticker.core.hub import Hub
from ticker.core.keyframe import parts_of, restore
from ticker.core.last_value import LastValueCache
from ticker.core.record import Record
from ticker.core.state import packed, unpacked
from ticker.core.tables.table_record import TableRecord
from ticker.errors import BadPublication
from ticker.market import Candle, Instrument, Levels, Side, Stale, Trade, Update, Withdrawal
from ticker.protocol.wire import ENCODINGS, Encoding

TABLE_NAMES = [
    *(f"{symbol} {table}" for symbol in ("AA", "AB", "ZZ") for table in ("book:1", "book:2", "trades:2", "trades:4")),
    *("AB candles:1m:1", "AB candles:1m:4", "AB candles:5m:2"),
    *("BA book:3", "A* book:2", "*B book:1", "* book:3", "* trades:1", "*A trades:4"),
]
NAMES = [*SYMBOLS, "A*", "*B", "*", "ZZ", *TABLE_NAMES]

TABLE_TEXTS = sorted({name.partition(" ")[2] for name in TABLE_NAMES})

TRADED, QUOTES = "AB", {"bid", "last"}
"""An instrument with no quotes of a price: its bars are those of prints alone."""

QUOTED = sorted({*SYMBOLS} - {TRADED})
ARRIVING = (
    st.builds(lambda symbol, bid: Update(symbol, {"bid": bid}), st.sampled_from(QUOTED), st.decimals(-99, 99, places=2))
    | st.builds(Instrument, st.sampled_from(SYMBOLS), st.integers(0, 2))
    | st.builds(lambda symbol, price: Trade(symbol, price, 1), st.sampled_from(SYMBOLS), PRICES)
)

START = 1_000_000_000_000


class RememberingCache(LastValueCache):
    """The cache, which tells of every cut that is about to be closed and of every one that was."""

    def __init__(self, world: World) -> None:
        super().__init__("epoch", tables=TABLES)
        self._world = world
        self.told_at: dict[str, int] = {}
        """By name, the cut in which a record was declared, or counted as such because it was late."""

    def close_cut(self, time: int, *, always: bool = False) -> bool:
        for shown in self._world.open.values():
            shown.tables.close(time)
        closed = super().close_cut(time, always=always)
        if closed:
            self._world.history[self.cut] = market_of(self._world.open)
            for record in self.records[len(self.told_at) :]:
                self.told_at[record.symbol] = self.cut
        return closed

    def redeclare(self, records: Sequence[Record | TableRecord]) -> None:
        super().redeclare(records)
        self.told_at |= {record.symbol: self.cut + 1 for record in records}


class World(RuleBasedStateMachine):
    """A cache, a hub and any number of clients."""

    clients = Bundle("clients")

    @initialize(broad=st.sampled_from([1, 3, 100]), group=st.sampled_from([1, 100]), bids=LEVELS, asks=LEVELS)
    def start(self, broad: int, group: int, bids: list[Level], asks: list[Level]) -> None:
        self.now = START
        self.open: dict[str, Shown] = {}
        self.history: dict[int, Market] = {0: Market({}, {})}
        self.cache = RememberingCache(self)
        self.broad = broad
        self.group = group
        """The most audiences without an interval in a group."""
        self.hub = self.new_hub()
        self.hubs = [self.hub]
        self.all_clients: list[Client] = []
        self.cut_is_open = False
        """In the service no client acts between an update and the close of its cut: that is one synchronous step."""
        self.passing: Iterator[None] = iter(())
        self.waiting: list[Update | Instrument | Trade] = []
        """Those that arrive during a pass, each a cut of its own."""
        self.behind = False
        """Another pass has to follow at once, as the publisher sees to it."""
        self.an_instrument_is_declared("AA", 0, "")
        self.a_whole_book_is_published("AA", bids, asks, None, FEEDS[0])
        self.a_cut_is_closed(0)

    def new_hub(self) -> Hub:
        return Hub(self.cache, snapshot_part=1, burst=1, group_audiences=self.group, step=self.hub_step)

    @property
    def hub_step(self) -> Step:
        return Step(1, 1, self.broad)

    @precondition(lambda self: not self.cut_is_open)
    @rule(
        target=clients,
        encoding=st.sampled_from(list(ENCODINGS.values())),
        names=st.sets(st.sampled_from(NAMES)),
        fields=st.sampled_from(SELECTIONS),
        ms=st.sampled_from([None, 0, 50, 200]),
    )
    def a_client_connects(self, encoding: Encoding, names: set[str], fields: FieldSet, ms: int | None) -> Client:
        client = Client(self, encoding, ms)
        self.all_clients.append(client)
        if names:
            client.subscribe(names, fields)
        return client

    @rule(symbol=st.sampled_from(SYMBOLS), scale=st.integers(0, 2), note=st.sampled_from(["", "x"]))
    def an_instrument_is_declared(self, symbol: str, scale: int, note: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        self.cache.publish(Instrument(symbol, scale, 0, {"note": note}))
        self.open.setdefault(symbol, Shown())

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        values=st.dictionaries(st.sampled_from(FIELDS), st.none() | COARSE | ANY_DECIMAL, min_size=1),
        bad=st.dictionaries(st.sampled_from(FIELDS), UNREADABLE, max_size=1),
        feed=st.sampled_from(FEEDS),
    )
    def an_update_is_published(
        self, symbol: str, values: dict[str, Decimal | None], bad: dict[str, Any], feed: str
    ) -> None:
        self.finish_pass()
        self.cut_is_open = True
        if symbol == TRADED:
            values, bad = (
                {name: each for name, each in given.items() if name not in QUOTES} for given in (values, bad)
            )
        try:
            unusable = self.cache.publish(Update(symbol, {**values, **bad}), feed)
        except BadPublication:
            assert symbol not in self.open
            return
        assert {each.cause for each in unusable} == {f"unreadable {name}" for name in bad}
        self.open[symbol].update(feed, {**values, **bad}, set(bad))

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        feed=st.sampled_from(FEEDS),
        reason=st.sampled_from(["gap", "feed_down"]),
        book_only=st.booleans(),
    )
    def a_feed_says_that_what_it_said_is_outdated(
        self, symbol: str, feed: str, reason: str, *, book_only: bool
    ) -> None:
        self.finish_pass()
        self.cut_is_open = True
        if symbol in self.open:
            self.cache.publish(Stale(symbol, reason, book_only), feed)
            self.open[symbol].go_stale(feed, reason, book_only=book_only)

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        bids=LEVELS,
        asks=LEVELS,
        depth=st.sampled_from([None, None, 2, 3]),
        feed=st.sampled_from(FEEDS),
    )
    def a_whole_book_is_published(
        self, symbol: str, bids: list[Level], asks: list[Level], depth: int | None, feed: str
    ) -> None:
        self.publish_levels(Levels(symbol, bids, asks, complete=True, depth=depth), feed)

    @rule(symbol=st.sampled_from(SYMBOLS), bids=LEVELS, asks=LEVELS, bad=st.sampled_from([None, None, None, "oops"]))
    def levels_change(self, symbol: str, bids: list[Level], asks: list[Level], bad: str | None) -> None:
        if symbol in self.open:
            feed = self.open[symbol].tables.book.giver or FEEDS[0]
            self.publish_levels(Levels(symbol, bids, [*asks, (bad, 1)] if bad else asks), str(feed))

    @rule(
        period=st.sampled_from(sorted(TABLES.periods)),
        age=st.integers(0, 5),
        volume=st.sampled_from([None, "2.5"]),
        count=st.sampled_from([None, 3]),
    )
    def a_bar_of_the_past_is_published(self, period: str, age: int, volume: str | None, count: int | None) -> None:
        self.finish_pass()
        self.cut_is_open = True
        seconds = PERIODS[period]
        start = (self.now // 1_000_000 // seconds - age) * seconds
        candle = Candle(TRADED, period, start, "4", 9, Decimal("0.25"), 5, volume, count)
        if TRADED in self.open:
            self.cache.publish(candle)
            self.open[TRADED].tables.replace(candle)

    @precondition(lambda self: not self.cut_is_open)
    @rule(symbol=st.sampled_from(SYMBOLS), moves=st.lists(st.tuples(LEVELS, LEVELS), min_size=2, max_size=8))
    def a_book_moves_for_a_while(self, symbol: str, moves: list[tuple[list[Level], list[Level]]]) -> None:
        """Cut after cut, of which a slow client gets one merged change."""
        for bids, asks in moves:
            self.levels_change(symbol, bids, asks, None)
            self.a_cut_is_closed(0)
        self.finish_pass()

    def publish_levels(self, levels: Levels, feed: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        try:
            self.cache.publish(levels, feed)
        except BadPublication:
            assert levels.symbol not in self.open or not self.open[levels.symbol].tables.book.apply(levels, feed)
        else:
            assert self.open[levels.symbol].take_levels(feed, levels)

    @rule(
        symbol=st.sampled_from(SYMBOLS),
        price=PRICES,
        size=SIZES,
        side=st.sampled_from([None, *Side]),
        age=st.sampled_from([None, 0, 1, 59, 61, 400]),
        number=st.sampled_from([None, None, 1, 2, "x"]),
        feed=st.sampled_from(FEEDS),
    )
    def a_trade_is_printed(
        self,
        symbol: str,
        price: Number,
        size: Number,
        side: str | None,
        age: int | None,
        number: int | str | None,
        feed: str,
    ) -> None:
        self.finish_pass()
        self.cut_is_open = True
        trade = Trade(symbol, price, size, side, None if age is None else self.now - age * 1_000_000, number)
        try:
            self.cache.publish(trade, feed)
        except BadPublication:
            assert symbol not in self.open or not self.open[symbol].print(feed, trade)
        else:
            assert self.open[symbol].print(feed, trade)

    @rule(symbol=st.sampled_from(SYMBOLS))
    def an_instrument_is_withdrawn(self, symbol: str) -> None:
        self.finish_pass()
        self.cut_is_open = True
        if symbol in self.open:
            self.cache.publish(Withdrawal(symbol))
            self.open[symbol].withdraw()

    @rule(steps=st.integers(0, 3))
    def a_cut_is_closed(self, steps: int) -> None:
        """The publisher's pass begins, and is left after some of its steps, as a yield leaves it."""
        self.finish_pass()
        self.close_cut()
        self.cut_is_open = False
        self.begin_pass(steps)

    @rule(arrived=ARRIVING)
    def something_arrives_during_a_pass(self, arrived: Update | Instrument | Trade) -> None:
        self.waiting.append(arrived)

    @precondition(lambda self: not self.cut_is_open)
    @rule(ms=st.sampled_from([1, 20, 49, 50, 200, 5_001, 61_000]), steps=st.integers(0, 3))
    def time_passes(self, ms: int, steps: int) -> None:
        self.finish_pass()
        self.now += ms * 1000
        due = [each for hub in self.hubs if (each := hub.next_due()) is not None]
        if due and min(due) <= self.now:
            self.begin_pass(steps)

    @precondition(lambda self: not self.cut_is_open)
    @rule()
    def heartbeats_are_sent(self) -> None:
        self.finish_pass()
        for hub in self.hubs:
            for _ in hub.heartbeat(self.now, 20_000):
                pass

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, names=st.sets(st.sampled_from(NAMES), min_size=1), fields=st.sampled_from(SELECTIONS))
    def a_client_subscribes(self, client: Client, names: set[str], fields: FieldSet) -> None:
        client.subscribe(names, fields)

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, fields=st.sampled_from(SELECTIONS), share=st.integers(1, 2), lost=st.booleans())
    def a_client_wants_other_fields(self, client: Client, fields: FieldSet, share: int, *, lost: bool) -> None:
        """Of all its names, or of every other one; perhaps its connection breaks before it has read the answer."""
        client.subscribe(set(sorted(client.wanted)[::share]), fields)
        if lost:
            client.reconnect()

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, names=st.sets(st.sampled_from(NAMES), min_size=1))
    def a_client_unsubscribes(self, client: Client, names: set[str]) -> None:
        client.unsubscribe(names)

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients, room=st.sampled_from([0, 1, 7, 60, 10**9]))
    def a_socket_has_room_for(self, client: Client, room: int) -> None:
        client.pipe.room = room
        client.progress()

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients)
    def a_client_verifies_its_copy(self, client: Client) -> None:
        client.verify()

    @precondition(lambda self: not self.cut_is_open)
    @rule()
    def the_service_restarts(self) -> None:
        """A new cache goes on from the keyframe of this one, and every client comes back to it."""
        self.finish_pass()
        data = b"".join(map(packed, parts_of(self.cache)))
        told_at = self.cache.told_at
        self.cache = RememberingCache(self)
        self.cache.told_at = told_at
        for shown in self.open.values():
            shown.restart()
        held = restore(self.cache, unpacked(io.BytesIO(data)), self.now, self.restored)
        self.hub = self.new_hub()
        self.hubs = [self.hub]
        for client in self.all_clients:
            client.connect()
        for table in held:
            table.unwatch()

    def restored(self) -> None:
        """The cache is as it was, and no cut was closed yet."""

    @rule(client=clients)
    def a_client_reads(self, client: Client) -> None:
        client.read()

    @precondition(lambda self: not self.cut_is_open)
    @rule(client=clients)
    def a_client_reconnects(self, client: Client) -> None:
        client.reconnect()

    @rule()
    def all_clients_keep_reading(self) -> None:
        """Given room and time, every client ends with the present market."""
        self.a_cut_is_closed(0)
        self.finish_pass()
        cut = -1
        while cut != self.cache.cut:  # a bid that came in a pass is behind the frames of that pass
            cut = self.cache.cut
            self.now += 1_000_000
            self.begin_pass(0)
            self.finish_pass()
        for client in self.all_clients:
            client.pipe.room = 10**9
            for _ in range(3):  # names given while an answer was unsent are sent only then
                client.progress()
                client.read()
                client.ask()
            assert client.session.complete
        for client in self.all_clients:
            client.check()
            client.compare(market_of(self.open))
            names = [*SYMBOLS, *(f"{symbol} {table}" for symbol in SYMBOLS for table in TABLE_TEXTS)]
            wanted = {name for name in names if any(covers(each, name) for each in client.wanted)}
            held = {state.definition.symbol for state in client.session.replica}
            assert held == {name for name in wanted if name.partition(" ")[0] in self.open}

    def teardown(self) -> None:
        if hasattr(self, "cache"):
            self.all_clients_keep_reading()

    def close_cut(self) -> None:
        self.cache.close_cut(self.now)

    def market_at(self, cut: int) -> Market:
        """Return the market at a cut."""
        return self.history[cut]

    def known(self, cut: int, hub: Hub) -> Iterator[str]:
        """The instruments and tables with which all patterns had been compared at a cut."""
        for record in self.cache.records[: hub.index.visible]:
            if self.cache.told_at.get(record.symbol, cut + 1) <= cut:
                yield record.symbol

    def refresh(self) -> None:
        """Between two groups of a pass: take in one thing that waits."""
        while self.waiting:
            arrived = self.waiting.pop(0)
            if isinstance(arrived, Instrument):
                self.open.setdefault(arrived.symbol, Shown())
            if arrived.symbol not in self.open:
                continue
            self.cache.publish(arrived, FEEDS[0])
            if isinstance(arrived, Update):
                self.open[arrived.symbol].update(FEEDS[0], arrived.fields, set())
            elif isinstance(arrived, Trade):
                assert self.open[arrived.symbol].print(FEEDS[0], arrived)
            self.close_cut()
            self.behind = True
            return

    def begin_pass(self, steps: int) -> None:
        self.passing = chain.from_iterable(hub.publish(self.now, self.refresh) for hub in self.hubs)
        for _ in range(steps):
            if next(self.passing, "over") == "over":
                break

    def finish_pass(self) -> None:
        for _ in self.passing:
            pass
        while self.behind or (any(hub.index.behind for hub in self.hubs) and not self.cut_is_open):
            self.behind = False
            for hub in self.hubs:
                for _ in hub.publish(self.now, self.refresh):
                    pass

    @invariant()
    def memory_does_not_depend_on_slow_clients(self) -> None:
        if hasattr(self, "cache"):
            for client in self.all_clients:
                if client.subscriber.is_member:
                    assert not client.pipe.unsent
                else:
                    assert len(client.pipe.unsent) < 1024


World.TestCase.settings = settings(max_examples=400, stateful_step_count=50, deadline=None, report_multiple_bugs=False)
TestEveryReplicaEqualsTheCacheAtItsCut = World.TestCase

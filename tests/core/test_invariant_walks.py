"""The machines of the invariant tests on random walks: the same steps, drawn by a seed, hundreds of times as many.

`python -m tests.core.test_invariant_walks FIRST COUNT [STEPS]` walks more of them.
"""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from tests.core.invariant_client import Client
from tests.core.invariant_market import FEEDS, FIELDS, SELECTIONS, SYMBOLS, TABLES, Level, Number
from tests.core.test_invariant import NAMES, QUOTED, World
from tests.core.test_invariant_chain import MOST_COPIES, Chain
from tests.core.test_invariant_edges import MOST_EDGES, Edges
from ticker.client.wanted import FieldSet
from ticker.market import Instrument, Side, Trade, Update
from ticker.protocol.wire import ENCODINGS

STEPS = 60
WALKS = 150

_OF_QUOTES = NAMES.index("ZZ") + 2
"""So many of the names are those of instruments, and one that of a table."""

FOUND: dict[int, type[World]] = {
    **dict.fromkeys([195, 201, 284, 559, 571, 592, 4358], Edges),
    1115: Edges,
    1237: World,
    4506: World,
}
"""Walks that ended with a wrong copy once. A client that resumed had what it perhaps held of an earlier cut than all
else, until its turn came; one that was late to an instrument did not get it, where that was told whole; one that
was brought up to date between a cut and its first pass missed what was new in it; bars were other ones where nobody
had asked for them; and a frame said a later cut than its own, as a table was opened before it was written."""

NUMBERS: list[Number] = [1, 2, 3, 9, Decimal("2.50"), "3.25", "0.0000001", 2**60]
SIZES: list[Number] = [0, 1, 2, 3, "0.5", "0.000004", 2**60]


class Walk:
    """One machine and its random steps."""

    def __init__(
        self, machine: World, seed: int, *, selecting: bool = False, group: int = 1, bids_only: bool = False
    ) -> None:
        """With `selecting`, clients want some fields only, and others soon; `group` is the size of the hub's groups.

        With `bids_only`, nothing else arrives during a pass.
        """
        self.machine = machine
        self.selecting = selecting
        self.bids_only = bids_only
        self.draw = random.Random(seed)  # noqa: S311  # steps of a test
        self.aside = random.Random(seed)  # noqa: S311  # apart, so that walks stay as they are
        self.clients: list[Client] = []
        broad = self.draw.choice([1, 3, 100])
        self.machine.start(broad=broad, group=group, bids=self.levels(), asks=self.levels())

    def go(self, steps: int) -> None:
        """Take so many steps; at the end every copy is that of the market."""
        always = [
            *[self.print] * 2,
            *[self.close] * 3,
            *(self.bar, self.declare, self.withdraw, self.update, self.stale, self.book, self.levels_change),
            *(self.read, self.bid),
        ]
        between_cuts = [
            *(self.restart, self.time, self.moves, self.connect, self.subscribe, self.room, self.verify_or_return),
        ]
        if self.selecting:
            always += [self.update] * 4
            between_cuts += [*[self.select] * 4, *[self.connect] * 2, *[self.room] * 2]
        if isinstance(self.machine, Edges):
            between_cuts.append(self.edges)
        for _ in range(steps):
            self.draw.choice(always if self.machine.cut_is_open else [*always, *between_cuts])()
            if not self.machine.cut_is_open:
                self.others()
        self.machine.teardown()

    def others(self) -> None:
        """The steps of those that follow, between two cuts."""
        machine, odds = self.machine, self.aside.random()
        if isinstance(machine, Edges) and odds < 0.1:
            machine.all_edges_are_the_source()
        elif isinstance(machine, Chain):
            machine.every_copy_follows()
            if machine.copies and odds < 0.1:
                machine.every_copy_is_the_same()
            elif len(machine.copies) < MOST_COPIES and odds < 0.2:
                machine.another_one_follows()
            elif odds > 0.98:
                machine.nobody_follows_any_more()

    # What steps are given

    def symbol(self) -> str:
        return self.draw.choice(SYMBOLS)

    def levels(self) -> list[Level]:
        draw = self.draw
        return [(draw.choice(NUMBERS), draw.choice(SIZES)) for _ in range(draw.randint(0, 5))]

    def value(self) -> Decimal | None:
        draw = self.draw
        return draw.choice([None, Decimal(draw.randint(-(10**9), 10**9)).scaleb(-draw.randint(0, 5))])

    def names(self, least: int) -> set[str]:
        if self.selecting:
            return set(self.draw.sample(NAMES[:_OF_QUOTES], self.draw.randint(max(least, 1), 4)))
        return set(self.draw.sample(NAMES, self.draw.randint(least, 6)))

    def fields(self) -> FieldSet:
        return self.draw.choice(SELECTIONS) if self.selecting else None

    # Steps

    def print(self) -> None:
        draw = self.draw
        self.machine.a_trade_is_printed(
            symbol=self.symbol(),
            price=draw.choice(NUMBERS),
            size=draw.choice(SIZES),
            side=draw.choice([None, *Side]),
            age=draw.choice([None, 0, 1, 59, 61, 400]),
            number=draw.choice([None, None, 1, 2, "x"]),
            feed=draw.choice(FEEDS),
        )

    def bar(self) -> None:
        draw = self.draw
        self.machine.a_bar_of_the_past_is_published(
            period=draw.choice(TABLES.periods),
            age=draw.randint(0, 5),
            volume=draw.choice([None, "2.5"]),
            count=draw.choice([None, 3]),
        )

    def close(self) -> None:
        self.machine.a_cut_is_closed(steps=self.draw.randint(0, 3))

    def declare(self) -> None:
        draw = self.draw
        self.machine.an_instrument_is_declared(self.symbol(), draw.randint(0, 2), draw.choice(["", "x"]))

    def withdraw(self) -> None:
        self.machine.an_instrument_is_withdrawn(symbol=self.symbol())

    def update(self) -> None:
        draw = self.draw
        values = {draw.choice(FIELDS): self.value() for _ in range(draw.randint(1, 3))}
        bad: dict[str, Any] = {"bid": True} if draw.random() < 0.2 else {}
        self.machine.an_update_is_published(symbol=self.symbol(), values=values, bad=bad, feed=draw.choice(FEEDS))

    def stale(self) -> None:
        draw = self.draw
        self.machine.a_feed_says_that_what_it_said_is_outdated(
            symbol=self.symbol(),
            feed=draw.choice(FEEDS),
            reason=draw.choice(["gap", "feed_down"]),
            book_only=draw.random() < 0.5,
        )

    def book(self) -> None:
        draw = self.draw
        self.machine.a_whole_book_is_published(
            symbol=self.symbol(),
            bids=self.levels(),
            asks=self.levels(),
            depth=draw.choice([None, None, 2, 3]),
            feed=draw.choice(FEEDS),
        )

    def levels_change(self) -> None:
        bad = self.draw.choice([None] * 4 + ["oops"])
        self.machine.levels_change(symbol=self.symbol(), bids=self.levels(), asks=self.levels(), bad=bad)

    def moves(self) -> None:
        moves = [(self.levels(), self.levels()) for _ in range(self.draw.randint(2, 5))]
        self.machine.a_book_moves_for_a_while(symbol=self.symbol(), moves=moves)

    def read(self) -> None:
        if self.draw.random() < 0.3:
            self.machine.all_clients_keep_reading()
        elif self.clients:
            self.machine.a_client_reads(client=self.draw.choice(self.clients))

    def bid(self) -> None:
        symbol = self.draw.choice(QUOTED)
        if self.draw.random() < 0.5:
            arrived = self.arrived(Update(symbol, {"bid": Decimal(self.draw.randint(-99, 99))}))
            self.machine.something_arrives_during_a_pass(arrived=arrived)
        elif not self.machine.cut_is_open:
            self.machine.heartbeats_are_sent()

    def arrived(self, bid: Update) -> Update | Instrument | Trade:
        aside = self.aside
        if self.bids_only or aside.random() < 0.4:
            return bid
        if aside.random() < 0.5:
            return Trade(aside.choice(SYMBOLS), aside.choice(NUMBERS), aside.randint(1, 3))
        return Instrument(aside.choice(SYMBOLS), aside.randint(0, 2))

    def restart(self) -> None:
        if isinstance(self.machine, Edges):
            self.machine.the_service_restarts(number=self.draw.randrange(MOST_EDGES))
        else:
            self.machine.the_service_restarts()

    def time(self) -> None:
        ms = self.draw.choice([1, 20, 49, 50, 200, 5_001, 61_000])
        self.machine.time_passes(ms=ms, steps=self.draw.randint(0, 3))

    def connect(self) -> None:
        encoding, ms = self.draw.choice([*ENCODINGS.values()]), self.draw.choice([None, 0, 50, 200])
        names = self.names(0)
        client = self.machine.a_client_connects(encoding=encoding, names=names, fields=self.fields(), ms=ms)
        assert isinstance(client, Client)
        self.clients.append(client)

    def subscribe(self) -> None:
        if self.clients:
            subscribes = self.draw.choice([True, False])
            client, names = self.draw.choice(self.clients), self.names(1)
            if subscribes:
                self.machine.a_client_subscribes(client=client, names=names, fields=self.fields())
            else:
                self.machine.a_client_unsubscribes(client=client, names=names)

    def select(self) -> None:
        if self.clients:
            client, fields = self.draw.choice(self.clients), self.fields()
            share, lost = self.draw.randint(1, 2), self.draw.random() < 0.4
            self.machine.a_client_wants_other_fields(client=client, fields=fields, share=share, lost=lost)

    def room(self) -> None:
        if self.clients:
            room = self.draw.choice([0, 1, 7, 60, 10**9])
            self.machine.a_socket_has_room_for(client=self.draw.choice(self.clients), room=room)

    def verify_or_return(self) -> None:
        if self.clients:
            client = self.draw.choice(self.clients)
            if self.draw.random() < 0.3:
                self.machine.a_client_verifies_its_copy(client=client)
            else:
                self.machine.a_client_reconnects(client=client)

    def edges(self) -> None:
        assert isinstance(self.machine, Edges)
        if self.draw.random() < 0.5:
            self.machine.those_who_connect_are_given_to_the_next_edge()
        elif len(self.machine.hubs) < MOST_EDGES:
            self.machine.another_edge_begins()


@pytest.mark.parametrize("machine", [World, Edges, Chain])
@pytest.mark.parametrize(
    "first", [0, *(pytest.param(each, marks=pytest.mark.untraced) for each in range(25, WALKS, 25))]
)
def test_every_copy_is_right_on_a_random_walk(machine: type[World], first: int) -> None:
    for seed in range(first, first + 25):
        Walk(machine(), seed, group=1 + 99 * (seed % 2)).go(STEPS)


@pytest.mark.parametrize("machine", [World, Edges])
@pytest.mark.parametrize("first", range(0, WALKS, 50))
def test_every_copy_is_right_where_clients_want_some_fields_only(machine: type[World], first: int) -> None:
    for seed in range(first, first + 50):
        Walk(machine(), seed, selecting=True, group=1 + 99 * (seed % 2)).go(STEPS)


@pytest.mark.parametrize("seed", FOUND)
def test_walks_that_ended_with_a_wrong_copy_once(seed: int) -> None:
    Walk(FOUND[seed](), seed, bids_only=True).go(STEPS)


def main() -> None:
    """Walk, and print the walks that end with something wrong."""
    first, count, *steps = map(int, sys.argv[1:])
    for seed in range(first, first + count):
        for machine, selecting, group in product((World, Edges, Chain), (False, True), (1, 100)):
            try:
                Walk(machine(), seed, selecting=selecting, group=group).go(steps[0] if steps else STEPS)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what was looked for
                kind = f"{machine.__name__}{' of some fields' * selecting} in groups of {group}"
                print(f"{kind} {seed}: {type(error).__name__} {error}", flush=True)
    print(f"{count} walks from {first}")


if __name__ == "__main__":
    main()

"""ticker/client/definitions.py and replica.py: ids of tables, which every connection gives anew."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.client.tables import ASKS, BIDS, TRADES, Talk, bar, ready, tape, trade
from ticker.client.replica import Replica
from ticker.errors import ProtocolError
from ticker.protocol.messages import Definition, Delta, Instruments, Removed, Snapshot, Welcome

A = Definition(0, "A", 2, 0, {})
BOOK, TAPE, BARS = "A book:2", "A trades:3", "A candles:1m:2"


def welcome(cut: int, epoch: str = "e") -> Welcome:
    return Welcome(1, epoch, "s", cut, cut, 0, {})


def table(number: int, name: str, prices: int = 2, sizes: int = 0) -> Definition:
    return Definition(number, name, prices, sizes, {})


def copy() -> Replica:
    """A copy at cut 5 of an instrument with a book, trades and bars, whose ids are -1, -2 and -3."""
    replica = Replica()
    replica.welcome(welcome(5), resumable=False)
    replica.define(Instruments([A, table(-1, BOOK), table(-2, TAPE), table(-3, BARS)]))
    records = [0, {1: 100}, -1, {BIDS: [100, 5]}, -2, {TRADES: trade(7)}, -3, {19: bar(60)}]
    replica.apply(Snapshot(5, 5, 5, [], records))
    return replica


def held(replica: Replica) -> set[str]:
    assert {each.definition.symbol for each in replica} == replica.symbols
    return set(replica.symbols)


def test_tables_are_held_by_name_until_they_have_ids_again() -> None:
    replica = copy()
    before = replica.digest()
    assert replica.welcome(welcome(9), resumable=True)
    assert held(replica) == {"A", BOOK, TAPE, BARS}
    assert replica.digest() != before, "without an id, a table does not count"
    with pytest.raises(ProtocolError, match="instrument -1, which was not defined"):
        replica.apply(Delta(5, 9, 9, [-1, {BIDS: [101, 1]}]))
    replica.define(Instruments([table(-2, BOOK), table(-1, TAPE), table(-3, BARS)]))
    replica.apply(Delta(5, 9, 9, [-2, {BIDS: [101, 1]}, -1, {TRADES: trade(8)}]))
    book, prints = replica.find_table(BOOK), replica.find_table(TAPE)
    assert book is not None
    assert prints is not None
    assert (book.wire()[BIDS], prints.wire()[TRADES]) == ([101, 1, 100, 5], tape(7, 8))
    assert replica.resumed() == []


def test_what_has_no_id_when_data_come_leaves_the_copy_with_them() -> None:
    replica = copy()
    replica.welcome(welcome(9), resumable=True)
    replica.define(Instruments([table(-9, BOOK)]))
    changed = replica.apply(Delta(5, 9, 9, [0, {1: 101}]))
    assert {each.definition.symbol for each in changed} == {"A", TAPE, BARS}
    assert held(replica) == {"A", BOOK}


def test_what_has_no_id_when_the_reply_comes_leaves_the_copy_and_makes_room() -> None:
    replica = copy()
    replica.welcome(welcome(5), resumable=True)
    replica.define(Instruments([table(-9, BOOK)]))
    removed = replica.remove(Removed(5, 5, [-9]))
    assert {each.definition.symbol for each in removed} == {BOOK, TAPE, BARS}
    replica = copy()
    room = replica._rows
    replica.welcome(welcome(5), resumable=True)
    assert {each.definition.symbol for each in replica.resumed()} == {BOOK, TAPE, BARS}
    assert (held(replica), replica._rows, room) == ({"A"}, 0, 9)


def test_a_message_that_is_refused_leaves_tables_without_ids_where_they_are() -> None:
    replica = copy()
    replica.welcome(welcome(9), resumable=True)
    with pytest.raises(ProtocolError):
        replica.apply(Delta(5, 9, 9, [0, {1: "x"}]))
    assert held(replica) == {"A", BOOK, TAPE, BARS}
    assert replica.welcome(welcome(9), resumable=True)
    replica.define(Instruments([table(-4, BOOK), table(-5, TAPE), table(-6, BARS)]))
    assert held(replica) == {"A", BOOK, TAPE, BARS}
    assert replica.resumed() == []


def test_a_higher_scale_on_another_connection_moves_the_numbers_and_a_lower_one_is_refused() -> None:
    replica = copy()
    replica.welcome(welcome(9), resumable=True)
    for lower in (table(-1, BOOK, prices=1), table(-1, TAPE, prices=1)):
        with pytest.raises(ProtocolError, match="a scale was lowered"):
            replica.define(Instruments([lower]))
    replica.define(Instruments([table(-1, BOOK, prices=4, sizes=1)]))
    book = replica.find_table(BOOK)
    assert book is not None
    assert book.wire()[BIDS] == [10000, 50]


@pytest.mark.parametrize(
    "definitions",
    [
        [table(-1, "B book:2"), table(-1, "B trades:3")],
        [table(-1, "B book:2"), table(-2, "B book:2")],
        [table(0, "B book:2")],
        [table(7, "B book:2")],
        [table(-1, "B book:2"), Definition(-1, "B", 2, 0, {})],
        [Definition(-7, "B", 2, 0, {})],
        [table(-7, "B book:2"), Definition(0, "B", 2, 0, {})],
    ],
)
def test_ids_that_contradict_each_other_are_refused_whole(definitions: list[Definition]) -> None:
    replica = copy()
    replica.welcome(welcome(9), resumable=True)
    with pytest.raises(ProtocolError):
        replica.define(Instruments(definitions))
    replica.define(Instruments([table(-7, BOOK), table(-1, TAPE), table(-2, BARS)]))
    assert replica.resumed() == []


def test_definitions_of_tables_do_not_add_up_over_connections() -> None:
    replica = copy()
    for number in range(100):
        replica.welcome(welcome(5), resumable=True)
        replica.define(Instruments([table(-number - 1, BOOK)]))
    assert len(replica._definitions.by_id) == 2
    assert replica._definitions._text == len("A") + len(BOOK)


async def test_readers_go_on_though_their_tables_have_each_others_ids() -> None:
    talk = Talk()
    book, trades = talk.client.book("A", 2), talk.client.trades("A", 3)
    talk.define(table(-1, BOOK), table(-2, TAPE))
    talk.record(-1, {BIDS: [10000, 1]})
    talk.record(-2, {TRADES: tape(1, 2)})
    talk.answer()
    assert [each.number for each in await ready(trades, 9)] == [1, 2]
    talk.lose()
    talk.connect(cut=9)
    talk.cut = 2
    talk.define(table(-2, BOOK), table(-1, TAPE))
    talk.change(-2, {ASKS: [10100, 2]})
    talk.change(-1, {TRADES: tape(3)})
    assert [each.number for each in await ready(trades, 9)] == []
    talk.answer()
    assert [(each.number, each.correction) for each in await ready(trades, 9)] == [(3, False)]
    assert ([*map(str, book.bids[0])], [*map(str, book.asks[0])]) == (["100.00", "1"], ["101.00", "2"])


async def test_a_table_that_another_server_does_not_have_is_gone_for_its_readers() -> None:
    talk = Talk()
    book = talk.client.book("A", 2)
    subscription = talk.client.subscribe(BOOK)
    talk.define(table(-1, BOOK))
    talk.record(-1, {BIDS: [10000, 1]})
    talk.answer()
    await ready(subscription, 1)
    talk.lose()
    talk.connect()
    talk.answer()
    (change,) = await ready(subscription, 1)
    assert change.changes == {BOOK: {"bids": [(Decimal(100), None)], "asks": []}}
    assert (book.bids, book.status, book.reason) == ([], "stale", "no_data")

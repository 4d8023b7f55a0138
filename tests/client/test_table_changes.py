"""ticker/client/given.py and subscription.py: changes of tables, computed when they are taken and never queued."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.client.tables import ASKS, BIDS, CANDLES, REASON, STATUS, TRADES, Talk, bar, book, ready, tape, trade
from ticker import CandleRow, LevelChange, TradeRow
from ticker.client.subscription import Subscription
from ticker.market import Rows
from ticker.protocol.messages import Definition, Removed

D = Decimal
BOOK = "A book:2"
BID: Rows = [10100, 5, 10000, 6]


async def changes(subscription: Subscription) -> list[dict[str, Any]]:
    return [dict(change.changes) for change in await ready(subscription, 100)]


def opened(talk: Talk, *names: str) -> Subscription:
    subscription = talk.client.subscribe(*names)
    talk.define(Definition(0, "A", 2, 0, {}), book(), Definition(-8, "A trades:3", 2, 0, {}))
    talk.record(-7, {BIDS: BID, ASKS: [10300, 1], STATUS: "live"})
    talk.answer()
    return subscription


async def test_the_first_change_has_all_rows_and_later_ones_what_changed() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    asks = [LevelChange(D("103.00"), D(1))]
    assert await changes(subscription) == [
        {BOOK: {"bids": [(D("101.00"), D(5)), (D("100.00"), D(6))], "asks": asks, "status": "live"}}
    ]
    talk.change(-7, {BIDS: [10000, None, 9900, 1], STATUS: "stale", REASON: "gap"})
    assert await changes(subscription) == [
        {BOOK: {"bids": [(D("100.00"), None), (D("99.00"), D(1))], "asks": [], "status": "stale", "reason": "gap"}}
    ]
    talk.change(-7, {STATUS: "live", REASON: None})
    assert await changes(subscription) == [{BOOK: {"bids": [], "asks": [], "status": "live", "reason": None}}]


async def test_instruments_and_tables_change_in_one_moment() -> None:
    talk = Talk()
    subscription = opened(talk, "A", BOOK)
    talk.record(0, {1: 100})
    await changes(subscription)
    talk.change(-7, {BIDS: [10100, 4]})
    talk.change(0, {1: 101})
    assert await changes(subscription) == [{"A": {"bid": D("1.01")}, BOOK: {"bids": [(D("101.00"), D(4))], "asks": []}}]


async def test_a_slow_reader_is_owed_no_more_than_its_copy_and_the_table_have() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    await changes(subscription)
    price = 10100
    for _ in range(1000):  # each level is pushed out, dead, and forgotten in between
        talk.change(-7, {BIDS: [price + 1, 9, price if price > 10100 else 10000, None]})
        price += 1
    (change,) = await changes(subscription)
    assert change[BOOK]["bids"] == [(D("111.00"), D(9)), (D("100.00"), None)]
    assert len(subscription._given[BOOK]._rows[BIDS]) == 2


async def test_what_changed_and_changed_back_is_no_change() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    await changes(subscription)
    talk.change(-7, {BIDS: [10100, 4, 10000, None]})
    talk.change(-7, {BIDS: BID})
    assert await changes(subscription) == []


async def test_a_higher_scale_alone_is_no_change() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    await changes(subscription)
    talk.define(book(prices=4, sizes=1))
    talk.record(-7, {BIDS: [1010000, 50, 1000001, 60], ASKS: [1030000, 10], STATUS: "live"})
    assert await changes(subscription) == [
        {BOOK: {"bids": [(D("100.0001"), D("6.0")), (D("100.0000"), None)], "asks": []}}
    ]


async def test_a_table_that_leaves_the_copy_has_its_levels_and_status_withdrawn_and_comes_back_whole() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    await changes(subscription)
    talk.says(Removed(1, 1, [-7]))
    gone = [LevelChange(D("101.00"), None), LevelChange(D("100.00"), None)]
    assert await changes(subscription) == [
        {BOOK: {"status": None, "bids": gone, "asks": [LevelChange(D("103.00"), None)]}}
    ]
    talk.record(-7, {BIDS: [10100, 5], STATUS: "live"})
    assert await changes(subscription) == [{BOOK: {"bids": [(D("101.00"), D(5))], "asks": [], "status": "live"}}]


async def test_a_service_that_starts_anew_is_one_change_from_what_the_reader_had() -> None:
    talk = Talk()
    subscription = opened(talk, BOOK)
    await changes(subscription)
    talk.connect("e2", 1)
    talk.define(book(number=-2, prices=1))
    talk.record(-2, {BIDS: [1010, 5], ASKS: [1040, 1], STATUS: "live"})
    assert await changes(subscription) == []
    talk.answer()
    (change,) = await changes(subscription)
    assert change == {
        BOOK: {
            "bids": [(D("100.0"), None)],
            "asks": [(D("103.0"), None), (D("104.0"), D(1))],
        }
    }


async def test_trades_and_bars_are_rows_of_which_each_comes_once() -> None:
    talk = Talk()
    subscription = opened(talk, "A trades:3", "A candles:1m:5")
    talk.define(Definition(-9, "A candles:1m:5", 2, 0, {}))
    talk.record(-8, {TRADES: [*trade(1), *trade(2, side=1, id="x")]})
    talk.record(-9, {CANDLES: bar(60, volume=None)})
    rows = [TradeRow(1, D("1.00"), D(1), 5, None, None), TradeRow(2, D("1.00"), D(1), 5, "buy", "x")]
    candle = CandleRow(60, D("1.00"), D("1.00"), D("1.00"), D("1.00"), None, 2)
    assert await changes(subscription) == [{"A trades:3": {"trades": rows}, "A candles:1m:5": {"candles": [candle]}}]
    talk.change(-8, {TRADES: tape(4, 3, 5)})
    (change,) = await changes(subscription)
    assert [row.number for row in change["A trades:3"]["trades"]] == [3, 4, 5]
    assert talk.client.values("A trades:3")["trades"][0].number == 3


async def test_a_pattern_with_a_table_brings_that_of_each_instrument_and_no_other() -> None:
    talk = Talk()
    every, tables = talk.client.subscribe("*"), talk.client.subscribe("* book:2")
    opened(talk, "A trades:3")
    talk.define(Definition(-5, "B book:2", 2, 0, {}))
    talk.record(-5, {BIDS: [1, 1]})
    talk.record(-8, {TRADES: tape(1)})
    talk.record(0, {1: 1})
    assert [change.keys() for change in await changes(every)] == [{"A"}]
    assert [change.keys() for change in await changes(tables)] == [{"A book:2", "B book:2"}]
    late = talk.client.subscribe("B book:2", "* trades:3")
    talk.answer()
    assert [change.keys() for change in await changes(late)] == [{"B book:2", "A trades:3"}]

"""ticker/client/book.py and table_reader.py: a book as its reader sees it, of one moment."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.client.tables import ASKS, BIDS, REASON, STATUS, Talk, book, ready
from ticker import Book, Level, Refused
from ticker.errors import Code, ConfigError, ConnectionFailed
from ticker.market import Rows
from ticker.protocol.messages import Heartbeat, Removed, Reply

D = Decimal
BID: Rows = [10100, 5, 10000, 6]
ASK: Rows = [10300, 1]


def opened(talk: Talk, depth: int = 2) -> Book:
    """A book that is complete, with two bids and an ask."""
    reader = talk.client.book("A", depth)
    talk.define(book())
    talk.record(-7, {BIDS: BID, ASKS: ASK, STATUS: "live"})
    talk.answer()
    return reader


# What it shows


async def test_a_book_shows_its_best_levels_the_best_first() -> None:
    talk = Talk()
    reader = opened(talk)
    assert reader.bids == [(D("101.00"), D(5)), (D("100.00"), D(6))]
    assert reader.asks == [Level(D("103.00"), D(1))]
    assert reader.bids[0].price == D("101.00")
    assert (reader.status, reader.reason, reader.cut) == ("live", None, 1)
    assert reader.time == datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    talk.change(-7, {BIDS: [10000, None, 10050, 2], STATUS: "stale", REASON: "gap"})
    assert reader.bids == [(D("101.00"), D(5)), (D("100.50"), D(2))]
    assert (reader.status, reader.reason, reader.cut) == ("stale", "gap", 2)
    talk.says(Heartbeat(9, 9000))
    assert reader.cut == 9


async def test_a_status_of_a_later_service_counts_as_stale_and_none_as_live() -> None:
    talk = Talk()
    reader = opened(talk)
    talk.change(-7, {STATUS: "auction"})
    assert reader.status == "stale"
    assert talk.client.values("A book:2").get("status") == "stale"
    talk.change(-7, {STATUS: None})
    assert reader.status == "live"


async def test_before_it_is_complete_a_book_is_empty_and_stale() -> None:
    talk = Talk()
    reader = talk.client.book("A", 2)
    talk.define(book())
    talk.record(-7, {BIDS: BID, STATUS: "live"})
    assert (reader.bids, reader.status, reader.reason) == ([], "stale", "no_data")
    assert await ready(reader, 1) == []
    talk.answer()
    assert reader.bids[0].price == D(101)


async def test_a_book_without_an_instrument_is_empty_and_stale() -> None:
    talk = Talk()
    reader = talk.client.book("NONE", 2)
    talk.answer()
    async with reader:
        assert (reader.bids, reader.asks, reader.status, reader.reason) == ([], [], "stale", "no_data")


async def test_a_book_that_leaves_the_copy_is_empty_and_stale_and_can_come_back() -> None:
    talk = Talk()
    reader = opened(talk)
    talk.says(Removed(1, 1, [-7]))
    assert (reader.bids, reader.status, reader.reason) == ([], "stale", "no_data")
    talk.record(-7, {BIDS: BID, STATUS: "live"})
    assert (len(reader.bids), reader.status) == (2, "live")


# Iteration


async def test_a_loop_runs_once_at_first_and_after_each_change() -> None:
    talk = Talk()
    reader = opened(talk)
    assert await ready(reader, 5) == [reader]
    talk.change(-7, {BIDS: [10100, 4]})
    talk.change(-7, {BIDS: [10100, 3]})
    assert await ready(reader, 5) == [reader]
    assert reader.bids[0].size == 3
    talk.change(-7, {BIDS: [10100, 3]})
    assert await ready(reader, 5) == []


async def test_fewer_levels_than_the_service_offers_are_shown_and_deeper_changes_are_none() -> None:
    talk = Talk()
    reader = talk.client.book("A", 1)
    assert reader.name == "A book:2"
    opened(talk)
    assert reader.bids == [(D("101.00"), D(5))]
    assert await ready(reader, 5) == [reader]
    talk.change(-7, {BIDS: [10000, 1]})
    assert await ready(reader, 5) == []
    talk.change(-7, {BIDS: [10100, None]})
    assert await ready(reader, 5) == [reader]
    assert reader.bids == [(D("100.00"), D(1))]


async def test_a_second_book_of_the_same_name_is_complete_at_once() -> None:
    talk = Talk()
    opened(talk)
    async with talk.client.book("A", 2) as again:
        assert len(again.bids) == 2
    assert talk.asked() == []


# Without a connection


async def test_without_a_connection_a_book_stays_as_it_was_and_is_stale_until_it_is_complete_again() -> None:
    talk = Talk()
    reader = opened(talk)
    await ready(reader, 1)
    talk.lose()
    assert await ready(reader, 5) == [reader]
    assert (len(reader.bids), reader.status, reader.reason, reader.cut) == (2, "stale", "reconnecting", 1)
    talk.connect(cut=8)
    talk.cut = 1
    talk.define(book())
    talk.change(-7, {BIDS: [10100, None, 9900, 1]})
    assert reader.bids[0].price == D(101)
    assert await ready(reader, 5) == []
    assert talk.answer() == ["A book:2"]
    assert [level.price for level in reader.bids] == [D(100), D(99)]
    assert (reader.status, reader.reason, reader.cut) == ("live", None, 2)
    assert await ready(reader, 5) == [reader]


async def test_a_service_that_starts_anew_brings_another_book() -> None:
    talk = Talk()
    reader = opened(talk)
    talk.lose()
    talk.connect("e2", 1)
    assert (len(reader.bids), reader.reason) == (2, "reconnecting")
    talk.define(book(number=-3, prices=4))
    talk.record(-3, {BIDS: [5, 1], STATUS: "live"})
    assert len(reader.bids) == 2
    talk.answer()
    assert (reader.bids, reader.asks, reader.status) == ([(D("0.0005"), D(1))], [], "live")


async def test_a_book_that_ends_stays_as_it_was_and_is_stale() -> None:
    talk = Talk()
    reader = opened(talk)
    talk.client.close(ConnectionFailed("gone"))
    assert (len(reader.bids), reader.status) == (2, "stale")
    assert await ready(reader, 1) == [reader]
    with pytest.raises(ConnectionFailed, match="gone"):
        await anext(reader)
    with pytest.raises(ConnectionFailed, match="gone"):
        async with reader:
            pytest.fail("it is complete")


async def test_closing_a_book_unsubscribes_it_and_ends_its_loop() -> None:
    talk = Talk()
    async with opened(talk) as reader:
        pass
    (request,) = talk.asked()
    assert (request["op"], request["symbols"]) == ("unsubscribe", ["A book:2"])
    assert [each async for each in reader] == []


# Names that cannot be


@pytest.mark.parametrize(
    ("symbol", "depth", "text"),
    [
        ("A", 26, "depth: 26; the service's books: 2, 10, 25"),
        ("A", 0, "depth: 0; give a whole number, 1 or more"),
        ("A", "10", "depth: '10'; give a whole number"),
        ("A*", 10, r"book: 'A\*' is no symbol; give the symbol of one instrument; .*'A\* book:10'"),
        ("A book:10", 10, "book: 'A book:10' is no symbol; give the symbol of one instrument$"),
        (5, 10, "book: 5 is no symbol"),
    ],
)
async def test_a_book_that_cannot_be_is_refused_with_what_there_is(symbol: str, depth: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Talk().client.book(symbol, depth)


async def test_a_service_without_tables_says_so() -> None:
    client = Talk({}).client
    with pytest.raises(ConfigError, match="depth: 10; the service has no books"):
        client.book("A")
    with pytest.raises(ConfigError, match="period: '1m'; the service has no candles"):
        client.candles("A")


async def test_of_a_subscription_a_table_that_is_not_offered_is_refused_and_the_rest_goes_on() -> None:
    talk = Talk()
    subscription = talk.client.subscribe("A book:7", "A book:2")
    (request,) = talk.asked()
    assert request["symbols"] == ["A book:7", "A book:2"]
    talk.define(book())
    talk.record(-7, {BIDS: BID, STATUS: "live"})
    offer = "this service offers book:2, book:10, book:25"
    outcomes = [["A book:7", int(Code.UNKNOWN_TABLE), offer], ["A book:2", 0, ""]]
    talk.says(Reply(request["id"], {"outcomes": outcomes}))
    assert talk.events[1:] == [Refused("A book:7", Code.UNKNOWN_TABLE, offer)]
    assert (await anext(subscription)).changes.keys() == {"A book:2"}
    talk.change(-7, {STATUS: "stale"})
    assert (await anext(subscription)).changes == {"A book:2": {"bids": [], "asks": [], "status": "stale"}}


async def test_more_tables_than_a_connection_may_have_are_refused() -> None:
    talk = Talk(limits={"max_tables": 1})
    opened(talk)
    with pytest.raises(ConfigError, match="2 tables; this connection may have 1"):
        talk.client.trades("A", 3)


@pytest.mark.parametrize(
    ("code", "text"), [(Code.UNKNOWN_TABLE, "there are book:3"), (Code.TOO_MANY_TABLES, "'A book:2' was refused")]
)
async def test_a_table_that_the_service_refuses_ends_its_reader(code: Code, text: str) -> None:
    talk = Talk()
    reader = talk.client.book("A", 2)
    (request,) = talk.asked()
    talk.says(Reply(request["id"], {"outcomes": [["A book:2", int(code), "there are book:3"]]}))
    with pytest.raises(ConfigError, match=text):
        await anext(reader)
    assert not talk.session.names

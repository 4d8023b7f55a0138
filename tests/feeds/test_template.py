"""ticker_feeds/kit/template.py: the template follows its invented venue, here over real TLS and WebSocket."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.feeds.venue_server import ServedConnection, followed, option_ca, venue_that_talks
from ticker.market import Levels, Publication, Stale, Trade, Update
from ticker_feeds.kit import check_feed
from ticker_feeds.kit.template import Template, TemplateTracker, parse
from ticker_feeds.venues import BadMessage, VenueState

SPEC = "ticker_feeds.kit.template:Template?symbols=GOLD,LEAD"
MILLISECONDS = 1_700_000_000_000


def quote(symbol: str, number: int, **more: object) -> dict[str, object]:
    prices = {"bid": f"{number}.10", "ask": f"{number}.30"}
    return {"type": "quote", "symbol": symbol, "seq": number, **prices, "ms": MILLISECONDS, **more}


def trade(symbol: str, number: int) -> dict[str, object]:
    return {"type": "trade", "symbol": symbol, "id": number, "price": f"{number}.20", "size": 3, "ms": MILLISECONDS}


def tracker() -> tuple[TemplateTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    return TemplateTracker(VenueState({"GOLD": "x:GOLD", "LEAD": "x:LEAD"}, counters)), counters


def read(tracked: TemplateTracker, *messages: dict[str, object]) -> list[Publication]:
    return [each for message in messages for each in tracked.read(message)]


async def test_the_template_conforms() -> None:
    async def talk(connection: ServedConnection) -> None:
        await connection.send({"type": "subscribed", "symbols": ["GOLD"]})
        for number in itertools.count(1):
            await connection.send(quote("GOLD", number))
            await trio.sleep(0.001)

    async with venue_that_talks(talk) as server:
        feed = Template(symbols="gold", url=server.url, ca=option_ca().removeprefix("ca="))
        await check_feed(feed, updates=50, full_seconds=0.2)
    assert feed.counters == {"reconnects": 2}


async def test_the_template_subscribes_and_clients_see_quotes_halts_and_refusals() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        assert await connection.request() == {"type": "subscribe", "symbols": ["GOLD", "LEAD"]}
        await connection.send({"type": "subscribed", "symbols": ["GOLD"], "unknown": ["LEAD"]}, quote("GOLD", 1))
        await watcher.until("GOLD", bid="1.10", ask="1.30", time=1_000 * MILLISECONDS, status="live")
        await watcher.until("LEAD", status="stale", reason="refused")
        await connection.send({"type": "halt", "symbol": "GOLD"})
        await watcher.until("GOLD", status="halted", reason="exchange_halt")
        await connection.send({"type": "resume", "symbol": "GOLD"})
        await watcher.until("GOLD", status="live", reason=None)


async def test_the_template_answers_pings_and_gives_up_a_silent_connection(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await connection.request()
        await connection.send({"type": "subscribed", "symbols": ["GOLD", "LEAD"]}, quote("GOLD", 1), quote("LEAD", 1))
        await watcher.until("LEAD", status="live")
        for number in range(3):
            fast_clock.jump(10)
            await connection.send({"type": "ping", "id": number})
            answers = [await connection.request()]
            while answers[-1] == {"type": "whole", "symbol": "GOLD"} or answers[-1] == {
                "type": "whole",
                "symbol": "LEAD",
            }:
                answers.append(await connection.request())  # the books have not come
            assert answers[-1] == {"type": "pong", "id": number}
        server.proxy.stall()
        await wait_all_tasks_blocked(0.1)
        fast_clock.jump(26)
        await watcher.until("GOLD", status="stale")
        assert watcher.statuses["GOLD"][0] == ("live", None)
        assert len(watcher.statuses["GOLD"]) == 2


def test_repeated_quotes_are_dropped_and_a_missing_trade_is_a_gap_until_the_next_quote() -> None:
    tracked, counters = tracker()
    assert len(read(tracked, quote("GOLD", 5), quote("GOLD", 5), quote("GOLD", 4))) == 1
    [first, _, gap] = read(tracked, trade("GOLD", 1), trade("GOLD", 3))
    assert first == Trade("x:GOLD", "1.20", 3, None, 1_000 * MILLISECONDS, 1)
    assert gap == Stale("x:GOLD", "gap")
    assert tracked.state.unrepaired(["GOLD"])
    [repaired] = read(tracked, quote("GOLD", 6))
    assert isinstance(repaired, Update)
    assert repaired.fields["bid"] == "6.10"
    assert not tracked.state.unrepaired(["GOLD"])
    assert counters == {"duplicates": 2, "gaps": 1}


def book(number: int, bids: list[list[object]], *, whole: bool = False) -> dict[str, object]:
    return {"type": "book", "symbol": "GOLD", "seq": number, "whole": whole, "bids": bids, "asks": [["9", 1]]}


def test_a_book_follows_its_messages_and_one_left_out_makes_it_alone_stale() -> None:
    tracked, counters = tracker()
    read(tracked, {"type": "subscribed", "symbols": ["GOLD", "LEAD"]}, quote("GOLD", 1))
    assert read(tracked, book(7, [["2", 5]])) == [], "it is not known yet"
    whole, changed = read(tracked, book(8, [["2", 5]], whole=True), book(9, [["2", 6]]))
    assert isinstance(whole, Levels)
    assert whole.complete
    assert changed == Levels("x:GOLD", [("2", 6)], [("9", 1)])
    assert read(tracked, book(11, [])) == [Stale("x:GOLD", "gap", book_only=True)]
    assert tracked.book_requests("GOLD") == [{"type": "whole", "symbol": "GOLD"}]
    [repaired] = read(tracked, book(12, [["2", 1]], whole=True))
    assert isinstance(repaired, Levels)
    assert repaired.complete
    assert read(tracked, book(13, [["x", 1]])) == [Stale("x:GOLD", "bad_message", book_only=True)]
    assert not tracked.state.unrepaired(["GOLD"]), "its quote goes on"
    assert counters["book_gap"] == 1


def test_kinds_and_symbols_that_were_not_requested_are_ignored() -> None:
    tracked, counters = tracker()
    assert read(tracked, {"type": "news", "symbol": "GOLD"}, {}, quote("TIN", 1), trade("TIN", 1)) == []
    assert counters == {}


def test_an_empty_side_is_withdrawn_and_a_value_that_cannot_be_read_is_handed_over() -> None:
    empty, bad = parse(quote("GOLD", 1, bid="0")), parse(quote("GOLD", 1, bid="x", ms=None))
    assert isinstance(empty, Update)
    assert isinstance(bad, Update)
    assert empty.fields["bid"] is None
    assert bad.fields == {"bid": "x", "ask": "1.30", "time": None}


def test_a_message_without_a_symbol_or_with_a_bad_number_is_refused() -> None:
    tracked, _ = tracker()
    for message in (trade("GOLD", 1) | {"symbol": 5}, quote("GOLD", 1) | {"seq": "x"}):
        with pytest.raises(BadMessage):
            read(tracked, message)

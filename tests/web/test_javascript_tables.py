"""Books and trades in ticker/web/ticker.js against the real service over TLS, in Node, over both of its transports."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.client.network import proxied
from tests.conftest import serving
from tests.support import update
from tests.web.javascript import Program, program
from ticker.config import Limits, Tables
from ticker.market import Candle, Instrument, Levels, Publication, Side, Stale, Trade

pytestmark = pytest.mark.usefixtures("node_installed")

TIME = 1_795_877_737_738_516
BOTH = pytest.mark.parametrize("transport", ["websocket", "events"])

MARKET: tuple[Publication, ...] = (
    Instrument("A", price_scale=2),
    Instrument("B"),
    update("A", bid="1.00"),
    Levels("A", [("1.00", 5), ("0.99", 7), ("0.98", 9)], [("1.02", 1)], complete=True),
    Trade("A", "1.01", 3, Side.BUY, TIME, 7),
    Trade("A", "1.00", "0.5", Side.SELL, TIME, "a8"),
)


async def read(client: Program, kind: str, *given: object, idle: bool = False) -> None:
    """Open a book, trades or candles, known by this word from now on, and wait until they are complete."""
    await client.tell("read", **{"as": kind, "kind": kind, "given": given, "idle": idle})
    await client.tell("complete", **{"as": kind})


async def item(client: Program, kind: str) -> dict[str, Any]:
    """What the loop over a book, trades or candles gets next."""
    return await client.until(lambda told: told.get("reader") == kind)


@BOTH
async def test_a_book_is_there_and_follows_each_change(transport: str) -> None:
    async with serving(*MARKET) as service, program(service.url, transport=transport) as client:
        await read(client, "book", "A", 10)
        first = await item(client, "book")
        assert (first["name"], first["status"]) == ("A book:10", "live")
        assert [(price, float(size)) for price, size in first["bids"]] == [("1.00", 5), ("0.99", 7), ("0.98", 9)]
        await service.publish(Levels("A", [("1.00", 0), ("0.97", 2)], [("1.01", "4")]))
        later = await item(client, "book")
        assert [price for price, _ in later["bids"]] == ["0.99", "0.98", "0.97"]
        assert [price for price, _ in later["asks"]] == ["1.01", "1.02"]
        assert later["cut"] > first["cut"]
        await service.publish(Stale("A", "gap", book_only=True))
        stale = await item(client, "book")
        assert (stale["status"], stale["reason"]) == ("stale", "gap")
        assert await client.tell("values", symbol="A") == {}


@BOTH
async def test_a_level_that_leaves_the_view_is_gone_and_one_that_enters_it_is_there(transport: str) -> None:
    tables = Tables(depths=(2,))
    async with (
        serving(*MARKET, tables=tables) as service,
        program(service.url, transport=transport) as client,
    ):
        await read(client, "book", "A", 1)
        assert (await item(client, "book"))["bids"][0][0] == "1.00"
        await client.tell("subscribe", **{"as": "s", "names": ["A book:2"]})
        await client.change("s")
        await service.publish(Levels("A", [("1.01", 1)], []))
        assert [level[0] for level in (await client.change("s"))["A book:2"]["bids"]] == ["1.01", "0.99"]
        await service.publish(Levels("A", [("1.01", 0)], []))
        changed = (await client.change("s"))["A book:2"]["bids"]
        assert [(price, size is None) for price, size in changed] == [("0.99", False), ("1.01", True)]


@BOTH
async def test_each_print_comes_once_with_its_columns(transport: str) -> None:
    async with serving(*MARKET) as service, program(service.url, transport=transport) as client:
        await read(client, "trades", "A", 10)
        first, second = [await item(client, "trades") for _ in range(2)]
        assert (first["price"], first["side"], first["id"], first["timeUs"]) == ("1.01", "buy", 7, TIME)
        assert (second["side"], second["id"], float(second["size"])) == ("sell", "a8", 0.5)
        assert second["number"] == first["number"] + 1
        await service.publish(Trade("A", "1.03", 1), Trade("A", "1.04", 1))
        later = [await item(client, "trades") for _ in range(2)]
        assert [each["price"] for each in later] == ["1.03", "1.04"]
        assert [each["missed"] for each in later] == [0, 0]
        await service.publish(Trade("A", "1.01", 0, Side.BUY, TIME, 7))
        busted = await item(client, "trades")
        assert (busted["number"], float(busted["size"]), busted["correction"]) == (first["number"], 0, True)
        shown = await client.tell("view", **{"as": "trades"})
        assert [each["number"] - first["number"] for each in shown["latest"]] == [0, 1, 2, 3]


@BOTH
async def test_a_client_that_was_away_is_told_the_number_of_prints_that_it_missed(transport: str) -> None:
    tables = Tables(trades=(10,))
    async with (
        serving(*MARKET, tables=tables) as service,
        proxied(service) as proxy,
        program(proxy.url, transport=transport) as client,
    ):
        await read(client, "trades", "A", 10)
        last = [await item(client, "trades") for _ in range(2)][-1]["number"]
        proxy.open = False
        proxy.cut()
        await client.until_state("waiting")
        assert (await client.tell("view", **{"as": "trades"}))["reason"] == "reconnecting"
        await service.publish(*[Trade("A", "1.05", number + 1) for number in range(25)])
        proxy.open = True
        assert (await client.until_state("connected"))["resumed"] is True
        later = [await item(client, "trades") for _ in range(10)]
        assert [each["number"] for each in later] == list(range(last + 16, last + 26))
        assert [each["missed"] for each in later] == [15] + [0] * 9


@BOTH
async def test_a_depth_that_is_not_offered_is_the_next_larger_one(transport: str) -> None:
    async with serving(*MARKET) as service, program(service.url, transport=transport) as client:
        await client.tell("read", **{"as": "book", "kind": "book", "given": ["A", 2]})  # before the first connection
        await client.tell("complete", **{"as": "book"})
        shown = await client.tell("view", **{"as": "book"})
        assert (shown["name"], len(shown["bids"])) == ("A book:10", 2)
        assert (await client.tell("features"))["book"] == [10, 25, 100]
        with pytest.raises(AssertionError, match="book with 101 rows: the service has book of 10, 25, 100"):
            await client.tell("read", **{"as": "none", "kind": "book", "given": ["A", 101]})
        with pytest.raises(AssertionError, match="candles of 7m: the service has candles of 1m, 5m, 1h, 1d"):
            await client.tell("read", **{"as": "none", "kind": "candles", "given": ["A", "7m"]})


async def test_tables_beyond_the_limit_are_refused() -> None:
    async with serving(*MARKET, limits=Limits(max_tables=1)) as service, program(service.url) as client:
        await read(client, "book", "A")
        with pytest.raises(AssertionError, match="2 tables; this connection may have 1"):
            await client.tell("read", **{"as": "trades", "kind": "trades", "given": ["A"]})
        await client.tell("subscribe", **{"as": "all", "names": ["* trades:10"]})
        ended = await client.until(lambda told: told.get("ended") == "all")
        assert ended["code"] == 13


@BOTH
async def test_a_pattern_with_a_table_brings_that_of_each_instrument(transport: str) -> None:
    async with serving(*MARKET) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "s", "names": ["* trades:10", "*"]})
        await client.until(lambda told: "A trades:10" in told.get("changes", {}))
        await service.publish(Trade("B", "5.00", 1))
        told = await client.until(lambda told: "B trades:10" in told.get("changes", {}) and "event" in told)
        assert told["changes"]["B trades:10"]["trades"][0]["price"] == "5.00"
        assert told["changes"]["B"]["last"] == "5.00"


@BOTH
async def test_a_symbol_that_appears_later_brings_its_book(transport: str) -> None:
    async with serving(*MARKET) as service, program(service.url, transport=transport) as client:
        await read(client, "book", "LATER")
        shown = await client.tell("view", **{"as": "book"})
        assert (shown["status"], shown["reason"]) == ("stale", "no_data")
        await service.publish(Instrument("LATER"), Levels("LATER", [("5.00", 1)], [], complete=True))
        await client.until(lambda told: told.get("event") == "book" and len(told["bids"]) == 1)


async def test_what_is_given_up_leaves_the_copy_and_the_rest_stays() -> None:
    async with serving(*MARKET) as service, program(service.url) as client:
        for name in ("*", "A", "A book:10"):
            await client.tell("subscribe", **{"as": name, "names": [name]})
            await client.change(name)
        await client.tell("unsubscribe", **{"as": "*"})
        await client.tell("unsubscribe", **{"as": "A book:10"})
        assert await client.tell("verify") is True
        assert await client.tell("values", symbol="A book:10") == {}
        assert await client.tell("values", symbol="B") == {}
        assert "bid" in await client.tell("values", symbol="A")


# Candles


@BOTH
async def test_candles_are_there_when_a_page_opens_and_follow_each_trade(transport: str) -> None:
    start = time.time_ns() // 60_000_000_000 * 60 - 3600  # long over, so that no minute ends in between
    past = [Candle("A", "1m", start - 60 * ago, "1.00", "1.20", "0.90", "1.10", 5, 2) for ago in (4, 3, 1)]
    async with serving(*MARKET[:3], *past) as service, program(service.url, transport=transport) as client:
        await read(client, "candles", "A", "1m", 300)
        shown = await client.tell("view", **{"as": "candles"})
        assert shown["name"] == "A candles:1m:300"
        starts = [start - 60 * ago for ago in (4, 3, 1)]
        assert [bar["start"] for bar in shown["bars"]][:3] == starts
        assert [(await item(client, "candles"))["start"] for _ in range(3)] == starts
        await service.publish(Trade("A", "1.15", 1, Side.BUY, start * 1_000_000 + 1))
        told = await client.until(lambda told: told.get("event") == "candles" and told["bars"][-1]["start"] == start)
        assert (told["bars"][-1]["close"], told["bars"][-1]["trades"]) == ("1.15", 1)
        assert (await item(client, "candles"))["start"] == start
        await service.publish(Trade("A", "1.30", 1, Side.BUY, (start - 60) * 1_000_000 + 1))  # late
        amended = await item(client, "candles")
        assert (amended["start"], amended["high"], amended["correction"]) == (start - 60, "1.30", True)


# Proofs of the copy


async def test_a_right_copy_is_verified_through_changes_and_reconnects() -> None:
    async with serving(*MARKET) as service, proxied(service) as proxy, program(proxy.url) as client:
        await client.tell("subscribe", **{"as": "all", "names": ["*", "A book:10", "A trades:10"]})
        await client.change("all")
        assert await client.tell("verify") is True
        for number in range(20):
            await service.publish(
                Levels("A", [(f"0.{90 + number % 8}1234", f"{number}.123456")], [("1.02", number)]),
                Trade("A", f"1.{number:02}", number + 1, id=number),
                update("A", bid=f"1.{number:03}", note='15 € "fix"', volume="90071992547409931.5"),
            )
            assert await client.tell("verify") is True
        proxy.cut()
        await client.until_state("waiting")
        await client.until_state("connected")
        assert await client.tell("verify") is True
        assert not any("mismatch" in told for told in client.told)


async def test_a_wrong_copy_is_found_dropped_and_taken_anew() -> None:
    altered = {"from": "cd1e61", "to": "cd1e62", "times": 1}
    async with serving(*MARKET) as service, program(service.url, altered=altered) as client:
        await read(client, "book", "A", idle=True)
        await service.publish(Levels("A", [("77.77", 1)], []))
        await client.until(lambda told: told.get("event") == "book" and told["bids"][0][0] == "77.78")
        assert await client.tell("verify") is False
        assert any("mismatch" in told for told in client.told)
        assert (await client.until_state("connected"))["resumed"] is False
        await client.until(lambda told: told.get("event") == "book" and told["bids"][0][0] == "77.77")
        assert await client.tell("verify") is True


async def test_after_a_message_that_it_refuses_a_client_resumes_once_and_then_begins_anew() -> None:
    altered = {"from": "cd1e61", "to": "c3c3c3", "times": 2}
    async with serving(*MARKET) as service, program(service.url, altered=altered) as client:
        await read(client, "book", "A", idle=True)
        await service.publish(Levels("A", [("77.77", 1)], []))
        await client.until(lambda told: told.get("event") == "book" and told["bids"][0][0] == "77.77")
        ends = [told for told in client.told if told.get("state") == "waiting"]
        assert len(ends) == 2
        assert all(re.match("the server broke the protocol: ", told["reason"]) for told in ends)
        assert 125 <= ends[0]["retryMs"] <= 250 <= ends[1]["retryMs"] <= 500
        assert [resumed for state, resumed in client.states() if state == "connected"] == [False, True, False]
        assert await client.tell("verify") is True


async def test_an_event_stream_cannot_be_verified() -> None:
    async with serving(*MARKET) as service, program(service.url, transport="events") as client:
        await read(client, "book", "A")
        with pytest.raises(AssertionError, match="digest: there is no WebSocket at the moment"):
            await client.tell("verify")


# One call


async def test_a_snapshot_has_instruments_and_tables() -> None:
    async with serving(*MARKET) as service, program(service.url) as client:
        names = ["A", "B", "* book:10", "NONE", "Z*"]
        values = await client.tell("snapshot", url=service.url, names=names)
        assert sorted(values) == ["A", "A book:10", "B", "B book:10"]
        assert values["A"]["bid"] == "1.00"
        assert [price for price, _ in values["A book:10"]["bids"]] == ["1.00", "0.99", "0.98"]
        assert await client.tell("snapshot", url=service.url, names=["NONE"]) == {}
        assert await client.tell("snapshot", url=["https://127.0.0.1:1", service.url], names=names) == values


async def test_a_snapshot_that_cannot_be_had_says_why() -> None:
    async with serving(*MARKET) as service, program(service.url) as client, proxied(service) as proxy:
        proxy.open = False
        with pytest.raises(AssertionError, match="snapshot: "):
            await client.tell("snapshot", url=proxy.url, names=["A"])
        with pytest.raises(AssertionError, match="snapshot: names: a string; give a list"):
            await client.tell("snapshot", url=service.url, names="A")

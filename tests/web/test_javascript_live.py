"""ticker/web/ticker.js against the real service over TLS, in Node, over both of its transports."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
import trio

from tests.client.network import proxied
from tests.conftest import Running, serving
from tests.support import update
from tests.web.javascript import Program, program
from ticker.config import Limits
from ticker.market import MAX_FIELDS, Instrument, Publication, Stale, Update, Withdrawal

pytestmark = pytest.mark.usefixtures("node_installed")

DECLARED: tuple[Publication, ...] = (
    Instrument("A", price_scale=2, metadata={"name": "The first"}),
    Instrument("B"),
    update("A", bid="1.00", ask="1.10", note="steady"),
    update("B", bid="2.00"),
)
BOTH = pytest.mark.parametrize("transport", ["websocket", "events"])


@BOTH
async def test_a_subscription_brings_what_is_there_and_then_what_changes(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        assert await client.change("a") == {"A": {"bid": "1.00", "ask": "1.10", "note": "steady"}}
        await service.publish(update("A", bid="1.01", note=None), update("B", bid="2.01"))
        assert await client.change("a") == {"A": {"bid": "1.01", "note": None}}
        assert await client.tell("values", symbol="A") == {"bid": "1.01", "ask": "1.10"}
        assert await client.tell("values", symbol="B") == {}
        assert await client.tell("number", symbol="A", field="bid") == "1.01"
        assert await client.tell("number", symbol="A", field="last") == "NaN"
        described = {"symbol": "A", "priceScale": 2, "sizeScale": 0, "metadata": {"name": "The first"}}
        assert await client.tell("instrument", symbol="A") == described
        figures = await client.tell("figures")
    assert figures["state"] == "connected"
    assert figures["transport"] == transport
    assert figures["updates"] == 2
    assert figures["bytes"] > 0


@BOTH
async def test_a_change_is_one_moment_of_the_market(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "all", "names": ["*"]})
        await client.until(lambda told: "subscription" in told)
        await service.publish(update("A", bid="1.50"), update("B", bid="2.50"))
        told = await client.until(lambda told: "subscription" in told)
    assert told["changes"] == {"A": {"bid": "1.50"}, "B": {"bid": "2.50"}}
    assert told["timeUs"] // 1000 == round(datetime.fromisoformat(told["time"]).timestamp() * 1000)
    assert abs(told["timeUs"] / 1e6 - time.time()) < 60


@BOTH
async def test_a_finer_price_raises_the_scale_and_changes_no_value(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.change("a")
        await service.publish(update("A", bid="1.0055"))
        assert (await client.change("a"))["A"]["bid"] == "1.0055"
        assert (await client.tell("values", symbol="A"))["ask"] == "1.1000"


@BOTH
async def test_an_instrument_with_all_its_fields_can_be_marked_stale(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.change("a")
        await service.publish(Update("A", {f"f{number}": 1 for number in range(MAX_FIELDS)}), Stale("A", "gap"))
        assert (await client.change("a"))["A"]["reason"] == "gap"
        assert len(await client.tell("values", symbol="A")) == MAX_FIELDS + 2


@BOTH
async def test_a_withdrawn_instrument_is_told_of_field_by_field(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "b", "names": ["B"]})
        await client.change("b")
        await service.publish(Withdrawal("B"))
        assert (await client.change("b"))["B"] == {"bid": None}
        assert await client.tell("values", symbol="B") == {}


@BOTH
async def test_names_come_and_go(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_value("A", "bid", "1.00")
        await client.tell("subscribe", **{"as": "b", "names": ["B"]})
        await client.until_value("B", "bid", "2.00")
        await client.tell("unsubscribe", **{"as": "a"})
        await client.until(lambda told: told.get("ended") == "a")
        await _until_gone(client, "A")
        await service.publish(update("A", bid="9.00"), update("B", bid="3.00"))
        await client.until_value("B", "bid", "3.00")
        assert await client.tell("values", symbol="A") == {}
        await client.tell("subscribe", **{"as": "again", "names": ["A"]})
        await client.until_value("A", "bid", "9.00")


async def _until_gone(client: Program, symbol: str) -> None:
    while await client.tell("values", symbol=symbol):
        await trio.sleep(0.02)


@BOTH
async def test_what_the_server_does_not_take_is_told_and_the_rest_is_served(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "s", "names": ["A", "LATER", "B*", "no,name", "A book:7"]})
        await client.until_value("A", "bid", "1.00")
        while not {"LATER", "no,name", "A book:7"} <= {told.get("refused") for told in client.told}:
            await client.until(lambda told: "refused" in told)
        codes = {told["refused"]: told["code"] for told in client.told if "refused" in told}
        assert codes == {"LATER": 6, "no,name": 7, "A book:7": 12}
        await service.publish(Instrument("LATER"), update("LATER", bid="5.00"))
        await client.until_value("LATER", "bid", "5.00")
        # Now that it is known which tables there are, it is the same.
        await client.tell("subscribe", **{"as": "more", "names": ["A book:8", "A book:10"]})
        told = await client.until(lambda told: told.get("refused") == "A book:8")
        assert (told["code"], told["text"]) == (12, "this service offers book:10, book:25, book:100")
        while not await client.tell("values", symbol="A book:10"):
            await trio.sleep(0.02)


@BOTH
async def test_a_lost_connection_goes_on_at_the_next_address_with_its_copy(transport: str) -> None:
    async with (
        serving(*DECLARED) as service,
        proxied(service) as one,
        proxied(service) as other,
        program(["https://127.0.0.1:1", one.url, other.url], transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "s", "names": ["A", "A book:10"]})
        await client.until_value("A", "bid", "1.00")
        one.open = False
        one.cut()
        await client.until(lambda told: told.get("resumed") is True)
        await service.publish(update("A", bid="1.01"))
        await client.until_value("A", "bid", "1.01")
        assert transport == "events" or await client.tell("verify")
        tried = [(told["state"], told["url"].replace("https:", "wss:")) for told in client.told if "url" in told]
        first, second = one.url.removesuffix("/v1/stream"), other.url.removesuffix("/v1/stream")
        assert tried == [
            ("waiting", "wss://127.0.0.1:1"),
            ("connected", first),
            ("waiting", first),
            ("connected", second),
        ]


async def test_names_beyond_the_limit_end_their_subscription_and_the_others_are_served() -> None:
    limits = Limits(max_symbols=100, max_patterns=1)
    async with serving(*DECLARED, limits=limits) as service, proxied(service) as proxy, program(proxy.url) as client:
        proxy.stall()  # the limits are not known yet
        await client.tell("subscribe", **{"as": "a", "names": ["A*"]})
        await client.tell("subscribe", **{"as": "b", "names": ["B*"]})
        await client.tell("subscribe", **{"as": "many", "names": [f"S{number}" for number in range(10_000)]})
        proxy.flow()
        ends = [await client.until(lambda told: "ended" in told) for _ in range(2)]
        assert {each["ended"] for each in ends} == {"b", "many"}
        assert {each["code"] for each in ends} == {8}
        assert "a connection may have" in ends[0]["because"]
        await service.publish(update("A", bid="1.01"), update("B", bid="2.01"))
        await client.until_value("A", "bid", "1.01")
        assert await client.tell("values", symbol="B") == {}
        with pytest.raises(AssertionError, match=r"2 patterns; this connection may have 1; subscribe fewer"):
            await client.tell("subscribe", **{"as": "c", "names": ["C*"]})
        with pytest.raises(AssertionError, match="10001 symbols and patterns; this connection may have 100"):
            await client.tell("subscribe", **{"as": "d", "names": [f"S{number}" for number in range(10_000)]})


@BOTH
async def test_the_first_change_is_complete_however_many_parts_bring_it(transport: str) -> None:
    symbols = [f"S{number}" for number in range(500)]
    market: list[Publication] = [*map(Instrument, symbols), *[update(symbol, bid=1) for symbol in symbols]]
    async with (
        serving(*market, limits=Limits(snapshot_part=7)) as service,
        program(service.url, transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "all", "names": ["*"]})
        event = await client.until(lambda told: "event" in told)
        assert len(event["changes"]) == 500
        assert len(await client.change("all")) == 500
        await client.tell("subscribe", **{"as": "some", "names": ["S1*"]})
        assert len(await client.change("some")) == 111


@BOTH
async def test_a_name_or_pattern_without_an_instrument_is_reported_once(transport: str) -> None:
    timing = {"unmatchedMs": 400}
    async with (
        serving(*DECLARED) as service,
        program(service.url, transport=transport, timing=timing) as client,
    ):
        await client.tell("subscribe", **{"as": "s", "names": ["A", "B*", "Z", "Q*"]})
        names = {(await client.until(lambda told: "unmatched" in told))["unmatched"] for _ in range(2)}
        assert names == {"Z", "Q*"}
        await client.tell("subscribe", **{"as": "t", "names": ["Y"]})
        assert (await client.until(lambda told: "unmatched" in told))["unmatched"] == "Y"


@BOTH
async def test_a_search_needs_no_subscription(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        first = {"symbol": "A", "priceScale": 2, "sizeScale": 0, "metadata": {"name": "The first"}}
        second = {"symbol": "B", "priceScale": 2, "sizeScale": 0, "metadata": {}}
        assert await client.tell("search", match="*") == {"instruments": [first, second], "more": False}
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_state("connected")
        assert await client.tell("search", match="*", after="A") == {"instruments": [second], "more": False}
        assert await client.tell("search", match="A") == {"instruments": [first], "more": False}
        assert await client.tell("search", match="*", text="a") == {"instruments": [first], "more": False}


async def test_a_websocket_tells_how_it_fares() -> None:
    async with serving(*DECLARED) as service, program(service.url) as client:
        await client.until_state("connected")
        assert await client.tell("ping") >= 0
        assert (await client.tell("stats"))["cut"] >= 1


async def test_an_interval_spares_the_client_what_lies_between() -> None:
    async with serving(*DECLARED) as service, program(service.url, intervalMs=60_000) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_value("A", "bid", "1.00")
        for number in range(20):
            await service.publish(update("A", bid=f"3.{number:02}"))
        await client.tell("subscribe", **{"as": "b", "names": ["B"]})  # the reply to a request is not held back
        await client.until_value("B", "bid", "2.00")
        seen = [
            told["changes"]["A"]["bid"] for told in client.told if "A" in told.get("changes", {}) and "event" in told
        ]
    assert len(seen) <= 4


@BOTH
async def test_a_loop_that_is_slow_gets_merged_changes_and_a_late_one_all_that_is_there(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"], "idle": True})
        await client.until(lambda told: told.get("event") == "a")
        await service.publish(update("A", bid="4.00"))
        await service.publish(update("A", ask="4.10"))
        await client.until(lambda told: told.get("event") == "a" and "ask" in told["changes"]["A"])
        await client.tell("iterate", **{"as": "a"})
        changes = await client.change("a")
    assert changes == {"A": {"bid": "4.00", "ask": "4.10", "note": "steady"}}


@BOTH
async def test_the_end_ends_the_loops(transport: str) -> None:
    async with serving(*DECLARED) as service, program(service.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.change("a")
        await client.tell("close")
        assert (await client.tell("figures"))["state"] == "closed"
        assert {"ended": "a"} in client.told
        await client.tell("subscribe", **{"as": "late", "names": ["A"]})
        await client.until(lambda told: told.get("ended") == "late")


# Lost connections


@BOTH
async def test_after_a_cut_only_what_changed_comes_again(transport: str) -> None:
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        program(proxy.url, transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "a", "names": ["A", "B"]})
        await client.until_value("B", "bid", "2.00")
        await _settled(client, service)
        proxy.open = False
        proxy.cut()
        told = await client.until_state("waiting")
        assert 125 <= told["retryMs"] <= 250
        await service.publish(update("A", bid="1.01"))
        await service.publish(update("A", bid="1.02"))
        proxy.open = True
        assert (await client.until_state("connected"))["resumed"] is True
        assert await client.change("a") == {"A": {"bid": "1.02"}}
        await service.publish(update("B", bid="2.02"))
        assert await client.change("a") == {"B": {"bid": "2.02"}}


async def _settled(client: Program, service: Running) -> None:
    """Wait until the client has the reply to its subscription, which stands before the next delta."""
    await service.publish(update("B", note="settled"))
    await client.until_value("B", "note", "settled")


@BOTH
async def test_names_that_change_while_the_client_is_away_are_right_afterwards(transport: str) -> None:
    async with (
        serving(*DECLARED) as service,
        proxied(service) as proxy,
        program(proxy.url, transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_value("A", "bid", "1.00")
        proxy.open = False
        proxy.cut()
        await client.until_state("waiting")
        await client.tell("unsubscribe", **{"as": "a"})
        await client.tell("subscribe", **{"as": "b", "names": ["B"]})
        proxy.open = True
        await client.until_value("B", "bid", "2.00")
        assert await client.tell("values", symbol="A") == {}


@BOTH
async def test_a_new_epoch_brings_everything_anew_and_withdraws_what_is_gone(transport: str) -> None:
    async with serving(*DECLARED) as first, proxied(first) as proxy, program(proxy.url, transport=transport) as client:
        await client.tell("subscribe", **{"as": "all", "names": ["*"]})
        await client.until_value("B", "bid", "2.00")
        async with serving(Instrument("A", price_scale=3), update("A", bid="7")) as second:
            proxy.target = second.port
            proxy.cut()
            assert (await client.until_state("connected"))["resumed"] is False
            await client.until(lambda told: "event" in told and told["changes"].get("B") == {"bid": None})
            assert await client.tell("values", symbol="A") == {"bid": "7.000"}
            brought = [told["changes"]["A"] for told in client.told if "A" in told.get("changes", {})]
            assert brought[-1] == {"bid": "7.000", "ask": None, "note": None}
            assert await client.tell("instrument", symbol="B") is None


async def test_a_connection_on_which_nothing_is_heard_is_given_up() -> None:
    limits = Limits(heartbeat_seconds=0.5)
    async with serving(*DECLARED, limits=limits) as service, proxied(service) as proxy, program(proxy.url) as client:
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_value("A", "bid", "1.00")
        proxy.stall()
        assert (await client.until_state("waiting"))["reason"] == "nothing was heard for 1 s"
        proxy.flow()
        assert (await client.until_state("connected"))["resumed"] is True


@BOTH
async def test_a_server_that_stops_says_when_to_come_back(transport: str) -> None:
    async with (
        serving(*DECLARED, retry_ms=(1500, 1600)) as service,
        program(service.url, transport=transport) as client,
    ):
        await client.tell("subscribe", **{"as": "a", "names": ["A"]})
        await client.until_value("A", "bid", "1.00")
        service.stop.set()
        told = await client.until_state("waiting")
    assert told["reason"] == "the server is stopping"
    assert told.get("closeCode") == (1001 if transport == "websocket" else None)
    assert 1500 <= told["retryMs"] <= 1600

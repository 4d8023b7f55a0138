"""ticker_feeds/venues/connection.py: connections to venues that fail in every way, as clients of the service see it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.feeds.test_coinbase import SPEC, begin, heartbeat, match, subscriptions, ticker
from tests.feeds.venue_server import VenueServer, followed, option_ca, venue
from tests.net.pair import sockets
from ticker.errors import ConfigError
from ticker.market import MAX_BATCH, MAX_SYMBOL, FeedItem, Instrument, Trade, Update
from ticker_feeds.venues import Request, Venue, VenueClosed, VenueSilent, VenueState, VenueUnreachable
from ticker_feeds.venues.coinbase import Coinbase, CoinbaseTracker


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"symbols": ""}, "symbols: '' cannot be a symbol"),
        ({"symbols": "A-B,,C-D"}, "symbols: '' cannot be a symbol"),
        ({"symbols": "A*B"}, r"symbols: 'A\*B' cannot be a symbol"),
        ({"symbols": "A-B", "prefix": "x" * MAX_SYMBOL}, "cannot be a symbol"),
        ({"symbols": "A-B,a-b"}, "symbols: A-B is given twice"),
        ({"symbols": "A-B", "url": "http://127.0.0.1"}, "give wss://HOST"),
        ({"symbols": "A-B", "url": "wss://"}, "give wss://HOST"),
        ({"symbols": "A-B", "ca": "/nowhere/ca.pem"}, "ca '/nowhere/ca.pem': No such file"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        Coinbase(**options)


def test_spaces_in_symbols_and_prefixes_are_encoded_in_the_published_symbols_only() -> None:
    assert Coinbase(symbols="A B,C", prefix="my venue:").names == {"A B": "my%20venue:A%20B", "C": "my%20venue:C"}


def test_a_file_without_authorities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca .*ca\.pem"):
        Coinbase(symbols="A-B", ca=str(tmp_path / "ca.pem"))


def feed(server: VenueServer | str, ca: str | None = "") -> Coinbase:
    """A feed of this venue; without `ca` it trusts nobody that it should not."""
    url = server if isinstance(server, str) else server.url
    return Coinbase(symbols="BTC-USD,ETH-USD", url=url, ca=option_ca().removeprefix("ca=") if ca == "" else ca)


def channel() -> tuple[trio.MemorySendChannel[FeedItem], trio.MemoryReceiveChannel[FeedItem]]:
    return trio.open_memory_channel[FeedItem](1_000)


async def test_a_venue_that_is_not_there_is_named() -> None:
    server, client = sockets()
    with server, client:
        nobody = f"wss://127.0.0.1:{client.getsockname()[1]}"
    with pytest.raises(VenueUnreachable, match=nobody):
        await feed(nobody).run(channel()[0])


async def test_a_venue_that_cannot_prove_who_it_is_gets_nothing() -> None:
    async with venue() as server:
        with pytest.raises(VenueUnreachable, match="certificate verify failed"):
            await feed(server, ca=None).run(channel()[0])


async def test_a_run_that_is_cancelled_ends_and_the_next_one_starts_anew() -> None:
    async with venue() as server:
        coinbase = feed(server)
        for _ in range(2):
            send, receive = channel()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(coinbase.run, send)
                connection = await server.accept()
                await begin(connection)
                await connection.send(match("BTC-USD", 101))
                items = [await receive.receive() for _ in range(7)]
                nursery.cancel_scope.cancel()
            await connection.closed.wait()
            described = {"venue": "coinbase", "base": "BTC", "currency": "USD"}
            assert items[0] == [
                Instrument("BTC-USD", 0, 0, described),
                Instrument("ETH-USD", 0, 0, {**described, "base": "ETH"}),
            ]
            seen = [each for item in items[1:] if isinstance(item, list) for each in item]
            assert [each.fields.get("status") for each in seen if isinstance(each, Update)] == ["live", "live"]
            assert [each.id for each in seen if isinstance(each, Trade)] == [100, 100, 101]
            assert items[1] == []
        assert coinbase.counters == {"reconnects": 1}


async def test_how_the_venue_closes_is_told() -> None:
    async with venue() as server, trio.open_nursery() as nursery:

        async def close() -> None:
            connection = await server.accept()
            await connection.close(1013, "try again later")

        nursery.start_soon(close)
        with pytest.raises(VenueClosed, match="the venue closed the connection: 1013 try again later"):
            await feed(server).run(channel()[0])


async def test_a_connection_on_which_nothing_comes_is_given_up_without_a_service_as_well(fast_clock: MockClock) -> None:
    async with venue() as server, trio.open_nursery() as nursery:

        async def fall_silent() -> None:
            await begin(await server.accept())
            await wait_all_tasks_blocked(0.1)
            fast_clock.jump(13)

        nursery.start_soon(fall_silent)
        with pytest.raises(VenueSilent, match=r"nothing came on the connection for 12\.5 s"):
            await feed(server).run(channel()[0])


async def test_a_service_that_is_slow_to_take_what_came_is_no_silence(fast_clock: MockClock) -> None:
    async with venue() as server, trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[FeedItem](0)
        nursery.start_soon(feed(server).run, send)
        await receive.receive()
        await begin(await server.accept())
        await wait_all_tasks_blocked(0.1)
        for _ in range(3):
            fast_clock.jump(20)
            await wait_all_tasks_blocked(0.1)
            await receive.receive()
        nursery.cancel_scope.cancel()


CLOSES = [1000, 1001, 1006, 1008, 1011, 1012, 4000]


@pytest.mark.parametrize("code", CLOSES)
async def test_a_closed_connection_is_made_again_and_prices_are_stale_in_between(code: int) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection)
        await watcher.until("ETH-USD", bid="100.4", status="live")
        await (connection.drop() if code == 1006 else connection.close(code))
        again = await server.accept()
        await watcher.until("BTC-USD", status="stale")
        await begin(again)
        await again.send(ticker("BTC-USD", 120))
        await watcher.until("BTC-USD", bid="120.4", status="live", reason=None)
        await watcher.until("ETH-USD", bid="100.4", status="live", reason=None)
        told = watcher.statuses["BTC-USD"]
        assert told[0] == told[-1] == ("live", None)
        assert set(told[1:-1]) <= {("stale", "feed_down"), ("stale", "reconnecting")}


async def test_a_half_open_connection_is_noticed_and_no_other_feed_suffers(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        await begin(await server.accept())
        await watcher.until("ETH-USD", bid="100.4", status="live")
        server.proxy.stall()
        await wait_all_tasks_blocked(0.1)
        fast_clock.jump(11)
        await watcher.until("BTC-USD", status="stale")
        await watcher.until("ETH-USD", status="stale")
        server.proxy.flow()
        await begin(await server.accept())
        await watcher.until("BTC-USD", bid="100.4", status="live", reason=None)
        # The wait before the next try is random: it can be too short for a client to be told of both.
        assert set(watcher.statuses["BTC-USD"][1:-1]) <= {("stale", "feed_silent"), ("stale", "reconnecting")}


async def test_heartbeats_keep_a_quiet_venue_live(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection)
        await watcher.until("ETH-USD", bid="100.4", status="live")
        for _ in range(4):
            fast_clock.jump(6)
            await connection.send(heartbeat("BTC-USD", 100))
            await wait_all_tasks_blocked(0.1)
        await connection.send(ticker("BTC-USD", 101))
        await watcher.until("BTC-USD", bid="101.4")
        assert watcher.statuses["BTC-USD"] == [("live", None)]


async def test_a_subscription_that_is_not_answered_in_time_starts_the_feed_again(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await connection.request()
        await connection.send(ticker("BTC-USD", 100))
        await watcher.until("BTC-USD", bid="100.4", status="live")
        fast_clock.jump(6)
        await connection.closed.wait()
        await watcher.until("BTC-USD", status="stale")
        await begin(await server.accept())
        await watcher.until("ETH-USD", bid="100.4", status="live", reason=None)


async def test_an_answer_that_is_late_but_in_time_is_an_answer(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await connection.request()
        await wait_all_tasks_blocked(0.1)
        fast_clock.jump(4)
        await connection.send(subscriptions("BTC-USD", "ETH-USD"), ticker("BTC-USD", 100), ticker("ETH-USD", 100))
        await watcher.until("ETH-USD", bid="100.4", status="live")
        fast_clock.jump(4)
        await wait_all_tasks_blocked(0.1)
        await connection.send(ticker("ETH-USD", 101))
        await watcher.until("ETH-USD", bid="101.4")
        assert watcher.statuses["ETH-USD"] == [("live", None)]


async def test_data_can_stand_for_an_answer_that_never_comes(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await connection.request()
        await connection.send(ticker("BTC-USD", 100), ticker("ETH-USD", 100))
        await watcher.until("ETH-USD", bid="100.4", status="live")
        fast_clock.jump(6)
        await wait_all_tasks_blocked(0.1)
        await connection.send(ticker("ETH-USD", 101))
        await watcher.until("ETH-USD", bid="101.4")
        assert watcher.statuses["ETH-USD"] == [("live", None)]


async def test_a_symbol_that_is_promised_but_never_comes_is_stale_until_it_does(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await connection.request()
        await connection.send(subscriptions("BTC-USD", "ETH-USD"), ticker("BTC-USD", 100))
        await watcher.until("BTC-USD", bid="100.4", status="live")
        fast_clock.jump(6)
        await watcher.until("ETH-USD", status="stale", reason="no_data")
        await connection.send(ticker("ETH-USD", 100))
        await watcher.until("ETH-USD", bid="100.4", status="live", reason=None)
        assert watcher.statuses["BTC-USD"] == [("live", None)]


async def test_garbage_is_skipped_and_makes_stale_what_it_names() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection)
        await connection.send("", "{", "[]", b"\xff\x00", "null", "[" * 50_000, {"type": "ticker"}, {"type": {}})
        await connection.send(ticker("BTC-USD", 101, trade_id="?"))
        await watcher.until("BTC-USD", status="stale", reason="bad_message", bid="100.4")
        await connection.send(match("BTC-USD", 101))
        await watcher.until("BTC-USD", last="101.5")
        assert watcher.value("BTC-USD", "status") == "stale"
        await connection.send(ticker("BTC-USD", 102, best_bid="?"))
        await watcher.until("BTC-USD", bid=None, ask="102.6", status="live", reason=None)
        await connection.send(ticker("BTC-USD", 103))
        await watcher.until("BTC-USD", bid="103.4", status="live", reason=None)
        assert watcher.statuses["ETH-USD"] == [("live", None)]


async def test_messages_that_come_byte_by_byte_arrive() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        connection.stream.drips = True
        await begin(connection)
        await connection.send(ticker("BTC-USD", 101))
        await watcher.until("BTC-USD", bid="101.4", status="live")
        await watcher.until("ETH-USD", bid="100.4", status="live")


async def test_a_connection_that_breaks_within_a_message_brings_nothing_of_it() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection)
        await watcher.until("ETH-USD", bid="100.4", status="live")
        connection.stream.breaks = True
        await connection.send(ticker("BTC-USD", 101))
        again = await server.accept()
        await watcher.until("BTC-USD", status="stale")
        await begin(again)
        await watcher.until("ETH-USD", status="live", reason=None)
        await watcher.until("BTC-USD", bid="100.4", status="live", reason=None)


async def test_each_gap_is_asked_about_once_and_not_faster_than_the_venue_may_be_asked(
    autojump_clock: MockClock,  # noqa: ARG001  # the clock of the test
) -> None:
    names = {f"S{number}-USD": f"S{number}-USD" for number in range(200)}
    state = VenueState(names, Counter())
    tracker = CoinbaseTracker(state)
    coinbase = Coinbase(symbols=",".join(names))
    requests, waiting = trio.open_memory_channel[Request](math.inf)
    waiting_at_most = 0
    for _ in range(3):
        for symbol in names:
            state.mark_gap(symbol)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(coinbase._request_snapshots, tracker, requests)
            sent: list[Any] = []
            while len(sent) < 2 * len(names):
                await trio.sleep(coinbase.request_seconds)
                waiting_at_most = max(waiting_at_most, waiting.statistics().current_buffer_used)
                with suppress(trio.WouldBlock):
                    sent.append(waiting.receive_nowait())
            await trio.sleep(100)
            assert waiting.statistics().current_buffer_used == 0
            nursery.cancel_scope.cancel()
        assert sorted(each["product_ids"][0] for each in sent[::2]) == sorted(names)
        for symbol in names:
            state.update(symbol, {"bid": "1"}, full_quote=True)
    assert 0 < waiting_at_most <= 22


async def test_a_gap_that_follows_a_repair_between_two_looks_is_another_one(
    autojump_clock: MockClock,  # noqa: ARG001  # the clock of the test
) -> None:
    state = VenueState({"A-B": "A-B"}, Counter())
    requests, waiting = trio.open_memory_channel[Request](math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Coinbase(symbols="A-B")._request_snapshots, CoinbaseTracker(state), requests)
        state.mark_gap("A-B")
        await trio.sleep(10.5)
        assert waiting.statistics().current_buffer_used == 2
        state.update("A-B", {"bid": "1"}, full_quote=True)
        state.mark_gap("A-B")
        await trio.sleep(600)
        assert waiting.statistics().current_buffer_used == 4
        nursery.cancel_scope.cancel()


class Vast(Venue):
    """A venue that nobody reaches: its publications before the connection are all there are."""

    NAME = "vast"

    def __init__(self, symbols: str) -> None:
        super().__init__(symbols, "", "wss://127.0.0.1", None)

    async def follow(self, updates: trio.abc.SendChannel[FeedItem], state: VenueState) -> None:
        """Nothing follows."""


async def test_any_number_of_instruments_is_declared_in_batches_that_the_service_takes() -> None:
    symbols = [f"S{number}" for number in range(MAX_BATCH + 1)]
    sending, receiving = trio.open_memory_channel[FeedItem](100)
    async with sending:
        await Vast(",".join(symbols)).run(sending)
    items = [list(cast("Sequence[Instrument]", item)) async for item in receiving]
    assert max(map(len, items)) <= MAX_BATCH
    assert [each.symbol for item in items for each in item] == symbols

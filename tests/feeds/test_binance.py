"""ticker_feeds/venues/binance.py: parsing of its messages, and the service with a local Binance."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.feeds.venue_server import ServedConnection, VenueServer, followed, option_ca, venue
from ticker.errors import ConfigError
from ticker.market import FeedItem, Publication, Stale, Trade, Update, Value
from ticker_feeds.venues import BadMessage, VenueClosed, VenueRefused, VenueState, binance
from ticker_feeds.venues.binance import Binance, BinanceTracker, parse

RECORDINGS = os.environ.get("TICKER_RECORDINGS")

MILLISECONDS = 1_714_979_289_123


def combined(stream: str, symbol: str, data: dict[str, object]) -> dict[str, object]:
    return {"stream": f"{symbol.lower()}@{stream}", "data": data}


def quote(symbol: str, number: int, **more: object) -> dict[str, object]:
    """A quote of spot, with its number as prices."""
    data = {
        "u": number,
        "s": symbol,
        "b": f"{number}.40000000",
        "B": "0.00100000",
        "a": f"{number}.60000000",
        "A": "2.5",
    }
    return combined("bookTicker", symbol, {**data, **more})


def trade(symbol: str, number: int, **more: object) -> dict[str, object]:
    data = {"e": "trade", "E": MILLISECONDS + 1, "s": symbol, "t": number, "p": f"{number}.50000000", "q": "0.25000000"}
    return combined("trade", symbol, {**data, "T": MILLISECONDS, "m": True, "M": True, **more})


def day(symbol: str, **more: object) -> dict[str, object]:
    data = {
        "e": "24hrMiniTicker",
        "E": MILLISECONDS,
        "s": symbol,
        "c": "150.0",
        "o": "140.5",
        "h": "160",
        "l": "130.25",
    }
    return combined("miniTicker", symbol, {**data, "v": "1000.00100000", "q": "150000", **more})


def stated(message: object) -> Mapping[str, Value]:
    """The fields of the only update in a message."""
    [update] = parse(json.dumps(message))
    assert isinstance(update, Update)
    return update.fields


def test_a_quote_of_spot_states_prices_and_sizes_as_they_are_written() -> None:
    fields = {"bid": "7.40000000", "bid_size": "0.00100000", "ask": "7.60000000", "ask_size": "2.5"}
    assert parse(json.dumps(quote("BTCUSDT", 7))) == [Update("BTCUSDT", fields)]


def test_a_quote_of_the_futures_states_the_time_as_well() -> None:
    message = quote("BTCUSDT", 7, e="bookTicker", T=MILLISECONDS, E=MILLISECONDS + 5)
    assert stated(message)["time"] == 1_000 * MILLISECONDS


@pytest.mark.parametrize(("key", "name"), [("b", "bid"), ("B", "bid_size"), ("a", "ask"), ("A", "ask_size")])
def test_a_quote_without_a_value_withdraws_its_field(key: str, name: str) -> None:
    message = quote("BTCUSDT", 7)
    del message["data"][key]  # type: ignore[attr-defined]
    fields = stated(message)
    assert fields[name] is None
    assert sum(value is not None for value in fields.values()) == 3


@pytest.mark.parametrize(("buyer_made", "side"), [(True, "sell"), (False, "buy"), (None, None), ("yes", None)])
def test_a_trade_is_a_print_with_the_side_that_took(buyer_made: object, side: str | None) -> None:
    printed = Trade("BTCUSDT", "7.50000000", "0.25000000", side, 1_000 * MILLISECONDS, 7)
    assert parse(json.dumps(trade("BTCUSDT", 7, m=buyer_made))) == [printed]
    assert parse(json.dumps(trade("BTCUSDT", 7, m=buyer_made, X="MARKET")["data"])) == [printed]


def test_a_trade_with_a_time_that_cannot_be_read_has_none() -> None:
    assert parse(json.dumps(trade("BTCUSDT", 7, T="now")))[0] == Trade(
        "BTCUSDT", "7.50000000", "0.25000000", "sell", None, 7
    )


def test_what_is_no_trade_on_the_market_states_nothing() -> None:
    assert parse(json.dumps(trade("BTCUSDT", 7, p="0", q="0", X="NA"))) == []


def test_statistics_of_the_day_are_stated() -> None:
    day_of: dict[str, Value] = {"last": "150.0", "open": "140.5", "high": "160", "low": "130.25"}
    day_of |= {"volume": "1000.00100000", "time": 1_000 * MILLISECONDS}
    assert parse(json.dumps(day("BTCUSDT"))) == [Update("BTCUSDT", day_of)]
    full = day("BTCUSDT", e="24hrTicker", Q="0.5", n=77, b="1", a="2")
    assert parse(json.dumps(full)) == [Update("BTCUSDT", {**day_of, "last_size": "0.5", "trade_count": 77})]


def test_a_side_without_offers_is_none() -> None:
    fields = stated(quote("BTCUSDT", 7, a="0.00000000", A="0.00000000"))
    assert (fields["bid"], fields["ask"], fields["ask_size"]) == ("7.40000000", None, None)


def test_messages_without_prices_state_nothing() -> None:
    book = {"lastUpdateId": 1, "bids": [], "asks": []}
    for message in ({"result": None, "id": 1}, {"e": "serverShutdown", "E": 1}, {"e": ["trade"]}, book, {}):
        assert parse(json.dumps(message)) == []


@pytest.mark.parametrize(
    ("message", "symbol"),
    [
        ([], None),
        ({"stream": "a@trade"}, None),
        ({"stream": "a@trade", "data": "x"}, None),
        (trade("A", 1, s=None), None),
        (quote("A", 1, b=None, a=None), "A"),
        (trade("A", 1, p=None), "A"),
        (trade("A", 1, q=None), "A"),
        (trade("A", 1, p=float("inf")), None),
        (day("A", c=None), "A"),
    ],
)
def test_a_message_that_is_not_as_documented_is_refused_and_names_its_symbol(message: object, symbol: object) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(json.dumps(message))
    assert caught.value.symbol == symbol


def test_a_value_that_cannot_be_read_is_handed_over_and_costs_no_other_one() -> None:
    assert stated(quote("A", 1, b="oops", B=None, T="now")) == {
        "bid": "oops",
        "bid_size": None,
        "ask": "1.60000000",
        "ask_size": "2.5",
        "time": "'now'",
    }


def test_a_symbol_that_was_not_traded_within_the_day_has_no_prices_of_it() -> None:
    fields = stated(day("A", o="0.00000000", h="0", l="0.0", v="0"))
    assert (fields["last"], fields["open"], fields["high"], fields["low"]) == ("150.0", None, None, None)
    assert fields["volume"] == "0"


def test_times_in_microseconds_are_recognised() -> None:
    microseconds = 1_000 * MILLISECONDS + 456
    for message in (day("A", E=microseconds), quote("A", 1, T=microseconds)):
        assert stated(message)["time"] == microseconds
    [printed] = parse(json.dumps(trade("A", 1, T=microseconds)))
    assert isinstance(printed, Trade)
    assert printed.time == microseconds


KEYS = {
    "bookTicker": {"b": "bid", "B": "bid_size", "a": "ask", "A": "ask_size"},
    "trade": {"p": "last", "q": "last_size"},
    "depth": {},
}


def values(publication: Update | Trade) -> dict[str, object]:
    """The fields that a publication brings; of a print, with its side and number."""
    if isinstance(publication, Update):
        return {name: Decimal(value) for name, value in publication.fields.items() if value is not None}
    _, price, size, side, time, number = publication
    return {"last": Decimal(price), "last_size": Decimal(size), "side": side, "time": time, "id": number}


def check(raw: str) -> str:
    """Check a recorded message against an independent reading; return its kind."""
    message: dict[str, Any] = json.loads(raw)
    kind = message["stream"].split("@")[1] if "stream" in message else "snapshot"
    updates = parse(raw)
    if kind in {"depth", "snapshot"}:
        assert updates == []
        return kind
    [publication] = updates
    data = message["data"]
    assert publication.symbol == data["s"]
    wanted: dict[str, object] = {field: Decimal(data[key]) for key, field in KEYS[kind].items()}
    if "T" in data:
        wanted["time"] = data["T"] * 1000
    if kind == "trade":
        wanted |= {"side": "sell" if data["m"] else "buy", "id": data["t"]}
    assert values(publication) == wanted
    return kind


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize("kind", ["bookTicker", "depth", "rest_depth_snapshot", "trade"])
def test_every_recorded_message_parses_to_what_it_states(kind: str) -> None:
    for connection in Path(f"{RECORDINGS}/messages/binance-spot-2024/{kind}.jsonl").read_text().splitlines():
        assert check(connection) in kind


@pytest.mark.untraced
@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize(
    ("file", "quotes", "trades"),
    [("spot-btcusdt", 28_040, 9_757), ("spot-ethusdt", 24_077, 6_106), ("usdm-ethusdt", 53_992, 14_076)],
)
def test_every_recorded_tick_parses_to_what_it_states_and_none_is_missing(file: str, quotes: int, trades: int) -> None:
    tracked, counters = tracker("BTCUSDT", "ETHUSDT")
    kinds: Counter[str] = Counter()
    with gzip.open(f"{RECORDINGS}/ticks/{file}_20240808.gz", "rt") as lines:
        for connection in lines:
            raw = connection.split(" ", 1)[1]
            kinds[check(raw)] += 1
            tracked.take(raw)
    assert (kinds["bookTicker"], kinds["trade"]) == (quotes, trades)
    assert counters == {}


def tracker(*symbols: str) -> tuple[BinanceTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    state = VenueState({symbol: f"b:{symbol}" for symbol in symbols}, counters)
    return BinanceTracker(state, symbols, ["bookTicker", "trade", "miniTicker"]), counters


def requests(tracked: BinanceTracker) -> list[Any]:
    return [*tracked.outbox]


def take(tracked: BinanceTracker, *messages: object) -> list[Publication]:
    return [each for message in messages for each in tracked.take(json.dumps(message))]


def test_a_request_that_is_refused_is_made_again_for_each_half_until_the_symbol_is_found() -> None:
    tracked, counters = tracker("A", "B", "C")
    [first] = requests(tracked)
    assert first["params"] == [f"{symbol}@{name}" for symbol in "abc" for name in ("bookTicker", "trade", "miniTicker")]
    take(tracked, {"error": {"code": 2, "msg": "Invalid request"}, "id": first["id"]})
    half, rest = requests(tracked)[1:]
    assert half["params"] == [f"{symbol}@{name}" for symbol in "ab" for name in ("bookTicker", "trade", "miniTicker")]
    take(tracked, {"result": None, "id": half["id"]})
    refused = take(tracked, {"code": 2, "msg": "Invalid request", "id": rest["id"]})
    assert refused == [Stale("b:C", "refused")]
    assert not tracked.pending
    assert counters == {"refused": 1}


def test_a_refusal_that_meets_all_symbols_is_raised() -> None:
    tracked, _ = tracker("A", "B")
    take(tracked, {"error": {"code": 3, "msg": "Too many requests"}, "id": 1}, {"code": 3, "msg": "No", "id": 2})
    with pytest.raises(VenueRefused, match="Too many"):
        take(tracked, {"error": {"code": 3, "msg": "Too many requests"}, "id": 3})


def test_a_quote_whose_number_falls_because_the_venue_has_started_again_is_new() -> None:
    tracked, counters = tracker("A")
    take(tracked, quote("A", 5_000))
    [spot] = take(tracked, quote("A", 7))
    take(tracked, quote("A", 8, T=MILLISECONDS), quote("A", 5_000, T=MILLISECONDS))
    [futures] = take(tracked, quote("A", 4_000, T=MILLISECONDS + 60_000))
    assert isinstance(spot, Update)
    assert isinstance(futures, Update)
    assert (spot.fields["bid"], futures.fields["bid"]) == ("7.40000000", "4000.40000000")
    assert counters == {"renumbered": 2}


def test_a_trade_whose_number_falls_at_a_later_time_is_new() -> None:
    tracked, counters = tracker("A")
    take(tracked, trade("A", 5_000))
    [printed] = take(tracked, trade("A", 4_000, T=1_000 * (MILLISECONDS + 60_000)))
    assert isinstance(printed, Trade)
    assert printed.price == "4000.50000000"
    assert counters == {"renumbered": 1}


def test_numbers_that_are_missing_are_no_error() -> None:
    tracked, counters = tracker("A")
    assert len(take(tracked, quote("A", 5), quote("A", 6, u=None), trade("A", 5), trade("A", 6, t=None))) == 4
    assert counters == {}


def test_answers_to_nothing_and_symbols_that_were_not_asked_for_are_nothing_to_us() -> None:
    tracked, _ = tracker("A")
    nothing = [{"result": None, "id": 99}, {"result": None, "id": None}, {"result": None, "id": []}]
    assert take(tracked, *nothing, quote("B", 1), trade("B", 1), trade("B", 3), day("B")) == []
    assert tracked.pending == {1}


def test_numbers_that_are_spent_without_a_trade_are_no_gap() -> None:
    tracked, counters = tracker("A")
    take(tracked, trade("A", 1), trade("A", 2, p="0", q="0", X="NA"), trade("A", 3))
    assert counters == {}


def test_more_symbols_than_a_request_can_hold_are_asked_for_in_several() -> None:
    tracked, _ = tracker(*(f"S{number}" for number in range(40)))
    assert [len(request["params"]) for request in requests(tracked)] == [48, 48, 24]
    assert all(len(json.dumps(request)) < 4096 for request in requests(tracked))


def test_a_market_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="give spot, usdm or coinm"):
        Binance(symbols="A", market="options")


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, "wss://stream.binance.com:9443/stream"),
        ({"market": "coinm"}, "wss://dstream.binance.com/stream"),
        ({"url": "wss://stream.binance.us:9443/"}, "wss://stream.binance.us:9443/stream"),
        (
            {"url": "wss://stream.binance.com/?timeUnit=MICROSECOND"},
            "wss://stream.binance.com/stream?timeUnit=MICROSECOND",
        ),
    ],
)
def test_each_market_has_its_address_and_an_option_url_keeps_its_parameters(
    options: dict[str, Any], address: str
) -> None:
    assert Binance(symbols="BTCUSD_PERP", **options)._address("/stream") == address


SPEC = "ticker_feeds.venues.binance:Binance?symbols=btcusdt,ETHUSDT"

SPOT = ("bookTicker", "trade", "miniTicker", "depth20@100ms")
"""Streams of spot, with a server of which no REST is known."""


async def begin(connection: ServedConnection, *streams: str) -> None:
    """The subscription of these streams of both symbols is answered."""
    request = await connection.request()
    wanted = [f"{symbol}@{stream}" for symbol in ("btcusdt", "ethusdt") for stream in streams]
    assert (request["method"], request["params"]) == ("SUBSCRIBE", wanted)
    await connection.send({"result": None, "id": request["id"]})


async def begin_spot(connection: ServedConnection) -> None:
    assert connection.path == "/stream"
    await begin(connection, *SPOT)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        await connection.send(day(symbol), quote(symbol, 100), trade(symbol, 100))


async def test_prices_arrive_exactly_as_the_venue_wrote_them() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await connection.send(quote("BTCUSDT", 101, b="0.00001306"))
        await watcher.until("BTCUSDT", bid="0.00001306", ask="101.6", last="100.5", high="160", volume="1000.001")
        await watcher.until("ETHUSDT", bid="100.4", last="100.5", last_size="0.25", status="live")
        assert watcher.statuses["BTCUSDT"] == [("live", None)]


async def test_the_day_gives_the_last_price_only_until_there_is_a_trade() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection, *SPOT)
        await connection.send(day("BTCUSDT"))
        await watcher.until("BTCUSDT", last="150")
        await connection.send(trade("BTCUSDT", 7), day("BTCUSDT", c="1", h="170"))
        await watcher.until("BTCUSDT", last="7.5", high="170")


async def begin_futures(server: VenueServer) -> tuple[ServedConnection, ServedConnection]:
    """The connections to both entries, with their first data of BTCUSDT."""
    lines = {connection.path: connection for connection in (await server.accept(), await server.accept())}
    public, market = lines["/public/stream"], lines["/market/stream"]
    await begin(public, "bookTicker", "trade", "depth20@100ms")
    await begin(market, "miniTicker")
    await market.send(day("BTCUSDT"))
    await public.send(quote("BTCUSDT", 100, e="bookTicker", T=MILLISECONDS), trade("BTCUSDT", 7, X="MARKET"))
    return public, market


FUTURES = f"{SPEC}&market=usdm&prefix=usdm:"


async def test_the_two_entries_of_the_futures_make_one_instrument() -> None:
    async with followed(FUTURES, "*") as (server, watcher):
        await begin_futures(server)
        await watcher.until("usdm:BTCUSDT", bid="100.4", last="7.5", high="160", status="live")


async def test_a_lost_entry_of_the_futures_takes_its_own_fields_along_and_comes_back_alone() -> None:
    async with followed(FUTURES, "*") as (server, watcher):
        public, market = await begin_futures(server)
        await watcher.until("usdm:BTCUSDT", bid="100.4", last="7.5", high="160", status="live")
        await market.close(1001)
        await watcher.until("usdm:BTCUSDT", bid="100.4", last="7.5", high=None, volume=None, status="live")
        again = await server.accept()
        assert again.path == "/market/stream"
        await begin(again, "miniTicker")
        await again.send(day("BTCUSDT", h="170"))
        await watcher.until("usdm:BTCUSDT", bid="100.4", last="7.5", high="170", status="live")
        assert not public.closed.is_set()


async def test_after_a_reconnect_in_which_only_the_mini_ticker_speaks_the_old_quote_is_gone() -> None:
    async with followed(FUTURES, "*") as (server, watcher):
        public, market = await begin_futures(server)
        await watcher.until("usdm:BTCUSDT", bid="100.4", last="7.5", high="160", status="live")
        await public.close(1001)
        await watcher.until("usdm:BTCUSDT", status="stale", reason="reconnecting")
        await begin(await server.accept(), "bookTicker", "trade", "depth20@100ms")
        await market.send(day("BTCUSDT", h="170"))
        await watcher.until("usdm:BTCUSDT", status="live", reason=None, bid=None, ask=None, last="150", high="170")


async def test_spot_after_a_reconnect_in_which_only_the_mini_ticker_speaks_shows_no_old_quote() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await watcher.until("BTCUSDT", bid="100.4", last="100.5", status="live")
        await connection.close(1001)
        again = await server.accept()
        await begin(again, *SPOT)
        await watcher.until("BTCUSDT", status="stale")
        await again.send(day("BTCUSDT", h="170"))
        await watcher.until("BTCUSDT", status="live", reason=None, bid=None, ask=None, last="150", high="170")


async def test_one_broken_connection_makes_only_its_own_symbols_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "_STREAMS", 4)  # one symbol for each connection
    async with followed(SPEC, "*") as (server, watcher):
        lines = {}
        for connection in (await server.accept(), await server.accept()):
            request = await connection.request()
            lines[request["params"][0].partition("@")[0]] = connection
            await connection.send({"result": None, "id": request["id"]})
        await lines["btcusdt"].send(quote("BTCUSDT", 100))
        await lines["ethusdt"].send(quote("ETHUSDT", 100))
        await watcher.until("BTCUSDT", bid="100.4", status="live")
        await watcher.until("ETHUSDT", bid="100.4", status="live")
        await lines["btcusdt"].drop()
        await watcher.until("BTCUSDT", status="stale", reason="reconnecting")
        again = await server.accept()
        request = await again.request()
        assert request["params"][0] == "btcusdt@bookTicker"
        await again.send({"result": None, "id": request["id"]}, quote("BTCUSDT", 7))  # and it counts anew
        await watcher.until("BTCUSDT", bid="7.4", status="live", reason=None)
        await lines["ethusdt"].send(quote("ETHUSDT", 101))
        await watcher.until("ETHUSDT", bid="101.4")
        assert watcher.statuses["ETHUSDT"] == [("live", None)]


async def test_the_loss_of_all_connections_is_a_failure_of_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Binance, "retry_seconds", (60.0, 60.0))
    send, _receive = trio.open_memory_channel[FeedItem](100)
    async with venue() as server, trio.open_nursery() as nursery:

        async def drop_both() -> None:
            for connection in (await server.accept(), await server.accept()):
                await connection.drop()

        nursery.start_soon(drop_both)
        feed = Binance(symbols="btcusdt", market="usdm", url=server.url, ca=option_ca().removeprefix("ca="))
        with pytest.raises(VenueClosed, match="lost"):
            await feed.run(send)
    assert feed.counters == {"reconnects": 1}


async def test_coin_margined_futures_have_one_entry_for_all_streams() -> None:
    spec = "ticker_feeds.venues.binance:Binance?symbols=BTCUSD_PERP&market=coinm"
    async with followed(spec, "*") as (server, watcher):
        connection = await server.accept()
        assert connection.path == "/stream"
        request = await connection.request()
        assert request["params"] == [
            "btcusd_perp@bookTicker",
            "btcusd_perp@trade",
            "btcusd_perp@miniTicker",
            "btcusd_perp@depth20@100ms",
        ]
        pair = {"ps": "BTCUSD", "T": MILLISECONDS, "E": MILLISECONDS}
        await connection.send({"result": None, "id": request["id"]}, quote("BTCUSD_PERP", 5, e="bookTicker", **pair))
        await connection.send(trade("BTCUSD_PERP", 5, X="MARKET"), day("BTCUSD_PERP", ps="BTCUSD"))
        await watcher.until("BTCUSD_PERP", bid="5.4", last="5.5", high="160", time=1_000 * MILLISECONDS, status="live")


async def test_a_missing_trade_makes_its_symbol_alone_stale_until_the_next_quote() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await connection.send(trade("BTCUSDT", 103))
        await watcher.until("BTCUSDT", status="stale", reason="gap", last="103.5")
        await connection.send(day("BTCUSDT", h="170"))
        await watcher.until("BTCUSDT", high="170")
        assert watcher.value("BTCUSDT", "status") == "stale"
        await connection.send(quote("BTCUSDT", 103))
        await watcher.until("BTCUSDT", status="live", reason=None, bid="103.4", last=None)
        await connection.send(day("BTCUSDT", h="180"))
        await watcher.until("BTCUSDT", last="150", high="180", status="live")
        await watcher.until("ETHUSDT", bid="100.4")
        assert watcher.statuses["ETHUSDT"] == [("live", None)]


async def test_what_comes_twice_or_late_changes_nothing() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await connection.send(
            trade("BTCUSDT", 101), quote("BTCUSDT", 105), trade("BTCUSDT", 102), quote("BTCUSDT", 107)
        )
        await connection.send(
            quote("BTCUSDT", 105), trade("BTCUSDT", 102), quote("BTCUSDT", 107, b="1"), trade("BTCUSDT", 101)
        )
        await connection.send(quote("ETHUSDT", 107))
        await watcher.until("ETHUSDT", bid="107.4")
        await watcher.until("BTCUSDT", bid="107.4", last="102.5", status="live")
        assert watcher.statuses["BTCUSDT"] == [("live", None)]


async def test_a_symbol_that_the_venue_does_not_have_is_stale_and_the_others_go_on(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin(connection, *SPOT)
        await connection.send(quote("BTCUSDT", 100))
        await watcher.until("BTCUSDT", bid="100.4", status="live")
        fast_clock.jump(6)
        await watcher.until("ETHUSDT", status="stale", reason="no_data")
        await connection.send(quote("BTCUSDT", 101))
        await watcher.until("BTCUSDT", bid="101.4", status="live")


@pytest.mark.parametrize("cause", ["age", "shutdown"])
async def test_a_new_connection_takes_over_before_the_old_one_ends(
    cause: str, fast_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cause == "age":
        monkeypatch.setattr(Binance, "lifetime_seconds", (8.0, 8.0))
    async with followed(SPEC, "*") as (server, watcher):
        old = await server.accept()
        await begin_spot(old)
        await watcher.until("ETHUSDT", last="100.5", status="live")
        if cause == "shutdown":
            await old.send({"e": "serverShutdown", "E": MILLISECONDS})
        else:
            fast_clock.jump(9)
        new = await server.accept()
        await old.send(quote("BTCUSDT", 101), trade("BTCUSDT", 101))
        await watcher.until("BTCUSDT", bid="101.4", last="101.5")
        await begin(new, *SPOT)
        await old.closed.wait()
        await new.send(
            quote("BTCUSDT", 101, b="1"), trade("BTCUSDT", 101), quote("BTCUSDT", 102), trade("BTCUSDT", 102)
        )
        await watcher.until("BTCUSDT", bid="102.4", last="102.5")
        assert watcher.statuses["BTCUSDT"] == [("live", None)]


async def test_pings_keep_a_venue_live_that_has_nothing_to_say(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await watcher.until("ETHUSDT", last="100.5", status="live")
        for _ in range(5):
            await wait_all_tasks_blocked(0.1)
            fast_clock.jump(11)
        await wait_all_tasks_blocked(0.1)
        await connection.send(quote("ETHUSDT", 101))
        await watcher.until("ETHUSDT", bid="101.4")
        assert watcher.statuses["ETHUSDT"] == [("live", None)]


async def test_garbage_is_skipped_and_makes_stale_what_it_names() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await connection.send("{", {"stream": "x", "data": []}, b"\x80")
        await connection.send(quote("BTCUSDT", 101, b=None, a=None))
        await watcher.until("BTCUSDT", status="stale", reason="bad_message", bid="100.4")
        await connection.send(quote("BTCUSDT", 102), quote("ETHUSDT", 102))
        await watcher.until("BTCUSDT", bid="102.4", status="live", reason=None)
        await watcher.until("ETHUSDT", bid="102.4")
        assert watcher.statuses["ETHUSDT"] == [("live", None)]


async def test_a_value_that_cannot_be_read_is_withdrawn_and_the_others_apply() -> None:
    async with followed(SPEC, "*") as (server, watcher):
        connection = await server.accept()
        await begin_spot(connection)
        await watcher.until("BTCUSDT", ask_size="2.5", status="live")
        await connection.send(quote("BTCUSDT", 101, A="much"))
        await watcher.until("BTCUSDT", bid="101.4", ask="101.6", ask_size=None, status="live")

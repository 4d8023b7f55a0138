"""ticker_feeds/venues/coinbase.py: parsing of its messages, and the service with a local Coinbase."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.feeds.venue_server import ServedConnection, followed
from ticker.market import Publication, Stale, Trade, Update, Value
from ticker_feeds.venues import BadMessage, VenueRefused, VenueState
from ticker_feeds.venues.coinbase import CoinbaseTracker, parse

RECORDINGS = os.environ.get("TICKER_RECORDINGS")

TIME = "2024-05-06T07:08:09.123456Z"
MICROSECONDS = 1_714_979_289_123_456

SUBSCRIBE = {
    "type": "subscribe",
    "product_ids": ["BTC-USD", "ETH-USD"],
    "channels": ["ticker", "matches", "heartbeat"],
}


STATES = {"type": "subscribe", "channels": [{"name": "status"}]}

BOOKS = {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["level2_batch"]}


def ticker(symbol: str, trade: int, *, sequence: int | None = None, **more: object) -> dict[str, object]:
    """A ticker message; `sequence` is ten times the trade's number unless it is given."""
    return {
        "type": "ticker",
        "sequence": 10 * trade if sequence is None else sequence,
        "product_id": symbol,
        "price": f"{trade}.50",
        "open_24h": "90.00000000",
        "volume_24h": "12.34500000",
        "low_24h": "80.5",
        "high_24h": "120",
        "volume_30d": "1000.1",
        "best_bid": f"{trade}.40",
        "best_bid_size": "0.00100000",
        "best_ask": f"{trade}.60",
        "best_ask_size": "2",
        "side": "buy",
        "time": TIME,
        "trade_id": trade,
        "last_size": "0.25",
        **more,
    }


def match(symbol: str, trade: int, **more: object) -> dict[str, object]:
    return {
        "type": "match",
        "trade_id": trade,
        "maker_order_id": "m",
        "taker_order_id": "t",
        "side": "sell",
        "size": "0.25",
        "price": f"{trade}.50",
        "product_id": symbol,
        "sequence": 10 * trade,
        "time": TIME,
        **more,
    }


def heartbeat(symbol: str, trade: int) -> dict[str, object]:
    return {"type": "heartbeat", "sequence": 10 * trade, "last_trade_id": trade, "product_id": symbol, "time": TIME}


def subscriptions(*symbols: str) -> dict[str, object]:
    names = ("ticker", "matches", "heartbeat")
    return {"type": "subscriptions", "channels": [{"name": name, "product_ids": list(symbols)} for name in names]}


def fields_of(message: object) -> Mapping[str, Value]:
    """The fields of the only update in a message."""
    [update] = parse(json.dumps(message))
    assert isinstance(update, Update)
    return update.fields


def test_a_ticker_states_quotes_the_last_trade_the_day_and_the_time() -> None:
    assert parse(json.dumps(ticker("BTC-USD", 100))) == [
        Update(
            "BTC-USD",
            {
                "bid": "100.40",
                "bid_size": "0.00100000",
                "ask": "100.60",
                "ask_size": "2",
                "last": "100.50",
                "last_size": "0.25",
                "open": "90.00000000",
                "high": "120",
                "low": "80.5",
                "volume": "12.34500000",
                "time": MICROSECONDS,
            },
        )
    ]


@pytest.mark.parametrize("kind", ["match", "last_match"])
@pytest.mark.parametrize(("maker", "taker"), [("sell", "buy"), ("buy", "sell"), (None, None), ("x", None)])
def test_a_match_is_a_print_with_the_side_that_took(kind: str, maker: str | None, taker: str | None) -> None:
    assert parse(json.dumps(match("BTC-USD", 100, type=kind, side=maker))) == [
        Trade("BTC-USD", "100.50", "0.25", taker, MICROSECONDS, 100)
    ]


def test_a_side_without_offers_is_none() -> None:
    fields = fields_of(ticker("BTC-USD", 100, best_bid="0", best_bid_size="0.00000000"))
    assert (fields["bid"], fields["bid_size"], fields["ask"]) == (None, None, "100.60")


def test_messages_without_prices_state_nothing() -> None:
    for message in (subscriptions("A-B"), heartbeat("A-B", 1), {"type": "l2update"}, {"type": ["ticker"]}, {}):
        assert parse(json.dumps(message)) == []


@pytest.mark.parametrize(
    ("raw", "symbol"),
    [
        ("{", None),
        ("[1]", None),
        (b'{"type": "\xff"}', None),
        ("[" * 100_000, None),
        ('{"type": "ticker"}', None),
        ('{"type": "ticker", "product_id": ["A-B"]}', None),
        ('{"type": "ticker", "product_id": "A-B"}', "A-B"),
        (json.dumps(match("A-B", 1, price=None)), "A-B"),
    ],
)
def test_a_message_that_is_not_as_documented_is_refused_and_names_its_product(raw: str, symbol: str | None) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(raw)
    assert caught.value.symbol == symbol


def test_a_value_that_cannot_be_read_is_handed_over_and_costs_no_other_one() -> None:
    assert fields_of(ticker("A-B", 1, best_bid="1.5x", price=[], time="yesterday", last_size=None)) == {
        **fields_of(ticker("A-B", 1)),
        "bid": "1.5x",
        "last": [],
        "time": "'yesterday'",
        "last_size": None,
    }


def test_a_product_without_a_trade_yet_has_no_last_price() -> None:
    new = ticker("A-B", 1, price="0", last_size="0", open_24h="0", high_24h="0.00", low_24h="0", volume_24h="0")
    for key in ("sequence", "time", "trade_id"):
        del new[key]
    fields = fields_of(new)
    assert {name: value for name, value in fields.items() if value is not None} == {
        "bid": "1.40",
        "bid_size": "0.00100000",
        "ask": "1.60",
        "ask_size": "2",
        "volume": "0",
    }


TAKERS = {"buy": "sell", "sell": "buy"}


def stated(message: dict[str, Any]) -> dict[str, object]:
    """An independent reading of a message: names and values as decimals, times by way of the fraction alone."""
    names = {"best_bid": "bid", "best_ask": "ask", "price": "last", "last_size": "last_size", "size": "last_size"}
    names |= {"open_24h": "open", "high_24h": "high", "low_24h": "low", "volume_24h": "volume"}
    return {field: Decimal(message[key]) for key, field in names.items() if key in message}


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize(("kind", "rows"), [("ticker", 36), ("match", 33), ("last_match", 10)])
def test_every_recorded_message_parses_to_what_it_states(kind: str, rows: int) -> None:
    lines = Path(f"{RECORDINGS}/messages/coinbase-exchange/{kind}.jsonl").read_text().splitlines()
    assert len(lines) == rows
    for connection in lines:
        message = json.loads(connection)
        [publication] = parse(connection)
        if isinstance(publication, Trade):
            assert (publication.side, publication.id) == (TAKERS[message["side"]], message["trade_id"])
            fields: dict[str, Value] = {"last": publication.price, "last_size": publication.size}
            time: Value = publication.time
        else:
            fields = dict(publication.fields)
            time = fields.pop("time")
        assert isinstance(time, int)
        assert publication.symbol == message["product_id"]
        assert str(time)[-6:] == message["time"][-7:-1]
        assert {name: Decimal(value) for name, value in fields.items() if value is not None} == stated(message)


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize("kind", ["l2_snapshot", "l2_update", "subscriptions", "client_sent"])
def test_every_other_recorded_message_states_nothing(kind: str) -> None:
    for connection in Path(f"{RECORDINGS}/messages/coinbase-exchange/{kind}.jsonl").read_text().splitlines():
        assert parse(connection) == []


def tracker(*symbols: str) -> tuple[CoinbaseTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    return CoinbaseTracker(VenueState({symbol: f"cb:{symbol}" for symbol in symbols}, counters)), counters


def take(tracked: CoinbaseTracker, *messages: object) -> list[Publication]:
    return [each for message in messages for each in tracked.take(json.dumps(message))]


def test_a_heartbeat_tells_of_a_match_that_is_missing_once() -> None:
    tracked, counters = tracker("A-B")
    take(tracked, ticker("A-B", 5), match("A-B", 5), heartbeat("A-B", 5), heartbeat("A-B", 0))
    assert counters["gaps"] == 0
    assert take(tracked, heartbeat("A-B", 7)) == [Stale("cb:A-B", "gap")]
    assert take(tracked, heartbeat("A-B", 7)) == []
    assert counters["gaps"] == 1


def test_a_ticker_that_was_overtaken_by_a_match_brings_its_quotes_only() -> None:
    tracked, _ = tracker("A-B")
    take(tracked, ticker("A-B", 5), match("A-B", 5), match("A-B", 6), match("A-B", 7))
    [late] = take(tracked, ticker("A-B", 6))
    assert isinstance(late, Update)
    assert late.fields["bid"] == "6.40"
    assert not late.fields.keys() & {"last", "last_size", "time"}


def test_a_ticker_that_overtakes_matches_leaves_the_last_price_to_them() -> None:
    tracked, _ = tracker("A-B")
    *_, update = take(tracked, match("A-B", 5), ticker("A-B", 7))
    assert isinstance(update, Update)
    assert update.fields["bid"] == "7.40"
    assert not update.fields.keys() & {"last", "last_size"}
    assert take(tracked, match("A-B", 6)) == [Trade("cb:A-B", "6.50", "0.25", "buy", MICROSECONDS, 6)]


def test_a_product_that_has_just_been_listed_needs_neither_sequence_nor_time_nor_trade() -> None:
    tracked, counters = tracker("A-B")
    new = {key: value for key, value in ticker("A-B", 5).items() if key not in {"sequence", "time", "trade_id"}}
    for message in (new, new | {"sequence": None, "time": None, "trade_id": None}, new | {"best_bid": "7"}):
        [update] = take(tracked, message)
        assert isinstance(update, Update)
        assert update.fields["bid"] == message["best_bid"]
    take(tracked, ticker("A-B", 5))
    assert counters == {}


def test_a_match_without_a_number_is_a_match() -> None:
    tracked, counters = tracker("A-B")
    assert take(tracked, match("A-B", 5, trade_id=None)) == [
        Update("cb:A-B", {"status": "live", "reason": None}),
        Trade("cb:A-B", "5.50", "0.25", "buy", MICROSECONDS, None),
    ]
    assert counters == {}


def test_a_product_that_counts_anew_after_a_restart_goes_on() -> None:
    tracked, counters = tracker("A-B")
    take(tracked, ticker("A-B", 5_000))
    [update] = take(tracked, ticker("A-B", 7, time="2024-05-06T07:30:00Z"))
    assert isinstance(update, Update)
    assert update.fields["bid"] == "7.40"
    assert counters == {"renumbered": 1}


def error(reason: str) -> dict[str, object]:
    return {"type": "error", "message": "Failed to subscribe", "reason": reason}


def asked(tracked: CoinbaseTracker) -> list[Any]:
    """The products of each request since the last look; those of the states are None."""
    products = [request.get("product_ids") for request in tracked.outbox if isinstance(request, dict)]
    tracked.outbox.clear()
    return products


def test_an_error_that_names_no_product_is_traced_to_one_by_halves_while_the_others_are_subscribed() -> None:
    tracked, counters = tracker("A-A", "B-B", "C-C", "D-D")
    refusal, seen = error("something about a product"), []
    for answer in (refusal, subscriptions("A-A", "B-B"), refusal, refusal, subscriptions("A-A", "B-B", "D-D")):
        seen += asked(tracked)
        last = take(tracked, answer)
        if answer is refusal and seen[-1] == ["C-C"]:
            assert last == [Stale("cb:C-C", "refused")]
    assert seen == [["A-A", "B-B", "C-C", "D-D"], ["A-A", "B-B"], ["C-C", "D-D"], ["C-C"], ["D-D"]]
    assert asked(tracked) == [None]
    assert not tracked.pending
    assert list(tracked.symbols()) == ["A-A", "B-B", "D-D"]
    assert counters == {"refused": 1}


def test_an_error_that_names_no_product_and_meets_all_is_raised() -> None:
    tracked, _ = tracker("A-A", "B-B")
    take(tracked, error("rate limit"), error("rate limit"))
    with pytest.raises(VenueRefused, match=r"refuses all subscriptions: Failed to subscribe: rate limit$"):
        take(tracked, error("rate limit"))


def test_an_error_about_a_product_is_not_about_another_whose_name_is_a_part_of_it() -> None:
    tracked, _ = tracker("BTC-USD", "ETH-USD")
    assert take(tracked, error("BTC-USD-PERP and WETH-USD are no products")) == []
    assert asked(tracked) == [["BTC-USD", "ETH-USD"], ["BTC-USD"]]


def test_an_error_that_answers_no_subscription_costs_nothing() -> None:
    tracked, counters = tracker("A-A", "B-B")
    assert take(tracked, subscriptions("A-A", "B-B"), error("status is not a channel")) == []
    assert asked(tracked) == [["A-A", "B-B"], None]
    assert counters == {"errors": 1}


def states(**products: str | dict[str, object]) -> dict[str, object]:
    named = {name.replace("_", "-"): each for name, each in products.items()}
    listed = [{"id": name, **({"status": each} if isinstance(each, str) else each)} for name, each in named.items()]
    return {"type": "status", "currencies": [], "products": [*listed, {"id": None}, 7, {"id": "X-Y", "status": "x"}]}


@pytest.mark.parametrize("flag", ["trading_disabled", "cancel_only", "post_only", "auction_mode"])
def test_a_product_whose_orders_are_not_matched_is_halted_until_they_are(flag: str) -> None:
    tracked, _ = tracker("A-A", "B-B")
    take(tracked, ticker("A-A", 5), states(A_A="online", B_B="online"))
    halted = states(A_A={"status": "online", flag: True}, B_B={"status": "online", flag: False})
    assert take(tracked, halted) == [Update("cb:A-A", {"status": "halted", "reason": "exchange_halt"})]
    assert take(tracked, halted) == []
    assert take(tracked, states(A_A="online", B_B={})) == []
    [update] = take(tracked, ticker("A-A", 6))
    assert isinstance(update, Update)
    assert (update.fields["status"], update.fields["reason"]) == ("live", None)


def test_a_product_that_is_offline_is_halted_and_one_that_is_delisted_is_closed() -> None:
    tracked, counters = tracker("A-A", "B-B", "C-C")
    assert take(tracked, states(A_A="offline", B_B="delisted", C_C="internal")) == [
        Update("cb:A-A", {"status": "halted", "reason": "exchange_halt"}),
        Update("cb:B-B", {"status": "closed", "reason": "delisted"}),
        Update("cb:C-C", {"status": "halted", "reason": "exchange_halt"}),
    ]
    assert take(tracked, {"type": "status", "products": {}}) == []
    assert counters == {"parse_errors": 1}


def test_a_product_that_was_refused_is_subscribed_when_it_appears() -> None:
    tracked, _ = tracker("A-A", "B-B")
    take(tracked, error("B-B is not a valid product"), subscriptions("A-A"), states(A_A="online"))
    assert asked(tracked) == [["A-A", "B-B"], ["A-A"], None]
    take(tracked, states(B_B="offline"), states(B_B={"status": "online", "post_only": True}), subscriptions("B-B"))
    assert asked(tracked) == [["B-B"]]
    [update] = take(tracked, ticker("B-B", 5))
    assert isinstance(update, Update)
    assert "B-B" in tracked.symbols()


def test_products_that_were_not_asked_for_are_nothing_to_us() -> None:
    tracked, counters = tracker("A-B")
    assert take(tracked, ticker("X-Y", 5), match("X-Y", 9), heartbeat("X-Y", 11), ticker("X-Y", 1, price="x")) == []
    assert counters == {}


SPEC = "ticker_feeds.venues.coinbase:Coinbase?symbols=BTC-USD,ETH-USD"


async def begin(connection: ServedConnection, *, books: bool = True) -> None:
    """A subscription that is answered, and the first ticker and match of each product."""
    assert await connection.request() == SUBSCRIBE
    await connection.send(subscriptions("BTC-USD", "ETH-USD"))
    assert await connection.request() == STATES
    if books:
        assert await connection.request() == BOOKS
    for symbol in ("BTC-USD", "ETH-USD"):
        await connection.send(ticker(symbol, 100), match(symbol, 100, type="last_match"))


async def test_prices_arrive_exactly_as_the_venue_wrote_them() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(match("BTC-USD", 101))
        await connection.send(ticker("BTC-USD", 101, best_bid="0.00001306", volume_24h="94381.28000000"))
        await watcher.until("BTC-USD", bid="0.00001306", volume="94381.28", last="101.5", status="live")
        await watcher.until("ETH-USD", bid="100.4", ask_size="2", time=MICROSECONDS, status="live")
        assert watcher.statuses == {"BTC-USD": [("live", None)], "ETH-USD": [("live", None)]}


async def test_a_missing_match_makes_its_product_alone_stale_until_the_next_ticker() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(match("BTC-USD", 101), match("BTC-USD", 103))
        await watcher.until("BTC-USD", status="stale", reason="gap", last="103.5")
        await connection.send(ticker("BTC-USD", 102))  # older than the message that showed the gap
        await watcher.until("BTC-USD", bid="102.4")
        assert watcher.value("BTC-USD", "status") == "stale"
        await connection.send(ticker("BTC-USD", 103))
        await watcher.until("BTC-USD", status="live", reason=None, bid="103.4", last="103.5")
        await watcher.until("ETH-USD", bid="100.4")
        assert watcher.statuses["ETH-USD"] == [("live", None)]


async def test_a_product_that_stays_quiet_after_a_gap_is_asked_for_anew_once(fast_clock: MockClock) -> None:
    async with followed(f"{SPEC}&book=no", "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection, books=False)
        await connection.send(heartbeat("BTC-USD", 101))
        await watcher.until("BTC-USD", status="stale", reason="gap")
        for _ in range(4):
            await wait_all_tasks_blocked(0.05)
            fast_clock.jump(5.1)
            await connection.send(heartbeat("ETH-USD", 100))
        only = {"product_ids": ["BTC-USD"], "channels": ["ticker"]}
        assert await connection.request() == {"type": "unsubscribe", **only}
        assert await connection.request() == {"type": "subscribe", **only}
        # A ticker older than the trade that was missed says nothing that would help.
        await connection.send(subscriptions("BTC-USD", "ETH-USD"), ticker("BTC-USD", 100, best_bid="99"))
        await watcher.until("BTC-USD", bid="99")
        assert watcher.value("BTC-USD", "status") == "stale"
        await connection.send(ticker("BTC-USD", 101))
        await watcher.until("BTC-USD", status="live", reason=None, bid="101.4")
        await connection.send(match("BTC-USD", 102))
        await watcher.until("BTC-USD", last="102.5")
        assert watcher.statuses["BTC-USD"][-1] == ("live", None)
        await connection.send(heartbeat("BTC-USD", 103))
        await watcher.until("BTC-USD", status="stale", reason="gap")
        assert watcher.statuses["ETH-USD"] == [("live", None)]
        assert connection.idle


async def test_what_comes_twice_or_late_changes_nothing() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(
            match("BTC-USD", 101), ticker("BTC-USD", 101), match("BTC-USD", 102), ticker("BTC-USD", 102)
        )
        await connection.send(
            match("BTC-USD", 101), ticker("BTC-USD", 101), ticker("BTC-USD", 102), match("BTC-USD", 102)
        )
        await connection.send(ticker("ETH-USD", 107))
        await watcher.until("ETH-USD", bid="107.4")
        await watcher.until("BTC-USD", bid="102.4", last="102.5", status="live")
        assert watcher.statuses["BTC-USD"] == [("live", None)]


async def test_data_before_the_answer_counts() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await connection.request()
        await connection.send(ticker("BTC-USD", 100))
        await watcher.until("BTC-USD", bid="100.4", status="live")
        await connection.send(subscriptions("BTC-USD", "ETH-USD"), ticker("ETH-USD", 100))
        await watcher.until("ETH-USD", bid="100.4", status="live")


async def test_an_unknown_product_is_stale_and_the_others_are_asked_for_again() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await connection.request()
        await connection.send(
            {"type": "error", "message": "Failed to subscribe", "reason": "ETH-USD is not a valid product"}
        )
        assert await connection.request() == {**SUBSCRIBE, "product_ids": ["BTC-USD"]}
        await connection.send(subscriptions("BTC-USD"), ticker("BTC-USD", 100))
        await watcher.until("ETH-USD", status="stale", reason="refused")
        await watcher.until("BTC-USD", bid="100.4", status="live")


async def test_a_refusal_that_names_no_product_takes_only_the_refused_one_down() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await connection.request()
        await connection.send(error("something is wrong with a product"))
        assert await connection.request() == {**SUBSCRIBE, "product_ids": ["BTC-USD"]}
        await connection.send(subscriptions("BTC-USD"), ticker("BTC-USD", 100))
        assert await connection.request() == {**SUBSCRIBE, "product_ids": ["ETH-USD"]}
        await connection.send(error("something is wrong with a product"), ticker("BTC-USD", 101))
        await watcher.until("ETH-USD", status="stale", reason="refused")
        await watcher.until("BTC-USD", bid="101.4", status="live")


async def test_a_refusal_of_everything_starts_the_feed_again() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        for _ in range(3):
            await connection.request()
            await connection.send(error("rate limit exceeded"))
        await connection.closed.wait()
        await begin(await venue.accept())
        await watcher.until("BTC-USD", bid="100.4", status="live", reason=None)


async def test_halts_and_delistings_of_products_are_shown_until_they_end() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("ETH-USD", bid="100.4", status="live")
        await connection.send(states(BTC_USD={"status": "online", "cancel_only": True}, ETH_USD="online"))
        await watcher.until("BTC-USD", status="halted", reason="exchange_halt", bid="100.4")
        await connection.send(heartbeat("BTC-USD", 101))
        await watcher.until("BTC-USD", status="stale", reason="gap")
        await connection.send(ticker("BTC-USD", 101))
        await watcher.until("BTC-USD", status="halted", reason="exchange_halt", bid="101.4")
        await connection.send(states(BTC_USD="online", ETH_USD="delisted"), ticker("BTC-USD", 102))
        await watcher.until("BTC-USD", status="live", reason=None, bid="102.4")
        await watcher.until("ETH-USD", status="closed", reason="delisted")


async def test_the_decimal_places_of_a_product_can_become_more() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("BTC-USD", bid="100.4", ask="100.6", open="90")
        await connection.send(ticker("BTC-USD", 101, best_bid="100.123456789"))
        await watcher.until("BTC-USD", bid="100.123456789", ask="101.6", open="90", status="live")


async def test_a_prefix_keeps_the_same_pair_of_two_venues_apart() -> None:
    async with followed("ticker_feeds.venues.coinbase:Coinbase?symbols=btc-usd&prefix=coinbase:", "*") as (
        venue,
        watcher,
    ):
        connection = await venue.accept()
        assert await connection.request() == {**SUBSCRIBE, "product_ids": ["BTC-USD"]}
        await connection.send(subscriptions("BTC-USD"), ticker("BTC-USD", 100))
        await watcher.until("coinbase:BTC-USD", bid="100.4", status="live")

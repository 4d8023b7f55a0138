"""ticker_feeds/venues/kraken.py: parsing of its messages, and the service with a local Kraken."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.feeds.venue_server import ServedConnection, followed
from ticker.market import Instrument, Publication, Stale, Trade, Update, Value
from ticker_feeds.venues import BadMessage, VenueRefused, VenueState
from ticker_feeds.venues.kraken import KrakenTracker, parse
from ticker_feeds.venues.venue import first_instruments

RECORDINGS = os.environ.get("TICKER_RECORDINGS")

TIME = "2024-05-06T07:08:09.123456Z"
MICROSECONDS = 1_714_979_289_123_456

ONLINE = '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2"}]}'

SYMBOLS = ["BTC/USD", "ETH/USD"]


def ticker(symbol: str, bid: str, *, more: str = "") -> str:
    """A ticker message as Kraken writes it, with numbers; `more` is further JSON of the element."""
    return (
        f'{{"channel":"ticker","type":"update","data":[{{"symbol":"{symbol}","bid":{bid},"bid_qty":0.00012000,'
        f'"ask":200.5,"ask_qty":5.1e-05,"last":150,"volume":1020.88387727,"vwap":150.1,"low":99,"high":201.25,'
        f'"change":0.7,"change_pct":0,"trades":47535,"timestamp":"{TIME}"{more}}}]}}'
    )


def trades(symbol: str, *numbers: int) -> str:
    """Trades with prices of their numbers and a half."""
    data = ",".join(
        f'{{"symbol":"{symbol}","side":"sell","price":{number}.50,"qty":0.25000000,"ord_type":"limit",'
        f'"trade_id":{number},"timestamp":"{TIME}"}}'
        for number in numbers
    )
    return f'{{"channel":"trade","type":"update","data":[{data}]}}'


def pair(symbol: str, status: str, prices: int, sizes: int) -> dict[str, object]:
    return {
        "symbol": symbol,
        "status": status,
        "price_precision": prices,
        "qty_precision": sizes,
        "price_increment": 0.1,
    }


def instrument(*pairs: dict[str, object]) -> dict[str, object]:
    return {"channel": "instrument", "type": "update", "data": {"assets": [], "pairs": list(pairs)}}


def status(system: str) -> dict[str, object]:
    return {"channel": "status", "type": "update", "data": [{"system": system, "api_version": "v2"}]}


def answer(channel: str, symbol: str, number: int, error: str | None = None) -> dict[str, object]:
    times = {"time_in": TIME, "time_out": TIME}
    if error is not None:
        return {"method": "subscribe", "success": False, "error": error, "symbol": symbol, "req_id": number, **times}
    result = {"channel": channel, "symbol": symbol, "snapshot": True}
    return {"method": "subscribe", "success": True, "result": result, "req_id": number, **times}


def test_a_ticker_states_quotes_the_last_price_the_day_and_the_time_exactly() -> None:
    assert parse(ticker("BTC/USD", "0.00001306")) == [
        Update(
            "BTC/USD",
            {
                "bid": Decimal("0.00001306"),
                "bid_size": Decimal("0.00012"),
                "ask": Decimal("200.5"),
                "ask_size": Decimal("0.000051"),
                "last": 150,
                "high": Decimal("201.25"),
                "low": 99,
                "volume": Decimal("1020.88387727"),
                "trade_count": 47_535,
                "time": MICROSECONDS,
            },
        )
    ]


def test_each_trade_of_a_message_is_a_print_with_the_side_that_took() -> None:
    assert parse(trades("BTC/USD", 7, 8)) == [
        Trade("BTC/USD", Decimal(price), Decimal("0.25"), "sell", MICROSECONDS, number)
        for price, number in (("7.5", 7), ("8.5", 8))
    ]


def test_messages_without_prices_state_nothing() -> None:
    for message in (answer("ticker", "A/B", 1), instrument(), {"channel": "heartbeat"}, {"channel": ["ticker"]}, {}):
        assert parse(json.dumps(message)) == []
    assert parse(ONLINE) == []


@pytest.mark.parametrize(
    ("raw", "symbol"),
    [
        ("{", None),
        ("7", None),
        ('{"channel":"ticker"}', None),
        ('{"channel":"ticker","data":[7]}', None),
        ('{"channel":"trade","data":[{"price":1}]}', None),
        ('{"channel":"trade","data":[{"symbol":"A/B","qty":1}]}', "A/B"),
        ('{"channel":"trade","data":[{"symbol":"A/B","price":null,"qty":1}]}', "A/B"),
        ('{"channel":"ticker","data":[{"symbol":"A/B","bid":null,"volume":1}]}', "A/B"),
    ],
)
def test_a_message_that_is_not_as_documented_is_refused_and_names_its_pair(raw: str, symbol: str | None) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(raw)
    assert caught.value.symbol == symbol


@pytest.mark.parametrize(
    ("written", "handed_over"),
    [("null", None), ("0", None), ("true", True), ('"NaN"', "NaN"), ("1e400", Decimal("1e400"))],
)
def test_a_value_that_cannot_be_read_is_handed_over_and_costs_no_other_one(written: str, handed_over: Value) -> None:
    [update] = parse(ticker("A/B", written, more=',"timestamp":"noon"'))
    assert isinstance(update, Update)
    fields = update.fields
    assert (fields["bid"], fields["ask"], fields["time"]) == (handed_over, Decimal("200.5"), "'noon'")


def stated(element: dict[str, Any]) -> dict[str, object]:
    """An independent reading of an element of a ticker message, from its text."""
    names = {"bid_qty": "bid_size", "ask_qty": "ask_size", "trades": "trade_count"}
    wanted = {"bid", "ask", "last", "volume", "low", "high", *names}
    return {names.get(key, key): Decimal(value) for key, value in element.items() if key in wanted}


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize(("session", "tickers"), [("ticker", 2), ("book_btcusd_depth10", 0)])
def test_every_recorded_message_parses_to_what_it_states(session: str, tickers: int) -> None:
    seen = 0
    for connection in Path(f"{RECORDINGS}/messages/kraken-v2/session_{session}.jsonl").read_text().splitlines():
        message = json.loads(connection, parse_float=str, parse_int=str)
        updates = parse(connection)
        if message.get("channel") != "ticker":
            assert updates == []
            continue
        seen += 1
        [element], [update] = message["data"], updates
        assert isinstance(update, Update)
        fields = dict(update.fields)
        assert str(fields.pop("time"))[-6:] == element["timestamp"][-7:-1]
        assert update.symbol == element["symbol"]
        assert {name: Decimal(value) for name, value in fields.items() if value is not None} == stated(element)
    assert seen == tickers


def tracker(*symbols: str) -> tuple[KrakenTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    names = {symbol: symbol for symbol in symbols}
    return KrakenTracker(VenueState(names, counters), first_instruments(names, {}, "/")), counters


def take(tracked: KrakenTracker, *messages: object) -> list[Publication]:
    raw = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    return [each for message in raw for each in tracked.take(message)]


FAILED = {"method": "subscribe", "success": False, "error": "Rate limit exceeded", "time_in": TIME}


def asked(tracked: KrakenTracker) -> list[tuple[Any, Any, int]]:
    """Number, channel and symbols of each request since the last look."""
    requests = [request for request in tracked.outbox if isinstance(request, dict)]
    tracked.outbox.clear()
    return [(each["params"]["channel"], each["params"].get("symbol"), each["req_id"]) for each in requests]


def test_an_error_that_names_no_pair_is_traced_to_one_by_halves_while_the_others_are_subscribed() -> None:
    tracked, counters = tracker("A/B", "C/D", "E/F")
    assert asked(tracked)[0] == ("ticker", ["A/B", "C/D", "E/F"], 1)
    take(tracked, {**FAILED, "req_id": 1})
    assert asked(tracked) == [("ticker", ["A/B", "C/D"], 5), ("ticker", ["E/F"], 6)]
    assert take(tracked, answer("ticker", "A/B", 5), answer("ticker", "C/D", 5)) == []
    assert take(tracked, {**FAILED, "req_id": 6}) == [Stale("E/F", "refused")]
    assert asked(tracked) == []
    assert tracked.pending == {("trade", "A/B"), ("trade", "C/D")}
    assert counters == {"refused": 1}


def test_an_error_that_names_no_pair_and_meets_all_is_raised_but_one_of_instruments_is_not() -> None:
    tracked, _ = tracker("A/B")
    assert take(tracked, {**FAILED, "req_id": 3}) == []
    with pytest.raises(VenueRefused, match="ticker: Rate limit exceeded"):
        take(tracked, {**FAILED, "req_id": 1})


@pytest.mark.parametrize("number", [1, 99, None, "1", []])
def test_an_error_that_answers_no_open_request_costs_nothing(number: object) -> None:
    tracked, counters = tracker("A/B", "C/D")
    take(tracked, *(answer("ticker", symbol, 1) for symbol in ("A/B", "C/D")))
    assert take(tracked, {**FAILED, "req_id": number}) == []
    assert counters == {"parse_errors": 1}


def test_a_pair_is_refused_once_even_if_only_the_error_names_it() -> None:
    tracked, counters = tracker("A/B", "C/D")
    failed = {"method": "subscribe", "success": False, "error": "Currency pair not supported A/B"}
    assert take(tracked, {**failed, "req_id": 1}) == [Stale("A/B", "refused")]
    assert take(tracked, {**failed, "req_id": 2}) == []
    assert counters == {"refused": 1}
    assert tracked.pending == {("ticker", "C/D"), ("trade", "C/D")}


def test_an_error_about_a_pair_is_not_about_another_whose_name_is_a_part_of_it() -> None:
    tracked, counters = tracker("BTC/USD", "ETH/USD")
    error = "Currency pair not supported BBTC/USD"
    assert take(tracked, {**FAILED, "error": error, "symbol": "BBTC/USD", "req_id": 1}) == []
    assert take(tracked, {**FAILED, "error": error, "req_id": 1}) == []
    assert counters == {}
    assert ("ticker", "BTC/USD") in tracked.pending


@pytest.mark.parametrize("last", ["null", "0", None])
def test_a_ticker_without_a_last_price_after_a_trade_is_a_quote_like_any_other(last: str | None) -> None:
    tracked, counters = tracker("A/B")
    raw = ticker("A/B", "101").replace('"last":150,', "" if last is None else f'"last":{last},')
    [before] = take(tracked, raw)
    *_, after = take(tracked, trades("A/B", 7), raw)
    assert isinstance(before, Update)
    assert isinstance(after, Update)
    assert before.fields["bid"] == after.fields["bid"] == 101
    assert before.fields["last"] is None
    assert "last" not in after.fields  # that of the trade stays
    assert counters == {}


def test_an_element_that_cannot_be_read_costs_the_others_of_its_message_nothing() -> None:
    tracked, counters = tracker("A/B", "C/D")
    bad, good = json.loads(trades("A/B", 1))["data"], json.loads(trades("C/D", 1))["data"]
    del bad[0]["price"]
    stale, live, printed = take(tracked, {"channel": "trade", "data": [*bad, *good]})
    assert stale == Stale("A/B", "bad_message")
    assert live == Update("C/D", {"status": "live", "reason": None})
    assert isinstance(printed, Trade)
    assert (printed.symbol, printed.price) == ("C/D", Decimal("1.5"))
    assert counters == {"parse_errors": 1}


def test_an_instrument_without_its_decimal_places_keeps_them_and_costs_neither_its_state_nor_others() -> None:
    tracked, counters = tracker("A/B", "C/D")
    take(tracked, instrument(pair("A/B", "online", 3, 8)))
    bad = pair("A/B", "cancel_only", 3, 8)
    del bad["price_precision"]
    halted = {"status": "halted", "reason": "exchange_halt"}
    assert take(tracked, instrument({"symbol": None}, bad, pair("C/D", "delisted", 30, -1))) == [
        Instrument("A/B", 3, 8, {"base": "A", "currency": "B"}),
        Update("A/B", halted),
        Instrument("C/D", 15, 0, {"base": "C", "currency": "D"}),
        Update("C/D", {"status": "closed", "reason": "delisted"}),
    ]
    assert take(tracked, {"channel": "instrument", "data": []}, instrument(pair("X/Y", "online", 1, 1))) == []
    assert counters == {"parse_errors": 1}


def test_a_pair_that_was_refused_is_subscribed_when_it_appears() -> None:
    tracked, _ = tracker("A/B", "C/D")
    asked(tracked)
    refusal = {**FAILED, "error": "Currency pair not supported", "symbol": "A/B", "req_id": 1}
    take(tracked, refusal, instrument(pair("A/B", "work_in_progress", 1, 1)))
    assert asked(tracked) == []
    take(tracked, instrument(pair("A/B", "online", 1, 1)))
    assert asked(tracked) == [("ticker", ["A/B"], 5), ("trade", ["A/B"], 6)]


SPEC = "ticker_feeds.venues.kraken:Kraken?symbols=BTC/USD,ETH/USD"


async def begin(connection: ServedConnection) -> None:
    """All that Kraken says at the start of a session in which nothing is amiss."""
    await connection.send(ONLINE)
    asked = [await connection.request() for _ in range(3)]
    assert asked == [
        {
            "method": "subscribe",
            "params": {"channel": "ticker", "event_trigger": "bbo", "symbol": SYMBOLS},
            "req_id": 1,
        },
        {"method": "subscribe", "params": {"channel": "trade", "snapshot": True, "symbol": SYMBOLS}, "req_id": 2},
        {"method": "subscribe", "params": {"channel": "instrument"}, "req_id": 3},
    ]
    for symbol in SYMBOLS:
        await connection.send(answer("ticker", symbol, 1), ticker(symbol, "100"))
        await connection.send(answer("trade", symbol, 2), trades(symbol, 7, 8))


async def test_prices_arrive_with_the_digits_that_the_venue_wrote() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("BTC/USD", bid="100", bid_size="0.00012", ask_size="0.000051", volume="1020.88387727")
        await watcher.until("BTC/USD", last="8.5", last_size="0.25", high="201.25", trade_count=47_535, status="live")
        # The last price comes from the trades: that of a ticker may be older.
        await connection.send(ticker("BTC/USD", "99.99"))
        await watcher.until("BTC/USD", bid="99.99")
        assert watcher.value("BTC/USD", "last") == Decimal("8.5")
        assert watcher.statuses["BTC/USD"] == [("live", None)]


async def test_a_missing_trade_makes_its_pair_alone_stale_until_the_next_ticker() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("ETH/USD", last="8.5", status="live")
        await connection.send(trades("BTC/USD", 9, 11))
        await watcher.until("BTC/USD", status="stale", reason="gap", last="11.5")
        await connection.send(ticker("BTC/USD", "101"))
        # The trade was of a time with a gap: the ticker says everything anew.
        await watcher.until("BTC/USD", status="live", reason=None, bid="101", last="150")
        assert watcher.statuses["ETH/USD"] == [("live", None)]


async def test_a_pair_that_stays_quiet_after_a_gap_is_asked_for_anew_once(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(trades("BTC/USD", 9, 11))
        await watcher.until("BTC/USD", status="stale", reason="gap", last="11.5")
        for _ in range(2):
            await wait_all_tasks_blocked(0.05)
            fast_clock.jump(5.1)
            await connection.send({"channel": "heartbeat"})
        params = {"channel": "ticker", "event_trigger": "bbo", "symbol": ["BTC/USD"]}
        assert await connection.request() == {"method": "unsubscribe", "params": params, "req_id": 1}
        assert await connection.request() == {"method": "subscribe", "params": params, "req_id": 1}
        left = {"method": "unsubscribe", "success": True, "result": {"channel": "ticker", "symbol": "BTC/USD"}}
        await connection.send(left, answer("ticker", "BTC/USD", 1), ticker("BTC/USD", "101"))
        await watcher.until("BTC/USD", status="live", reason=None, bid="101")
        assert watcher.statuses["ETH/USD"] == [("live", None)]
        assert connection.idle
        # It was live, because of a message that was on its way, and then is refused: nothing more will come.
        refused = {"method": "subscribe", "success": False, "error": "Try later", "symbol": "BTC/USD", "req_id": 1}
        await connection.send(refused)
        await watcher.until("BTC/USD", status="stale", reason="gap")
        assert watcher.statuses["ETH/USD"] == [("live", None)]


async def test_trades_that_come_twice_or_late_change_nothing() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(trades("BTC/USD", 9, 10), trades("BTC/USD", 9), trades("BTC/USD", 8, 9, 10))
        await connection.send(ticker("BTC/USD", "101"))
        await watcher.until("BTC/USD", bid="101", last="10.5", status="live")
        assert watcher.statuses["BTC/USD"] == [("live", None)]


async def test_decimal_places_come_from_the_venue_and_can_change() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(instrument(pair("BTC/USD", "online", 1, 8), pair("X/Y", "online", 9, 9)))
        await connection.send(instrument(pair("BTC/USD", "online", 3, 8)), ticker("BTC/USD", "100.125"))
        await watcher.until("BTC/USD", bid="100.125", ask="200.5", last="8.5", bid_size="0.00012", status="live")
        await connection.send(ticker("BTC/USD", "100.0625"))  # finer than it said
        await watcher.until("BTC/USD", bid="100.0625", ask="200.5", last="8.5", status="live")


@pytest.mark.parametrize("system", ["maintenance", "cancel_only", "post_only"])
async def test_all_is_halted_while_the_exchange_is_and_live_with_the_next_data(system: str) -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("ETH/USD", last="8.5", status="live")
        await connection.send(status(system))
        await watcher.until("BTC/USD", status="halted", reason="exchange_halt")
        await connection.send(ticker("ETH/USD", "99"), status("online"), ticker("BTC/USD", "101"))
        await watcher.until("BTC/USD", status="live", reason=None, bid="101")
        assert watcher.client.values("ETH/USD")["status"] == "halted"
        await connection.send(trades("ETH/USD", 9))
        await watcher.until("ETH/USD", status="live", reason=None, bid="99", last="9.5")


async def test_a_pair_that_is_halted_or_delisted_says_so_and_no_other_does() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("ETH/USD", last="8.5", status="live")
        await connection.send(instrument(pair("BTC/USD", "cancel_only", 1, 8)))
        await watcher.until("BTC/USD", status="halted", reason="exchange_halt")
        await connection.send(instrument(pair("BTC/USD", "limit_only", 1, 8)), ticker("BTC/USD", "101"))
        await watcher.until("BTC/USD", status="live", reason=None)
        await connection.send(instrument(pair("BTC/USD", "delisted", 1, 8)))
        await watcher.until("BTC/USD", status="closed", reason="delisted")
        await connection.send(ticker("ETH/USD", "99"))
        await watcher.until("ETH/USD", bid="99")
        assert watcher.statuses["ETH/USD"] == [("live", None)]


async def test_an_unknown_pair_is_stale_and_the_others_go_on() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await connection.send(ONLINE, ticker("BTC/USD", "100"))
        error = "Currency pair not supported ETH/USD"
        await connection.send(answer("ticker", "ETH/USD", 1, error), answer("trade", "ETH/USD", 2, error))
        await connection.send(answer("ticker", "BTC/USD", 1), answer("trade", "BTC/USD", 2))
        await watcher.until("ETH/USD", status="stale", reason="refused")
        await watcher.until("BTC/USD", bid="100", status="live")


async def test_what_is_halted_when_the_connection_breaks_is_halted_when_it_is_back() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await connection.send(status("maintenance"))
        await watcher.until("BTC/USD", status="halted", reason="exchange_halt", last="8.5")
        await connection.close(1012)
        connection = await venue.accept()
        await watcher.until("BTC/USD", status="stale")
        await connection.send(status("maintenance"), ticker("BTC/USD", "100"))
        await watcher.until("BTC/USD", status="halted", reason="exchange_halt")
        assert ("live", None) not in watcher.statuses["BTC/USD"][1:]


async def test_pings_and_their_answers_keep_a_quiet_venue_live(fast_clock: MockClock) -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("ETH/USD", last="8.5", status="live")
        for _ in range(4):
            await wait_all_tasks_blocked(0.1)
            fast_clock.jump(5)
            await connection.send({"channel": "heartbeat"})
        assert await connection.request() == {"method": "ping", "req_id": 4}
        await connection.send(
            {"method": "pong", "req_id": 4, "time_in": TIME, "time_out": TIME}, ticker("ETH/USD", "101")
        )
        await watcher.until("ETH/USD", bid="101")
        assert watcher.statuses["ETH/USD"] == [("live", None)]


async def test_garbage_is_skipped_and_makes_stale_what_it_names() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        bad = ticker("BTC/USD", "null").replace('"ask":200.5', '"ask":null').replace('"last":150', '"last":null')
        await connection.send("{", '{"channel":"ticker","data":{}}', {"method": "subscribe"}, bad)
        await watcher.until("BTC/USD", status="stale", reason="bad_message", bid="100")
        await connection.send(ticker("BTC/USD", "101"), ticker("ETH/USD", "101"))
        await watcher.until("BTC/USD", bid="101", status="live", reason=None)
        await watcher.until("ETH/USD", bid="101")
        assert watcher.statuses["ETH/USD"] == [("live", None)]


async def test_a_value_that_cannot_be_read_is_withdrawn_and_the_others_apply() -> None:
    async with followed(SPEC, "*") as (venue, watcher):
        connection = await venue.accept()
        await begin(connection)
        await watcher.until("BTC/USD", bid="100", status="live")
        await connection.send(ticker("BTC/USD", '"oops"').replace("200.5", "201"))
        await watcher.until("BTC/USD", bid=None, ask="201", status="live")


def test_a_pair_that_is_refused_on_both_channels_is_not_asked_for_anew() -> None:
    state = VenueState({symbol: symbol for symbol in SYMBOLS}, Counter())
    tracker = KrakenTracker(state, first_instruments(state.names, {}))
    for number in (1, 2):
        refused = {"method": "subscribe", "success": False, "error": "Unknown", "symbol": "BTC/USD", "req_id": number}
        tracker.take(json.dumps(refused))
    assert state.unrepaired(tracker.symbols()) == {}

"""ticker_feeds/venues/binance_depth.py: order books by streams and REST of a local Binance, and of its recordings."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import trio

from tests.feeds.market_reader import Market, Reading, read
from tests.feeds.rest_server import RestServer, rest_server
from tests.feeds.venue_server import ServedConnection, option_ca, venue
from ticker.errors import ConfigError
from ticker.market import Instrument, Stale
from ticker_feeds.venues import Books, VenueState, books
from ticker_feeds.venues.binance import Binance, BinanceTracker
from ticker_feeds.venues.binance_depth import Snapshots, read_snapshot

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
NEEDS_RECORDINGS = pytest.mark.skipif(
    RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings"
)


def event(
    first: int, last: int, bids: Sequence[Any] = (), asks: Sequence[Any] = (), **more: object
) -> dict[str, object]:
    data = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks, **more}
    return {"stream": "btcusdt@depth@100ms", "data": data}


def snapshot(number: int, size: str = "1.00") -> dict[str, object]:
    """A snapshot with 500 levels on each side; `size` is that of the best bid."""
    bids = [[f"{100 - at}.00", "1.00" if at else size] for at in range(500)]
    return {"lastUpdateId": number, "bids": bids, "asks": [[f"{101 + at}.00", "2.00"] for at in range(500)]}


class Venue(NamedTuple):
    connection: ServedConnection
    rest: RestServer
    market: Market
    feed: Binance

    def best(self) -> list[tuple[Decimal, Decimal]]:
        """The best bid, if there is one."""
        return self.market.top("BTCUSDT", 1)[0]

    async def until(self, size: str, status: tuple[str, str | None] = ("live", None)) -> None:
        """Wait for a best bid of 100 of this size."""
        wanted = [(Decimal(100), Decimal(size))]
        await self.market.until(lambda: self.market.status("BTCUSDT") == status and self.best() == wanted)


@asynccontextmanager
async def followed(market: str = "spot", symbol: str = "btcusdt", **options: Any) -> AsyncIterator[Venue]:  # noqa: ANN401  # options of the feed
    """The feed with a local Binance, whose subscription was answered."""
    async with venue() as server, rest_server() as rest:
        ca = option_ca().removeprefix("ca=")
        where = {"url": server.url, "rest": rest.url, "ca": ca, **options}
        feed = Binance(symbols=symbol, market=market, **where)
        async with read(feed) as following:
            lines = {}
            for _ in feed._entries:
                connection = await server.accept()
                request = await connection.request()
                await connection.send({"result": None, "id": request["id"]})
                lines[connection.path] = connection, request["params"]
            connection, streams = next(each for each in lines.values() if "bookTicker" in each[1][0])
            wanted = f"depth{feed._depth}@100ms" if feed._depth in {5, 10, 20} else "depth@100ms"
            assert streams[-1] == f"{symbol.lower()}@{wanted}"
            yield Venue(connection, rest, following, feed)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Snapshots, "seconds", 0.01)
    monkeypatch.setattr(books, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(Binance, "book_seconds", 0.01)


@pytest.mark.parametrize(
    ("market", "path"), [("spot", "/api/v3/depth"), ("usdm", "/fapi/v1/depth"), ("coinm", "/dapi/v1/depth")]
)
async def test_a_book_is_its_snapshot_and_the_changes_behind_it(market: str, path: str) -> None:
    async with followed(market) as at:
        asked = await at.rest.asked()
        assert asked.target == f"{path}?symbol=BTCUSDT&limit=500"
        # The second one is kept while the snapshot is under way, and follows it.
        await at.connection.send(event(1, 10, [["100.00", "9"]], pu=0), event(11, 20, [["100.00", "3"]], pu=10))
        await at.connection.send({"stream": "btcusdt@bookTicker", "data": {"u": 9, "s": "BTCUSDT", "b": "1", "B": "1"}})
        await at.market.until(lambda: any(batch for batch in at.market.batches))
        await asked.answer(snapshot(12))
        await at.until("3")
        await at.connection.send(event(21, 21, [["100.00", "4.5"], ["1.00", "1"]], pu=20))
        await at.until("4.5")
        assert at.market.complete[-1].depth == 500
        assert at.market.stale == []
        assert len(at.market.top("BTCUSDT", 1000)[0]) == 500


async def test_a_missing_event_makes_the_book_alone_stale_until_it_is_whole_again() -> None:
    async with followed() as at:
        await (await at.rest.asked()).answer(snapshot(10))
        await at.until("1.00")
        await at.connection.send(event(12, 13, [["100.00", "9"]]))
        await at.until("1.00", ("stale", "gap"))
        quote = {"u": 13, "s": "BTCUSDT", "b": "100.00", "B": "9", "a": "101.00", "A": "2"}
        await at.connection.send({"stream": "btcusdt@bookTicker", "data": quote}, event(14, 15))
        asked = await at.rest.asked()
        record = at.market.cache.instrument("BTCUSDT")
        assert record is not None
        await at.market.until(lambda: 1 in record.values)
        await asked.answer(snapshot(15, "7"))
        await at.until("7")
        assert at.market.stale == [Stale("BTCUSDT", "gap", book_only=True)]
        assert at.feed.counters["book_gap"] == 1
        assert record.values[14] == "live"


async def test_a_snapshot_that_is_too_old_or_an_answer_that_is_none_is_followed_by_another_request() -> None:
    async with followed() as at:
        await at.connection.send(event(15, 20), {"stream": "btcusdt@trade", "data": {**TRADE, "t": 1}})
        await at.market.until(lambda: len(at.market.trades) == 1)
        for body, status in (
            (snapshot(10), "200 OK"),
            ({"lastUpdateId": 30}, "200 OK"),
            ({"lastUpdateId": "x", "bids": [], "asks": []}, "200 OK"),
            ([], "200 OK"),
            ({"code": -1121, "msg": "Invalid symbol."}, "400 Bad Request"),
            (b"", ""),
        ):
            await (await at.rest.asked()).answer(body, status)
        await (await at.rest.asked()).answer(snapshot(20))
        await at.until("1.00")
        assert at.feed.counters["failed_snapshots"] == 6


TRADE = {"e": "trade", "E": 1, "s": "BTCUSDT", "p": "5", "q": "1", "T": 1_700_000_000_000, "m": True}


async def test_after_an_answer_that_says_how_long_to_wait_nothing_is_asked_before() -> None:
    snapshots = Snapshots("https://127.0.0.1:1/depth", 500, Binance(symbols="A").ssl_context)
    async with followed() as at:
        made = Books(VenueState({"A": "A", "B": "B"}, Counter()), 500, keeps=True)
        made.follow(["A"], asked=False)
        snapshots._address, snapshots._ssl_context = f"{at.rest.url}/depth", at.feed.ssl_context
        waits = []
        for status, headers in (
            ("429 Too Many Requests", {"Retry_After": 33}),
            ("418 I'm a teapot", {"Retry_After": 7200}),
            ("429 Too Many Requests", {}),
            ("429 Too Many Requests", {"Retry_After": 0}),
            ("400 Bad Request", {}),
        ):
            waits.append(await wait_after(snapshots, made, at.rest, status, **headers))
        assert waits == [33, 7200, 60, Snapshots.seconds, Snapshots.seconds]
        # A server in trouble is asked at longer and longer distances.
        assert await wait_after(snapshots, made, at.rest, "503 Service Unavailable") > 16 * Snapshots.seconds
        assert made.state.counters["rate_limited"] == 4


async def wait_after(snapshots: Snapshots, made: Books, rest: RestServer, status: str, **headers: object) -> float:
    """The wait after an answer with this status."""
    wait = 0.0
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            nonlocal wait
            wait = (await snapshots._ask(made, "A"))[1]

        nursery.start_soon(ask)
        while not (asked := await rest.asked()).target.startswith("/depth"):
            pass
        await asked.answer({"code": -1003}, status, **headers)
    return wait


async def test_a_book_whose_known_part_becomes_short_goes_on_and_is_asked_for_anew() -> None:
    async with followed() as at:
        await (await at.rest.asked()).answer(snapshot(10))
        await at.until("1.00")
        gone = [[f"{100 - level}.00", "0.00"] for level in range(1, 402)]
        await at.connection.send(event(11, 12, gone))
        asked = await at.rest.asked()
        await at.connection.send(event(13, 13, [["100.00", "6"]]))
        await at.until("6")
        assert len(at.market.top("BTCUSDT", 1000)[0]) == 99
        await asked.answer(snapshot(12))
        await at.market.until(lambda: len(at.market.complete) == 2)
        assert len(at.market.top("BTCUSDT", 1000)[0]) == 500
        assert at.best() == [(Decimal(100), Decimal(6))]
        assert at.market.stale == []


@pytest.mark.parametrize("market", ["spot", "usdm"])
async def test_a_partial_stream_has_whole_books_and_asks_for_nothing(market: str) -> None:
    async with followed(market, depth=5) as at:
        data: dict[str, object] = {}
        for size in ("3", "4"):
            levels = [["100.00", size]], [["101.00", "1"]]
            if market == "spot":
                data = {"lastUpdateId": 7, "bids": levels[0], "asks": levels[1]}
            else:
                data = {"e": "depthUpdate", "s": "BTCUSDT", "U": 1, "u": 7, "pu": 1, "b": levels[0], "a": levels[1]}
            await at.connection.send({"stream": "btcusdt@depth5@100ms", "data": data})
            await at.until(size)
        bad = {"lastUpdateId": 7, "bids": [], "asks": [["x", "1"]]}
        await at.connection.send({"stream": "btcusdt@depth5@100ms", "data": bad})
        await at.until("4", ("stale", "bad_message"))
        await at.connection.send({"stream": "btcusdt@depth5@100ms", "data": data})
        await at.until("4")
        assert at.rest.idle


async def test_a_lost_connection_begins_its_books_anew() -> None:
    async with venue() as server, rest_server() as rest:
        ca = option_ca().removeprefix("ca=")
        feed = Binance(symbols="btcusdt", url=server.url, rest=rest.url, ca=ca, market="usdm")
        async with read(feed) as market:
            first, second = await server.accept(), await server.accept()
            public = first if first.path == "/public/stream" else second
            for connection in (first, second):
                await connection.send({"result": None, "id": (await connection.request())["id"]})
            await (await rest.asked()).answer(snapshot(10))
            await market.until(lambda: market.status("BTCUSDT") == ("live", None))
            await public.drop()
            await market.until(lambda: market.status("BTCUSDT") == ("stale", "reconnecting"))
            again = await server.accept()
            assert rest.idle
            await again.send({"result": None, "id": (await again.request())["id"]})
            await (await rest.asked()).answer(snapshot(5, "8"))
            await market.until(lambda: market.status("BTCUSDT") == ("live", None))
            assert market.top("BTCUSDT", 1)[0] == [(Decimal(100), Decimal(8))]


@pytest.mark.parametrize(
    ("options", "depth", "streams"),
    [
        ({}, 500, ["bookTicker", "trade", "miniTicker", "depth@100ms"]),
        ({"depth": 5000, "trades": False}, 5000, ["bookTicker", "miniTicker", "depth@100ms"]),
        ({"depth": 10}, 10, ["bookTicker", "trade", "miniTicker", "depth10@100ms"]),
        ({"book": False}, None, ["bookTicker", "trade", "miniTicker"]),
        ({"url": "wss://127.0.0.1:1"}, 20, ["bookTicker", "trade", "miniTicker", "depth20@100ms"]),
        (
            {"url": "wss://127.0.0.1:1", "rest": "https://127.0.0.1:2"},
            500,
            ["bookTicker", "trade", "miniTicker", "depth@100ms"],
        ),
    ],
)
def test_options_choose_the_streams(options: dict[str, Any], depth: int | None, streams: list[str]) -> None:
    feed = Binance(symbols="A", **options)
    assert (feed._depth, feed._entries) == (depth, {"/stream": streams})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"depth": 50}, "depth 50: give one of 5, 10, 20, 100, 500, 1000, 5000, or book=no"),
        ({"depth": 5000, "market": "usdm"}, "depth 5000: give one of 5, 10, 20, 100, 500, 1000, or book=no"),
        ({"depth": 500, "url": "wss://127.0.0.1:1"}, "give rest=https://HOST"),
        ({"rest": "http://127.0.0.1"}, "rest 'http://127.0.0.1': give https://HOST"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Binance(symbols="A", **options)


# Recordings


class Recorded(NamedTuple):
    """A recorded session: its messages in order; those of a snapshot by REST have no stream."""

    symbol: str
    messages: list[dict[str, Any]]

    def depth(self) -> list[int]:
        """Where the events of the book are."""
        return [at for at, each in enumerate(self.messages) if "@depth" in each.get("stream", "")]

    @property
    def snapshot(self) -> int:
        return next(at for at, each in enumerate(self.messages) if "lastUpdateId" in each)


def recorded(file: str, most: int | None = None) -> Recorded:
    with gzip.open(f"{RECORDINGS}/ticks/{file}_20240808.gz", "rt") as lines:
        messages = [json.loads(line.split(" ", 1)[1]) for _, line in zip(range(most or 10**9), lines, strict=False)]
    return Recorded(file.partition("-")[2].upper(), messages)


def readings(session: Recorded) -> Iterator[tuple[int, int, Reading]]:
    """The book behind each event from the snapshot on, with its place and number, read independently."""
    start = session.messages[session.snapshot]
    reading = Reading(start["bids"], start["asks"])
    for at in session.depth():
        data = session.messages[at]["data"]
        if data["u"] > start["lastUpdateId"]:
            reading.change(data["b"], data["a"])
            yield at, data["u"], reading


def tracked(symbol: str, depth: int) -> tuple[BinanceTracker, Books, Counter[str]]:
    counters: Counter[str] = Counter()
    state = VenueState({symbol: symbol}, counters)
    made = Books(state, depth, keeps=True)
    made.follow([symbol], asked=False)
    made.next_request(0)
    return BinanceTracker(state, [symbol], ["bookTicker", "trade", "depth@100ms"], made), made, counters


@pytest.mark.untraced
@pytest.mark.untraced
@NEEDS_RECORDINGS
@pytest.mark.parametrize(
    ("file", "events", "requests"), [("spot-btcusdt", 3_449, 2), ("spot-ethusdt", 3_432, 1), ("usdm-ethusdt", 6_580, 1)]
)
def test_after_every_recorded_event_the_book_is_that_of_an_independent_reading(
    file: str, events: int, requests: int
) -> None:
    session = recorded(file)
    tracker, made, counters = tracked(session.symbol, 500)
    market, seen, less = Market(), 0, 0
    market.take([Instrument(session.symbol, 0, 0)])
    behind = readings(session)
    for message in session.messages:
        if "lastUpdateId" in message:
            market.take(read_snapshot(made, cut(message), session.symbol))
            continue
        market.take(tracker.take(json.dumps(message)))
        data = message["data"]
        if "@depth" not in message["stream"] or not market.complete:
            continue
        for _, number, reading in behind:
            seen += 1
            if number == data["u"]:  # before it come those that came before the snapshot, and are newer than it
                shown, wanted = market.top(session.symbol, 25), reading.top(25)
                # A move through the edge of what is known leaves less to see, and never anything wrong.
                assert all(side == its[: len(side)] for side, its in zip(shown, wanted, strict=True))
                less += shown != wanted
                # Trades have moved the market to the edge of the snapshot: another one comes.
                if made.next_request(data["E"] / 1_000):
                    market.take(read_snapshot(made, snapshot_of(reading, number), session.symbol))
                break
    assert seen == events
    assert less < 3
    assert not market.stale
    assert counters == {"book_requests": requests}
    printed = [each["data"] for each in session.messages if "@trade" in each.get("stream", "")]
    assert [trade.id for trade in market.trades] == [
        each["t"] for each in printed if each.get("X", "MARKET") == "MARKET"
    ]
    assert all(trade.side and trade.time for trade in market.trades)


@pytest.mark.untraced
@NEEDS_RECORDINGS
@pytest.mark.parametrize("file", ["spot-btcusdt", "spot-ethusdt"])
def test_the_top_of_the_recorded_book_is_the_quote_of_the_same_update(file: str) -> None:
    session = recorded(file)
    quotes = {each["data"]["u"]: each["data"] for each in session.messages if "@bookTicker" in each.get("stream", "")}
    tracker, made, _ = tracked(session.symbol, 1_000)
    both = 0
    for message in session.messages:
        if "lastUpdateId" in message:
            read_snapshot(made, message, session.symbol)
        elif "@depth" in message["stream"]:
            tracker.take(json.dumps(message))
            book = made._followed[session.symbol].book
            quote = quotes.get(message["data"]["u"])
            if book is not None and quote is not None and made._followed[session.symbol].number == quote["u"]:
                both += 1
                levels = book.complete("A")
                best = [tuple(map(Decimal, map(str, side[0]))) for side in (levels.bids, levels.asks) if side]
                wanted = [(Decimal(quote["b"]), Decimal(quote["B"])), (Decimal(quote["a"]), Decimal(quote["A"]))]
                assert best == wanted or len(best) < 2
    assert both > 100


@pytest.mark.untraced
@NEEDS_RECORDINGS
@pytest.mark.parametrize("file", ["spot-btcusdt", "usdm-ethusdt"])
async def test_one_event_deleted_from_a_recording_is_noticed_and_the_book_is_right_again(file: str) -> None:
    session = recorded(file, 2_000)
    places = [at for at in session.depth() if at > session.snapshot]
    deleted, mended, end = places[40], places[60], places[-1]
    states = {at: snapshot_of(reading, number) for at, number, reading in readings(session) if at in {mended, end}}
    async with followed("spot" if file.startswith("spot") else "usdm", symbol=session.symbol) as at:
        asked = await at.rest.asked()  # before the first event: what comes before a request is in its snapshot
        await play(at.connection, session, 0, session.snapshot)
        await asked.answer(cut(session.messages[session.snapshot]))
        await play(at.connection, session, session.snapshot + 1, deleted)
        # A snapshot that came behind the gap would begin the book there, and nothing would be missing.
        await at.market.until(lambda: at.market.status(session.symbol) == ("live", None))
        await play(at.connection, session, deleted + 1, mended + 1)
        await at.market.until(lambda: at.market.status(session.symbol) == ("stale", "gap"))
        await (await at.rest.asked()).answer(states[mended])
        await at.market.until(lambda: at.market.status(session.symbol) == ("live", None))
        await play(at.connection, session, mended + 1, end + 1)
        wanted = Reading(states[end]["bids"], states[end]["asks"]).top(100)
        await at.market.until(lambda: at.market.top(session.symbol, 100) == wanted)
        assert at.market.stale == [Stale(session.symbol, "gap", book_only=True)]
        assert at.feed.counters["book_gap"] == 1


def cut(message: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as if 500 levels had been asked for."""
    return {**message, "bids": message["bids"][:500], "asks": message["asks"][:500]}


def snapshot_of(reading: Reading, number: int) -> dict[str, Any]:
    bids, asks = ([[f"{price:f}", f"{size:f}"] for price, size in side] for side in reading.top(500))
    return {"lastUpdateId": number, "bids": bids, "asks": asks}


async def play(connection: ServedConnection, session: Recorded, start: int, end: int) -> None:
    await connection.send(*(each for each in session.messages[start:end] if "stream" in each))

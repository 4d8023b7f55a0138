"""ticker_feeds/venues/kraken.py: its order books, their checksums, and a local Kraken."""

from __future__ import annotations

import json
import os
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.feeds import test_kraken as k
from tests.feeds.market_reader import Market, Reading, read
from tests.feeds.venue_server import ServedConnection, option_ca, venue
from ticker.errors import ConfigError
from ticker.market import Instrument, Stale
from ticker_feeds.recordings.venue_files import KrakenFile
from ticker_feeds.venues import Books, OrderBook, VenueState, books
from ticker_feeds.venues.kraken import Kraken, KrakenTracker, checksum
from ticker_feeds.venues.venue import first_instruments

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
SYMBOL = "BTC/USD"
PAIR = k.instrument(k.pair(SYMBOL, "online", 1, 8))


def plain_checksum(reading: Reading) -> int:
    """The checksum by the venue's document, over texts: without the point, then without zeros in front."""
    bids, asks = reading.top(10)
    texts = [(f"{price:.1f}", f"{size:.8f}") for price, size in (*asks, *bids)]
    return zlib.crc32("".join(each.replace(".", "").lstrip("0") for pair in texts for each in pair).encode())


def message(kind: str, bids: Sequence[Any], asks: Sequence[Any], reading: Reading) -> str:
    """A message as Kraken writes it, with numbers; its checksum is that of `reading`."""
    sides = {"bids": bids, "asks": asks}
    levels = {key: [{"price": float(price), "qty": float(size)} for price, size in side] for key, side in sides.items()}
    data = {"symbol": SYMBOL, **levels, "checksum": plain_checksum(reading), "timestamp": k.TIME}
    return json.dumps({"channel": "book", "type": kind, "data": [data]})


BIDS = [(f"{1000 - at}.5", f"0.{at + 1:08d}") for at in range(12)]
ASKS = [(f"{1001 + at}.5", f"{at + 1}") for at in range(12)]


def snapshot(bids: Sequence[Any] = BIDS[:10], asks: Sequence[Any] = ASKS[:10]) -> str:
    return message("snapshot", bids, asks, Reading(bids, asks))


def test_the_checksum_is_over_the_digits_at_the_decimal_places_of_the_pair() -> None:
    bids, asks = [(Decimal("0.5"), Decimal("5.1e-05"))], [(63298, 7)]
    book = OrderBook(bids, asks)
    assert checksum(book, (1, 8)) == zlib.crc32(b"63298070000000055100")
    # Only the best ten levels of each side count.
    deep, ten = OrderBook(BIDS, ASKS), OrderBook(BIDS[:10], ASKS[:10])
    assert checksum(deep, (1, 8)) == checksum(ten, (1, 8)) == plain_checksum(Reading(BIDS, ASKS))


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
def test_every_recorded_checksum_is_right_and_a_changed_digit_is_not() -> None:
    lines = Path(f"{RECORDINGS}/messages/kraken-v2/session_book_btcusd_depth10.jsonl").read_text().splitlines()
    assert sum('"checksum"' in line for line in lines) == 2
    for changed in (False, True):
        tracked, counters = tracker(depth=10)
        market = Market()
        market.take([Instrument(SYMBOL, 0, 0)])
        for line in (json.dumps(PAIR), *lines):
            market.take(tracked.take(line.replace('"price":63294.6', '"price":63294.7') if changed else line))
        assert counters["book_checksum"] == changed
        assert market.status(SYMBOL) == (("stale", "checksum") if changed else ("live", None))
        assert market.top(SYMBOL, 1) == (
            [(Decimal("63299.4"), Decimal("0.00209987"))],
            [(Decimal("63299.5"), Decimal("0.4388201"))],
        )


def tracker(depth: int = 10) -> tuple[KrakenTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    state = VenueState({SYMBOL: SYMBOL}, counters)
    tracked = KrakenTracker(state, first_instruments(state.names, {}, "/"), Books(state, cut=depth))
    tracked.outbox.clear()
    return tracked, counters


def subscription(method: str, depth: int) -> dict[str, object]:
    params = {
        "channel": "book",
        "depth": depth,
        "symbol": [SYMBOL],
        **({"snapshot": True} if method == "subscribe" else {}),
    }
    return {"method": method, "params": params, "req_id": 1_000_000}


def test_a_book_is_subscribed_once_the_decimal_places_of_its_pair_are_known_and_not_again() -> None:
    tracked, _ = tracker()
    pair = k.pair(SYMBOL, "online", 1, 8)
    without = {**pair, "qty_precision": None}
    assert tracked.take(json.dumps(k.instrument(without)))
    assert tracked.outbox == []
    for _ in range(2):
        tracked.take(json.dumps(k.instrument(pair, k.pair("X/Y", "online", 1, 1))))
        assert tracked.outbox == [subscription("subscribe", 10)]


def test_an_error_about_a_book_is_counted_and_costs_the_pair_nothing() -> None:
    tracked, counters = tracker()
    error = {
        "method": "subscribe",
        "success": False,
        "error": f"No book of {SYMBOL}",
        "symbol": SYMBOL,
        "req_id": 1_000_000,
    }
    assert tracked.take(json.dumps(error)) == []
    assert tracked.take(json.dumps({**error, "success": True})) == []
    assert counters == {"errors": 1}


@pytest.mark.parametrize("seed", range(3))
def test_a_random_market_is_followed_by_its_checksums_at_every_depth(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # a test, no secret
    for depth in (10, 25):
        whole = Reading([], [])
        for _ in range(60):
            _trade(chance, whole)
        tracked, counters = tracker(depth)
        market = Market()
        market.take([Instrument(SYMBOL, 0, 0)])
        market.take(tracked.take(json.dumps(PAIR)))
        known = Reading(*whole.top(depth))  # type: ignore[arg-type]  # numbers instead of texts
        market.take(tracked.take(message("snapshot", whole.top(depth)[0], whole.top(depth)[1], known)))
        for _ in range(200):
            _trade(chance, whole)
            visible = whole.top(depth)
            sides = zip(known.top(depth), visible, (whole.bids, whole.asks), strict=True)
            changes = [_changes(*side) for side in sides]
            known = Reading(*visible)  # type: ignore[arg-type]  # numbers instead of texts
            market.take(tracked.take(message("update", changes[0], changes[1], known)))
            assert market.top(SYMBOL, depth) == market.top(SYMBOL, 1000) == visible
        assert counters == {}


def _trade(chance: random.Random, whole: Reading) -> None:
    """Change some levels of a market around 1000."""
    for side, sign in ((whole.bids, -1), (whole.asks, 1)):
        for _ in range(chance.randint(0, 3)):
            price = 1000 + sign * Decimal(chance.randint(1, 400)) / 10
            if chance.random() < 0.4:
                side.pop(price, None)
            else:
                side[price] = Decimal(chance.randint(1, 10**6)) / 10**8


def _changes(
    before: Sequence[Any], after: Sequence[Any], side: dict[Decimal, Decimal]
) -> list[tuple[Decimal, Decimal]]:
    """What Kraken sends: levels that are new or gone, but not those that only fall out of the depth."""
    gone = [(price, Decimal(0)) for price, _ in before if price not in side]
    return [*gone, *(level for level in after if level not in before)]


@asynccontextmanager
async def followed() -> AsyncIterator[tuple[ServedConnection, Market, Kraken]]:
    """The feed with a local Kraken that has told the pair, and was asked for its book."""
    async with venue() as server:
        feed = Kraken(symbols=SYMBOL, depth=10, url=server.url, ca=option_ca().removeprefix("ca="))
        async with read(feed) as market:
            connection = await server.accept()
            for _ in range(3):
                await connection.request()
            await connection.send(
                k.ONLINE, k.answer("ticker", SYMBOL, 1), k.answer("trade", SYMBOL, 2), PAIR, k.ticker(SYMBOL, "1000.5")
            )
            assert await connection.request() == subscription("subscribe", 10)
            yield connection, market, feed


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kraken, "book_seconds", 0.01)
    monkeypatch.setattr(Kraken, "request_seconds", 0.01)
    monkeypatch.setattr(books, "FIRST_WAIT", 0.1)


async def test_a_level_that_falls_out_of_the_depth_is_gone_and_one_that_comes_back_is_there() -> None:
    async with followed() as (connection, market, feed):
        reading = Reading(BIDS[:10], ASKS[:10])
        await connection.send(snapshot())
        await market.until(lambda: market.top(SYMBOL) == reading.top())
        reading.change([("1000.9", "1")], [])
        await connection.send(message("update", [("1000.9", "1")], [], reading))
        await market.until(lambda: market.top(SYMBOL, 100) == reading.top())
        back = [("1000.9", "0"), BIDS[9]]
        reading = Reading(BIDS[:10], ASKS[:10])
        await connection.send(message("update", back, [], reading))
        await market.until(lambda: market.top(SYMBOL, 100) == reading.top())
        assert market.stale == []
        assert not feed.counters["book_checksum"]


async def test_a_missing_message_shows_in_the_checksum_and_the_book_is_subscribed_anew() -> None:
    async with followed() as (connection, market, feed):
        await connection.send(snapshot())
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        reading = Reading(BIDS[:10], ASKS[:10])
        reading.change([BIDS[3], ("999.5", "7")], [("1001.5", "5")])
        # The change of 999.5 was lost: the best ten levels are others.
        await connection.send(message("update", [], [("1001.5", "5")], reading))
        await market.until(lambda: market.status(SYMBOL) == ("stale", "checksum"))
        assert await connection.request() == subscription("unsubscribe", 10)
        assert await connection.request() == subscription("subscribe", 10)
        await connection.send(message("update", [("998.5", "1")], [], reading), k.ticker(SYMBOL, "1000.4"))
        await connection.send(message("snapshot", reading.top()[0], reading.top()[1], reading))
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        assert market.top(SYMBOL) == reading.top()
        assert market.stale == [Stale(SYMBOL, "checksum", book_only=True)]
        assert feed.counters["book_checksum"] == 1


async def test_a_gap_of_the_trades_makes_the_book_stale_until_the_next_ticker_and_it_is_said_again() -> None:
    async with followed() as (connection, market, _):
        await connection.send(snapshot(), k.trades(SYMBOL, 7), k.trades(SYMBOL, 9))
        await market.until(lambda: market.status(SYMBOL) == ("stale", "gap"))
        await connection.send(k.ticker(SYMBOL, "1000.5"))
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        assert market.top(SYMBOL) == Reading(BIDS[:10], ASKS[:10]).top()
        assert [(trade.id, trade.side) for trade in market.trades] == [(7, "sell"), (9, "sell")]


@pytest.mark.parametrize("part", [{"checksum": None}, {"bids": 7}, {"asks": [7]}, {"asks": [{"price": 1}]}])
async def test_a_message_that_cannot_be_read_breaks_the_book_alone(part: dict[str, object]) -> None:
    async with followed() as (connection, market, _):
        bad = json.loads(message("update", [], [], Reading(BIDS[:10], ASKS[:10])))
        bad["data"][0].update(part)
        await connection.send(snapshot(), bad)
        await market.until(lambda: market.status(SYMBOL) == ("stale", "bad_message"))
        assert await connection.request() == subscription("unsubscribe", 10)
        await connection.send(snapshot())
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        assert market.stale == [Stale(SYMBOL, "bad_message", book_only=True)]


def test_options_choose_what_is_subscribed() -> None:
    state = VenueState({SYMBOL: SYMBOL}, Counter())
    tracked = KrakenTracker(state, first_instruments(state.names, {}, "/"), trades=False)
    tracked.take(json.dumps(PAIR))
    assert [each["params"]["channel"] for each in tracked.outbox if isinstance(each, dict)] == ["ticker", "instrument"]
    assert tracked.take(snapshot()) == []
    with pytest.raises(ConfigError, match="depth 11: give one of 10, 25, 100, 500, 1000, or book=no"):
        Kraken(symbols="A/B", depth=11)


def test_in_a_recording_as_well_a_level_that_comes_into_the_depth_is_there() -> None:
    file, market = KrakenFile(Counter()), Market()
    market.take([Instrument(SYMBOL, 0, 0)])
    better, whole = Reading([*BIDS[:10], ("1000.9", "1")], ASKS[:10]), Reading(BIDS[:10], ASKS[:10])
    deeper = Reading(BIDS[1:11], ASKS[:10])
    subscribed = {"method": "subscribe", "result": {"channel": "book", "depth": 10, "symbol": SYMBOL}, "success": True}
    for raw, reading in (
        (snapshot(), whole),
        (message("update", [("1000.9", "1")], [], better), better),
        (message("update", [("1000.9", "0"), (BIDS[0][0], "0"), BIDS[9], BIDS[10]], [], deeper), deeper),
    ):
        file.read(json.dumps(subscribed))
        market.take(file.read(raw))
        assert market.top(SYMBOL, 100) == reading.top()

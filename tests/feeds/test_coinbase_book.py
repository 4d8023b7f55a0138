"""ticker_feeds/venues/coinbase.py: its order books, of a local Coinbase and of its recordings."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.feeds import test_coinbase as c
from tests.feeds.market_reader import Market, Reading, read
from tests.feeds.venue_server import ServedConnection, option_ca, venue
from ticker.errors import ConfigError
from ticker.market import Instrument, Stale
from ticker_feeds.venues import Books, VenueState, books
from ticker_feeds.venues.coinbase import Coinbase, CoinbaseTracker

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
SYMBOL = "A-B"
BOOK = {"product_ids": [SYMBOL], "channels": ["level2_batch"]}


def snapshot(levels: int = 3, symbol: str = SYMBOL) -> dict[str, object]:
    bids, asks = (
        [[f"{start + step * at}.00", "1.5"] for at in range(levels)] for start, step in ((1000, -1), (1001, 1))
    )
    return {"type": "snapshot", "product_id": symbol, "bids": bids, "asks": asks}


def update(*changes: list[str], symbol: str = SYMBOL) -> dict[str, object]:
    return {"type": "l2update", "product_id": symbol, "changes": list(changes), "time": c.TIME}


def tracker(*symbols: str, depth: int = 1_000) -> tuple[CoinbaseTracker, Counter[str]]:
    counters: Counter[str] = Counter()
    state = VenueState({symbol: symbol for symbol in symbols}, counters)
    return CoinbaseTracker(state, Books(state, depth)), counters


def test_books_are_subscribed_after_all_else_and_an_error_about_them_is_no_other_s() -> None:
    tracked, counters = tracker(SYMBOL, "C-D")
    assert len(tracked.outbox) == 1
    c.take(tracked, c.error("C-D is not a valid product"), c.subscriptions(SYMBOL))
    assert tracked.outbox[2:] == [c.STATES, {"type": "subscribe", **BOOK}]
    assert c.take(tracked, c.error("level2_batch requires a key")) == []
    assert counters == {"refused": 1, "errors": 1}
    c.take(tracked, c.states(C_D="online"), c.subscriptions("C-D"))
    assert tracked.outbox[-1] == {"type": "subscribe", "product_ids": ["C-D"], "channels": ["level2_batch"]}


@pytest.mark.untraced
@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
def test_after_every_recorded_update_the_book_is_that_of_an_independent_reading() -> None:
    folder = Path(f"{RECORDINGS}/messages/coinbase-exchange")
    messages = [
        json.loads(line)
        for kind in ("snapshot", "update")
        for line in (folder / f"l2_{kind}.jsonl").read_text().splitlines()
    ]
    readings = {each["product_id"]: Reading(each["bids"], each["asks"]) for each in messages if "bids" in each}
    tracked, counters = tracker(*readings)
    c.take(tracked, c.subscriptions(*readings))
    market = Market()
    market.take(Instrument(symbol, 0, 0) for symbol in readings)
    updates = 0
    for message in messages:
        symbol = message["product_id"]
        market.take(c.take(tracked, message))
        if "changes" in message:
            updates += 1
            for side, price, size in message["changes"]:
                level = [(price, size)]
                readings[symbol].change(*((level, []) if side == "buy" else ([], level)))
            assert market.top(symbol, 50) == readings[symbol].top(50)
    assert updates == 3_240
    assert counters == {}
    assert all(market.status(symbol) == ("live", None) for symbol in readings)


@asynccontextmanager
async def followed(**options: Any) -> AsyncIterator[tuple[ServedConnection, Market, Coinbase]]:  # noqa: ANN401
    """The feed with a local Coinbase that was asked for a book."""
    async with venue() as server:
        feed = Coinbase(symbols=SYMBOL, url=server.url, ca=option_ca().removeprefix("ca="), **options)
        async with read(feed) as market:
            connection = await server.accept()
            await connection.request()
            await connection.send(c.subscriptions(SYMBOL))
            assert await connection.request() == c.STATES
            assert await connection.request() == {"type": "subscribe", **BOOK}
            yield connection, market, feed


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Coinbase, "book_seconds", 0.01)
    monkeypatch.setattr(Coinbase, "request_seconds", 0.01)
    monkeypatch.setattr(books, "FIRST_WAIT", 0.1)


async def is_asked_for(connection: ServedConnection) -> bool:
    return [await connection.request() for _ in range(2)] == [
        {"type": kind, **BOOK} for kind in ("unsubscribe", "subscribe")
    ]


async def test_a_book_is_its_snapshot_and_the_changes_behind_it() -> None:
    async with followed() as (connection, market, _):
        await connection.send(
            update(["buy", "1000.00", "9"]), snapshot(), update(["buy", "1000.00", "2"], ["sell", "1001.00", "0"])
        )
        wanted = [(Decimal(1000), Decimal(2)), (Decimal(999), Decimal("1.5"))], [(Decimal(1002), Decimal("1.5"))]
        await market.until(lambda: (market.top(SYMBOL)[0][:2], market.top(SYMBOL)[1][:1]) == wanted)
        assert market.status(SYMBOL) == ("live", None)
        assert market.stale == []


async def test_only_the_best_levels_are_kept_and_the_book_is_asked_for_anew_when_few_are_left() -> None:
    async with followed(depth=100) as (connection, market, _):
        await connection.send(snapshot(200))
        await market.until(lambda: len(market.top(SYMBOL, 1_000)[0]) == 100)
        await connection.send(update(*(["buy", f"{1000 - at}.00", "0"] for at in range(51)), ["buy", "850.00", "1"]))
        assert await is_asked_for(connection)
        assert len(market.top(SYMBOL, 1_000)[0]) == 49
        await connection.send(snapshot(200))
        await market.until(lambda: len(market.top(SYMBOL, 1_000)[0]) == 100)
        assert market.stale == []


@pytest.mark.parametrize(
    "changes", [None, 7, [7], [["buy", "1"]], [["up", "1", "1"]], [["buy", "x", "1"]], [[{}, "1", "1"]]]
)
async def test_a_message_that_cannot_be_read_breaks_the_book_alone(changes: object) -> None:
    async with followed() as (connection, market, _):
        await connection.send(snapshot(), {**update(), "changes": changes})
        await market.until(lambda: market.status(SYMBOL) == ("stale", "bad_message"))
        assert await is_asked_for(connection)
        await connection.send({**snapshot(), "bids": changes or {}}, update())
        await connection.send(snapshot())
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        assert {each.book_only for each in market.stale} == {True}


async def test_a_book_that_is_crossed_for_long_is_stale_and_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "CROSSED_SECONDS", 0.05)
    async with followed() as (connection, market, feed):
        await connection.send(snapshot(), update(["buy", "1001.50", "1"]))
        assert await is_asked_for(connection)
        await market.until(lambda: market.stale == [Stale(SYMBOL, "crossed", book_only=True)])
        await connection.send(snapshot())
        await market.until(lambda: market.status(SYMBOL) == ("live", None))
        assert feed.counters["book_crossed"] == 1


@pytest.mark.parametrize(
    ("options", "channels"),
    [({"trades": False}, ["ticker", "heartbeat"]), ({"book": False}, ["ticker", "matches", "heartbeat"])],
)
def test_options_choose_what_is_subscribed(options: dict[str, Any], channels: list[str]) -> None:
    feed = Coinbase(symbols=SYMBOL, **options)
    state = VenueState(feed.names, Counter())
    tracked = CoinbaseTracker(state, trades=feed._trades)
    c.take(tracked, c.subscriptions(SYMBOL))
    assert tracked.outbox == [{"type": "subscribe", "product_ids": [SYMBOL], "channels": channels}, c.STATES]
    assert c.take(tracked, snapshot()) == []


@pytest.mark.parametrize("depth", [0, 99, 10_001])
def test_a_depth_that_cannot_be_is_refused(depth: int) -> None:
    with pytest.raises(ConfigError, match="give 100 to 10000, or book=no"):
        Coinbase(symbols=SYMBOL, depth=depth)

"""tests/feeds/newcomer.py, written from feeds/README.md alone, conforms and publishes exact values."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import trio

from tests.feeds.newcomer import Lantern, LanternTracker
from tests.feeds.venue_server import ServedConnection, option_ca, venue, venue_that_talks
from ticker.market import FeedItem, Instrument, Stale, Update
from ticker_feeds.kit import check_feed
from ticker_feeds.venues import VenueState

MESSAGES = [
    ["listing", "GOLD", 2],
    ["quote", "GOLD", 2350.1, "2350.30", 1_700_000_000_000],
    ["beat"],
    ["rumour", "GOLD"],
    ["halt", "GOLD"],
]


def packed(message: object) -> bytes:
    return gzip.compress(json.dumps(message).encode())


def lantern(url: str) -> Lantern:
    return Lantern(symbols="GOLD", url=url, ca=option_ca().removeprefix("ca="))


async def test_a_newcomer_s_feed_conforms_and_has_fewer_than_70_lines() -> None:
    assert len((Path(__file__).parent / "newcomer.py").read_text().splitlines()) < 70

    async def talk(connection: ServedConnection) -> None:
        while True:
            await connection.send(*map(packed, MESSAGES), "not compressed", b"not gzip")
            await trio.sleep(0.001)

    async with venue_that_talks(talk) as server:
        feed = lantern(server.url)
        await check_feed(feed, updates=50, full_seconds=0.2)
    assert feed.counters["parse_errors"] > 1


async def test_a_newcomer_s_feed_subscribes_and_publishes_compressed_arrays_exactly() -> None:
    sending, receiving = trio.open_memory_channel[FeedItem](100)
    async with venue() as server, trio.open_nursery() as nursery:
        nursery.start_soon(lantern(server.url).run, sending)
        connection = await server.accept()
        assert await connection.request() == "follow GOLD"
        await connection.send(*map(packed, MESSAGES))
        assert [await receiving.receive() for _ in range(6)] == [
            [Instrument("GOLD", 0, metadata={"venue": "lantern"})],
            [Instrument("GOLD", 2, metadata={"venue": "lantern"})],
            [
                Update(
                    "GOLD",
                    {
                        "bid": Decimal("2350.1"),
                        "ask": "2350.30",
                        "time": 1_700_000_000_000_000,
                        "status": "live",
                        "reason": None,
                    },
                )
            ],
            [],
            [Stale("GOLD", "bad_message")],
            [Update("GOLD", {"status": "halted", "reason": "exchange_halt"})],
        ]
        nursery.cancel_scope.cancel()


def test_a_message_that_names_no_symbol_of_ours_changes_nothing() -> None:
    counters: Counter[str] = Counter()
    tracker = LanternTracker(VenueState({"GOLD": "GOLD"}, counters))
    for raw in (packed(["quote", "LEAD", "1", "2", 3]), packed({}), packed(["quote"]), packed([])):
        assert tracker.take(raw) == []
    assert counters == {"parse_errors": 3}

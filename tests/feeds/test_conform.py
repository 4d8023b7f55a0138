"""Every feed that comes with Ticker passes the kit that it offers to the authors of others
(ticker_feeds/kit/checker.py).
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.feeds.venue_server import ServedConnection, venue
from ticker.net.devcert import AUTHORITY_FILE
from ticker_feeds import Feed
from ticker_feeds.kit import check_feed
from ticker_feeds.lines import JsonLines, Udp
from ticker_feeds.recordings import Replay
from ticker_feeds.venues.binance import Binance
from ticker_feeds.venues.coinbase import Coinbase
from ticker_feeds.venues.kraken import Kraken

TIME = "2024-05-06T07:08:09.123456Z"
OBJECTS = [{"instrument": "A", "price_scale": 2}, {"symbol": "A", "bid": "1.25"}, {"symbol": "A", "ask": "1.50"}]
LINES = b"".join(json.dumps(each).encode() + b"\n" for each in OBJECTS)


async def check(feed: Feed) -> None:
    """As an author would, but with fewer updates and less patience."""
    await check_feed(feed, updates=100, seconds=5.0, full_seconds=0.2)


def coinbase(number: int) -> str:
    quote = {"best_bid": "1.25", "best_bid_size": "2", "best_ask": "1.50", "best_ask_size": "2", "last_size": "1"}
    day = {"price": "1.25", "open_24h": "1", "volume_24h": "9", "low_24h": "1", "high_24h": "2", "time": TIME}
    message = {"type": "ticker", "sequence": number, "trade_id": number, "product_id": "A-B"}
    return json.dumps(message | quote | day)


def kraken(_number: int) -> str:
    quote = {"bid": 1.25, "bid_qty": 2, "ask": 1.5, "ask_qty": 2, "last": 1.25, "volume": 9, "high": 2, "low": 1}
    data = {"symbol": "A/B", **quote, "trades": 5, "timestamp": TIME}
    return json.dumps({"channel": "ticker", "type": "update", "data": [data]})


def binance(number: int) -> str:
    quote = {"u": number, "s": "AB", "b": "1.25", "B": "2", "a": "1.50", "A": "2"}
    return json.dumps({"stream": "ab@bookTicker", "data": quote})


@asynccontextmanager
async def prices(message: Callable[[int], str]) -> AsyncIterator[str]:
    """A venue that sends such messages to every client; yields its URL."""
    numbers = itertools.count(1)

    async def talk(connection: ServedConnection) -> None:
        try:
            while True:
                await connection.send(message(next(numbers)))
                await trio.sleep(0.001)
        except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the feed has gone

    async with venue() as server, trio.open_nursery() as nursery:

        async def receive() -> None:
            while True:
                nursery.start_soon(talk, await server.accept())

        nursery.start_soon(receive)
        yield server.url
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("make", "symbols", "message"),
    [(Coinbase, "A-B", coinbase), (Kraken, "A/B", kraken), (Binance, "AB", binance)],
    ids=["coinbase", "kraken", "binance"],
)
async def test_a_venue_s_feed_conforms(make: Callable[..., Feed], symbols: str, message: Callable[[int], str]) -> None:
    async with prices(message) as url:
        await check(make(symbols=symbols, url=url, ca=str(Path(os.environ["TICKER_HOME"]) / AUTHORITY_FILE)))


@pytest.mark.parametrize("options", [{}, {"speed": 0.0}, {"loop": True}], ids=["pace", "at once", "loop"])
def test_replay_conforms(options: dict[str, float | bool], tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    rows = [f"A,{1_700_000_000_000_000 + 1_000 * number},1.{number:02}" for number in range(50)]
    path.write_text("\n".join(["symbol,time,bid", *rows]))
    make: Callable[..., Feed] = Replay
    trio.run(check, make(path=str(path), **options))


def test_lines_of_a_file_conform(tmp_path: Path) -> None:
    path = tmp_path / "prices"
    path.write_bytes(LINES)
    trio.run(check, JsonLines(path=str(path)))


async def repeat(act: Callable[[], Awaitable[object]]) -> None:
    """Do this again and again, whether or not the feed is there."""
    while True:
        with suppress(OSError, trio.BrokenResourceError):
            await act()
        await trio.sleep(0.01)


async def test_lines_that_programs_write_into_a_socket_conform(tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def write() -> None:
        async with await trio.open_unix_socket(str(path)) as stream:
            while True:
                await stream.send_all(LINES)
                await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(repeat, write)
        await check(JsonLines(path=f"unix:{path}"))
        nursery.cancel_scope.cancel()


async def test_datagrams_conform() -> None:
    feed = Udp(listen="127.0.0.1:0")
    sender = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)

    async def write() -> None:
        if feed.address:
            host, _, port = feed.address.rpartition(":")
            await sender.sendto(json.dumps(OBJECTS).encode(), (host, int(port)))

    with sender:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(repeat, write)
            await check(feed)
            nursery.cancel_scope.cancel()

"""A feed that dies beside others that live, as `ticker watch` shows it to a person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.bounds import HANG_SECONDS
from tests.commands.terminal import Rows, Terminal, in_terminal
from tests.conftest import Running, serving
from tests.feeds.test_coinbase import begin, heartbeat
from tests.feeds.venue_server import ServedConnection, VenueServer, option_ca, venue
from tests.proxy import Proxy
from tests.support import update
from ticker.market import Instrument

OTHERS = ("COUNT", "OTHER.1", "OTHER.2")
"""Symbols of two feeds that nothing happens to."""
SIGN_OF_LIFE_SECONDS = 0.1


class Board:
    """The table of `ticker watch`. The rows of other feeds are checked each time, too: none may ever be stale."""

    def __init__(self, terminal: Terminal, mortal: Collection[str]) -> None:
        """`mortal` are the symbols of the feed that will die."""
        self._terminal = terminal
        self._mortal = mortal

    async def until_live(self, price: str) -> None:
        """Until all of the feed's rows show this price, and none that it is stale."""
        await self._until(lambda row: price in row and "stale" not in row)

    async def until_stale(self, reason: str) -> None:
        """Until each of the feed's rows shows that it is stale for this reason."""
        await self._until(lambda row: row[-2:] == ["stale", reason])

    async def _until(self, suits: Callable[[list[str]], bool]) -> None:
        """Until each row has suited once: the status goes on to `reconnecting` when the feed is started again."""
        missing = set(self._mortal)

        def look(rows: Rows) -> bool:
            if not rows.keys() >= {*OTHERS, *self._mortal}:
                return False
            for symbol in OTHERS:
                assert "stale" not in rows[symbol]
            missing.difference_update([symbol for symbol in missing if suits(rows[symbol])])
            return not missing

        with trio.fail_after(HANG_SECONDS):
            await self._terminal.until(look)


@asynccontextmanager
async def watched(
    folder: Path, *mortal: str, spec: str = "", silence: str = ""
) -> AsyncIterator[tuple[Running, Board]]:
    """A service with the others, a feed that the test writes (with limits to its silence) and one of this spec."""
    steady = folder / "steady.json"
    steady.write_text(json.dumps({"OTHER.1": {"bid": "5.5"}, "OTHER.2": {"bid": "6.5"}}))
    feeds = ["tests.feeds_for_tests:Counting", f"tests.feeds_for_tests:FromFile?path={steady}", *filter(None, [spec])]
    async with (
        serving(feed="Watched", settings_of_feed=silence, more_feeds=feeds) as service,
        in_terminal("watch", "--url", service.url, "*") as terminal,
    ):
        yield service, Board(terminal, mortal)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds are started again after at most a tenth of a second."""
    monkeypatch.setattr("ticker.server.feed_runner.FIRST_RESTART_SECONDS", 0.1)
    monkeypatch.setattr("ticker.server.feed_runner.LONGEST_RESTART_SECONDS", 0.1)


@pytest.mark.usefixtures("short_waits")
async def test_a_feed_that_raises(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"A": {"bid": "1.25"}, "B": {"bid": "1.25"}}))
    async with watched(tmp_path, "A", "B", spec=f"tests.feeds_for_tests:FromFile?path={path}") as (_, board):
        await board.until_live("1.25")
        path.unlink()
        await board.until_stale("feed_down")
        path.write_text(json.dumps({"A": {"bid": "1.75"}, "B": {"bid": "1.75"}}))
        await board.until_live("1.75")


async def test_a_feed_that_falls_silent(tmp_path: Path) -> None:
    async with watched(tmp_path, "A", "B", silence="silence_seconds=1") as (service, board):
        await service.publish(Instrument("A"), Instrument("B"))
        await live(service, board, "1.25")
        await board.until_stale("feed_silent")
        await live(service, board, "1.75")


async def live(service: Running, board: Board, price: str) -> None:
    """Have the feed say the price again and again, until it is seen to be live."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(said_again, service, price)
        await board.until_live(price)
        nursery.cancel_scope.cancel()


async def said_again(service: Running, price: str) -> None:
    while True:
        await service.publish(update("A", bid=price), update("B", bid=price))
        await trio.sleep(SIGN_OF_LIFE_SECONDS)


async def test_a_feed_whose_connection_is_half_open(tmp_path: Path) -> None:
    async with venue() as server, trio.open_nursery() as nursery:
        proxy = Proxy(server.url)
        await nursery.start(proxy.run)
        nursery.start_soon(every_line, server, nursery)
        spec = f"tests.feeds_for_tests:Impatient?symbols=BTC-USD,ETH-USD&url={proxy.url}&{option_ca()}"
        async with watched(tmp_path, "BTC-USD", "ETH-USD", spec=spec) as (_, board):
            await board.until_live("100.4")
            proxy.stall()
            await board.until_stale("feed_silent")
            proxy.flow()
            await board.until_live("100.4")
        nursery.cancel_scope.cancel()


async def every_line(server: VenueServer, nursery: trio.Nursery) -> None:
    """Serve each connection that the feed makes, however many that are."""
    while True:
        nursery.start_soon(keep_speaking, await server.accept())


async def keep_speaking(connection: ServedConnection) -> None:
    """Prices once, and from then on only signs of life."""
    with suppress(ConnectionClosed):
        await begin(connection)
        while True:
            await connection.send(heartbeat("BTC-USD", 100))
            await trio.sleep(SIGN_OF_LIFE_SECONDS)

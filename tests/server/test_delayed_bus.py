"""An edge of a real Redis with `--delay`: late, through the death of the engine and whatever stands in its log."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.bus.servers import Server, started
from tests.conftest import Logs, Running
from tests.server.delayed import DELAY, page, said_delay
from tests.server.test_on_a_bus import becomes_ready, is_not_ready, on_bus
from tests.server.test_pages import ask
from ticker.bus.engine import Position


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None:
    """Each test has a spool of its own."""


async def test_an_edge_of_a_redis_is_late_and_what_is_no_entry_is_said_when_its_time_has_come(
    tmp_path: Path, logs: Logs
) -> None:
    server = Server(tmp_path)
    with started(server):
        await server.ready()
        url = f"redis://{server.address}"
        async with on_bus(url, feeds=True) as source:
            await becomes_ready(source)
            async with on_bus(url, delay=f"{DELAY}s") as late:
                await is_not_ready(late, "the market is shown 2 s late: there is none before")
                await becomes_ready(late)
                assert said_delay(await late.watcher("*")) == DELAY
                async with on_bus(url) as edge:
                    await becomes_ready(edge)
                    while await cut(edge) <= await cut(late):  # it has to catch up, and then it stays ahead
                        await trio.sleep(0.05)
                source.stop.set()
                await source.done.wait()
                async with server.engine().connect() as connection:
                    last = await connection.last()
                    await connection.append(Position(last.cut + 1), b"no entry of anybody")
                while not any("give the bus a key of its own" in str(each) for each in logs):
                    await trio.sleep(0.05)
                assert (await ask(late, "/healthz")).status == 200


async def cut(service: Running) -> int:
    return int((await page(service, "/v1/snapshot?symbols=*")).json["cut"])

"""Chained tickers of several processes: workers that follow workers, and a ticker that follows an edge of a bus."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.bus.servers import Server, started
from tests.conftest import Logs, upgrade
from tests.server.test_following import following, welcomed
from tests.server.test_on_a_bus import becomes_ready, is_not_ready, on_bus
from tests.supervisor.running import supervised
from ticker.protocol.messages import Delta
from ticker.protocol.wire import FOLLOWING

pytestmark = pytest.mark.untraced


async def test_workers_follow_the_workers_of_another_ticker_and_outlive_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "branch").mkdir()
    async with (
        supervised(tmp_path) as first,
        supervised(tmp_path / "branch", "--follow", first.url, feed="") as branch,
    ):
        await first.ready()
        await branch.ready()
        peer, epoch = await welcomed(branch)
        assert (await welcomed(first))[1] == epoch
        assert not [name for name in branch.pids() if name == "source"]
        await first.until(lambda metrics: sum(metrics["ticker_follow_connections", each] for each in "12") == 2)
        await peer.ask("subscribe", symbols=["COUNT"])
        cut = (await peer.until(Delta)).cut
        for name in "12":
            os.kill(first.pids()[name], signal.SIGKILL)
        reached = cut
        while reached < cut + 300:  # three seconds
            reached = (await peer.until(Delta)).cut
        assert (await welcomed(branch))[1] == epoch
        lost = [value for name, labels, value in await branch.samples() if labels.get("cause") == "lost"]
        assert lost
        assert not any(lost), "each goes on with its copy, at the worker that takes the place"


async def test_an_edge_of_a_bus_can_be_followed_and_its_source_refuses_that(tmp_path: Path, logs: Logs) -> None:
    del logs
    server = Server(tmp_path)
    url = f"redis://{server.address}"
    with started(server):
        await server.ready()
        async with on_bus(url, feeds=True) as source, on_bus(url) as edge, following(edge.url) as branch:
            await becomes_ready(branch)
            assert (await welcomed(branch))[1] == (await welcomed(edge))[1]
            before = (await server.run("CLIENT", "LIST", "TYPE", "normal")).count(" addr=")
            async with following(edge.url) as other:
                await becomes_ready(other)
                now = (await server.run("CLIENT", "LIST", "TYPE", "normal")).count(" addr=")
                assert now == before, "followers of an edge share its connection"
            refused = await source.refusal(upgrade(FOLLOWING))
            assert refused.startswith(b"HTTP/1.1 503 ")
            body = json.loads(refused.partition(b"\r\n\r\n")[2])
            assert body["message"] == "this process has the feeds and serves no clients: connect to an edge"
            epoch = (await welcomed(edge))[1]
            await server.run("ACL", "SETUSER", "default", "-@all", "+acl", "+client")
            await server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await is_not_ready(branch, r"wss://.*: the bus at redis://.* may not do what is needed")
            await server.run("ACL", "SETUSER", "default", "+@all")
            await becomes_ready(branch)
            assert (await welcomed(branch))[1] == epoch

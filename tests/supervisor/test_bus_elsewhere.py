"""`ticker serve --workers N --bus`: all processes are on a Redis, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from tests.bus.servers import Server, started
from tests.server.test_pages import ask
from tests.supervisor.running import supervised
from ticker.supervisor.acceptor import last_to_be_given
from ticker.supervisor.child import Child
from ticker.supervisor.messages import Kind, Settings

pytestmark = pytest.mark.untraced


async def test_connections_go_to_workers_that_are_ready_then_to_those_with_the_fewest() -> None:
    full, empty, unready, late = children = [Child(name, settings_of_none) for name in ("1", "2", "3", "4")]
    for each in children:
        each.ready, each.beat_at = each is not unready, trio.current_time() - 100 * (each is late)
    full.connections = {1, 2, 3}
    assert sorted(children, key=last_to_be_given) == [empty, full, unready, late]


def settings_of_none(connections: Mapping[Kind, int]) -> Settings:
    """None of them is started."""
    raise AssertionError(connections)


async def test_workers_whose_engine_is_away_answer_operators_and_serve_once_it_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with supervised(tmp_path, "--bus", f"redis://{server.address}") as service:
        assert (await ask(service, "/healthz")).status == 200
        ready = await ask(service, "/readyz")
        assert ready.status == 503
        assert f"the bus at redis://{server.address}/0: it cannot be reached" in ready.json["message"]
        assert (await ask(service, "/v1/snapshot?symbols=*")).status == 503
        workers = {name: pid for name, pid in service.pids().items() if name != "source"}
        with started(server):
            await service.ready()
            assert (await ask(service, "/v1/snapshot?symbols=*")).status == 200
            roles = [
                (labels["worker"], labels["role"])
                for name, labels, value in await service.samples()
                if name == "ticker_bus_role" and value
            ]
            assert ("source", "source") in roles
            assert ("1", "edge") in roles
        assert workers.items() <= service.pids().items(), "no process was replaced"

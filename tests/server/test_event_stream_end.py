"""ticker/server/event_stream.py, where the client goes while the service says goodbye."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.bounds import HANG_SECONDS
from tests.simulation.link import Link
from tests.support import market
from ticker.config import Config, Limits
from ticker.core.hub import Hub
from ticker.door.auth import Auth
from ticker.door.sender import Sender
from ticker.server.connection import ServerContext
from ticker.server.event_stream import EventsRequest, serve_events

GOING: dict[str, Callable[[Link], None]] = {
    "its connection breaks": Link.reset,
    "its connection was closed": lambda link: link.server.abort(),
    "it ends its half and reads no more": lambda link: link.up.end(),
}


@pytest.mark.parametrize("go", GOING.values(), ids=GOING)
async def test_a_client_that_goes_at_the_goodbye_harms_nobody_else(go: Callable[[Link], None]) -> None:
    service = ServerContext(Hub(market("A")), Limits(), 0, Auth(Config()))
    link = Link(room=100_000, chunk=65_536, heard=lambda _data, _by_server: None)

    async def serve() -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await serve_events(link.server, EventsRequest(["A"], None, "", {}), Sender("127.0.0.1"), service)

    async with trio.open_nursery() as serving:
        serving.start_soon(service.fair_queue.hand_out)
        serving.start_soon(serve)
        await wait_all_tasks_blocked()
        link.down.size = 0
        (connection,) = service.connections
        async with trio.open_nursery() as leaving:
            leaving.start_soon(connection.send_goodbye, 0)
            await wait_all_tasks_blocked()
            assert link.server.unsent
            go(link)
        with trio.fail_after(HANG_SECONDS):
            while service.connections:
                await trio.sleep(0.001)
        serving.cancel_scope.cancel()

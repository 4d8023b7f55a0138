"""ticker/websocket.py, behind the server's close frame."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BINARY, CLOSE, KEY, client_frame
from tests.simulation.link import Link
from tests.simulation.witness import frames
from tests.support import market
from ticker.access import ANYONE
from ticker.config import Config, Limits
from ticker.front_door import Upgrade
from ticker.gate import Gate
from ticker.hub import Hub
from ticker.link import Service
from ticker.websocket import serve_websocket
from ticker.wire import MSGPACK

SUBSCRIBE = MSGPACK.encode_request({"op": "subscribe", "id": 1, "symbols": ["A"]})


async def test_a_request_brings_nothing_while_the_close_frame_waits_for_the_socket() -> None:
    said: list[bytes] = []

    def hear(data: bytes, by_server: bool) -> None:  # noqa: FBT001  # as the link calls it
        if by_server:
            said.append(data)

    service = Service(Hub(market("A")), Limits(), 0, Gate(Config()))
    link = Link(room=100_000, chunk=65_536, heard=hear)
    async with trio.open_nursery() as nursery:
        upgrade = Upgrade(KEY.encode(), MSGPACK, None)
        nursery.start_soon(serve_websocket, link.server, upgrade, b"", ANYONE, service)
        await wait_all_tasks_blocked()
        link.down.size = 0
        (connection,) = service.links
        nursery.start_soon(connection.leave, 0)
        await wait_all_tasks_blocked()
        assert isinstance(SUBSCRIBE, bytes)
        link.client.say(client_frame(BINARY, SUBSCRIBE))
        await wait_all_tasks_blocked()
        assert not link.up.held, "the request was read"
        whole, _ = frames(b"".join(said[1:]))
        nursery.cancel_scope.cancel()
    assert [frame.first_byte for frame in whole] == [BINARY, BINARY, CLOSE]

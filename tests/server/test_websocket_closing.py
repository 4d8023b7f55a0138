"""ticker/server/websocket.py, behind the server's close frame."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BINARY, CLOSE, KEY, PING, PONG, client_frame
from tests.simulation.link import Link
from tests.simulation.witness import frames
from tests.support import cut, market, update
from ticker.config import Config, Limits
from ticker.core.audience_index import Step
from ticker.core.hub import Hub
from ticker.door.auth import Auth
from ticker.door.sender import Sender
from ticker.net.http1 import Upgrade
from ticker.protocol.wire import MSGPACK
from ticker.server.connection import ServerContext
from ticker.server.websocket import serve_websocket

SUBSCRIBE = MSGPACK.encode_request({"op": "subscribe", "id": 1, "symbols": ["A"]})


@asynccontextmanager
async def a_link(*symbols: str) -> AsyncIterator[tuple[Link, ServerContext, list[bytes]]]:
    """A client that has been welcomed, and the frames it was sent; a step is one comparison."""
    said: list[bytes] = []

    def hear(data: bytes, by_server: bool) -> None:  # noqa: FBT001  # as the link calls it
        if by_server:
            said.append(data)

    service = ServerContext(Hub(market("A", *symbols), step=Step(1)), Limits(), 0, Auth(Config()))
    link = Link(room=100_000, chunk=65_536, heard=hear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.fair_queue.hand_out)
        upgrade = Upgrade(KEY.encode(), MSGPACK, None)
        nursery.start_soon(serve_websocket, link.server, upgrade, b"", Sender("127.0.0.1"), service)
        await wait_all_tasks_blocked()
        del said[0]  # the answer to the request
        yield link, service, said
        nursery.cancel_scope.cancel()


def ask(link: Link, request: bytes | str = SUBSCRIBE) -> None:
    assert isinstance(request, bytes)
    link.client.send_nowait(client_frame(BINARY, request))


def kinds(said: list[bytes]) -> list[int]:
    return [frame.first_byte for frame in frames(b"".join(said))[0]]


async def test_a_request_brings_nothing_while_the_close_frame_waits_for_the_socket() -> None:
    async with a_link() as (link, service, said), trio.open_nursery() as nursery:
        link.down.size = 0
        (connection,) = service.connections
        nursery.start_soon(connection.send_goodbye, 0)
        await wait_all_tasks_blocked()
        ask(link)
        await wait_all_tasks_blocked()
        assert not link.up.held, "the request was read"
        nursery.cancel_scope.cancel()
    assert kinds(said) == [BINARY, BINARY, CLOSE]


async def test_no_data_comes_behind_the_last_error_while_a_pong_holds_the_close_frame_up() -> None:
    async with a_link() as (link, service, said), trio.open_nursery() as nursery:
        (connection,) = service.connections
        ask(link)
        await wait_all_tasks_blocked()
        before = len(said)
        link.down.size = 0
        link.client.send_nowait(client_frame(PING, b""))
        await wait_all_tasks_blocked()
        nursery.start_soon(connection.close_with, connection._session.expired())
        await wait_all_tasks_blocked()
        assert kinds(said[before:]) == [PONG, BINARY]
        assert connection.closing
        cut(service.hub.cache, update("A", bid=1))
        for _ in service.hub.publish(0):
            pass
        link.down.size = 100_000
        link.flow()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert kinds(said[before:]) == [PONG, BINARY, CLOSE]


async def test_a_client_that_closes_in_the_middle_of_a_request_gets_nothing_behind_the_close_frame() -> None:
    async with a_link(*(f"S{number}" for number in range(100))) as (link, service, said):
        ask(link, MSGPACK.encode_request({"op": "subscribe", "id": 1, "symbols": ["*1*", "*2*", "*3*"]}))
        while not service.hub.index.comparisons:
            await trio.lowlevel.checkpoint()
        link.client.send_nowait(client_frame(CLOSE, (1000).to_bytes(2, "big")))
        await wait_all_tasks_blocked()
        made = service.hub.index.comparisons
        assert made < 300, "the request was carried out to its end"
        assert not service.connections
    assert kinds(said) == [BINARY, CLOSE]


async def test_a_request_in_the_middle_of_its_steps_brings_nothing_behind_the_last_error() -> None:
    async with a_link(*(f"S{number}" for number in range(100))) as (link, service, said):
        (connection,) = service.connections
        ask(link, MSGPACK.encode_request({"op": "subscribe", "id": 1, "symbols": ["*1*", "*2*", "*3*"]}))
        while not service.hub.index.comparisons:
            await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.close_with, connection._session.expired())
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert kinds(said) == [BINARY, BINARY, CLOSE]

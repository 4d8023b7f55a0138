"""ticker/client/client.py, where something comes while it closes."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1

import pytest
import trio
from trio.testing import memory_stream_pair

from tests.bounds import HANG_SECONDS
from tests.conftest import CLOSE
from ticker.client.addresses import Address
from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Event
from ticker.client.session import ClientSession
from ticker.protocol.messages import Welcome
from ticker.protocol.wire import MSGPACK

_WELCOME = MSGPACK.frame(Welcome(1, "epoch", "session", 0, 0, 1000, {}))
_PING = b"\x89\x00"


async def _answer_a_close_with_a_ping(stream: trio.abc.Stream) -> None:
    """A server that says nothing after its WELCOME, until the client closes."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some()
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)
    assert key is not None
    accept = b64encode(sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest())
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Protocol: ticker.v1.msgpack\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n" + _WELCOME
    )
    assert (await stream.receive_some())[0] == CLOSE
    await stream.send_all(_PING)


@pytest.mark.usefixtures("autojump_clock")
async def test_a_ping_that_comes_while_the_client_gives_up_a_silent_connection_does_not_end_it() -> None:
    events: list[Event] = []
    back = trio.Event()

    def happened(event: Event) -> None:
        events.append(event)
        if sum(isinstance(each, Connected) for each in events) == 2:
            back.set()

    async with trio.open_nursery() as nursery:

        async def dial() -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(_answer_a_close_with_a_ping, theirs)
            return ours

        client = Client([Address("wss://ticker.example/v1/stream", dial)], None, ClientSession(MSGPACK), happened)
        await client.start(nursery)
        with trio.fail_after(HANG_SECONDS):
            await back.wait()
        nursery.cancel_scope.cancel()
    assert client.fault is None
    assert [type(each) for each in events] == [Connected, Disconnected, Connected]

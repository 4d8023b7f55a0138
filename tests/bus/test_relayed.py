"""ticker/bus/relayed.py: attempts to reach another ticker, and what is none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.bus.engines import local_engine
from tests.bus.relays import Relay, relay_of
from tests.bus.servers import free_port
from tests.net.pair import Contexts
from ticker.bus.engine import Position, Unavailable
from ticker.bus.log import Log
from ticker.bus.relayed import RelayedEngine
from ticker.bus_bounds import FOLLOW_RETRY_SECONDS


@pytest.fixture
def jumping_clock() -> MockClock:
    """Trio's clock, which goes on at once when nothing is left to do."""
    return MockClock(autojump_threshold=0.2)


async def test_one_that_cannot_be_reached_is_asked_less_and_less_often(jumping_clock: MockClock) -> None:
    del jumping_clock
    engine, waits = RelayedEngine([f"wss://127.0.0.1:{free_port()}"]), list[float]()
    for _ in range(9):
        began = trio.current_time()
        with pytest.raises(Unavailable, match="nobody listens there"):
            async with engine.connect():
                pass
        waits.append(trio.current_time() - began)
    assert waits[0] == 0, "at once"
    assert FOLLOW_RETRY_SECONDS / 2 <= waits[-1] <= FOLLOW_RETRY_SECONDS
    assert waits[2] < waits[5] < FOLLOW_RETRY_SECONDS


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhome", "something in between answered, with HTTP status 200"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "with HTTP status 302; it is no Ticker",
        ),
        (b"220 mail.example.com ESMTP\r\n\r\n", "its answer opens no WebSocket; it is no Ticker service"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "its answer opens no WebSocket; it is no Ticker service"),
        (b"", "the connection was not completed"),
    ],
)
async def test_what_is_no_ticker_is_named(answer: bytes, cause: str, contexts: Contexts) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, contexts.server, server_side=True)
        async with tls:
            try:
                await tls.receive_some()
                await tls.send_all(answer)
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        engine = RelayedEngine([f"wss://127.0.0.1:{listener.socket.getsockname()[1]}"])
        with trio.fail_after(HANG_SECONDS), pytest.raises(Unavailable, match=cause):
            async with engine.connect():
                pass
        nursery.cancel_scope.cancel()


async def lose(engine: RelayedEngine, relay: Relay) -> None:
    """Connect, and ask for something once the other side has said goodbye."""
    async with engine.connect() as connection:
        (follower,) = relay.context.followers.connections
        await follower.say_goodbye()
        await connection.last()


async def test_the_next_address_has_its_turn_when_one_fails_and_it_stays_there(tmp_path: Path) -> None:
    log = Log()
    log.append(Position(1), b"first")
    dead = f"wss://127.0.0.1:{free_port()}"
    async with local_engine(tmp_path, log) as local, relay_of(local) as one, relay_of(local) as other:
        engine = RelayedEngine([dead, one.url, other.url])
        for _ in range(2):
            async with engine.connect() as connection:
                assert engine.name == one.url
                assert await connection.last() == Position(1)
        with pytest.raises(Unavailable, match="it closed the connection: the server is stopping"):
            await lose(engine, one)
        assert engine.name == other.url
        async with engine.connect() as connection:
            assert await connection.last() == Position(1)
        assert engine.name == other.url


async def test_secrets_in_an_address_are_not_shown() -> None:
    engine = RelayedEngine(["wss://user:secret@127.0.0.1:9"])
    assert "secret" not in engine.name
    assert "secret" not in repr(engine)

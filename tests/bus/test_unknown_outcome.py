"""A command whose answer is lost may have been done: done again, it leaves the same log and the same keyframe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.bus.servers import Server, started
from tests.proxy import Proxy
from ticker.bus.addresses import engine_for
from ticker.bus.engine import Connection, Engine, Entry, Keyframe, Position, Refused, Unavailable
from ticker.bus.redis_link import Link

PARTS = [b"first", b"second"]


async def commit(connection: Connection, entry: Entry) -> None:
    """Append; refused, see whether it is there already, as a source does."""
    try:
        await connection.append(*entry)
    except Refused:
        assert await connection.entry(entry.position) == entry.data


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Server]:
    """A Redis that has on its disk what it has accepted."""
    server = Server(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    with started(server), trio.fail_after(HANG_SECONDS):
        await server.ready()
        yield server


async def cut(server: Server, number: int) -> None:
    """One cut of a source, with a keyframe: the commands at each of which the server dies."""
    async with server.engine().connect() as connection:
        await commit(connection, Entry(Position(number), b"cut %d" % number))
        if await connection.keyframe() != Keyframe(number, len(PARTS)):
            for part, data in enumerate(PARTS):
                await connection.put_part(number, part, data)
            await connection.finish_keyframe(Keyframe(number, len(PARTS)))


async def holds_what_it_accepted(server: Server, last: int) -> None:
    """Its log ends with this cut or the one after, and its keyframe is whole."""
    async with server.engine().connect() as connection:
        position = await connection.last()
        assert position in {Position(last), Position(last + 1)}
        for number in range(max(1, last), position.cut + 1):
            assert await connection.entry(Position(number)) == b"cut %d" % number
        if (latest := await connection.keyframe()) is not None:
            assert latest.cut in {last, last + 1}
            assert [await connection.part(latest.cut, number) for number in range(latest.parts)] == PARTS


@pytest.mark.parametrize("moment", ["before it", "after it"])
async def test_a_server_that_is_killed_at_any_command_of_a_cut_has_what_it_accepted(
    kept: Server, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    send, left = Link.try_command, [0]

    async def die(link: Link, *arguments: bytes | int, seconds: float = 5.0) -> object:
        left[0] -= 1
        if left[0] == 0 and moment == "before it":
            kept.kill()
        answer = await send(link, *arguments, seconds=seconds)  # type: ignore[arg-type]
        if left[0] == 0:
            kept.kill()
            raise Unavailable("killed")
        return answer

    monkeypatch.setattr(Link, "try_command", die)
    for number in count(1):
        left[0] = number
        try:
            await cut(kept, number)
        except Unavailable:
            kept.start()
            await kept.loaded()
        else:
            break
        await holds_what_it_accepted(kept, number - 1)
        await cut(kept, number)
        await holds_what_it_accepted(kept, number)
    assert number > 15


@pytest.fixture
async def proxied(redis: Server) -> AsyncIterator[tuple[Proxy, Engine]]:
    proxy = Proxy(redis.address)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        yield proxy, engine_for(proxy.url.replace("wss://", "redis://"))
        nursery.cancel_scope.cancel()


async def test_an_append_whose_answer_is_lost_is_found_by_the_next_connection(proxied: tuple[Proxy, Engine]) -> None:
    proxy, engine = proxied
    for number in range(1, 10):
        entry = Entry(Position(number), b"data")
        async with engine.connect() as connection, trio.open_nursery() as nursery:
            proxy.stall()
            nursery.start_soon(lost, connection, entry)
            await trio.sleep(number / 1000)  # from before it is sent until it is long done
            proxy.cut()
        proxy.flow()
        async with engine.connect() as connection:
            await commit(connection, entry)
            assert await connection.last() == entry.position


async def lost(connection: Connection, entry: Entry) -> None:
    with pytest.raises(Unavailable):
        await connection.append(*entry)

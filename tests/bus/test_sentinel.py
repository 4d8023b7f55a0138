"""ticker/bus/redis.py: the primary is the one that the sentinels name, also after a failover."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.bus.servers import Server, Watched, free_port, watched_servers
from tests.bus.test_redis_settings import refused
from ticker.bus.addresses import engine_for
from ticker.bus.engine import Engine, Position, Unavailable


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_servers(tmp_path) as servers:
        yield servers


async def test_after_a_failover_the_new_primary_is_found_and_its_life_is_another(watched: Watched) -> None:
    engine = watched.engine()
    await watched.replicated()
    async with engine.connect() as connection:
        run = connection.run
        await connection.append(Position(1), b"data")
        while f"offset={(await offset(watched.primary))}" not in await watched.primary.run("INFO", "replication"):
            await trio.sleep(0.02)
        watched.primary.kill()
        with pytest.raises(Unavailable):
            await connection.append(Position(2), b"data")
    while True:
        try:
            async with engine.connect() as connection:
                assert connection.run != run
                assert await connection.last() == Position(1)
                await connection.append(Position(2), b"data")
                return
        except Unavailable:
            await trio.sleep(0.1)


async def offset(primary: Server) -> str:
    """How far its log of changes goes."""
    lines = (await primary.run("INFO", "replication")).splitlines()
    return next(line.partition(":")[2] for line in lines if line.startswith("master_repl_offset:"))


async def test_a_sentinel_that_does_not_answer_is_passed_over(watched: Watched) -> None:
    async with watched.engine("main", f"127.0.0.1:{free_port()}").connect() as connection:
        await connection.append(Position(1), b"data")


async def test_a_service_that_no_sentinel_knows(watched: Watched) -> None:
    port = free_port()
    text = await refused(watched.engine("other", f"127.0.0.1:{port}"))
    assert f"no sentinel names the primary (127.0.0.1:{port}: it cannot be reached: Connection refused" in text
    assert f"{watched.sentinel.address} knows no other" in text
    assert text.endswith("check the addresses, and that they monitor other")


async def test_sentinels_with_a_password_of_their_own(watched: Watched) -> None:
    """The engine has another one, which no sentinel is ever sent."""
    may = ("-@all", "+sentinel|get-master-addr-by-name", "+auth", "+hello")
    await watched.sentinel.run("ACL", "SETUSER", "asker", "on", ">theirs", *may)
    await watched.sentinel.run("ACL", "SETUSER", "mute", "on", ">theirs", "-@all", "+auth", "+hello")
    await watched.sentinel.run("ACL", "SETUSER", "default", "resetpass", ">theirs")
    await watched.primary.run("ACL", "SETUSER", "source", "on", ">its", "~*", "+@all")

    def engine(options: str = "") -> Engine:
        return watched.engine(user="source:its@", options=options)

    wanted = "the sentinels want a password: ?sentinel_password=PASSWORD"
    assert wanted in await refused(engine())
    wrong = "the sentinels' user or password is wrong: ?sentinel_password=PASSWORD"
    assert wrong in await refused(engine("?sentinel_password=its"))
    assert wrong in await refused(engine("?sentinel_user=source&sentinel_password=its"))
    text = await refused(engine("?sentinel_user=mute&sentinel_password=theirs"))
    assert "the sentinels' user may not ask them: ACL SETUSER NAME +sentinel|get-master-addr-by-name" in text
    for options in ("?sentinel_password=theirs", "?sentinel_user=asker&sentinel_password=theirs"):
        async with engine(options).connect() as connection:
            await connection.last()


async def test_a_sentinel_in_the_place_of_a_server_and_the_other_way_round(watched: Watched) -> None:
    assert "it is a sentinel: redis+sentinel://" in await refused(engine_for(f"redis://{watched.sentinel.address}"))
    await watched.primary.run("ACL", "SETUSER", "source", "on", ">its", "~*", "+@all")
    text = await refused(watched.engine(user="source:other@"))
    assert "the user or the password is wrong: redis+sentinel://USER:PASSWORD@HOST" in text
    text = await refused(engine_for(f"redis+sentinel://{watched.primary.address}/main"))
    assert "it does not know a command" in text

"""ticker/bus/redis.py: an engine that cannot be used is refused in a line with its remedy, and taken once mended."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio

from tests.bus.servers import Server, free_port, started
from tests.conftest import Logs
from ticker.bus import redis_failures
from ticker.bus.addresses import engine_for
from ticker.bus.engine import Engine, Keyframe, Position, Unavailable


async def refused(engine: Engine) -> str:
    """The text with which a connection is refused."""
    with pytest.raises(Unavailable) as caught:
        async with engine.connect():
            pass
    text = str(caught.value)
    assert text.startswith(f"the bus at {engine.name}: ")
    assert "\n" not in text
    return text


async def accepted(engine: Engine) -> None:
    async with engine.connect() as connection:
        assert await connection.last() == Position(0)


async def test_an_address_where_nobody_listens() -> None:
    engine = engine_for(f"redis://127.0.0.1:{free_port()}")
    assert "it cannot be reached: Connection refused; is it running, and is this its address?" in await refused(engine)


async def test_a_host_that_is_not_known() -> None:
    assert "it cannot be reached: " in await refused(engine_for("redis://nobody.invalid"))


async def test_a_password_that_is_wrong_missing_or_of_nobody(redis: Server) -> None:
    await redis.run("CONFIG", "SET", "requirepass", "right")
    text = "the user or the password is wrong: redis://USER:PASSWORD@HOST"
    assert text in await refused(redis.engine(":wrong@"))
    assert text in await refused(redis.engine("nobody:right@"))
    assert "it wants a password: redis://USER:PASSWORD@HOST" in await refused(redis.engine())
    await accepted(redis.engine(":right@"))


async def test_an_engine_that_evicts_until_it_does_not(redis: Server) -> None:
    engine = redis.engine()
    await redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    text = "its maxmemory-policy is allkeys-lru, so it may delete the log: set maxmemory-policy noeviction"
    assert text in await refused(engine)
    await redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await accepted(engine)


async def test_an_engine_that_begins_to_evict_goes_on_and_it_is_said_once_each_time(redis: Server, logs: Logs) -> None:
    await redis.run("ACL", "SETUSER", "source", "on", ">pw", "~ticker:*", "+@all")
    cut = 0

    async def warnings_after_a_keyframe() -> list[str]:
        nonlocal cut
        cut += 1
        await connection.append(Position(cut), b"data")
        await connection.put_part(cut, 0, b"part")
        await connection.finish_keyframe(Keyframe(cut, 1))
        return [entry["cause"] for entry in logs if entry["event"].startswith("the bus may lose its log")]

    text = "its maxmemory-policy is {}, so it may delete the log: set maxmemory-policy noeviction".format
    async with redis.engine("source:pw@").connect() as connection:
        assert await warnings_after_a_keyframe() == []
        await redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert await warnings_after_a_keyframe() == [text("allkeys-lru")]
        assert await warnings_after_a_keyframe() == [text("allkeys-lru")]
        await redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await warnings_after_a_keyframe()
        await redis.run("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
        assert await warnings_after_a_keyframe() == [text("allkeys-lru"), text("volatile-ttl")]
        await redis.run("ACL", "SETUSER", "source", "-info")
        await warnings_after_a_keyframe()
        assert await connection.keyframe() == Keyframe(cut, 1)


async def test_a_replica_until_it_is_a_primary(redis: Server) -> None:
    engine, primary = redis.engine(), free_port()
    await redis.run("REPLICAOF", "127.0.0.1", str(primary))
    text = await refused(engine)
    assert f"it is a read-only replica of 127.0.0.1:{primary}: name that one, or the sentinels" in text
    await redis.run("REPLICAOF", "NO", "ONE")
    await accepted(engine)


@pytest.mark.parametrize(("key", "wanted"), [("ticker:main:log", "stream"), ("ticker:main:keyframes", "hash")])
async def test_a_key_of_another_type_until_it_is_deleted(redis: Server, key: str, wanted: str) -> None:
    engine = redis.engine()
    await redis.run("RPUSH", key, "theirs")
    text = f"the key {key} is a list, not a {wanted}: another program uses it; delete it, or give a name of your own"
    assert text in await refused(engine)
    await accepted(redis.engine(options="?name=own"))
    await redis.run("DEL", key)
    await accepted(engine)


async def test_a_database_that_there_is_not(redis: Server) -> None:
    text = await refused(redis.engine(options="/99"))
    assert "it has fewer databases: give another number at the end of the address" in text
    await accepted(redis.engine(options="/15"))


async def test_databases_and_names_are_apart(redis: Server) -> None:
    async with redis.engine(options="/1?name=a").connect() as connection:
        await connection.append(Position(1), b"data")
    for options in ("?name=a", "/1?name=b", "/1"):
        await accepted(redis.engine(options=options))


async def test_no_room_for_a_client(redis: Server) -> None:
    await redis.run("CONFIG", "SET", "maxclients", "1")
    async with redis.engine().connect():
        assert "raise its maxclients" in await refused(redis.engine())


def allowances(text: str) -> dict[str, list[str]]:
    """The words of ACL SETUSER for an edge and for a source, from the error's own text."""
    found = re.search(r"for an edge, ACL SETUSER edge (.*); for a source, (.*)$", text)
    assert found is not None
    edge = found[1].split()
    return {"edge": edge, "source": [*edge, *found[2].split()]}


async def test_a_user_that_may_too_little_until_it_may_what_the_error_says(redis: Server) -> None:
    await redis.run("ACL", "SETUSER", "edge", "on", ">pw", "resetkeys", "-@all")
    engine = redis.engine("edge:pw@")
    text = await refused(engine)
    assert "its user edge may not do what is needed" in text
    await redis.run("ACL", "SETUSER", "edge", *allowances(text)["edge"])
    async with engine.connect() as connection:
        assert await connection.read(Position(0), 0.01) == []
        assert (await connection.keyframe(), await connection.part(1, 0), await connection.entry(Position(1))) == (
            None,
        ) * 3
        with pytest.raises(Unavailable, match=r"its user edge may not do what is needed .*xadd"):
            await connection.append(Position(1), b"data")
    await redis.run("ACL", "SETUSER", "edge", *allowances(text)["source"])
    async with engine.connect() as connection:
        for cut in (1, 2, 3):
            await connection.append(Position(cut), b"data")
            await connection.put_part(cut, 0, b"part")
            await connection.finish_keyframe(Keyframe(cut, 1))
        assert len(await connection.read(Position(0), 1)) == 2
    assert "its user edge may not do what is needed" in await refused(redis.engine("edge:pw@", "?name=other"))


async def test_it_is_said_once_that_an_engine_keeps_nothing_on_disk(redis: Server) -> None:
    engine = redis.engine()
    with structlog.testing.capture_logs() as logs:
        await accepted(engine)
        await accepted(engine)
    (entry,) = logs
    assert entry["log_level"] == "warning"
    assert "set appendonly yes" in entry["event"]
    await redis.run("CONFIG", "SET", "appendonly", "yes")
    with structlog.testing.capture_logs() as logs:
        await accepted(redis.engine())
    assert logs == []


async def test_a_cluster(tmp_path: Path) -> None:
    server = Server(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with started(server):
        await server.ready()
        assert "it is a cluster: name a server that is none, or the sentinels of one" in await refused(server.engine())


@asynccontextmanager
async def stranger(*answers: bytes, leave: bool = True) -> AsyncIterator[Engine]:
    """A server that gives these answers to what comes, and then leaves, or says nothing more."""

    async def serve(stream: trio.SocketStream) -> None:
        for answer in answers:
            await stream.receive_some(4096)
            await stream.send_all(answer)
        if not leave:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield engine_for(f"redis://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
        nursery.cancel_scope.cancel()


HELLO = b"%3\r\n+version\r\n+6.0.16\r\n+proto\r\n:3\r\n+id\r\n:1\r\n"


def info(**lines: str) -> bytes:
    text = "".join(f"{key}:{value}\r\n" for key, value in lines.items())
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "what answers there is no Redis: give the address of one"),
        ([b"-ERR unknown command `HELLO`\r\n"], "Redis 6.2 or newer is needed"),
        ([b"-DENIED Redis is running in protected mode\r\n"], "it is in protected mode"),
        ([b"-LOADING Redis is loading the dataset in memory\r\n"], "it is still loading its data: wait"),
        ([], "it closed the connection"),
        ([HELLO], "it closed the connection"),
        ([HELLO, info(redis_version="6.0.16", role="master")], "its version is 6.0.16: Redis 6.2 or newer is needed"),
        ([HELLO, info()], "its version is unknown: Redis 6.2 or newer is needed"),
        ([HELLO, info(redis_version="7.0", redis_mode="sentinel")], r"it is a sentinel: redis\+sentinel://"),
        ([HELLO, b"*1\r\n:1\r\n"], "its version is unknown"),
        ([HELLO, b"$x\r\n"], "invalid literal|closed the connection"),
    ],
)
async def test_what_is_no_redis_or_an_old_one(answers: list[bytes], text: str) -> None:
    async with stranger(*answers) as engine:
        assert re.search(text, await refused(engine))


async def test_a_server_that_says_nothing(autojump_clock: trio.testing.MockClock) -> None:  # noqa: ARG001
    async with stranger(b"", leave=False) as engine:
        assert "no answer" in await refused(engine)
    async with stranger(HELLO, b"", leave=False) as engine:
        assert "no answer (INFO timed out after 5.0 seconds): it is stopped or overloaded" in await refused(engine)


def test_the_page_for_operators_has_the_same_rights_as_the_errors() -> None:
    page = (Path(redis_failures.__file__).parent / "README.md").read_text()
    for user, rights in (("source", redis_failures.LEADING), ("edge", redis_failures.FOLLOWING)):
        assert f"ACL SETUSER {user} on >PASSWORD resetkeys ~ticker:main:* -@all {rights}\n" in page

"""ticker/bus/redis.py: whatever befalls a connection that works is said in a line, and the next one goes on."""

from __future__ import annotations

import signal
import ssl
from itertools import count
from pathlib import Path

import pytest
import trio
from coredis.exceptions import BusyLoadingError, ResponseError

from tests.bounds import HANG_SECONDS
from tests.bus.servers import Server, started
from ticker.bus.addresses import parse_redis_address
from ticker.bus.engine import Connection, Keyframe, Position, Refused, Unavailable
from ticker.bus.redis_failures import describe
from ticker.bus.redis_link import Link

LOG = "ticker:main:log"


async def fails(command: object, text: str) -> None:
    with pytest.raises(Unavailable, match=text) as caught:
        await command  # type: ignore[misc]
    assert "\n" not in str(caught.value)


async def ended(connection: Connection) -> None:
    await fails(connection.last(), "has ended")


async def test_memory_that_is_full_until_there_is_more(redis: Server) -> None:
    engine = redis.engine()
    async with engine.connect() as connection:
        await connection.append(Position(1), b"data")
        await redis.run("CONFIG", "SET", "maxmemory", "1")
        await fails(
            connection.append(Position(2), b"data"), r"it is out of memory: raise its maxmemory, or free memory"
        )
        await ended(connection)
    async with engine.connect() as connection:
        assert len(await connection.read(Position(0), 1)) == 1
        await fails(connection.put_part(1, 0, b"part"), r"it is out of memory")
    await redis.run("CONFIG", "SET", "maxmemory", "0")
    async with engine.connect() as connection:
        await connection.append(Position(2), b"data")


async def test_an_engine_that_becomes_a_replica(redis: Server) -> None:
    async with redis.engine().connect() as writer, redis.engine().connect() as reader:
        await writer.append(Position(1), b"data")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails, reader.read(Position(1), 60), "it has become a replica|it closed the connection")
            await trio.sleep(0.05)
            await redis.run("REPLICAOF", "127.0.0.1", "1")
        await fails(writer.append(Position(2), b"data"), "it is a read-only replica|it closed the connection")


async def test_a_server_that_was_a_replica_meanwhile_has_another_life(redis: Server) -> None:
    async with redis.engine().connect() as before, redis.engine().connect() as beside:
        assert before.run == beside.run
    await redis.run("REPLICAOF", "127.0.0.1", "1")
    await redis.run("REPLICAOF", "NO", "ONE")
    async with redis.engine().connect() as after:
        assert after.run != before.run


async def test_a_log_that_another_type_takes_the_place_of(redis: Server) -> None:
    async with redis.engine().connect() as connection:
        await connection.append(Position(1), b"data")
        await redis.run("SET", LOG, "theirs")
        await fails(connection.append(Position(2), b"data"), r"a key ticker:main:\* has another type: another program")
    await redis.run("DEL", LOG)


async def test_rights_that_are_taken_away(redis: Server) -> None:
    await redis.run("ACL", "SETUSER", "source", "on", ">pw", "~*", "+@all")
    async with redis.engine("source:pw@").connect() as connection:
        await connection.append(Position(1), b"data")
        await redis.run("ACL", "SETUSER", "source", "-xadd")
        await fails(connection.append(Position(2), b"data"), r"its user source may not do what is needed \(.*xadd")


async def test_an_entry_of_another_program_is_named_until_the_log_is_deleted(redis: Server) -> None:
    engine = redis.engine()
    text = rf"entry \d+-0 of {LOG} was not written by Ticker: another program writes there; stop it and delete"
    async with engine.connect() as source, engine.connect() as edge:
        await source.append(Position(1), b"data")
        await redis.run("XADD", LOG, "*", "price", "1.25")
        await fails(edge.read(Position(1), 1), text)
        await fails(source.append(Position(2), b"data"), text)  # not refused, as by another source
    with pytest.raises(Unavailable, match=text):
        async with engine.connect():
            pass
    await redis.run("DEL", LOG)
    async with engine.connect() as source:
        await source.append(Position(2), b"data")


async def test_an_entry_with_our_field_and_others_is_none_of_ours(redis: Server) -> None:
    async with redis.engine().connect() as edge:
        await redis.run("XADD", LOG, "1-0", "ticker", "x", "more", "y")
        await fails(edge.read(Position(0), 1), "entry 1-0 of .* was not written by Ticker")
    async with redis.engine(options="?name=other").connect() as edge:
        await redis.run("HSET", "ticker:other:keyframes", "x", "y")
        await fails(edge.keyframe(), "an entry of ticker:other:keyframes was not written by Ticker")


async def test_a_log_that_is_deleted_does_not_begin_anew_behind_its_source(redis: Server) -> None:
    engine = redis.engine()
    async with engine.connect() as source:
        await source.append(Position(1), b"data")
        await redis.run("FLUSHALL")
        await fails(source.append(Position(2), b"data"), f"{LOG} was deleted while it was in use")
    async with engine.connect() as source:
        assert await source.last() == Position(0)
        await source.append(Position(2), b"data")
        await source.append(Position(3), b"data")


async def test_a_log_has_only_so_many_entries(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.bus.redis.MAX_BUS_ENTRIES", 200)
    async with redis.engine().connect() as source:
        for cut in range(1, 1_000):
            await source.append(Position(cut), b"data")
        (first, *_) = await source.read(Position(0), 0)
        assert first.position.cut > 500
        assert await source.last() == Position(999)


async def test_an_engine_that_is_stopped_is_given_up_and_goes_on_later(redis: Server) -> None:
    engine = redis.engine()
    async with engine.connect() as connection:
        await connection.append(Position(1), b"data")
        redis.send(signal.SIGSTOP)
        await fails(
            connection.append(Position(2), b"data"), r"no answer \(XADD timed out .*: it is stopped or overloaded"
        )
        await ended(connection)
        redis.send(signal.SIGCONT)
    async with engine.connect() as connection:
        # What was sent may have been done: the same entry again is refused, and found.
        with pytest.raises(Refused):
            await connection.append(Position(2), b"data")
        assert await connection.entry(Position(2)) == b"data"


@pytest.mark.parametrize("kept", ["yes", "no"])
async def test_kill_9_in_the_midst_of_commands_and_a_new_life(tmp_path: Path, kept: str) -> None:
    server = Server(tmp_path, "--appendonly", kept, "--appendfsync", "always")
    with started(server), trio.fail_after(HANG_SECONDS):
        await server.ready()
        engine = server.engine()
        async with engine.connect() as source, engine.connect() as edge, engine.connect() as loader:
            run = source.run
            await source.append(Position(1), b"data")
            with trio.CancelScope() as filling:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fails, edge.read(Position(1), 60), "closed the connection|reset by peer")
                    nursery.start_soon(put_until_it_fails, loader)
                    await trio.sleep(0.2)
                    server.kill()
            assert not filling.cancelled_caught
            await fails(source.append(Position(2), b"data"), "closed the connection|reset by peer|Broken pipe")
        with pytest.raises(Unavailable, match="Connection refused"):
            async with engine.connect():
                pass
        server.start()
        await server.loaded()
        async with engine.connect() as source:
            assert source.run != run
            assert await source.last() == Position(1 if kept == "yes" else 0)
            await source.append(Position(2), b"data")


async def put_until_it_fails(connection: Connection) -> None:
    for number in range(20, 10_000):
        try:
            await connection.put_part(1, number % 20, bytes(1_000_000))
        except Unavailable:
            return


async def test_a_keyframe_that_is_broken_off_at_any_command_leaves_one_that_is_whole(
    redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, send = redis.engine(), Link.try_command
    left = [0]

    async def give_up(link: Link, *arguments: bytes | int, seconds: float = 5.0) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise Unavailable("broken off")
        return await send(link, *arguments, seconds=seconds)  # type: ignore[arg-type]

    async def write(connection: Connection, cut: int) -> None:
        for number in range(3):
            await connection.put_part(cut, number, b"%d" % cut)
        await connection.finish_keyframe(Keyframe(cut, 3))

    async def keyframe_is_whole() -> None:
        async with engine.connect() as connection:
            if (latest := await connection.keyframe()) is not None:
                assert [await connection.part(latest.cut, number) for number in range(3)] == [b"%d" % latest.cut] * 3

    async with engine.connect() as writer:
        await write(writer, 1)
    for cut in count(2):
        async with engine.connect() as writer:
            with monkeypatch.context() as patched:
                patched.setattr(Link, "try_command", give_up)
                left[0] = cut - 1
                try:
                    await write(writer, cut)
                except Unavailable:
                    await keyframe_is_whole()
                else:
                    break
    async with engine.connect() as writer:
        await write(writer, cut + 1)
        await keyframe_is_whole()
    keys = (await redis.run("KEYS", "ticker:main:keyframe:*")).split("\r\n")[2:-1:2]
    assert set(keys) == {f"ticker:main:keyframe:{each}" for each in (cut, cut + 1)}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
            "it cannot write to its disk",
        ),
        (
            ResponseError("NOREPLICAS Not enough good replicas to write."),
            "fewer replicas are connected than its min-re",
        ),
        (ResponseError("MASTERDOWN Link with MASTER is down"), "it is a read-only replica"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "it is still loading its data: wait"),
        (ResponseError("something new"), "ResponseError: something new"),
        (ExceptionGroup("group", [ValueError("inside")]), "ValueError: inside"),
    ],
)
def test_other_errors_have_their_line(error: Exception, text: str) -> None:
    assert text in describe(error, parse_redis_address("redis://h"))


@pytest.mark.parametrize(
    ("url", "sentinels", "without_tls"),
    [
        ("redis://h", "(redis+sentinel://)", None),
        ("rediss://h", "(rediss+sentinel://)", "or redis:// in a network of your own"),
        ("rediss+sentinel://h/main", "(rediss+sentinel://)", "or redis+sentinel:// in a network of your own"),
    ],
)
def test_a_remedy_names_the_scheme_that_goes_with_the_one_that_was_given(
    url: str, sentinels: str, without_tls: str | None
) -> None:
    address = parse_redis_address(url)
    assert sentinels in describe(ResponseError("MASTERDOWN Link with MASTER is down"), address)
    no_tls = ssl.SSLError(1, "wrong version number")
    no_tls.reason = "WRONG_VERSION_NUMBER"
    if without_tls is not None:
        assert without_tls in describe(no_tls, address, connecting=True)

"""Real processes that lose more than one part, or what they need to go on: clients are told, and nothing is made up."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from tests.bus.servers import Server, started
from tests.storm.test_processes import Program, Watched, running, stamp, taken_over
from tests.supervisor.running import COUNTING
from ticker.client.events import Connected, Disconnected, Event, Mismatch, SourceBack, SourceSilent

pytestmark = pytest.mark.untraced


async def heard(watched: Watched, kind: type[Event]) -> None:
    """Wait until the client has been told of such an event."""
    while not any(isinstance(event, kind) for event in watched.events):
        await trio.sleep(0.05)


async def test_clients_keep_their_prices_and_hear_that_the_only_source_is_silent_until_it_is_back(
    redis: Server, tmp_path: Path
) -> None:
    bus = f"redis://{redis.address}"
    source = Program(tmp_path, "source", bus, "--feed", COUNTING)
    async with running(source, edges=[Program(tmp_path, "edge", bus)]) as watched:
        epoch = (await stamp(redis)).epoch
        await source.kill()
        await heard(watched, SourceSilent)
        before = watched.client.values("COUNT")
        assert before.get("last") is not None
        await source.start()
        await taken_over(redis, 2)
        await heard(watched, SourceBack)
        await watched.goes_on()
        assert (await stamp(redis))[:2] == (epoch, 2)
        assert sum(isinstance(event, Connected) for event in watched.events) == 1, "nobody had to reconnect"


async def test_where_redis_and_the_source_are_lost_at_once_clients_are_asked_to_leave_and_begin_anew(
    tmp_path: Path,
) -> None:
    redis = Server(tmp_path)  # it keeps nothing on its disk
    bus = f"redis://{redis.address}"
    source = Program(tmp_path, "source", bus, "--feed", COUNTING)
    with started(redis):
        await redis.ready()
        async with running(source, edges=[Program(tmp_path, "edge", bus)]) as watched:
            before = await stamp(redis)
            redis.kill()
            await source.kill()
            redis.start()
            await source.start()
            while not any(isinstance(event, Connected) and not event.resumed for event in watched.events[1:]):
                await trio.sleep(0.05)
            after, changes = await stamp(redis), watched.changes
            assert after.epoch != before.epoch
            while watched.changes < changes + 5:
                await trio.sleep(0.05)
            assert await watched.client.verify()
            left = [event for event in watched.events if isinstance(event, Disconnected)]
            assert left[0].reason == "the server is stopping"
            assert left[0].retry_seconds >= 0.5
            assert not any(isinstance(event, Mismatch) for event in watched.events)


async def test_an_edge_for_which_the_log_was_trimmed_goes_on_from_the_next_keyframe(
    redis: Server, tmp_path: Path
) -> None:
    bus = f"redis://{redis.address}"
    source, edge = Program(tmp_path, "source", bus, "--feed", COUNTING), Program(tmp_path, "edge", bus)
    async with running(source, edges=[edge]) as watched:
        edge.send(signal.SIGSTOP)
        async with redis.engine().connect() as connection:
            last = await connection.last()
            while (await connection.last()).cut < last.cut + 20:
                await trio.sleep(0.05)
        await redis.run("XTRIM", "ticker:main:log", "MAXLEN", "1")
        edge.send(signal.SIGCONT)
        await heard(watched, Disconnected)
        assert "the log has a gap" in edge.log.read_text()
        await watched.goes_on()  # with what it had: the epoch is the same

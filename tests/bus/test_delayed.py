"""ticker/bus/delayed.py: a follower reads what the engine was then, whatever befalls the reader and the engine."""

from __future__ import annotations

import random
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.bus.engines import local_engine
from tests.bus.test_spool import Clock
from tests.conftest import Logs
from ticker.bus import delayed
from ticker.bus.delayed import DelayedConnection, DelayedEngine
from ticker.bus.engine import Entry, Keyframe, Position, Unavailable
from ticker.bus.log import Log

SECONDS = 60
MINUTE = 60_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delayed, "SPOOL_LOOK_SECONDS", 0)
    monkeypatch.setattr(delayed, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setattr(delayed, "BUS_RETRY_SECONDS", 0.01)


@asynccontextmanager
async def reading(log: Log, folder: Path, clock: Clock, keyframe_seconds: float = 0) -> AsyncIterator[DelayedEngine]:
    """A process that reads this log."""
    with trio.fail_after(HANG_SECONDS):
        async with local_engine(folder, log) as real:
            engine = DelayedEngine(real, SECONDS, folder / "spool", clock, keyframe_seconds)
            await engine.open()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.run)
                yield engine
                nursery.cancel_scope.cancel()
            engine.close()


async def has_all(engine: DelayedEngine, log: Log) -> None:
    index = engine.spool.index
    while index.end != log.last or index.latest_keyframe != log.keyframes.latest():
        await trio.sleep(0.001)


def append(log: Log, cut: int, beat: int = 0, text: str = "") -> None:
    log.append(Position(cut, beat), f"{text} cut {cut} beat {beat}".encode())


def keyframe(log: Log, *parts: bytes) -> None:
    for number, part in enumerate(parts):
        log.keyframes.put_part(log.last.cut, number, part)
    log.finish_keyframe(Keyframe(log.last.cut, len(parts)))


class Seen(NamedTuple):
    """What there is in an engine, besides beats that others have replaced."""

    last: Position
    entries: list[Entry]
    keyframe: Keyframe | None
    parts: list[bytes | None]


async def seen(connection: DelayedConnection) -> Seen:
    entries: list[Entry] = []
    while more := await connection.read(entries[-1].position if entries else Position(0), 0):
        entries += more
    following = [each.position for each in entries[1:]] + [Position(0)]
    kept = [
        each
        for each, after in zip(entries, following, strict=True)
        if not (each.position.beat and after.beat and after.cut == each.position.cut)
    ]
    latest = await connection.keyframe()
    parts = [await connection.part(latest.cut, number) for number in range(latest.parts + 1)] if latest else []
    for each in kept:
        assert await connection.entry(each.position) == each.data
    return Seen(await connection.last(), kept, latest, parts)


async def seen_in(log: Log) -> Seen:
    entries: list[Entry] = []
    while more := await log.read(entries[-1].position if entries else Position(0), 0):
        entries += more
    latest = log.keyframes.latest()
    parts = [log.keyframes.part(latest.cut, number) for number in range(latest.parts + 1)] if latest else []
    return Seen(log.last, entries, latest, parts)


@pytest.mark.parametrize("seed", range(4))
async def test_at_every_moment_it_is_the_engine_as_it_was(seed: int, tmp_path: Path, clock: Clock) -> None:
    chance, log = random.Random(seed), Log()  # noqa: S311  # a seeded test
    history: list[tuple[int, Seen]] = [(0, await seen_in(log))]
    compared = 0
    async with reading(log, tmp_path, clock) as engine:
        for _ in range(150):
            match chance.choice(["cut", "cut", "cut", "beat", "keyframe"]):
                case "cut":
                    append(log, log.last.cut + 1)
                case "beat":
                    append(log, log.last.cut, log.last.beat + 1)
                case "keyframe" if (log.keyframes.latest() or Keyframe(-1, 1)).cut < log.last.cut:
                    keyframe(log, *(chance.randbytes(10) for _ in range(chance.randint(1, 3))))
            await has_all(engine, log)
            history.append((clock.running, await seen_in(log)))
            if chance.random() < 0.1:
                clock.wall += chance.choice([-1, 1]) * chance.randrange(10 * MINUTE)  # somebody sets it
            clock.pass_by(chance.choice([1, 100_000, 2_000_000]))
            then = [state for at, state in history if at + MINUTE <= clock.running]
            if len(then) > 1:
                async with engine.connect() as connection:
                    assert await seen(connection) == then[-1]
                compared += 1
            else:
                with pytest.raises(Unavailable):
                    async with engine.connect():
                        pass
    assert compared > 20


async def test_it_says_until_when_there_is_nothing(tmp_path: Path, clock: Clock) -> None:
    clock.wall = 1_700_000_000_000_000  # 22:13:20 UTC
    log = Log()
    append(log, 1)
    keyframe(log, b"a")
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        text = "the market is shown 1 min late: there is none before 22:14:20 UTC"
        for _ in range(3):
            with pytest.raises(Unavailable, match=text):
                async with engine.connect():
                    pass
            clock.pass_by(MINUTE // 4)
        clock.pass_by(MINUTE // 4)
        async with engine.connect() as connection:
            assert await connection.last() == Position(1)


async def test_a_restart_goes_on_at_once_and_reads_on_where_it_was(tmp_path: Path, clock: Clock, logs: Logs) -> None:
    log = Log()
    append(log, 1)
    keyframe(log, b"a")
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        clock.pass_by(MINUTE)
        run = engine.spool.run
    append(log, 2)
    clock.pass_by(MINUTE)
    async with reading(log, tmp_path, clock) as engine, engine.connect() as connection:
        assert connection.run == run
        assert (await seen(connection))[:3] == (Position(1), [Entry(Position(1), b" cut 1 beat 0")], Keyframe(1, 1))
        await has_all(engine, log)
        assert await connection.last() == Position(1)
        clock.pass_by(MINUTE)
        assert await connection.last() == Position(2)
    assert not [entry for entry in logs if "not used" in entry["event"]]


async def test_after_a_gap_there_is_the_keyframe_behind_it(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    keyframe(log, b"a")
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
    for cut in range(2, 10):
        append(log, cut)
        keyframe(log, b"k%d" % cut)
    clock.pass_by(MINUTE)
    async with reading(log, tmp_path, clock) as engine, engine.connect() as connection:
        await has_all(engine, log)
        assert await connection.read(Position(1), 0) == []
        assert await connection.keyframe() == Keyframe(1, 1)
        clock.pass_by(MINUTE)
        assert [entry.position.cut for entry in await connection.read(Position(1), 0)] == [8, 9]
        assert await connection.keyframe() == Keyframe(9, 1)
        assert await connection.part(9, 0) == b"k9"


async def test_a_keyframe_is_kept_now_and_then_and_behind_every_gap(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    keyframe(log, b"a")
    async with reading(log, tmp_path, clock, keyframe_seconds=3_600) as engine:
        await has_all(engine, log)
        for cut in (2, 3):
            append(log, cut)
            keyframe(log, b"more")
        while engine.spool.index.end != log.last:
            await trio.sleep(0.001)
        await trio.sleep(0.05)  # for several looks
        assert engine.spool.index.latest_keyframe == Keyframe(1, 1), "an hour has not passed"
        append(log, 1_000)
        keyframe(log, b"b")
        await has_all(engine, log)


async def test_a_log_that_was_begun_anew_is_so_when_its_time_has_come(tmp_path: Path, clock: Clock) -> None:
    old, new = Log(), Log()
    for cut in range(1, 6):
        append(old, cut, text="old")
    async with reading(old, tmp_path, clock) as engine:
        await has_all(engine, old)
    append(new, 1, text="new")
    append(new, 2, text="new")
    keyframe(new, b"new")
    clock.pass_by(MINUTE // 2)
    async with reading(new, tmp_path, clock) as engine:
        await has_all(engine, new)
        clock.pass_by(MINUTE // 2)
        async with engine.connect() as connection:
            assert [entry.data[:3] for entry in await connection.read(Position(0), 0)] == [b"old"] * 5
            assert await connection.keyframe() is None
            clock.pass_by(MINUTE // 2)
            assert await connection.read(Position(5), 0) == []
            assert await connection.last() == Position(2)
            assert await connection.entry(Position(2)) == b"new cut 2 beat 0"
            assert await connection.keyframe() == Keyframe(2, 1)


async def test_a_log_that_was_begun_anew_and_has_gone_further_is_another_too(tmp_path: Path, clock: Clock) -> None:
    old, new = Log(), Log()
    for log, cuts in ((old, 5), (new, 9)):
        for cut in range(1, cuts + 1):
            append(log, cut, text="old" if log is old else "new")
            if cut == 2:
                keyframe(log, b"old" if log is old else b"new")
    async with reading(old, tmp_path, clock) as engine:
        await has_all(engine, old)
    async with reading(new, tmp_path, clock) as engine:
        await has_all(engine, new)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            assert [entry.data[:3] for entry in await connection.read(Position(2), 0)] == [b"new"] * 7
            assert await connection.part(2, 0) == b"new"


async def test_a_log_that_has_lost_its_end_is_no_other_log(tmp_path: Path, clock: Clock) -> None:
    whole, behind = Log(), Log()
    for cut in range(1, 6):
        append(whole, cut)
        if cut <= 3:
            append(behind, cut)
    async with reading(whole, tmp_path, clock) as engine:
        await has_all(engine, whole)
    async with reading(behind, tmp_path, clock) as engine:
        append(behind, 6)  # its source repairs it
        await has_all(engine, behind)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            assert [entry.position.cut for entry in await connection.read(Position(0), 0)] == [1, 2, 3, 4, 5, 6]


async def test_numbers_that_no_source_writes_are_said_and_end_nothing(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    keyframe(log, b"part")
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        log.append(Position(2**63), b"of another program")
        while "which no source writes: stop what writes there" not in (engine.trouble or ""):
            await trio.sleep(0.001)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            assert [each.position for each in await connection.read(Position(0), 0)] == [Position(1)]


async def test_a_read_waits_until_something_is_due(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            append(log, 2)
            await has_all(engine, log)
            clock.pass_by(MINUTE - 50_000)

            async def let_time_pass() -> None:
                await trio.testing.wait_all_tasks_blocked(0.005)
                clock.pass_by(50_000)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(let_time_pass)
                got = await connection.read(Position(1), 60)
            assert [entry.position for entry in got] == [Position(2)]


async def test_nothing_can_be_appended_to_the_past(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            for command in (
                connection.append(Position(2), b"x"),
                connection.put_part(2, 0, b"x"),
                connection.finish_keyframe(Keyframe(2, 1)),
            ):
                with pytest.raises(Unavailable, match="it can only be read"):
                    await command
            assert await connection.last() == Position(1)


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """Files of this process may only have so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_said_and_a_gap_only_if_the_engine_has_it_no_more(
    tmp_path: Path, clock: Clock, logs: Logs
) -> None:
    log = Log()
    append(log, 1)
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        size = (tmp_path / "spool" / "00000001.log").stat().st_size
        with no_room(size + 20):
            append(log, 2)
            while engine.trouble is None:
                await trio.sleep(0.001)
            assert "cannot be written: File too large" in engine.trouble
        await has_all(engine, log)
        assert engine.trouble is None
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            assert [entry.position.cut for entry in await connection.read(Position(0), 0)] == [1, 2]
    causes = [entry["cause"] for entry in logs if "later there will be a gap" in entry["event"]]
    assert len(causes) == 1

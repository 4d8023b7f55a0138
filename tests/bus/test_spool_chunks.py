"""ticker/bus/spool_chunks.py: most of a spool is only in its files, and nobody can tell; damage is left out."""

from __future__ import annotations

import random
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.bus.engines import local_engine
from tests.bus.test_delayed import append, has_all, keyframe, reading, seen
from tests.bus.test_spool import DELAY, Clock, cut, cuts, keyframe_of, look, opened, show, shown, write
from tests.bus.test_spool import keyframe as keyframe_records
from tests.conftest import Logs, alarms
from ticker.bus import delayed, spool_chunks, spool_index
from ticker.bus import spool as spools
from ticker.bus.delayed import DelayedEngine
from ticker.bus.engine import Position, Unavailable
from ticker.bus.local import LocalEngine
from ticker.bus.log import Log
from ticker.bus.spool import Spool
from ticker.bus.spool_chunks import Place
from ticker.bus.spool_records import ENTRY, PART, RESET, entry_record

MINUTE = 60_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delayed, "SPOOL_LOOK_SECONDS", 0)
    monkeypatch.setattr(delayed, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setattr(delayed, "BUS_RETRY_SECONDS", 0.01)


@contextmanager
def small_chunks() -> Iterator[None]:
    """So few entries in a chunk, and so few chunks in memory, that nearly all is read from the files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_chunks, "SPOOL_CHUNK_ENTRIES", 3)
        patch.setattr(spool_index, "SPOOL_CHUNKS_LOADED", 1)
        yield


def state(spool: Spool) -> tuple[object, ...]:
    """Everything that a spool shows, and all that it knows."""
    show(spool)
    index = spool.index
    positions = [Position(number, beat) for number in range(1, 60) for beat in (0, 1)]
    found = [data(spool, look(spool, partial(index.entry, each))) for each in positions]
    read = [data(spool, look(spool, partial(index.read_at, each))) for each in positions]
    next_ones = [look(spool, partial(index.after, each, 2)) for each in positions]
    following = [each[0][0] if each else None for each in next_ones]
    return shown(spool), index.last, index.end, keyframe_of(spool), len(index), index.unshown, found, read, following


def data(spool: Spool, place: Place | None) -> bytes | None:
    return None if place is None else spool.read([place])[0]


@pytest.mark.parametrize("seed", range(6))
def test_with_few_entries_in_memory_it_is_the_same_spool(seed: int, tmp_path: Path, clock: Clock) -> None:
    chance = random.Random(seed)  # noqa: S311  # a seeded test
    whole = opened(tmp_path / "whole", clock)
    with small_chunks():
        small = opened(tmp_path / "small", clock)
    last, start, loads = Position(0), "one", 0
    for number in range(150):
        match chance.choice(["cut", "cut", "cut", "beat", "cut", "cut", "keyframe", "reset", "restart", "clock"]):
            case "cut" if last.cut < 58:
                last = Position(last.cut + 1)
                records = [cut(last.cut)]
            case "beat" if last.beat == 0:
                last = Position(last.cut, 1)
                records = [cut(*last)]
            case "keyframe":
                records = keyframe_records(last.cut, b"k%d" % number, chance.randbytes(5))
            case "reset" if number % 4 == 0:
                last, records = Position(0), [RESET]
            case "restart":
                whole.close()
                small.close()
                loads += small.loads
                start = chance.choice([start, start, f"start {number}"])
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(spools, "machine_start", lambda name=start: name)
                    whole = opened(tmp_path / "whole", clock)
                    with small_chunks():
                        small = opened(tmp_path / "small", clock)
                continue
            case _:
                clock.wall += chance.choice([-1, 1]) * chance.randrange(2 * DELAY)
                continue
        write(whole, *records)
        with small_chunks():
            write(small, *records)
            if chance.random() < 0.5:
                assert state(small) == state(whole)
        clock.pass_by(chance.choice([1, DELAY // 10, DELAY // 3]))
    assert loads + small.loads > 20
    assert small.damaged == 0


@pytest.mark.untraced
def test_a_day_costs_little_memory(tmp_path: Path, clock: Clock) -> None:
    entries = 60_000
    spool = opened(tmp_path, clock)
    for first in range(0, entries, 1_200):  # a minute at 20 a second
        spool.begin_segment()
        write(spool, *(entry_record(Position(first + number + 1), b"x" * 20) for number in range(1_200)))
    spool.close()
    tracemalloc.start()
    try:
        again = opened(tmp_path, clock)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(again.index) == entries
    assert taken < 12 * entries, "an entry would take 40 bytes by itself"
    clock.pass_by(DELAY)
    show(again)
    assert again.index.last == Position(entries)
    assert [position.cut for position, _ in look(again, lambda: again.index.after(Position(30_000), 2))] == [
        30_001,
        30_002,
    ]


def damage(folder: Path, kind: int, cut_number: int) -> None:
    """Change a byte of the data of a record of this kind."""
    for path in sorted(folder.glob("*.log")):
        data = path.read_bytes()
        record = re.compile(b"%c.{16}%b" % (kind, cut_number.to_bytes(8, "big") + bytes(8)), re.DOTALL)
        if (found := record.search(data)) is not None:
            at = found.end() + 5
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
            return
    pytest.fail("it is not there")


def test_of_a_chunk_that_is_damaged_the_rest_is_left_out_and_the_next_process_takes_it(
    tmp_path: Path, clock: Clock
) -> None:
    with small_chunks():
        spool = opened(tmp_path, clock)
        write(spool, *(cut(number) for number in range(1, 10)))
        write(spool, *keyframe_records(9, b"k"))
        damage(tmp_path, ENTRY, 2)
        clock.pass_by(DELAY)
        assert cuts(spool) == [1, 4, 5, 6, 7, 8, 9]
        assert (spool.damaged, len(spool.index)) == (2, 7)
        spool.close()
        again = opened(tmp_path, clock)
        assert again.began_anew == ""
        assert cuts(again) == [1, 4, 5, 6, 7, 8, 9]
        assert keyframe_of(again) == (9, [b"k"])


async def test_a_damaged_last_record_is_said_and_the_bus_is_read_on(tmp_path: Path, clock: Clock, logs: Logs) -> None:
    log = Log()
    for number in range(1, 4):
        append(log, number)
    keyframe(log, b"k")
    with trio.fail_after(HANG_SECONDS):
        engine = DelayedEngine(LocalEngine(str(tmp_path / "bus.sock")), 60, tmp_path / "spool", clock, 0)
        await engine.open()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.run)
            async with local_engine(tmp_path, log):
                await has_all(engine, log)
            while engine.trouble is None:
                await trio.sleep(0.001)
            damage(tmp_path / "spool", ENTRY, 3)
            append(log, 4)
            clock.pass_by(MINUTE // 2)
            async with local_engine(tmp_path, log):
                await has_all(engine, log)
                assert engine.trouble is None
            clock.pass_by(MINUTE)
            async with engine.connect() as connection:
                assert [each.position.cut for each in (await seen(connection)).entries] == [1, 2, 3, 4]
            nursery.cancel_scope.cancel()
        engine.close()
    assert engine.spool.damaged == 1
    (said,) = (entry for entry in alarms(logs) if "damaged" in entry)
    assert "the spool is damaged: what cannot be read is left out" in said["event"]
    assert "is damaged at byte" in said["cause"]


async def test_a_follower_gets_past_what_is_damaged_and_a_restart_keeps_the_rest(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    for number in range(1, 6):
        append(log, number)
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        damage(tmp_path / "spool", ENTRY, 3)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            with pytest.raises(Unavailable, match=r"the spool .* cannot be read: 00000001\.log is damaged"):
                await connection.read(Position(0), 0)
        async with engine.connect() as connection:
            assert [each.position.cut for each in await connection.read(Position(0), 0)] == [1, 2, 4, 5]
        assert engine.spool.damaged == 1
    async with reading(log, tmp_path, clock) as engine:
        assert engine.spool.began_anew == ""
        async with engine.connect() as connection:
            assert [each.position.cut for each in await connection.read(Position(0), 0)] == [1, 2, 4, 5]


async def test_a_keyframe_with_a_damaged_part_is_left_out(tmp_path: Path, clock: Clock) -> None:
    log = Log()
    append(log, 1)
    keyframe(log, b"first")
    async with reading(log, tmp_path, clock) as engine:
        await has_all(engine, log)
        append(log, 2)
        keyframe(log, b"second")
        await has_all(engine, log)
        damage(tmp_path / "spool", PART, 2)
        clock.pass_by(MINUTE)
        async with engine.connect() as connection:
            with pytest.raises(Unavailable, match="is damaged"):
                await connection.part(2, 0)
        async with engine.connect() as connection:
            latest = await connection.keyframe()
            assert latest is not None
            assert (latest.cut, await connection.part(1, 0)) == (1, b"first")

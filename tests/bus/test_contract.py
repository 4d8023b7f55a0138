"""ticker/bus/engine.py: what every engine does, the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from ticker.bus import keyframes
from ticker.bus.engine import MOST_READ, Connection, Engine, Entry, Keyframe, Position, Refused, Unavailable


def entry(cut: int, beat: int = 0) -> Entry:
    return Entry(Position(cut, beat), b"cut %d beat %d" % (cut, beat))


async def fill(connection: Connection, *cuts: int) -> None:
    for cut in cuts:
        await connection.append(*entry(cut))


async def read(connection: Connection, after: int = 0) -> Sequence[Entry]:
    return await connection.read(Position(after), 0)


async def write_keyframe(connection: Connection, cut: int, *parts: bytes) -> None:
    for number, part in enumerate(parts):
        await connection.put_part(cut, number, part)
    await connection.finish_keyframe(Keyframe(cut, len(parts)))


async def test_an_engine_begins_with_nothing(engine: Engine) -> None:
    async with engine.connect() as connection:
        assert await connection.last() == Position(0, 0)
        assert await read(connection) == []
        assert await connection.entry(Position(1)) is None
        assert await connection.keyframe() is None
        assert await connection.part(0, 0) is None
        assert connection.run


async def test_what_was_appended_is_read_by_others_in_order(engine: Engine) -> None:
    async with engine.connect() as source, engine.connect() as edge:
        await fill(source, 1, 2, 3)
        assert await edge.last() == Position(3)
        assert await read(edge) == [entry(1), entry(2), entry(3)]
        assert await read(edge, after=2) == [entry(3)]
        assert await read(edge, after=3) == await read(edge, after=9) == []
        assert await edge.entry(Position(2)) == entry(2).data
        assert source.run == edge.run


async def test_any_bytes_are_data(engine: Engine) -> None:
    async with engine.connect() as connection:
        data = bytes(range(256)) + b"\r\n$-1\r\n"
        await connection.append(Position(1), data)
        await connection.append(Position(2), b"")
        assert [each.data for each in await read(connection)] == [data, b""]


@pytest.mark.parametrize(
    "position", [Position(0), Position(0, 4), Position(6), Position(7), Position(7, 1), Position(7, 2)]
)
async def test_a_position_that_is_not_behind_the_last_is_refused(engine: Engine, position: Position) -> None:
    async with engine.connect() as connection:
        await fill(connection, 5, 7)
        await connection.append(*entry(7, 2))
        with pytest.raises(Refused):
            await connection.append(position, b"late")
        assert await connection.last() == Position(7, 2)
        assert await read(connection) == [entry(5), entry(7), entry(7, 2)]


async def test_of_two_that_append_the_same_cut_one_is_refused_and_reads_the_other(engine: Engine) -> None:
    refused = []

    async def append(data: bytes) -> None:
        async with engine.connect() as source:
            try:
                await source.append(Position(1), data)
            except Refused:
                refused.append((data, await source.entry(Position(1))))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append, b"one")
        nursery.start_soon(append, b"other")
    assert refused in ([(b"one", b"other")], [(b"other", b"one")])


async def test_an_entry_that_is_sent_again_is_refused_and_found(engine: Engine) -> None:
    async with engine.connect() as before:
        await before.append(*entry(1))
    async with engine.connect() as after:
        with pytest.raises(Refused):
            await after.append(*entry(1))
        assert await after.entry(Position(1)) == entry(1).data


async def test_cuts_may_leave_numbers_out(engine: Engine) -> None:
    async with engine.connect() as connection:
        await fill(connection, 3, 2**52)
        assert await read(connection) == [entry(3), entry(2**52)]
        assert await connection.last() == Position(2**52)


async def test_beats_come_between_cuts(engine: Engine) -> None:
    async with engine.connect() as connection:
        await connection.append(*entry(0, 1))
        await connection.append(*entry(1))
        await connection.append(*entry(1, 1))
        assert await connection.last() == Position(1, 1)
        assert await read(connection, after=1) == [entry(1, 1)]
        await connection.append(*entry(2))
        assert await connection.read(Position(1, 1), 0) == [entry(2)]


async def test_of_beats_one_after_another_the_last_one_is_kept(engine: Engine) -> None:
    async with engine.connect() as connection:
        await connection.append(*entry(1))
        for beat in range(1, 4):
            await connection.append(*entry(1, beat))
        assert (await read(connection, after=1))[-1] == entry(1, 3)
        assert await connection.entry(Position(1, 3)) == entry(1, 3).data


async def test_a_read_brings_a_few_entries_and_the_next_goes_on(engine: Engine) -> None:
    async with engine.connect() as connection:
        await fill(connection, *range(1, 2 * MOST_READ))
        got: list[Entry] = []
        while entries := await connection.read(got[-1].position if got else Position(0), 0):
            assert len(entries) <= MOST_READ
            got += entries
        assert got == [entry(cut) for cut in range(1, 2 * MOST_READ)]


async def test_a_read_waits_for_the_next_entry(engine: Engine) -> None:
    got: list[Sequence[Entry]] = []

    async def follow(after: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with engine.connect() as edge:
            task_status.started()
            got.append(await edge.read(Position(after), 60))

    async with engine.connect() as source, trio.open_nursery() as nursery:
        await fill(source, 1)
        for _ in range(3):
            await nursery.start(follow, 1)
        await trio.sleep(0.05)  # most of them wait by then; the others find it
        await fill(source, 2)
    assert got == [[entry(2)]] * 3


async def test_a_read_without_a_next_entry_ends_after_its_time_and_others_follow(engine: Engine) -> None:
    async with engine.connect() as connection:
        await fill(connection, 1)
        for seconds in (0.01, 0.001, 0, -1):
            assert await connection.read(Position(1), seconds) == []
        await fill(connection, 2)
        assert await connection.read(Position(1), 0.01) == [entry(2)]


async def test_a_keyframe_counts_once_it_is_finished(engine: Engine) -> None:
    async with engine.connect() as source, engine.connect() as edge:
        await fill(source, 1)
        await source.put_part(1, 0, b"first")
        await source.put_part(1, 1, b"second")
        assert await edge.keyframe() is None
        await source.finish_keyframe(Keyframe(1, 2))
        assert await edge.keyframe() == Keyframe(1, 2)
        assert [await edge.part(1, number) for number in range(3)] == [b"first", b"second", None]


async def test_two_keyframes_are_kept_and_the_log_since_the_first_of_them(engine: Engine) -> None:
    async with engine.connect() as connection:
        for cut in range(1, 10):
            await fill(connection, cut)
            if cut % 3 == 0:
                await write_keyframe(connection, cut, b"keyframe %d" % cut)
        assert await connection.keyframe() == Keyframe(9, 1)
        assert [await connection.part(cut, 0) for cut in (3, 6, 9)] == [None, b"keyframe 6", b"keyframe 9"]
        # Who reads behind a position that is trimmed gets later entries.
        assert await read(connection, after=1) == [entry(cut) for cut in (6, 7, 8, 9)]
        assert await connection.entry(Position(5)) is None
        assert await connection.last() == Position(9)


async def test_a_log_that_is_trimmed_to_nothing_still_knows_its_last_position(engine: Engine) -> None:
    async with engine.connect() as connection:
        await fill(connection, 1)
        await write_keyframe(connection, 5, b"a")
        await write_keyframe(connection, 7, b"b")
        assert await read(connection) == []
        assert await connection.last() == Position(1)
        with pytest.raises(Refused):
            await fill(connection, 1)
        await fill(connection, 2)


async def test_a_keyframe_of_the_same_cut_takes_the_place_of_the_one_that_there_is(engine: Engine) -> None:
    async with engine.connect() as connection:
        await write_keyframe(connection, 3, b"a")
        await write_keyframe(connection, 5, b"b", b"c")
        await write_keyframe(connection, 5, b"d")
        assert await connection.keyframe() == Keyframe(5, 1)
        assert [await connection.part(cut, 0) for cut in (3, 5)] == [b"a", b"d"]


async def test_a_keyframe_that_is_never_finished_is_dropped_when_later_ones_are(engine: Engine) -> None:
    async with engine.connect() as connection:
        await connection.put_part(2, 0, b"left")
        await connection.put_part(4, 0, b"left")
        assert await connection.part(2, 0) is None
        await write_keyframe(connection, 5, b"b")
        assert await connection.part(4, 0) is None
        with pytest.raises(Refused):
            await connection.finish_keyframe(Keyframe(4, 1))


async def test_a_keyframe_behind_the_latest_or_without_a_part_is_refused(engine: Engine) -> None:
    async with engine.connect() as connection:
        await write_keyframe(connection, 5, b"a")
        await connection.put_part(4, 0, b"late")
        with pytest.raises(Refused):
            await connection.finish_keyframe(Keyframe(4, 1))
        await connection.put_part(6, 0, b"a")
        await connection.put_part(6, 2, b"c")
        with pytest.raises(Refused):
            await connection.finish_keyframe(Keyframe(6, 3))
        with pytest.raises(Refused):
            await connection.finish_keyframe(Keyframe(7, 0))
        assert await connection.keyframe() == Keyframe(5, 1)


async def test_megabytes_in_one_piece_arrive_whole(engine: Engine) -> None:
    data = bytes(range(256)) * 40_960  # 10 MiB
    async with engine.connect() as source, engine.connect() as edge:
        await source.append(Position(1), data)
        await write_keyframe(source, 1, data)
        assert (await edge.read(Position(0), 5))[0].data == data
        assert await edge.part(1, 0) == data


async def test_data_beyond_the_limit_is_named_before_it_is_sent(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframes, "MAX_BUS_DATA_BYTES", 100)
    async with engine.connect() as connection:
        with pytest.raises(Unavailable, match=r"has 101 bytes, and a bus takes 100: lower tables\.max_instruments"):
            await connection.append(Position(1), bytes(101))
    async with engine.connect() as connection:
        with pytest.raises(Unavailable, match=r"has 101 bytes, and a bus takes 100: lower tables\.max_instruments"):
            await connection.put_part(1, 0, bytes(101))


async def test_after_a_command_was_cancelled_a_connection_has_ended(engine: Engine) -> None:
    async with engine.connect() as connection:
        with trio.move_on_after(0.05) as scope:
            await connection.read(Position(0), 60)
        assert scope.cancelled_caught
        with pytest.raises(Unavailable, match="has ended"):
            await connection.last()
    async with engine.connect() as connection:
        assert await connection.last() == Position(0)


async def test_an_error_within_a_connection_leaves_it_as_it_is(engine: Engine) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with engine.connect():
            raise ValueError("mine")


async def test_a_connection_can_be_left_by_cancelling(engine: Engine) -> None:
    with trio.move_on_after(0.05) as scope:
        async with engine.connect() as connection:
            await connection.read(Position(0), 60)
    assert scope.cancelled_caught

"""ticker/bus/served_log.py and local.py: entries come by themselves to those that read one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.bus.engines import local_engine
from ticker.bus.engine import MOST_READ, Connection, Entry, Position, Unavailable
from ticker.bus.log import Log
from ticker.bus_bounds import BUS_PART_SECONDS


class Followed:
    """A log, and a connection that follows it from its first entry on."""

    def __init__(self, log: Log, connection: Connection) -> None:
        self.log = log
        self.connection = connection

    def append(self, *cuts: int, size: int = 10) -> None:
        for cut in cuts:
            self.log.append(Position(cut), bytes([cut]) * size)

    async def read(self, after: int) -> list[int]:
        return cuts(await self.connection.read(Position(after), 5))


def cuts(entries: Sequence[Entry]) -> list[int]:
    assert all(set(entry.data) == {entry.position.cut} for entry in entries)
    return [entry.position.cut for entry in entries]


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    log = Log()
    async with local_engine(tmp_path, log) as engine, engine.connect() as connection:
        found = Followed(log, connection)
        found.append(1)
        assert await found.read(0) == [1]
        yield found


async def all_through(followed: Followed, after: int, end: int) -> list[int]:
    found: list[int] = []
    while after < end:
        some = await followed.read(after)
        assert 0 < len(some) <= MOST_READ
        found += some
        after = found[-1]
    return found


async def test_reads_one_after_another_are_one_request(followed: Followed) -> None:
    (push,) = followed.log.followers
    for cut in range(2, 50):
        followed.append(cut)
        assert await followed.read(cut - 1) == [cut]
    assert followed.log.followers == {push}


async def test_any_other_request_ends_it_and_is_answered_although_entries_were_on_their_way(followed: Followed) -> None:
    followed.append(2, 3)
    assert await followed.connection.entry(Position(1)) == b"\1" * 10
    assert not followed.log.followers
    followed.append(4)
    assert await all_through(followed, 1, 4) == [2, 3, 4]
    assert await followed.connection.last() == Position(4)


async def test_a_read_from_another_place_begins_there(followed: Followed) -> None:
    followed.append(*range(2, 10))
    assert await all_through(followed, 1, 9) == [*range(2, 10)]
    assert await all_through(followed, 4, 9) == [*range(5, 10)]
    assert cuts(await followed.connection.read(Position(7), 0)) == [8, 9]
    followed.append(10)
    assert await followed.read(9) == [10]


async def test_one_that_is_behind_gets_all_that_the_log_has(followed: Followed) -> None:
    """What it does not take stays in the log, of which it is sent as much as its socket holds."""
    followed.append(*range(2, 60), size=200_000)
    assert await all_through(followed, 1, 59) == [*range(2, 60)]
    followed.append(60)
    assert await followed.read(59) == [60]


async def test_one_that_is_behind_gets_an_answer_between_two_entries(followed: Followed) -> None:
    followed.append(*range(2, 30), size=1_000_000)
    for asked in range(1, 5):
        assert await followed.connection.last() == Position(29)
        assert (await followed.read(asked))[0] == asked + 1
    assert await all_through(followed, 5, 29) == [*range(6, 30)]


async def test_one_that_takes_nothing_is_given_up(
    followed: Followed,
    autojump_clock: MockClock,  # noqa: ARG001
) -> None:
    followed.append(*range(2, 30), size=1_000_000)
    await trio.sleep(BUS_PART_SECONDS + 1)
    log = followed.log
    assert (log.connections, log.failed_connections, log.followers) == (0, 1, set())
    with pytest.raises(Unavailable, match="does not answer"):
        await all_through(followed, 1, 29)


async def test_one_that_leaves_while_it_is_behind_is_no_failure(tmp_path: Path) -> None:
    log = Log()

    @asynccontextmanager
    async def following() -> AsyncIterator[None]:
        async with engine.connect() as connection:
            log.append(Position(log.last.cut + 1), b"first")
            assert await connection.read(Position(log.last.cut - 1), 5)
            yield

    async with local_engine(tmp_path, log) as engine:
        async with following():
            for _ in range(10):
                log.append(Position(log.last.cut + 1), bytes(1_000_000))
        async with following():
            pass
        log.append(Position(log.last.cut + 1), b"for nobody")
        while log.connections:  # it has no event for tests
            await trio.sleep(0.005)
    assert (log.failed_connections, log.followers) == (0, set())

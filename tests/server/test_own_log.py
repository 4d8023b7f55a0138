"""ticker/server/own_log.py: a process without a bus keeps a log while others follow it, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs
from tests.support import cut, market, update
from ticker.bus.engine import Keyframe, Position, Unavailable
from ticker.config import Config
from ticker.core.following import digest
from ticker.core.last_value import LastValueCache
from ticker.market import Instrument, Levels, Trade
from ticker.protocol.tables import parse_table
from ticker.server.follower import Follower
from ticker.server.own_log import OwnLog


@asynccontextmanager
async def own_log(cache: LastValueCache) -> AsyncIterator[OwnLog]:
    log = OwnLog(Config(), cache)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        with trio.fail_after(HANG_SECONDS):
            yield log
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def follower_of(log: OwnLog) -> AsyncIterator[Follower]:
    follower, there = Follower(log, has_clients=False), trio.Event()
    follower.on_there = there.set
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follower.run)
        await there.wait()
        yield follower
        nursery.cancel_scope.cancel()


async def same(follower: Follower, cache: LastValueCache) -> bool:
    """Whether the copy is the same once it has followed all cuts."""
    while follower.cache.cut < cache.cut:
        await trio.sleep(0.01)
    count = len(cache.instruments)
    return digest(follower.cache, 0, count) == digest(cache, 0, count)


async def test_there_is_a_log_while_somebody_follows_and_each_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.own_log.FOLLOWERS_GONE_SECONDS", 0.2)
    cache = market("A")
    cut(cache, Levels("A", [("1", 1)], [], complete=True))
    book, runs = cache.book_of("A"), set[str]()
    assert book is not None
    async with own_log(cache) as log:
        for number in range(3):
            assert (cache.journal, log.log, book.bids.news) == (None, None, None), "it costs nothing"
            async with follower_of(log) as follower:
                assert cache.journal is not None
                assert log.log is not None
                runs.add(log.log.run)
                cut(cache, Levels("A", [("1", number + 2)], []), update("A", last=number), Trade("A", "1", 1))
                assert log.log.last >= Position(cache.cut), "at once"
                assert await same(follower, cache)
            while log.log is not None:
                await trio.sleep(0.05)
    assert len(runs) == 3


async def test_the_log_is_kept_for_one_that_comes_back_soon() -> None:
    cache = market("A")
    async with own_log(cache) as log:
        async with log.connect() as connection:
            run = connection.run
        cut(cache, update("A", last=1))
        async with log.connect() as connection, log.connect() as other:
            assert connection.run == other.run == run
            assert [each.position for each in await connection.read(Position(0), 0)][-1] >= Position(cache.cut)


async def test_tables_that_clients_open_meanwhile_are_in_no_entry_but_their_cuts_are() -> None:
    cache = market("A", "B")
    async with own_log(cache) as log, follower_of(log) as follower:
        table = parse_table("book:10")
        assert table is not None
        cache.open_table("A", table).watch()
        cut(cache)
        cut(cache, update("B", last=2))
        assert await same(follower, cache)


async def test_a_cut_that_is_too_large_ends_the_log_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    cache = market("A")
    async with own_log(cache) as log, log.connect() as connection:
        run = connection.run
        with monkeypatch.context() as patch:
            patch.setattr("ticker.bus.keyframes.MAX_BUS_DATA_BYTES", 100)
            cut(cache, update("A", note="x" * 200))
        assert cache.cut == 2, "the market goes on"
        with pytest.raises(Unavailable, match="the log of cuts has ended here"):
            await connection.last()
        async with follower_of(log) as follower:
            assert await same(follower, cache)
            assert log.log is not None
            assert log.log.run != run
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "a cut cannot be written: those that follow begin anew"
    ]


async def test_of_a_market_that_is_too_large_for_a_keyframe_everybody_is_told_and_none_is_made_again(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr("ticker.bus.keyframes.MAX_BUS_KEYFRAME_BYTES", 1_000)
    cache = market("A", *(f"S{number}" for number in range(100)))
    text = f"the keyframe after cut {cache.cut} has more than 1000 bytes: lower tables.max_instruments"
    async with own_log(cache) as log:
        async with log.connect() as connection:
            while log.log is not None:
                await trio.sleep(0.01)
            with pytest.raises(Unavailable, match=text):
                await connection.last()
        for _ in range(3):
            with pytest.raises(Unavailable, match=text):
                async with log.connect():
                    pass
        assert (log.log, cache.journal) == (None, None), "it costs nothing more"
        cut(cache, update("A", note="y"))
    errors = [entry["event"] for entry in logs if entry["log_level"] == "error"]
    assert errors == ["a keyframe cannot be written: nobody can follow until the next start"]


async def test_a_keyframe_is_made_when_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.cut_writer.KEYFRAME_SECONDS", 0.0)
    monkeypatch.setattr("ticker.server.own_log.BUS_BEAT_SECONDS", 0.02)
    monkeypatch.setattr("ticker.server.cut_writer.KEYFRAME_PIECE_BYTES", 1)
    cache = market(*(f"S{number}" for number in range(5)))
    async with own_log(cache) as log, log.connect() as connection:
        while (first := await connection.keyframe()) is None:
            await trio.sleep(0.01)
        assert first == Keyframe(cache.cut, 6), "a head and five parts"
        last = await connection.last()
        while await connection.last() < last._replace(beat=last.beat + 5):
            await trio.sleep(0.01)
        assert await connection.keyframe() == first
        cut(cache, Instrument("NEW"))
        while await connection.keyframe() != Keyframe(cache.cut, 7):
            await trio.sleep(0.01)


async def test_an_earlier_run_that_it_does_not_go_on_from_after_all_is_not_what_others_get() -> None:
    earlier, cache = market("OLD"), market("A")
    async with own_log(LastValueCache("")) as log:
        log.go_on(earlier, 4)
        log.keep(cache)
        assert (log.log, log.term, earlier.journal) == (None, 0, None)
        async with follower_of(log) as follower:
            assert await same(follower, cache)
            assert follower.cache.epoch == cache.epoch


async def test_a_log_that_begins_anew_has_no_earlier_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.own_log.FOLLOWERS_GONE_SECONDS", 0.0)
    monkeypatch.setattr("ticker.server.own_log.BUS_BEAT_SECONDS", 0.02)
    cache = market("A")
    async with own_log(LastValueCache("")) as log:
        log.go_on(cache, 4)
        log.keep(cache)
        assert log.term == 5
        while log.log is not None:
            await trio.sleep(0.01)
        async with log.connect():
            assert log.term == 5, "else those that have followed before would be lost at its next cut"


async def test_only_this_process_writes_to_it() -> None:
    async with own_log(market("A")) as log, log.connect() as connection:
        for attempt in (
            connection.append(Position(9), b""),
            connection.put_part(9, 0, b""),
            connection.finish_keyframe(Keyframe(9, 1)),
        ):
            with pytest.raises(Unavailable, match="can only be followed"):
                await attempt

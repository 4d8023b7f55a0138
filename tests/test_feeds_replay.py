"""feeds/replay.py: playing recorded files at their pace."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from feeds.recording import CHUNK_LINES
from feeds.replay import Replay
from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Update

RECORDINGS = os.environ.get("TICKER_RECORDINGS")
SECOND = 1_000_000


def day(tmp_path: Path, *times: int, symbol: str = "A", bad: str = "") -> str:
    """The path of a recording with a row at each of these times, in microseconds, and then these bad ones."""
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\n" + "".join(f"{symbol},{time},{at}.5\n" for at, time in enumerate(times)) + bad)
    return str(path)


async def batches(
    clock: MockClock, feed: Replay, seconds: float = 1e6, pause: float = 0
) -> list[tuple[float, list[Publication]]]:
    """What a feed sends until it ends, or within some seconds; `pause` is the reader's between two batches."""
    received: list[tuple[float, list[Publication]]] = []
    sending, receiving = trio.open_memory_channel[FeedItem](0)

    async def play() -> None:
        async with sending:
            await feed.run(sending)

    async with receiving, trio.open_nursery() as nursery:
        nursery.start_soon(play)
        with trio.move_on_after(seconds):
            async for item in receiving:
                assert isinstance(item, list)
                received.append((clock.current_time(), item))
                await trio.sleep(pause)
        nursery.cancel_scope.cancel()
    return received


def times(received: list[tuple[float, list[Publication]]]) -> list[object]:
    """The times in the file of all rows received."""
    return [each.fields["time"] for _, batch in received for each in batch if isinstance(each, Update)]


async def test_rows_come_at_the_pace_of_the_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 5 * SECOND, 6 * SECOND, 6 * SECOND, 9 * SECOND)))
    assert [at for at, _ in received] == pytest.approx([0, 1, 4])
    assert [len(batch) for _, batch in received] == [2, 2, 1]


async def test_a_speed_of_ten_takes_a_tenth_of_the_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 0, 10 * SECOND, 40 * SECOND), speed=10.0))
    assert [at for at, _ in received] == pytest.approx([0, 1, 4])


async def test_at_speed_zero_nothing_waits(tmp_path: Path, autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, *range(0, 1_000 * SECOND, SECOND)), speed=0.0))
    assert {at for at, _ in received} == {0.0}
    assert times(received) == list(range(0, 1_000 * SECOND, SECOND))
    assert max(len(batch) for _, batch in received) <= CHUNK_LINES + 1


async def test_an_instrument_is_declared_before_its_first_update(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\nA,1,1.50\nB,1,7\nA,1,1.505\n")
    received = await batches(autojump_clock, Replay(path=str(path), speed=0.0))
    assert [each for _, batch in received for each in batch] == [
        Instrument("A", price_scale=2),
        Update("A", {"time": 1, "bid": "1.50"}),
        Instrument("B", price_scale=0),
        Update("B", {"time": 1, "bid": "7"}),
        Update("A", {"time": 1, "bid": "1.505"}),
    ]


async def test_the_symbol_can_be_given_beside_the_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "day.csv"
    path.write_text("time,bid\n1,1.50\n")
    received = await batches(autojump_clock, Replay(path=str(path), symbol="EURUSD"))
    assert received[0][1][1] == Update("EURUSD", {"time": 1, "bid": "1.50"})


async def test_a_dense_file_wakes_up_a_few_hundred_times_per_second(
    tmp_path: Path,
    autojump_clock: MockClock,
) -> None:
    every = list(range(0, 2 * SECOND, 100))
    received = await batches(autojump_clock, Replay(path=day(tmp_path, *every)))
    assert len({at for at, _ in received}) <= 2 * 200 + 1
    assert times(received) == every


async def test_times_that_step_backwards_are_played_in_the_order_of_the_file(
    tmp_path: Path,
    autojump_clock: MockClock,
) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 5 * SECOND, 7 * SECOND, 4 * SECOND, 8 * SECOND)))
    assert times(received) == [5 * SECOND, 7 * SECOND, 4 * SECOND, 8 * SECOND]
    assert [at for at, _ in received] == pytest.approx([0, 2, 3])


async def test_a_reader_that_was_busy_misses_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    every = list(range(0, 20 * SECOND, SECOND))
    received = await batches(autojump_clock, Replay(path=day(tmp_path, *every)), pause=5)
    assert times(received) == every
    assert len(received) < len(every)


async def test_a_loop_starts_again_with_the_times_of_the_file(
    tmp_path: Path,
    autojump_clock: MockClock,
) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 0, SECOND), loop=True), seconds=2.5)
    assert times(received) == [0, SECOND, 0, SECOND, 0]
    assert sum(isinstance(each, Instrument) for _, batch in received for each in batch) == 1


async def test_a_loop_over_one_moment_does_not_spin(tmp_path: Path, autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 0), loop=True), seconds=1)
    assert 100 <= len(received) <= 201


async def test_a_loop_over_nothing_ends(tmp_path: Path, autojump_clock: MockClock) -> None:
    for path in (day(tmp_path), day(tmp_path, 1, 2, symbol="a b")):
        assert await batches(autojump_clock, Replay(path=path, loop=True, speed=0.0)) == []


async def test_the_end_of_the_file_is_logged_with_totals_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    caplog.set_level(logging.INFO)
    path = day(tmp_path, 1, 2, bad="A,x,1\nA,y,1\n")
    feed = Replay(path=path, loop=True)
    await batches(autojump_clock, feed, seconds=1)
    assert feed.skipped["bad time"] > 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[1] == f"{path}: 2 rows played, skipped: bad time (2)"


async def test_it_can_be_run_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    feed = Replay(path=day(tmp_path, 1, 2), speed=0.0)
    first = await batches(autojump_clock, feed)
    again = await batches(autojump_clock, feed)
    assert [batch for _, batch in first] == [batch for _, batch in again]


@pytest.mark.parametrize("speed", [-1.0, float("inf"), float("nan")])
def test_a_speed_that_cannot_be_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigError, match="speed"):
        Replay(path=day(tmp_path, 1), speed=speed)


@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
async def test_a_recorded_day_is_played_in_a_minute_and_a_half(autojump_clock: MockClock) -> None:
    feed = Replay(path=f"{RECORDINGS}/ticks/oanda-nzdusd-20140508_quote.zip", speed=1_000.0)
    received = await batches(autojump_clock, feed)
    assert len(times(received)) == 49_874
    assert received[-1][0] == pytest.approx(86.398, abs=0.01)
    assert max(len(batch) for _, batch in received) <= CHUNK_LINES + 1

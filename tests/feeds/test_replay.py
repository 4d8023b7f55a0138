"""ticker_feeds/recordings/replay.py: playing recorded files at their pace."""

from __future__ import annotations

import gzip
import logging
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.support import update
from ticker.errors import ConfigError
from ticker.market import FeedItem, Instrument, Publication, Stale, Trade, Update, Withdrawal
from ticker_feeds.loading import load_feed
from ticker_feeds.recordings import CaptureWriter, Moment
from ticker_feeds.recordings.replay import Replay, merged
from ticker_feeds.recordings.text_files import CHUNK_LINES

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
    """Return the batches of a feed until it ends, or within some seconds; the reader pauses between two batches."""
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


async def test_what_the_end_of_the_file_said_is_not_current_in_the_next_pass(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid,ask\nA,0,1,\nA,1000000,,2\n")
    received = await batches(autojump_clock, Replay(path=str(path), loop=True), seconds=1.5)
    assert flat(received) == [
        Instrument("A", price_scale=0),
        update("A", time=0, bid="1"),
        update("A", time=SECOND, ask="2"),
        Stale("A", "reconnecting"),
        update("A", time=0, bid="1"),
    ]
    assert len(received) == 3, "in one moment, so that nobody sees it stale"


async def test_trades_of_a_later_pass_do_not_correct_those_of_the_first(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = tmp_path / "trades"
    writer = CaptureWriter(path)
    writer.write([Moment(SECOND, [Instrument("A"), Trade("A", 1, 1, id=7), Trade("A", 1, 1)])])
    writer.close()
    received = await batches(autojump_clock, Replay(path=str(path), loop=True), seconds=0.012)
    ids = [each.id for each in flat(received) if isinstance(each, Trade)]
    assert ids[:6] == [7, None, "2:7", None, "3:7", None]


async def test_a_loop_over_one_moment_does_not_spin(tmp_path: Path, autojump_clock: MockClock) -> None:
    received = await batches(autojump_clock, Replay(path=day(tmp_path, 0), loop=True), seconds=1)
    assert 100 <= len(received) <= 201


async def test_a_loop_over_nothing_ends(tmp_path: Path, autojump_clock: MockClock) -> None:
    for path in (day(tmp_path), day(tmp_path, 1, 2, symbol="a*")):
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


def table(path: Path, *rows: tuple[str, int]) -> str:
    path.write_text("symbol,time,bid\n" + "".join(f"{symbol},{time},{time}\n" for symbol, time in rows))
    return str(path)


def captured(path: Path, *moments: Moment) -> str:
    writer = CaptureWriter(path)
    writer.write(moments)
    writer.close()
    return str(path)


def flat(received: list[tuple[float, list[Publication]]]) -> list[Publication]:
    return [each for _, batch in received for each in batch]


async def test_several_files_are_merged_by_time_each_in_its_own_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    one = table(tmp_path / "one", ("A", 1 * SECOND), ("A", 4 * SECOND), ("A", 3 * SECOND), ("A", 9 * SECOND))
    two = table(tmp_path / "two", ("B", 2 * SECOND), ("B", 4 * SECOND), ("B", 5 * SECOND))
    received = await batches(autojump_clock, Replay(path=f"{one},{two}"))
    assert times(received) == [each * SECOND for each in (1, 2, 4, 3, 4, 5, 9)]
    assert [at for at, _ in received] == pytest.approx([0, 1, 3, 4, 8])


def test_a_merge_holds_no_more_than_a_chunk_of_each_file() -> None:
    read = Counter[str]()

    def tape(name: str, step: int) -> Generator[list[Moment], None, None]:
        for chunk in range(100):
            read[name] += 100
            yield [Moment((chunk * 100 + at) * step, [update(name, bid=1)]) for at in range(100)]

    taken = Counter[str]()
    for moments in merged([tape("often", 1), tape("seldom", 50)]):
        taken.update(moment.publications[0].symbol for moment in moments)
        assert all(read[name] - taken[name] <= 200 for name in read), (read, taken)
    assert taken == {"often": 10_000, "seldom": 10_000}


async def test_a_file_with_nothing_in_it_holds_nobody_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    one, two = table(tmp_path / "one"), table(tmp_path / "two", ("B", 1), ("a*", 2), ("B", 3))
    assert times(await batches(autojump_clock, Replay(path=f"{one},{two},{one}"))) == [1, 3]


async def test_a_prefix_keeps_the_symbols_of_files_apart(tmp_path: Path, autojump_clock: MockClock) -> None:
    one = table(tmp_path / "one", ("A", 1))
    two = captured(tmp_path / "two", Moment(2, [Instrument("A"), update("A", bid=1), Withdrawal("A")]))
    received = await batches(autojump_clock, Replay(path=f"{one},{two},{two}", prefix="x:,,y:"))
    kinds = [f"{type(each).__name__} {each.symbol}" for each in flat(received)]
    assert kinds == [
        *("Instrument x:A", "Update x:A"),
        *("Instrument A", "Update A", "Withdrawal A"),
        *("Instrument y:A", "Update y:A", "Withdrawal y:A"),
    ]
    same = await batches(autojump_clock, Replay(path=f"{one},{two}", prefix="z:"))
    assert {each.symbol for each in flat(same)} == {"z:A"}


async def test_a_name_with_a_comma_is_one_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = table(tmp_path / "one,two", ("A", 1))
    assert times(await batches(autojump_clock, Replay(path=path))) == [1]


async def test_a_capture_is_played_as_it_was_published_and_twice_the_same(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    moments = [
        Moment(5 * SECOND, [Instrument("A", metadata={"venue": "X"}), update("A", bid="1.50", time=3)]),
        Moment(6 * SECOND, []),
        Moment(8 * SECOND, [update("A", ask=2), Withdrawal("A"), update("B", bid="1.5")]),
    ]
    feed = Replay(path=captured(tmp_path / "day", *moments))
    received = await batches(autojump_clock, feed)
    assert [at for at, _ in received] == pytest.approx([0, 1, 3])
    assert [batch for _, batch in received[:2]] == [moments[0].publications, []], "a sign of life comes as one"
    assert received[2][1] == [
        update("A", ask=2),
        Withdrawal("A"),
        Instrument("B", price_scale=1),
        update("B", bid="1.5"),
    ]
    again = await batches(autojump_clock, feed)
    assert [batch for _, batch in again] == [batch for _, batch in received]


async def test_a_moment_is_never_split_and_others_are_put_together_up_to_a_limit(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    large = Moment(1, [update("A", bid=at) for at in range(3_000)])
    path = captured(tmp_path / "day", Moment(0, [Instrument("A")]), large, *[Moment(2, large.publications[:400])] * 5)
    received = await batches(autojump_clock, Replay(path=path, speed=0.0))
    assert [len(batch) for _, batch in received] == [1, 3_000, 800, 800, 400]


async def test_only_so_many_seconds_are_played(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = day(tmp_path, *range(10 * SECOND, 20 * SECOND, SECOND))
    received = await batches(autojump_clock, Replay(path=path, seconds=2.5))
    assert times(received) == [10 * SECOND, 11 * SECOND, 12 * SECOND]
    looped = await batches(autojump_clock, Replay(path=path, seconds=1, loop=True), seconds=2.5)
    assert times(looped) == [10 * SECOND, 11 * SECOND, 10 * SECOND, 11 * SECOND, 10 * SECOND]


async def test_raw_messages_are_played_by_their_time_of_receipt(tmp_path: Path, autojump_clock: MockClock) -> None:
    trade = '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":"%d.50","q":"0.10","T":%d}}'
    path = tmp_path / "spot.gz"
    lines = [f"{at * SECOND * 1_000} {trade % (at, at)}" for at in (5, 6, 8)]
    lines[2:2] = ["7000000000 nonsense", '7000000000 {"result":null,"id":1}', "", trade % (7, 7)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    feed = Replay(path=str(path), format="binance")
    received = await batches(autojump_clock, feed)
    assert [at for at, _ in received] == pytest.approx([0, 1, 2, 3]), "one without a time comes with the line before"
    assert [each for each in flat(received) if isinstance(each, Trade)] == [
        Trade("BTCUSDT", f"{at}.50", "0.10", time=at * 1_000) for at in (5, 6, 7, 8)
    ]
    assert feed.counters["bad message"] >= 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("&format=xml", "give one of csv, parquet, capture, binance, coinbase, kraken"),
        ("&format=capture", "is no capture"),
        ("&format=binance&symbol=A", "only tables, CSV or Parquet, take symbol, columns"),
        (",{path}&prefix=a,b,c", "one for each of the 2 files"),
        ("&prefix=a*", "a symbol can only begin with"),
        ("&seconds=0", "seconds 0.0"),
        (",missing", "missing: there is no such file"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(tmp_path: Path, options: str, why: str) -> None:
    path = day(tmp_path, 1)
    with pytest.raises(ConfigError) as caught:
        load_feed(f"replay?path={path}{options.replace('{path}', path)}")
    assert why in str(caught.value)


async def test_rows_with_the_same_time_are_one_moment(tmp_path: Path, autojump_clock: MockClock) -> None:
    rows = [*((at, at) for at in range(CHUNK_LINES - 2)), *[(CHUNK_LINES, at) for at in range(6)]]
    path = tmp_path / "day.csv"
    path.write_text("symbol,time,bid\n" + "".join(f"A,{time * SECOND},{bid}\n" for time, bid in rows))
    received = await batches(autojump_clock, Replay(path=str(path)))
    assert [len(batch) for _, batch in received[-2:]] == [1, 6], "also where it does not end with a chunk"


async def test_a_moment_larger_than_the_service_takes_is_split(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = captured(tmp_path / "day", Moment(0, [update("A", bid=at) for at in range(25_000)]))
    received = await batches(autojump_clock, Replay(path=path))
    assert [len(batch) for _, batch in received] == [10_000, 10_000, 5_001]


async def test_a_long_wait_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    caplog.set_level(logging.INFO)
    path = day(tmp_path, 0, 50 * SECOND, 3 * 3600 * SECOND)
    await batches(autojump_clock, Replay(path=path))
    assert caplog.messages[0] == (
        f"{path}: nothing was recorded between 1970-01-01T00:00:50+00:00 and 1970-01-01T03:00:00+00:00; it goes on in"
        " 2:59:10 (a higher speed, or speed=0, is faster)"
    )
    assert len(caplog.messages) == 2
    caplog.clear()
    for speed in (0.0, 1_000.0):
        await batches(autojump_clock, Replay(path=path, speed=speed))
    assert all("rows played" in message for message in caplog.messages)


async def test_rows_out_of_order_are_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    path = day(tmp_path, *(at * SECOND for at in (10, 5, 110, 60, 70, 300)))
    for speed in (0.0, 100.0):
        caplog.clear()
        feed = Replay(path=path, speed=speed)
        await batches(autojump_clock, feed)
        assert feed.counters == {"out of order": 2}
        assert len(caplog.messages) == 1
        said = (
            "1970-01-01T00:01:00+00:00 comes after 1970-01-01T00:01:50+00:00, and is played right away; sort the file"
        )
        assert said in caplog.messages[0]


@pytest.mark.untraced
@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
async def test_a_recorded_day_is_played_in_a_minute_and_a_half(autojump_clock: MockClock) -> None:
    feed = Replay(path=f"{RECORDINGS}/ticks/oanda-nzdusd-20140508_quote.zip", speed=1_000.0)
    received = await batches(autojump_clock, feed)
    assert len(times(received)) == 49_874
    assert received[-1][0] == pytest.approx(86.398, abs=0.01)
    assert max(len(batch) for _, batch in received) <= CHUNK_LINES + 1

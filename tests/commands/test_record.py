"""ticker/commands/recorder.py and ticker/commands/record.py: feeds and services recorded, and played again."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import ticker
from tests.bounds import HANG_SECONDS
from tests.commands.conftest import RunTicker
from tests.conftest import Logs, alarms, serving
from tests.proxy import Proxy
from tests.support import update
from ticker.commands.recorder import Tally, record_feed, record_service
from ticker.core.last_value import LastValueCache
from ticker.market import Candle, FeedItem, Instrument, Levels, Publication, Stale, Trade, Update, Withdrawal
from ticker_feeds.recordings import Replay
from ticker_feeds.recordings.capture import Capture, CaptureWriter, segments

TICKER = [sys.executable, "-m", "ticker"]
GOLD = Instrument("GOLD", metadata={"venue": "X"})


class Acknowledged:
    """Counts up as fast as possible, and notes each number after its `send` has returned."""

    def __init__(self, *, path: str) -> None:
        self._path = path

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        acknowledged = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        await updates.send(Instrument("COUNT", 0))
        for number in itertools.count():
            await updates.send([update("COUNT", last=number), update("COUNT", note="x" * 200)])
            os.write(acknowledged, b"%d\n" % number)


class Scripted:
    """Sends a script in each of its runs, and fails at the end of all but the last."""

    silence_seconds = 5.0

    def __init__(self, *runs: list[FeedItem | float]) -> None:
        self._runs = list(runs)

    async def run(self, updates: trio.abc.SendChannel[FeedItem]) -> None:
        for step in self._runs.pop(0):
            if isinstance(step, float):
                await trio.sleep(step)
            else:
                await updates.send(step)
        if self._runs:
            raise OSError("the venue hung up")


def publications(path: Path) -> list[Publication]:
    return [each for chunk in Capture(str(path)).chunks() for moment in chunk for each in moment.publications]


def counted(path: Path) -> list[object]:
    return [each.fields["last"] for each in publications(path) if isinstance(each, Update) and "last" in each.fields]


async def recorded(path: Path, feed: Scripted) -> list[Publication]:
    writer = CaptureWriter(path)
    await record_feed(feed, Tally(writer))
    writer.close()
    return publications(path)


async def replayed(path: Path) -> list[FeedItem]:
    """The items that a replay of a file sends, as fast as possible."""
    sending, receiving = trio.open_memory_channel[FeedItem](0)
    async with trio.open_nursery() as nursery:

        async def play() -> None:
            async with sending:
                await Replay(path=str(path), speed=0.0).run(sending)

        nursery.start_soon(play)
        return [item async for item in receiving]


@asynccontextmanager
async def recording(*arguments: str | Path) -> AsyncIterator[trio.Process]:
    """`ticker record` in a process of its own; it is killed if it still runs at the end."""
    process = await trio.lowlevel.open_process(
        [*TICKER, "record", *map(str, arguments)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        with trio.fail_after(HANG_SECONDS):
            async with process.stderr:
                yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def told(process: trio.Process) -> str:
    """The rest of its stderr."""
    assert process.stderr is not None
    return b"".join([data async for data in process.stderr]).decode()


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await trio.sleep(0.01)


@pytest.mark.parametrize("life", [0, *(pytest.param(each, marks=pytest.mark.untraced) for each in (1, 2))])
async def test_a_recorder_that_is_killed_loses_nothing_that_a_feed_was_told_is_recorded(
    tmp_path: Path, life: int
) -> None:
    out, acknowledged = tmp_path / "day", tmp_path / "acknowledged"
    # Small files, so that it sometimes dies at the beginning of one.
    feed = f"tests.commands.test_record:Acknowledged?path={acknowledged}"
    async with recording(feed, "--out", out, "--rotate-mb", "0.02") as process:
        await until(lambda: acknowledged.exists() and acknowledged.stat().st_size > 5_000 * (life + 1))
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    last = int(acknowledged.read_text().splitlines()[-1])
    held = counted(out)
    assert held == list(range(len(held)))
    assert last + 1 <= len(held) <= last + 2, "what was acknowledged is there, and perhaps what was being written"
    played = await replayed(out)
    assert [each for item in played if isinstance(item, list) for each in item] == publications(out)
    assert await replayed(out) == played
    assert len(segments(out)) > 1


async def test_a_killed_recording_goes_on_behind_its_torn_tail(tmp_path: Path) -> None:
    out, acknowledged = tmp_path / "day", tmp_path / "acknowledged"
    feed = f"tests.commands.test_record:Acknowledged?path={acknowledged}"
    async with recording(feed, "--out", out) as process:
        await until(lambda: acknowledged.exists() and acknowledged.stat().st_size > 1_000)
        process.kill()
        await process.wait()
    before = counted(out)
    with out.open("ab") as file:
        file.write(b"\0\0\0\x64torn")
    async with recording(feed, "--out", out, "--duration", "3") as process:
        said = await told(process)
        assert await process.wait() == 0
    assert "torn tail (8 bytes are left out)" in said
    held = counted(out)
    assert len(held) > len(before)
    assert held[: len(before)] == before
    assert held[len(before) :] == list(range(len(held) - len(before)))


async def test_what_an_earlier_recording_said_is_not_current_in_the_next(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    del autojump_clock
    await recorded(tmp_path / "day", Scripted([GOLD, update("GOLD", bid="1", ask="2")]))
    held = await recorded(tmp_path / "day", Scripted([GOLD, update("GOLD", bid="3")]))
    assert held[2:] == [Stale("GOLD", "feed_ended"), GOLD, update("GOLD", bid="3")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_recording_well(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "day"
    async with recording("tests.feeds_for_tests:Counting", "--out", out) as process:
        await until(lambda: _is_begun(out) and len(counted(out)) > 5)
        process.send_signal(number)
        said = await told(process)
        assert await process.wait() == 0
    assert f"to {out}" in said
    assert f"recorded {len(publications(out))} publications in " in said


def _is_begun(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def test_a_recording_ends_with_its_feed(tmp_path: Path, run_ticker: RunTicker) -> None:
    day = tmp_path / "day.csv"
    day.write_text("symbol,time,bid\n" + "".join(f"A,{at},{at}.5\n" for at in range(1_000)))
    outcome = run_ticker("record", f"replay?path={day}&speed=0", "--out", tmp_path / "day")
    assert outcome.code == 0
    assert "recorded 1001 publications" in outcome.stderr
    assert publications(tmp_path / "day")[-1] == update("A", time=999, bid="999.5")


async def test_a_feed_that_fails_is_started_again_and_was_stale_in_between(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    feed = Scripted(
        [[GOLD, update("GOLD", bid="1")]],
        [],
        [GOLD, update("GOLD", bid="2"), update("GOLD", bid="3")],
    )
    down = Stale("GOLD", "feed_down")
    assert await recorded(tmp_path / "day", feed) == [
        *(GOLD, update("GOLD", bid="1"), down, down),
        *(GOLD, update("GOLD", bid="2"), update("GOLD", bid="3")),
    ]
    assert autojump_clock.current_time() > 0


async def test_a_feed_says_itself_what_its_instruments_are(tmp_path: Path, autojump_clock: MockClock) -> None:
    del autojump_clock
    feed = Scripted([GOLD], [update("GOLD", status="halted")])
    assert (await recorded(tmp_path / "day", feed))[2:] == [
        update("GOLD", status="halted"),
    ]


async def test_a_feed_that_falls_silent_is_started_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    feed = Scripted([GOLD, 4.0, [], 4.0, [], 6.0, Withdrawal("GOLD")], [update("GOLD", bid="1")])
    assert await recorded(tmp_path / "day", feed) == [
        GOLD,
        Stale("GOLD", "feed_silent"),
        update("GOLD", bid="1"),
    ]
    assert 13 <= autojump_clock.current_time() < 14


async def test_an_instrument_that_falls_silent_is_stale_in_the_recording(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    del autojump_clock
    feed = Scripted([GOLD, update("GOLD", bid="1"), 4.0, [], 4.0, [], 2.0, update("GOLD", bid="2")])
    feed.instrument_silence_seconds = 6.0  # type: ignore[attr-defined]  # it is optional
    assert await recorded(tmp_path / "day", feed) == [
        GOLD,
        update("GOLD", bid="1"),
        Stale("GOLD", "instrument_silent"),
        update("GOLD", bid="2"),
    ]


async def test_a_disk_that_takes_nothing_is_no_fault_of_the_feed(tmp_path: Path, logs: Logs) -> None:
    writer = CaptureWriter(tmp_path / "day")
    writer._file.close()
    with pytest.raises(ValueError, match="closed file"):
        await record_feed(Scripted([GOLD], [GOLD]), Tally(writer))
    writer._owned.close()
    assert not alarms(logs)


async def test_a_service_is_recorded_as_a_client_sees_it(tmp_path: Path) -> None:
    out = tmp_path / "day"
    silver = Instrument("SILVER", price_scale=3)
    before = (
        GOLD,
        update("GOLD", bid="1.50", bid_size=7, note="é"),
        silver,
        update("SILVER", bid="2"),
        Instrument("X"),
    )
    async with serving(*before) as service, recording(service.url, "--out", out, "--symbols", "GOLD,S*") as process:
        await until(lambda: _is_begun(out) and len(publications(out)) == 4)
        await service.publish(update("GOLD", bid="1.505", note=None), update("X", bid="1"))
        await until(lambda: len(publications(out)) == 6)
        process.send_signal(signal.SIGINT)
        assert "connected wss://" in await told(process)
        assert await process.wait() == 0
    finer = Instrument("GOLD", price_scale=3, metadata={"venue": "X"})
    held = publications(out)
    assert sorted(held[:4], key=repr) == sorted(
        [GOLD, update("GOLD", bid="1.50", bid_size="7", note="é"), silver, update("SILVER", bid="2.000")], key=repr
    )
    assert held[4:] == [finer, update("GOLD", bid="1.505", bid_size="7", note=None)], "with a new scale, all comes anew"


async def test_while_the_connection_is_lost_nothing_is_live(tmp_path: Path) -> None:
    out = tmp_path / "day"
    writer = CaptureWriter(out)
    events: list[ticker.Event] = []
    async with serving(GOLD, update("GOLD", bid="1", status="halted")) as service, trio.open_nursery() as nursery:
        proxy = Proxy(service.url)
        await nursery.start(proxy.run)
        connect = partial(ticker.connect, proxy.url)
        nursery.start_soon(record_service, connect, ["*"], events.append, Tally(writer))
        await until(lambda: len(publications(out)) == 2)
        proxy.cut()
        await until(lambda: len(publications(out)) == 4)
        await service.publish(update("GOLD", bid="2"))
        await until(lambda: len(publications(out)) == 5)
        nursery.cancel_scope.cancel()
    writer.close()
    assert [type(each) for each in events] == [ticker.Connected, ticker.Disconnected, ticker.Connected]
    assert publications(out)[2:] == [
        Stale("GOLD", "reconnecting"),
        update("GOLD", bid="1.00", status="halted"),
        update("GOLD", bid="2.00"),
    ]


def tables(cache: LastValueCache, symbol: str) -> tuple[object, ...]:
    """The book, the prints without their numbers, and the bars of an instrument."""
    book, prints, bars = cache.book_of(symbol), cache.trades_of(symbol), cache.candles_of(symbol, "1m")
    assert book is not None
    assert prints is not None
    assert bars is not None
    return book.top(10), book.reason, [row[1:] for row in prints.latest(10)], bars.latest(10)


def played(path: Path) -> LastValueCache:
    """The market as a recording brings it."""
    cache = LastValueCache("replayed")
    for chunk in Capture(str(path)).chunks():
        for moment in chunk:
            for each in moment.publications:
                assert not cache.publish(each)
            cache.close_cut(moment.time)
    return cache


def has_grown(path: Path, count: int) -> bool:
    return len(publications(path)) > count


MINUTE = 1_700_000_040
BEFORE: list[Publication] = [
    Instrument("GOLD"),
    update("GOLD", bid="1.50"),
    Candle("GOLD", "1m", MINUTE - 60, 1, 2, 1, 2, 5, 3),
    Levels("GOLD", [("1.50", 5), ("1.40", 7), ("1.30", 1)], [("1.60", 2)], complete=True),
    Trade("GOLD", "1.55", 3, "buy", MINUTE * 1_000_000, 1),
]
AFTER: list[list[Publication]] = [
    [
        Levels("GOLD", [("1.50", 0), ("1.45", 2)], [("1.60", 3)]),
        Trade("GOLD", "1.50", 1, "sell", MINUTE * 1_000_000 + 1),
    ],
    [Trade("GOLD", "1.50", 1, "sell", MINUTE * 1_000_000 + 2, "x"), update("GOLD", bid="1.45")],
    [Trade("GOLD", "1.50", 0, "sell", MINUTE * 1_000_000 + 2, "x")],
    [Stale("GOLD", "gap", book_only=True)],
    [Levels("GOLD", [("1.45", 2)], [("1.70", "3.5")], complete=True)],
]


async def test_tables_of_a_service_are_recorded_as_they_are_played_again(tmp_path: Path) -> None:
    out = tmp_path / "day"
    names = ["GOLD", "GOLD book:10", "GOLD trades:10", "GOLD candles:1m:10"]
    source = LastValueCache("source")
    for each in itertools.chain(BEFORE, *AFTER):
        source.publish(each)
    source.close_cut(MINUTE * 1_000_000 + 10)
    async with serving(*BEFORE) as service, recording(service.url, "--out", out, "--symbols", *names) as process:
        await until(
            lambda: _is_begun(out) and {Levels, Trade, Candle, Update} <= {type(each) for each in publications(out)}
        )
        for batch in AFTER:
            count = len(publications(out))
            await service.publish(*batch)
            await until(partial(has_grown, out, count))
        await until(lambda: played(out).book_of("GOLD").reason is None)  # type: ignore[union-attr]  # there is one
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0, await told(process)
    assert tables(played(out), "GOLD") == tables(source, "GOLD")
    assert played(out).instrument("GOLD").values == source.instrument("GOLD").values  # type: ignore[union-attr]


async def test_after_a_lost_connection_books_are_recorded_whole_and_no_trade_twice(tmp_path: Path) -> None:
    out = tmp_path / "day"
    writer = CaptureWriter(out)
    async with serving(*BEFORE) as service, trio.open_nursery() as nursery:
        proxy = Proxy(service.url)
        await nursery.start(proxy.run)
        connect = partial(ticker.connect, proxy.url)
        names = ["GOLD book:10", "GOLD trades:10"]
        nursery.start_soon(record_service, connect, names, lambda _event: None, Tally(writer))
        await until(lambda: {Levels, Trade} <= {type(each) for each in publications(out)})
        proxy.cut()
        await until(lambda: publications(out)[-1] != publications(out)[0] and Stale in map(type, publications(out)))
        await until(lambda: isinstance(publications(out)[-1], Levels))
        await service.publish(Trade("GOLD", "1.55", 3, "buy", MINUTE * 1_000_000, 2))
        await until(lambda: isinstance(publications(out)[-1], Trade))
        nursery.cancel_scope.cancel()
    writer.close()
    held = publications(out)
    assert [each.id for each in held if isinstance(each, Trade)] == [1, 2]
    assert held[-3:-1] == [Stale("GOLD", "reconnecting"), next(each for each in held if isinstance(each, Levels))]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["wss://localhost:1", "--symbols", "A book:10", "B book:25"], "book:10 and book:25 hold the same rows"),
        (["wss://localhost:1", "--symbols", "A candles:1m:10,* candles:1m:50"], "candles:1m:10 and candles:1m:50"),
        (["nothing"], "there is no feed 'nothing'"),
        (["simulated", "--rotate-mb", "0"], "--rotate-mb 0.0: give a number above 0"),
        (["simulated", "--rotate-mb", "inf"], "--rotate-mb inf: give a number above 0"),
        (["simulated", "--duration", "-1"], "--duration -1.0: give a number of seconds"),
        (["simulated", "--symbols", "A"], "--symbols: only with a service"),
        (["simulated", "--ca", "ca.pem"], "--ca: only with a service"),
        (["simulated", "--token-file", "token"], "--token-file: only with a service"),
        (["ws://127.0.0.1:1"], "give wss://HOST:PORT"),
    ],
)
def test_an_unusable_argument_of_record_is_named_in_one_line(
    arguments: list[str], cause: str, run_ticker: RunTicker, tmp_path: Path
) -> None:
    outcome = run_ticker("record", *arguments, "--out", tmp_path / "day")
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1), outcome
    assert cause in outcome.stderr


def test_a_file_that_is_no_recording_is_refused_and_left_alone(run_ticker: RunTicker, tmp_path: Path) -> None:
    out = tmp_path / "day"
    out.write_text("precious")
    for arguments in (["record", "simulated", "--out", out], ["export", out, "--csv", tmp_path / "day.csv"]):
        outcome = run_ticker(*arguments)
        assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1), outcome
        assert "is no capture" in outcome.stderr
    assert out.read_text() == "precious"


def test_a_service_that_does_not_listen_ends_a_recording_with_1(run_ticker: RunTicker, tmp_path: Path) -> None:
    outcome = run_ticker("record", "wss://127.0.0.1:1", "--out", tmp_path / "day")
    assert outcome.code == 1
    assert "connection refused" in outcome.stderr
    assert not list(tmp_path.iterdir()), "no empty recording is left behind"


async def test_a_recording_goes_on_when_nobody_reads_its_stderr_any_more(tmp_path: Path) -> None:
    out = tmp_path / "day"
    async with recording("tests.feeds_for_tests:Counting", "--out", out) as process:
        await until(lambda: _is_begun(out) and len(counted(out)) > 5)
        assert process.stderr is not None
        await process.stderr.aclose()
        before = len(counted(out))
        await until(lambda: len(counted(out)) > before + 5)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05, 0.2])
async def test_ctrl_c_at_any_moment_ends_a_recording_without_a_traceback(tmp_path: Path, delay: float) -> None:
    out = tmp_path / "day"
    async with recording("tests.feeds_for_tests:Counting", "--out", out) as process:
        await until(out.exists)
        await trio.sleep(delay)
        process.send_signal(signal.SIGINT)
        said = await told(process)
        assert await process.wait() in {0, 130}
    assert "Traceback" not in said, said
    assert not out.exists() or counted(out), "it has what was recorded, or is not there"


async def test_of_a_feed_that_publishes_nothing_it_is_said_that_nothing_was_recorded(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.jsonl"
    nothing.touch()
    async with recording(f"jsonl?path={nothing}", "--out", tmp_path / "day") as process:
        said = await told(process)
        assert await process.wait() == 1
    assert said.splitlines()[-1] == "ticker: nothing was recorded: nothing came from jsonl"
    assert not (tmp_path / "day").exists()


async def test_of_a_service_that_does_not_answer_it_is_said_that_nothing_was_recorded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"wss://127.0.0.1:{silent.getsockname()[1]}"
        async with recording(url, "--out", tmp_path / "day", "--duration", "0.5") as process:
            said = await told(process)
            assert await process.wait() == 1
    assert said.splitlines()[-1] == f"ticker: nothing was recorded: nothing came from {url}"
    assert not (tmp_path / "day").exists()

"""ticker/server/bar_history.py within a service: files that are locked, full or spoiled while it runs."""

from __future__ import annotations

import os
import re
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Running, serving
from tests.server.test_pages import ask
from ticker.config import History, Tables
from ticker.history.bar_store import ChangedBar
from ticker.history.history_file import HistoryFile
from ticker.market import Candle, Instrument, Publication, Trade

MINUTE = 60_000_000
START = 1_699_999_980


def prints(count: int, symbol: str = "A", first: int = 0) -> list[Publication]:
    """A print in each of so many minutes."""
    times = [START * 1_000_000 + number * MINUTE for number in range(first, first + count)]
    return [Trade(symbol, str(1 + number), 1, time=time) for number, time in enumerate(times, first)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    for name, seconds in (("HISTORY_WRITE_SECONDS", 0.02), ("HISTORY_RETRY_SECONDS", 0.1)):
        monkeypatch.setattr(f"ticker.server.bar_history.{name}", seconds)
    monkeypatch.setattr("ticker.history.database.HISTORY_BUSY_SECONDS", 0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def settings(path: Path) -> History:
    # Bars of a given time are kept whatever the time is.
    return History(file=str(path), keep_bars=100_000_000)


def kept(path: Path, period: str = "1m") -> list[object]:
    """The closes of the bars in the file; none before its tables are there."""
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'open_bars'").fetchone():
            return []
        return [
            close
            for (close,) in connection.execute(
                "SELECT close FROM (SELECT * FROM bars UNION ALL SELECT * FROM open_bars)"
                " JOIN series ON series = number WHERE period = ? ORDER BY start",
                (period,),
            )
        ]
    finally:
        connection.close()


def write(path: Path, bars: list[ChangedBar]) -> None:
    file = HistoryFile(settings(path), "UTC")
    file.open()
    file.write(bars, 0)
    file.close()


def spoil(path: Path, first: int = 8, end: int | None = None) -> None:
    """Overwrite pages, all from the first on."""
    end = path.stat().st_size // 4_096 if end is None else end
    with path.open("r+b") as raw:
        raw.seek(first * 4_096)
        raw.write(os.urandom((end - first) * 4_096))


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(HANG_SECONDS):
        while not condition():
            await trio.sleep(0.01)


async def bars_of(service: Running, *, count: int = 500) -> list[dict[str, str]]:
    """What a chart gets of A, however often it has to ask: as long as it is told to come again."""
    with trio.fail_after(HANG_SECONDS):
        while (got := await ask(service, f"/v1/candles?symbol=A&period=1m&count={count}")).status == 503:
            await trio.sleep(0.05)
    assert got.status == 200, got.body
    bars: list[dict[str, str]] = got.json["candles"]
    return bars


async def until_metric(service: Running, name: str, least: float) -> None:
    with trio.fail_after(HANG_SECONDS):
        while await metric(service, name) < least:
            await trio.sleep(0.01)


async def metric(service: Running, name: str) -> float:
    text = (await ask(service, "/metrics")).body.decode()
    return sum(float(line.split()[-1]) for line in re.findall(rf"^{name}(?:{{.*}})? .*$", text, re.MULTILINE))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that writes to the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        connection.close()


async def test_while_the_file_is_locked_bars_wait_and_prices_do_not(path: Path, logs: Logs) -> None:
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(2))
        await until(lambda: kept(path) == [100, 200])
        with locked(path):
            for number in range(2, 5):
                await service.publish(*prints(1, first=number))
            content = (await ask(service, "/v1/candles?symbol=A&period=1m")).json
            assert [bar["close"] for bar in content["candles"]] == ["1.00", "2.00", "3.00", "4.00", "5.00"]
            with trio.fail_after(HANG_SECONDS):
                while await metric(service, "ticker_history_failures_total") < 2:
                    await trio.sleep(0.01)
            assert await metric(service, "ticker_history_bars_waiting") >= 3
        await until(lambda: kept(path) == [100, 200, 300, 400, 500])
        assert await metric(service, "ticker_history_writes") == 1
        assert await metric(service, "ticker_history_file_bytes") >= 4_096
        assert await metric(service, "ticker_history_bars_waiting") == 0
    told = [entry["event"] for entry in logs if "history" in entry["event"]]
    assert told == [
        "the history cannot be written: bars wait in memory, and further attempts follow",
        "the history is written again",
    ]


async def test_a_stop_while_the_file_is_still_being_opened_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.history.database.HISTORY_BUSY_SECONDS", HANG_SECONDS)
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("BEGIN EXCLUSIVE")
        async with serving(Instrument("A"), *prints(2), history=settings(path)) as service:
            await service.publish(*prints(1, first=2))  # taken once those before have been applied
            service.stop.set()
            with suppress(OSError):  # refused: the stop has begun
                while True:
                    await trio.sleep(0.01)
                    await (await trio.open_tcp_stream(service.host, service.port)).aclose()
            another.execute("COMMIT")
    assert kept(path) == [100, 200, 300]


async def test_of_too_many_bars_that_wait_the_oldest_are_dropped_and_counted(
    path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.server.bar_history.MAX_WAITING_BARS", 10)
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(1))
        await until(lambda: kept(path) == [100])
        with locked(path):
            for number in range(1, 61):
                await service.publish(*prints(1, first=number))
                await trio.sleep(0.001)
            await until(lambda: any("dropped" in entry["event"] for entry in logs))
            # So many wait, and as many again may be under way to the file.
            assert await metric(service, "ticker_history_bars_waiting") <= 20
        await until(lambda: kept(path)[-1] == 6_100)
        lost = await metric(service, "ticker_history_bars_lost_total")
        assert 0 < len(kept(path)) < 61
        assert lost >= 61 - len(kept(path))
    assert sum("dropped" in entry["event"] for entry in logs) == 1


def of_a_feed(first: int, end: int) -> list[Publication]:
    """Bars of these minutes; minute 0 closes at 1.00."""
    closes = [(each, str(each + 1)) for each in range(first, end)]
    return [Candle("A", "1m", START + 60 * each, close, close, close, close, 1, 1) for each, close in closes]


async def older(service: Running, *, count: int = 500) -> list[str]:
    """The closes of all bars that a chart gets."""
    return [bar["close"] for bar in await bars_of(service, count=count)]


async def test_of_a_burst_larger_than_the_memory_for_bars_all_are_kept_and_shown(path: Path) -> None:
    few = Tables(bars=(5, 10), periods=("1m",))
    async with serving(Instrument("A"), history=settings(path), tables=few) as service:
        await service.publish(*of_a_feed(0, 200))
        expected = [f"{each + 1}.00" for each in range(200)]
        # At once, although most of them are neither in memory nor in the file yet.
        assert await older(service) == expected
        await until(lambda: kept(path) == [100 * each + 100 for each in range(200)])
        # Bars of the past, also in a descending order.
        await service.publish(*of_a_feed(-20, 0)[::-1])
        await until(lambda: kept(path) == [100 * each + 100 for each in range(-20, 200)])
        assert await older(service, count=1000) == [f"{each + 1}.00" for each in range(-20, 200)]
        assert await metric(service, "ticker_history_bars_lost_total") == 0


async def test_while_bars_without_room_cannot_be_written_a_chart_is_told_so_and_not_given_a_gap(path: Path) -> None:
    few = Tables(bars=(5, 10), periods=("1m",))
    async with serving(Instrument("A"), Instrument("B"), history=settings(path), tables=few) as service:
        await service.publish(*of_a_feed(0, 3), *prints(3, "B"))
        await until(lambda: len(kept(path)) == 6)
        with locked(path):
            await service.publish(*of_a_feed(3, 100))
            await until_metric(service, "ticker_history_failures_total", 1)
            got = await ask(service, "/v1/candles?symbol=A&period=1m")
            text = "the history cannot be written now, and bars of that time wait for it"
            assert (got.status, got.json["message"], got.headers["retry-after"]) == (503, text, "5")
            assert (await ask(service, "/v1/candles?symbol=A&period=1m&count=5")).status == 200, "these are in memory"
            assert (await ask(service, "/v1/candles?symbol=B&period=1m")).status == 200, "of this one nothing waits"
        await until(lambda: len(kept(path)) == 103)
        assert await older(service) == [f"{each + 1}.00" for each in range(100)]


async def test_a_chart_waits_for_a_history_that_is_being_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, [("A", "1m", 2, 0, [START + 60 * number, *[100] * 4, 1, 1]) for number in range(-50, 0)])
    monkeypatch.setattr("ticker.history.database.HISTORY_BUSY_SECONDS", HANG_SECONDS)
    with closing(sqlite3.connect(path, isolation_level=None)) as another:
        another.execute("PRAGMA journal_mode=DELETE")
        another.execute("BEGIN EXCLUSIVE")
        async with serving(Instrument("A"), history=settings(path)) as service, trio.open_nursery() as nursery:
            shown: list[object] = []

            async def chart() -> None:
                shown.extend(await bars_of(service))

            nursery.start_soon(chart)
            await service.publish(*prints(1))
            assert not shown
            another.execute("COMMIT")
            await until(lambda: len(shown) >= 50)


def past(first: int, end: int) -> list[Publication]:
    """An invented past, the current bar first, as the simulated feed says it."""
    bars = [Candle("A", "1m", START + 60 * each, 900, 901, 899, 900, 5, 2, estimate=True) for each in range(first, end)]
    return [bars[-1], *bars[:-1]]


async def test_an_invented_past_replaces_nothing_of_an_earlier_run_however_early_it_comes(path: Path) -> None:
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*past(-3, 1))
        await until(lambda: kept(path) == [90_000] * 4)
        await service.publish(*prints(2), *prints(1, first=3))
        await until(lambda: kept(path) == [90_000, 90_000, 90_000, 100, 200, 400])
    async with serving(history=settings(path)) as service:
        await service.publish(Instrument("A"), *past(-4, 4))
        await service.publish(*prints(1, first=3))
        await service.publish(*past(-4, 4))  # as after a feed that was started anew
        await until(lambda: kept(path) == [*[90_000] * 4, 100, 200, 90_000, 400])
        content = (await ask(service, "/v1/candles?symbol=A&period=1m")).json
        assert [bar["count"] for bar in content["candles"]] == [2, 2, 2, 2, 3, 1, 2, 2]


async def test_a_full_disk_costs_nothing_but_time(path: Path, logs: Logs) -> None:
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(1))
        await until(lambda: kept(path) == [100])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
        try:
            await service.publish(*prints(800, first=1))
            await until(lambda: any("cannot be written" in entry["event"] for entry in logs))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await until(lambda: len(kept(path)) == 801)
        await service.proves_alive()


async def test_a_file_that_is_spoiled_while_it_is_in_use_is_replaced_by_one_with_all_bars_in_memory(
    path: Path, logs: Logs
) -> None:
    now = int(time.time()) // 60 * 60
    write(path, [("A", "1m", 2, 0, [now - 60 * number, 1, 1, 1, 1, 1, 1]) for number in range(20_000)])
    spoil(path, 20, 60)  # the latest bars are behind: the damage shows once old ones are deleted
    async with serving(Instrument("A"), history=History(file=str(path), keep_bars=2_000)) as service:
        await service.publish(Trade("A", 2, 1, time=(now + 60) * 1_000_000))
        await until(lambda: list(path.parent.glob("history.sqlite.damaged-*")) and len(kept(path)) > 1_000)
        assert kept(path)[-2:] == [1, 200]
        assert await metric(service, "ticker_history_failures_total") == 1
    assert sum("new history" in entry["event"] for entry in logs) == 1


@pytest.mark.parametrize("ends", [("", "-wal", "-shm"), ("",)])
async def test_in_place_of_a_file_that_is_deleted_while_it_is_in_use_there_is_one_with_all_bars_in_memory(
    ends: tuple[str, ...], path: Path, logs: Logs
) -> None:
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(3))
        await until(lambda: kept(path) == [100, 200, 300])
        for end in ends:
            await trio.Path(f"{path}{end}").unlink()
        await service.publish(*prints(1, first=3))
        await until(lambda: path.exists() and kept(path) == [100, 200, 300, 400])
    told = [entry for entry in logs if "new history" in entry["event"]]
    assert [(entry["cause"], entry["moved_to"]) for entry in told] == [
        (f"{path}: it was deleted while it was in use", "nowhere")
    ]


async def test_a_file_that_is_spoiled_before_it_is_loaded_is_replaced(path: Path, logs: Logs) -> None:
    write(path, [("OLD", "1m", 2, 0, [60 * number, 1, 1, 1, 1, 1, 1]) for number in range(20_000)])
    spoil(path)
    async with serving(Instrument("OLD"), Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(3))
        await until(lambda: list(path.parent.glob("history.sqlite.damaged-*")) and kept(path) == [100, 200, 300])
        assert await metric(service, "ticker_history_failures_total") == 1
    told = [entry for entry in logs if "new history" in entry["event"]]
    assert len(told) == 1
    assert "malformed" in told[0]["cause"]


async def test_what_was_loaded_is_not_written_again(path: Path) -> None:
    write(path, [("A", "1m", 2, 0, [START + 60 * number, *[100] * 4, 1, 1]) for number in range(-500, 0)])
    async with serving(Instrument("A"), history=settings(path)) as service:

        async def shown() -> int:
            return len((await ask(service, "/v1/candles?symbol=A&period=1m&count=1000")).json["candles"])

        with trio.fail_after(HANG_SECONDS):
            while await shown() < 500:
                await trio.sleep(0.01)
        await service.publish(Trade("A", 2, 1, time=START * 1_000_000 - 1))
        await until(lambda: kept(path)[-1] == 200)
        assert await metric(service, "ticker_history_bars_written_total") == 4, "one for each period"


async def test_without_a_history_there_are_candles_of_this_run(path: Path) -> None:
    async with serving(Instrument("A"), history=History(enabled=False, file=str(path))) as service:
        await service.publish(*prints(3))
        assert len((await ask(service, "/v1/candles?symbol=A&period=1m")).json["candles"]) == 3
        assert await metric(service, "ticker_history_writes") == 0
    assert kept(path) == []
    assert not list(path.parent.iterdir())


async def test_a_file_that_cannot_be_read_for_a_moment_gets_503(path: Path) -> None:
    async with serving(Instrument("A"), history=settings(path)) as service:
        await service.publish(*prints(3))
        await until(lambda: len(kept(path)) == 3)
        away = path.with_suffix(".away")
        await trio.Path(path).rename(away)
        got = await ask(service, "/v1/candles?symbol=A&period=1m")
        assert (got.status, got.json["message"]) == (503, "the history cannot be read now (unusable)")
        assert int(got.headers["retry-after"]) > 0
        assert (await ask(service, "/v1/candles?symbol=A&period=1m&count=2")).status == 200, "these are in memory"
        await trio.Path(away).rename(path)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("period=1m", 400, "give symbol=A: one symbol of /v1/instruments"),
        ("symbol=A", 400, "period=: there are 1m, 5m, 1h, 1d"),
        ("symbol=A&period=2m", 400, "period=2m: there are 1m, 5m, 1h, 1d"),
        ("symbol=A&period=1m&count=2001", 400, "count=2001: give a number from 1 to 2000"),
        ("symbol=A&period=1m&before=now", 400, "before=now: give a time in seconds since 1970 UTC"),
        ("symbol=A&period=1m&before=--1", 400, "before=--1: give a time in seconds since 1970 UTC"),
        ("symbol=NOPE&period=1m&before=-60", 404, "there is no such table of 'NOPE'; /v1/instruments has the symbols"),
        ("symbol=A&period=1m&from=1", 400, "unknown key 'from' in the query; there are before, count, period, symbol"),
        ("symbol=NOPE&period=1m", 404, "there is no such table of 'NOPE'; /v1/instruments has the symbols"),
    ],
)
async def test_a_request_for_candles_that_cannot_be_answered_says_what_there_is(
    query: str, status: int, text: str
) -> None:
    async with serving(Instrument("A")) as service:
        got = await ask(service, f"/v1/candles?{query}")
        assert (got.status, got.json) == (status, {"code": status, "message": text})

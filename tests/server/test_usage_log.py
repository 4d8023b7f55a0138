"""ticker/server/usage_log.py: the real service, clients over TLS, and what the log says of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, alarms, serving
from tests.server.test_operator_pages import measures
from tests.server.test_pages import ask
from tests.support import update
from tests.tokens import bearer, key_file, token
from tests.usage.harness import Counted, files, lines
from ticker import connect
from ticker.client.events import Connected, Event
from ticker.config import Tokens, Usage
from ticker.errors import ConfigError
from ticker.market import Instrument, Levels, Publication, Trade
from ticker.protocol.messages import Reply

MARKET: tuple[Publication, ...] = (Instrument("A"), update("A", bid="1.00"), Instrument("B"), update("B", bid="2.00"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    monkeypatch.setattr("ticker.server.usage_log.USAGE_CHECK_SECONDS", 0.01)
    monkeypatch.setattr("ticker.usage.writer.USAGE_RETRY_SECONDS", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "usage"


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(key=key_file(tmp_path))


def log(folder: Path) -> list[dict[str, Any]]:
    return lines(*sorted(files(folder), key=lambda path: path.name))


async def until(true: Callable[[], object]) -> None:
    with trio.fail_after(HANG_SECONDS):
        while not true():
            await trio.sleep(0.01)


async def until_logged(folder: Path, kind: str, count: int) -> list[dict[str, Any]]:
    """Wait until there are so many lines of a kind; return them."""

    def found() -> list[dict[str, Any]]:
        return [line for line in log(folder) if line["type"] == kind]

    await until(lambda: len(found()) >= count)
    return found()


def spans(folder: Path) -> list[tuple[str, list[str]]]:
    """Transports, and the names that each connection saw, one after another."""
    views: dict[int, set[str]] = {0: set()}
    opened: dict[str, str] = {}
    found = []
    for line in log(folder):
        if line["type"] == "view":
            view = views.setdefault(line["view"], set(views[line.get("base") or 0]))
            view |= set(line.get("names", ()))
            view -= set(line.get("without", ()))
        elif line["type"] == "open":
            opened[line["session"]] = line["transport"]
        elif line["type"] == "sees":
            found.append((opened[line["session"]], line["view"]))
    return [(transport, sorted(views[view])) for transport, view in found]


async def test_without_a_folder_nothing_is_logged_and_there_are_no_metrics(folder: Path) -> None:
    async with serving(*MARKET) as service:
        await service.watcher("A")
        assert not any("usage" in name for name in await measures(service))
    assert files(folder) == []


async def test_the_log_says_who_saw_what_from_when_to_when(folder: Path, tokens: Tokens) -> None:
    events: list[Event] = []
    async with serving(*MARKET, tokens=tokens, usage=Usage(str(folder))) as service:
        async with connect(service.url, token=token(sub="alice"), on_event=events.append) as client:
            first, second = client.subscribe("A"), client.subscribe("B*")
            await anext(first)
            await anext(second)
            await service.publish(Instrument("BC"), update("BC", bid="3.00"))
            await anext(second)
            assert isinstance(events[0], Connected)
        await until_logged(folder, "close", 1)
    (opened,) = await until_logged(folder, "open", 1)
    assert opened["session"] == events[0].session
    assert (opened["subject"], opened["address"], opened["transport"]) == ("alice", "127.0.0.1", "websocket")
    assert spans(folder)[-1] == ("websocket", ["A", "B", "BC"])
    assert log(folder)[-1]["type"] == "stop"
    counted = Counted(folder)
    assert counted.problems == []
    ((key, row),) = [pair for month in counted.months.values() for pair in counted.rows(month)]
    assert key == (("alice", ""), False)
    assert (row[:2], row[3]) == ((1, 1), (3, 3, 0, 0, 0))
    assert 0 < row[2] < 60_000_000


async def test_a_token_with_fewer_symbols_shows_less_from_then_on(folder: Path, tokens: Tokens) -> None:
    async with serving(*MARKET, tokens=tokens, usage=Usage(str(folder))) as service:
        peer = await service.peer(more=bearer(token(sub="alice", symbols=["A", "B"])))
        await peer.answer("subscribe", symbols=["*", "A"])
        await peer.answer("auth", token=token(sub="alice", symbols=["A", "B"]))
        await peer.answer("subscribe", symbols=[], interval_ms=500)
        await peer.answer("auth", token=token(sub="alice", symbols=["B"]))
        await peer.answer("unsubscribe", symbols=["*", "A"])
        await until_logged(folder, "sees", 3)
    assert spans(folder) == [("websocket", ["A", "B"]), ("websocket", ["B"]), ("websocket", [])]


async def test_a_resume_is_a_new_connection_with_the_same_view(folder: Path) -> None:
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        peer = await service.watcher("*")
        assert peer.welcome is not None
        await peer.reset()
        again = await service.peer()
        assert again.welcome is not None
        answer = await again.answer("resume", epoch=again.welcome.epoch, cursor=peer.welcome.cut, symbols=["*"])
        assert isinstance(answer, Reply)
        await until_logged(folder, "sees", 2)
    assert spans(folder) == [("websocket", ["A", "B"])] * 2
    assert len(await until_logged(folder, "view", 1)) == 1


async def test_a_table_that_a_client_watches_is_named(folder: Path) -> None:
    book = Levels("A", [("1.00", 1)], [("1.01", 1)], complete=True)
    async with serving(*MARKET, book, usage=Usage(str(folder))) as service:
        await service.watcher("A book:10", "* trades:10", "NONE")
        await service.publish(Instrument("C"), Trade("C", "1", 1))
        await until_logged(folder, "view", 2)
    assert spans(folder) == [("websocket", ["A book:10", "A trades:10", "B trades:10", "C trades:10"])]


async def test_an_event_stream_is_a_connection_too(folder: Path) -> None:
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        peer = await service.dial()
        await peer.send(b"GET /v1/events?symbols=A HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \xe9\x07curl\r\n\r\n")
        await until_logged(folder, "sees", 1)
    assert spans(folder) == [("events", ["A"])]


async def test_an_agent_is_cut_and_shown_as_sent(folder: Path) -> None:
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        await service.watcher("A", more="User-Agent: \xe9" + 300 * "x" + "\r\n")
        (opened,) = await until_logged(folder, "open", 1)
    assert opened["agent"] == "\xe9" + 255 * "x"


async def test_requests_over_http_are_one_connection_until_a_minute_without_any(
    folder: Path, fast_clock: MockClock
) -> None:
    prints = [Trade("A", "1", 1, time=1_700_000_000_000_000)]
    async with serving(*MARKET, *prints, usage=Usage(str(folder))) as service:
        for target in (
            "/v1/snapshot?symbols=A,B book:10".replace(" ", "%20"),
            "/v1/snapshot?symbols=A",
            "/v1/instruments?match=*",
            "/v1/book?symbol=A&depth=25",
            "/v1/trades?symbol=A&count=11",
            "/v1/candles?symbol=A&period=1m&count=301",
            "/v1/candles?symbol=A&period=1h&count=2000",
            "/v1/book?symbol=NONE",
        ):
            await ask(service, target)
        await ask(service, "/v1/snapshot?symbols=B", method="HEAD")
        await until_logged(folder, "view", 5)
        fast_clock.jump(61)
        await until_logged(folder, "close", 1)
        await ask(service, "/v1/snapshot?symbols=B")
        await until_logged(folder, "sees", 2)
    shown = ["A", "A book:25", "A candles:1h:1000", "A candles:1m:500", "A trades:20", "B book:10"]
    assert spans(folder) == [("http", shown), ("http", ["B"])]
    assert Counted(folder).problems == []


@pytest.mark.parametrize("bound", ["USAGE_HTTP_CLIENTS", "USAGE_HTTP_NAMES"])
async def test_of_too_many_clients_over_http_the_oldest_end_early(
    bound: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"ticker.server.usage_views.{bound}", 2)
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        for agent in "abca":
            await ask(service, "/v1/snapshot?symbols=A", f"User-Agent: {agent}")
        opened = await until_logged(folder, "open", 4)
        closed = await until_logged(folder, "close", 2)
    assert [line["agent"] for line in opened] == ["a", "b", "c", "a"]
    assert [line["session"] for line in closed] == [line["session"] for line in opened[:2]]


# Subjects and names of any kind


async def test_a_subject_of_any_text_is_one_line_and_counts(folder: Path, tokens: Tokens) -> None:
    subjects = ['"\n{}\x1b[31m', "\u2028\u202e", "\ud800", "=cmd()", "é💱"]
    async with serving(*MARKET, tokens=tokens, usage=Usage(str(folder))) as service:
        for subject in subjects:
            await service.watcher("A", more=bearer(token(sub=subject)))
        await until_logged(folder, "sees", len(subjects))
    assert [line["subject"] for line in log(folder) if line["type"] == "open"] == [
        *subjects[:2],
        "\\ud800",
        *subjects[3:],
    ]
    assert all(path.read_bytes().isascii() for path in files(folder))
    counted = Counted(folder)
    assert counted.problems == []
    (month,) = counted.months.values()
    assert len(month.subjects(delayed=False)) == len(subjects)


# Faults of the disk


async def test_a_folder_that_cannot_be_written_to_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExceptionGroup) as caught:
        async with serving(usage=Usage(str(tmp_path / "file"))):
            pytest.fail("it started")
    assert caught.group_contains(ConfigError, match=r"usage\.folder '.*': the usage log cannot be written there")


async def test_while_it_cannot_be_written_the_service_is_not_ready_and_says_so(
    folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        assert (await ask(service, "/readyz")).status == 200
        refuse = True
        write = os.write

        def sometimes(descriptor: int, data: memoryview) -> int:
            if refuse:
                raise OSError(28, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr("ticker.usage.writer.os.write", sometimes)
        await service.watcher("A")
        await until(lambda: any("cannot be written" in entry["event"] for entry in logs))
        got = await ask(service, "/readyz")
        assert (got.status, got.json["message"]) == (503, "the usage log is not written")
        assert (await measures(service))["ticker_usage_log_up"] == 0
        refuse = False
        await until(lambda: any("is written again" in entry["event"] for entry in logs))
        assert (await ask(service, "/readyz")).status == 200
        metrics = await measures(service)
        assert (metrics["ticker_usage_log_up"], metrics["ticker_usage_log_lost_total"]) == (1, 0)
        assert metrics["ticker_usage_log_failures_total"] > 0
        assert metrics["ticker_usage_log_lines_total"] > 0
    assert spans(folder) == [("websocket", ["A"])]
    assert len(alarms(logs)) == 1


async def test_a_disk_that_does_not_answer_delays_nobody_and_what_is_lost_is_said(
    folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch, fast_clock: MockClock
) -> None:
    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        stuck = True
        write = os.write

        def hang(descriptor: int, data: memoryview) -> int:
            while stuck:
                time.sleep(0.005)
            return write(descriptor, data)

        monkeypatch.setattr("ticker.usage.writer.os.write", hang)
        first = await service.watcher("A")
        fast_clock.jump(11)
        await until(lambda: any("cannot be written" in entry["event"] for entry in logs))
        assert (await ask(service, "/readyz")).status == 503
        monkeypatch.setattr("ticker.usage.writer.USAGE_QUEUE_BYTES", 0)
        second = await service.watcher("B")
        await service.publish(update("A", bid="1.01"), update("B", bid="2.01"))
        for peer in (first, second):
            await peer.until_cut(1)
        assert (await measures(service))["ticker_usage_log_lost_total"] == 3
        monkeypatch.setattr("ticker.usage.writer.USAGE_QUEUE_BYTES", 1_000_000)
        stuck = False
        await until(lambda: any("goes on in a new file" in entry["event"] for entry in logs))
        await until(lambda: len(files(folder)) == 2)
        await until(lambda: any("is written again" in entry["event"] for entry in logs))
        assert (await ask(service, "/readyz")).status == 200
    assert [entry["event"].partition(":")[0] for entry in logs if entry["log_level"] == "error"] == [
        "the usage log cannot be written; the service is not ready", "the usage log is not written in time"
    ]  # fmt: skip
    counted = Counted(folder)
    assert counted.problems == []
    assert [lost.events for lost in counted.lost] == [3]
    assert spans(folder)[-1] == ("websocket", ["B"])


async def test_an_end_that_cannot_be_written_is_an_error_in_the_log(
    folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.server.usage_log.USAGE_FINISH_SECONDS", 0.05)

    def refuse(_descriptor: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    async with serving(*MARKET, usage=Usage(str(folder))) as service:
        await service.proves_alive()
        monkeypatch.setattr("ticker.usage.writer.os.write", refuse)
    assert any("the end of the usage log could not be written" in entry["event"] for entry in logs)


@pytest.fixture
def old(folder: Path) -> Path:
    """A file of many years ago."""
    folder.mkdir()
    path = folder / "usage-20201118T110640.000007Z-0123456789abcdef-0001.jsonl"
    path.touch()
    os.utime(path, (0, 0))
    return path


async def test_what_is_deleted_is_said(old: Path, folder: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.usage_log.USAGE_ALIVE_SECONDS", 0.02)
    async with serving(*MARKET, usage=Usage(str(folder))):
        files(folder)[-1].unlink()
        await until(lambda: old not in files(folder))
        await until(lambda: any("old files" in entry["event"] for entry in logs))
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "the file of the usage log was deleted by somebody else: a new one begins"
    ]

"""ticker/usage/writer.py: files as they are begun, filled, replaced, deleted, and as a disk refuses them."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.usage.harness import START, Clock, Counted, Service, files, lines
from ticker.config import Usage
from ticker.errors import ConfigError
from ticker.usage.events import Alive, NewFile
from ticker.usage.lines import ViewLine, decode_line, encode_line, file_name, parse_file_name, utc
from ticker.usage.writer import UsageWriter


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_is_ascii_whatever_it_says() -> None:
    line = ViewLine(utc(START), 1, ["\u2028", "é", '"\\', "💱 book:10", "\x1b[31m"])
    data = encode_line(line)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert b"\x1b" not in data
    assert decode_line(data) == line


def test_the_name_of_a_file_says_its_time_its_run_and_its_part() -> None:
    name = file_name(START, "0123456789abcdef", 12)
    assert name == "usage-20261118T110640.000007Z-0123456789abcdef-0012.jsonl"
    assert parse_file_name(Path(name)) == ("20261118T110640.000007Z", "0123456789abcdef", 12)
    assert parse_file_name(Path("usage-1.jsonl")) is None


def test_what_happens_stands_in_a_file_of_this_user_alone(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "a" / "usage"
    service = Service(folder, clock)
    service.declare("A", "B")
    client = service.connect("s1", "alice", agent="a browser")
    service.subscribe(client, ["A"])
    clock.now += 1_000_000
    service.subscribe(client, ["A", "B"])
    service.disconnect(client)
    service.stop()
    (path,) = files(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    first, *rest = lines(path)
    assert first.pop("version")
    at, later = "2026-11-18T11:06:40.000007Z", "2026-11-18T11:06:41.000007Z"
    assert first == {"type": "file", "at": at, "format": 1, "run": service.writer.run, "part": 1}
    assert rest == [
        {"type": "ready", "at": at},
        {"type": "open", "at": at, "session": "s1", "subject": "alice", "address": "10.0.0.1", "agent": "a browser",
         "transport": "websocket"},
        {"type": "view", "at": at, "view": 1, "names": ["A"]},
        {"type": "sees", "at": at, "session": "s1", "view": 1, "delayed": False},
        {"type": "view", "at": later, "view": 2, "names": ["B"], "base": 1},
        {"type": "sees", "at": later, "session": "s1", "view": 2, "delayed": False},
        {"type": "close", "at": later, "session": "s1"},
        {"type": "stop", "at": later},
    ]  # fmt: skip


def test_a_new_file_repeats_what_is_open_and_can_be_read_alone(tmp_path: Path, clock: Clock) -> None:
    service = Service(tmp_path, clock)
    service.declare(*(f"S{number}" for number in range(450)))
    clients = [service.connect(f"s{number}", f"subject{number}") for number in range(3)]
    for client in clients[:2]:
        service.subscribe(client, ["*"])
    clock.now += 3_600_000_000
    service.usage._begin_file()
    clock.now += 3_600_000_000
    service.disconnect(clients[0])
    service.stop()
    first, second = files(tmp_path)
    whole = Counted(tmp_path)
    assert whole.problems == []
    assert whole.row("2026-11", "subject0") == (1, 1, 7_200_000_000, (450, 450, 0, 0, 0))
    views = [line for line in lines(second) if line["type"] == "view"]
    assert [len(line["names"]) for line in views] == [200, 200, 50]
    opened = [line for line in lines(second) if line["type"] == "open"]
    assert [line["since"] for line in opened] == ["2026-11-18T11:06:40.000007Z"] * 3
    first.unlink()
    alone = Counted(tmp_path)
    assert alone.problems == []
    assert alone.row("2026-11", "subject1") == (1, 1, 3_600_000_000, (450, 450, 0, 0, 0))


@pytest.mark.untraced
def test_a_client_that_comes_back_a_thousand_times_costs_no_names(tmp_path: Path, clock: Clock) -> None:
    service = Service(tmp_path, clock)
    service.declare(*(f"S{number}" for number in range(300)))
    for number in range(1_000):
        clock.now += 1_000
        client = service.connect(f"s{number}", "alice")
        service.subscribe(client, ["*"], interval=number % 7)
        service.disconnect(client)
    service.declare("NEW")
    client = service.connect("last", "alice")
    service.subscribe(client, ["*"])
    service.stop()
    views = [line["names"] for line in lines(*files(tmp_path)) if line["type"] == "view"]
    assert list(map(len, views)) == [200, 100, 1]
    assert Counted(tmp_path).row("2026-11", "alice")[:2] == (1_001, 1)


def test_a_subscription_that_grows_name_by_name_costs_a_name_at_a_time(tmp_path: Path, clock: Clock) -> None:
    service = Service(tmp_path, clock)
    symbols = [f"S{number}" for number in range(100)]
    service.declare(*symbols)
    client = service.connect("s", "alice")
    for number in range(1, 101):
        service.subscribe(client, symbols[:number])
    service.subscribe(client, symbols[1:])
    service.stop()
    views = [line for line in lines(*files(tmp_path)) if line["type"] == "view"]
    assert sum(len(line.get("names", [])) for line in views) == 100
    assert views[-1]["without"] == ["S0"]
    assert Counted(tmp_path).row("2026-11", "alice")[3] == (100, 100, 0, 0, 0)


def test_a_line_that_a_full_disk_refuses_is_written_later_and_none_is_left_in_half(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.usage.writer.USAGE_RETRY_SECONDS", 0.01)
    service = Service(tmp_path, clock)
    room, write = 3, os.write

    def write_a_little(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if not room:
            room = -1
            raise OSError(errno.ENOSPC, "No space left on device")
        if room < 0:
            return write(descriptor, data)
        room -= 1
        return write(descriptor, data[:5])

    monkeypatch.setattr(os, "write", write_a_little)
    for number in range(20):
        service.usage._put(Alive(clock.now + number))
    service.stop()
    monkeypatch.undo()
    assert service.writer.failures == 1
    assert service.writer.failure == ""
    assert service.writer.unwritten == 0
    (path,) = files(tmp_path)
    assert [line["type"] for line in lines(path)] == ["file", "ready", *["alive"] * 20, "stop"]


def test_where_even_the_half_line_cannot_be_taken_back_it_stands_alone(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.usage.writer.USAGE_RETRY_SECONDS", 0.01)
    service = Service(tmp_path, clock)
    write, calls = os.write, 0

    def fail_once(descriptor: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.EIO, "Input/output error")
        return write(descriptor, data[:5] if calls == 1 else data)

    def refuse(_descriptor: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", fail_once)
    monkeypatch.setattr(os, "ftruncate", refuse)
    service.declare("A")
    client = service.connect("s", "alice")
    service.subscribe(client, ["A"])
    clock.now += 1_000_000
    service.stop()
    monkeypatch.undo()
    counted = Counted(tmp_path)
    assert counted.row("2026-11", "alice") == (1, 1, 1_000_000, (1, 1, 0, 0, 0))
    (problem,) = counted.problems
    assert ":3: no line of a usage log" in problem


def test_files_beyond_their_age_are_deleted_and_nothing_else(tmp_path: Path, clock: Clock) -> None:
    old, young = (tmp_path / file_name(START, 16 * digit, 1) for digit in "ab")
    foreign = tmp_path / "notes.txt"
    for path in (old, young, foreign):
        path.touch()
    now = time.time()
    for path, days in ((old, 11), (young, 9), (foreign, 99)):
        os.utime(path, (now - days * 86_400, now - days * 86_400))
    service = Service(tmp_path, clock, keep_days=10)
    service.usage._begin_file()
    service.stop()
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert service.writer.deleted == [old.name]


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = UsageWriter(Usage(str(tmp_path / "file" / "usage")), str)
    with pytest.raises(
        ConfigError, match=r"usage\.folder '.*/file/usage': the usage log cannot be written there \(Not a"
    ):
        writer.begin(NewFile(START))


def test_a_file_that_somebody_deletes_is_noticed(tmp_path: Path, clock: Clock) -> None:
    service = Service(tmp_path, clock)
    files(tmp_path)[0].unlink()
    service.usage._put(Alive(clock.now))
    until(lambda: service.writer.vanished)
    assert service.usage._file_is_over()
    service.usage._begin_file()
    assert not service.usage._file_is_over(), "one was asked for already"
    until(lambda: service.writer.parts == 2 and not service.writer.waiting)
    assert not service.usage._file_is_over()
    service.stop()
    assert len(files(tmp_path)) == 1


def test_a_file_is_over_at_midnight_or_when_it_is_large_beside_what_it_repeats(tmp_path: Path, clock: Clock) -> None:
    service = Service(tmp_path, clock, max_bytes=65_536)
    service.declare(*(f"SYMBOL{number}" for number in range(10_000)))
    client = service.connect("s", "alice")
    service.subscribe(client, ["*"])
    until(lambda: not service.writer.waiting)
    assert service.usage._file_is_over()
    service.usage._begin_file()
    until(lambda: service.writer.parts == 2 and not service.writer.waiting)
    assert service.writer.head_bytes > 65_536
    assert not service.usage._file_is_over()
    while not service.usage._file_is_over():
        service.usage._put(Alive(clock.now))
        service.usage._put(Alive(clock.now))
        until(lambda: not service.writer.waiting)
        service.writer.file_bytes += 1_000
    assert service.writer.file_bytes >= 2 * service.writer.head_bytes
    service.usage._begin_file()
    until(lambda: service.writer.parts == 3 and not service.writer.waiting)
    clock.now += 86_400_000_000
    assert service.usage._file_is_over()
    service.stop()


def test_events_that_find_no_room_are_counted_and_the_next_file_says_so(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path, clock)
    service.declare("A", "B")
    stays, goes = service.connect("stays", "alice"), service.connect("goes", "bob")
    for client in (stays, goes):
        service.subscribe(client, ["A"])
    clock.now += 1_000_000
    monkeypatch.setattr("ticker.usage.writer.USAGE_QUEUE_BYTES", 0)
    service.subscribe(stays, ["A", "B"])
    service.disconnect(goes)
    comes = service.connect("comes", "carol")
    service.subscribe(comes, ["B"])
    assert service.usage.lost == 6
    monkeypatch.undo()
    clock.now += 1_000_000
    service.usage._put(Alive(clock.now))
    assert service.usage.lost == 7, "until there is a new file"
    service.usage._begin_file()
    clock.now += 1_000_000
    service.stop()
    counted = Counted(tmp_path)
    assert counted.problems == []
    (lost,) = counted.lost
    assert (lost.events, lost.since, lost.until) == (7, utc(START + 1_000_000), utc(START + 2_000_000))
    assert counted.row("2026-11", "alice") == (1, 1, 3_000_000, (2, 2, 0, 0, 0))
    assert counted.row("2026-11", "bob") == (1, 1, 1_000_000, (1, 1, 0, 0, 0))
    assert counted.row("2026-11", "carol") == (1, 1, 1_000_000, (1, 1, 0, 0, 0))

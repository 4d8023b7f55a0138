"""ticker/history/history_file.py, database.py: files that are damaged, newer, foreign, locked, full or not there."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.history.test_bar_store import bar
from ticker.bounds import MAX_FILES_ASIDE
from ticker.config import History
from ticker.errors import FaultCause, HistoryFault
from ticker.history.bar_store import ChangedBar
from ticker.history.database import VERSION, open_to_read
from ticker.history.history_file import HistoryFile
from ticker.market import Cell

NOW = 60 * 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars of today" / "history.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[HistoryFile]:
    path.parent.mkdir()
    made = opened(path)
    yield made
    made.close()


def opened(path: Path, *, max_bytes: int = 2**30) -> HistoryFile:
    file = HistoryFile(History(file=str(path), max_bytes=max_bytes), "UTC")
    file.open()
    return file


def starts(file: HistoryFile) -> list[Cell]:
    return [row[0] for bars in file.latest(file.series(), 100) for row in bars.rows]


def aside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if each.name.endswith("Z"))


def test_bars_are_there_after_the_file_is_opened_again(file: HistoryFile, path: Path) -> None:
    file.write([bar(0), bar(60)], NOW)
    file.close()
    again = opened(path)
    assert (starts(again), again.writes, again.moved_to) == ([0, 60], True, None)
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def test_it_is_read_while_it_is_written(file: HistoryFile, path: Path) -> None:
    file.write([bar(0)], NOW)
    reader = open_to_read(path)
    try:
        assert reader.execute("SELECT count(*) FROM open_bars").fetchone() == (1,)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM bars").fetchone() == (0,)
        file.write([bar(60)], NOW)
        assert reader.execute("SELECT count(*) FROM bars").fetchone() == (0,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM bars").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM bars")
    finally:
        reader.close()


def test_a_second_writer_only_reads(file: HistoryFile, path: Path) -> None:
    file.write([bar(0)], NOW)
    second = opened(path)
    assert (second.writes, starts(second)) == (False, [0])
    with pytest.raises(HistoryFault, match="not open for writing"):
        second.write([bar(60)], NOW)
    second.close()
    file.close()
    third = opened(path)
    assert third.writes
    third.close()


def test_the_lock_ends_with_a_process_that_is_killed(path: Path) -> None:
    path.parent.mkdir()
    script = (
        "import sys; from ticker.config import History; from ticker.history.history_file import HistoryFile\n"
        "file = HistoryFile(History(file=sys.argv[1]), 'UTC'); file.open()\n"
        "file.write([('A', '1m', 2, 0, [0, 100, 110, 90, 105, 7, 3])], 60); print('written', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        second = opened(path)
        assert not second.writes
        second.close()
        process.send_signal(signal.SIGKILL)
    file = opened(path)
    assert (file.writes, file.latest(file.series(), 9)[0].rows) == (True, [[0, 100, 110, 90, 105, 7, 3]])
    file.close()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_bytes(b"no database at all, but long enough to be read as one" * 100),
    "cut off": lambda path: os.truncate(path, 5_000),
    "zeros": lambda path: _overwrite(path, 4_096, bytes(path.stat().st_size - 4_096)),
    "other tables": lambda path: _execute(path, "DROP TABLE open_bars"),
    "a trigger": lambda path: _execute(path, "CREATE TRIGGER t AFTER INSERT ON bars BEGIN DELETE FROM bars; END"),
    "a schema that is no text": lambda path: _overwrite(path, path.read_bytes().index(b"symbol TEXT"), b"\xd5"),
    "a symbol that is no text": lambda path: _execute(path, "UPDATE series SET symbol = x'41'"),
    "a symbol that is not UTF-8": lambda path: _execute(path, "UPDATE series SET symbol = CAST(x'ff' AS TEXT)"),
    "a period that is none": lambda path: _execute(path, "UPDATE series SET period = 'm'"),
    "an open bar without a start": lambda path: _execute(path, "UPDATE open_bars SET start = NULL"),
    "an older version": lambda path: _execute(path, "PRAGMA user_version = 0"),
}


def _overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(damage: str, file: HistoryFile, path: Path) -> None:
    file.write([bar(0), bar(60)], NOW)
    file.close()
    DAMAGES[damage](path)
    content = path.read_bytes()
    again = opened(path)
    assert again.writes
    assert again.moved_to is not None
    assert again.moved_to.name.startswith("history.sqlite.damaged-")
    assert str(path) in again.moved_for
    assert again.moved_to.read_bytes() == content
    assert list(again.series()) == []
    again.write([bar(120)], NOW)
    again.close()
    assert opened_starts(path) == [120]


def opened_starts(path: Path) -> list[Cell]:
    file = opened(path)
    try:
        return starts(file)
    finally:
        file.close()


def test_damage_that_shows_later_is_a_fault_and_the_file_can_be_moved_then(file: HistoryFile, path: Path) -> None:
    file.write([bar(60 * number) for number in range(5_000)], NOW)
    file.close()
    size = path.stat().st_size
    _overwrite(path, 8 * 4_096, os.urandom(size - 8 * 4_096))
    again = opened(path)
    with pytest.raises(HistoryFault) as found:
        again.latest(again.series(), 5_000)
    assert found.value.cause is FaultCause.DAMAGED
    again.move_aside(found.value)
    again.write([bar(0)], NOW)
    assert starts(again) == [0]
    again.close()


def test_a_bar_whose_text_is_not_utf_8_is_damage(file: HistoryFile, path: Path) -> None:
    file.write([bar(0), bar(60)], NOW)
    file.close()
    _execute(path, "UPDATE bars SET high = CAST(x'31ff' AS TEXT)")
    again = opened(path)
    with pytest.raises(HistoryFault) as found:
        again.latest(again.series(), 9)
    assert found.value.cause is FaultCause.DAMAGED
    assert str(found.value).isprintable()
    again.close()


def test_a_file_of_a_newer_version_is_moved_aside_untouched(file: HistoryFile, path: Path) -> None:
    file.write([bar(0)], NOW)
    file.close()
    _execute(path, f"PRAGMA user_version = {VERSION + 1}")
    again = opened(path)
    assert again.moved_to is not None
    assert again.moved_to.name.startswith("history.sqlite.newer-")
    assert f"version {VERSION + 1}, and this Ticker knows {VERSION}" in again.moved_for
    again.close()
    connection = sqlite3.connect(again.moved_to)
    assert connection.execute("SELECT count(*) FROM open_bars").fetchone() == (1,)
    connection.close()


def test_only_the_latest_files_are_kept_aside(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "history.sqlite.damaged-by-hand-wal").touch()
    (path.parent / "history.sqlite.lock").touch()
    for number in range(MAX_FILES_ASIDE + 2):
        path.write_bytes(b"damaged %d" % number * 100)
        file = opened(path)
        file.close()
    kept = [(path.parent / name).read_bytes()[:9].decode() for name in aside(path)]
    assert kept == [f"damaged {number}" for number in range(2, MAX_FILES_ASIDE + 2)]


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    _execute(path, "CREATE TABLE bars (mine)")
    file = HistoryFile(History(file=str(path)), "UTC")
    with pytest.raises(HistoryFault, match="another program; name another file") as found:
        file.open()
    assert found.value.cause is FaultCause.FOREIGN
    assert aside(path) == []
    file.close()


@pytest.mark.parametrize("content", [b'{"symbol": "A"}\n', b"\0" * 8_192, b"k"])
def test_a_file_that_never_was_a_history_is_left_alone(content: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    file = HistoryFile(History(file=str(path)), "UTC")
    with pytest.raises(HistoryFault, match="name another file, or move this one away") as found:
        file.open()
    assert found.value.cause is FaultCause.FOREIGN
    file.close()
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == {path.name: content}


def test_a_second_writer_does_not_move_a_file(file: HistoryFile, path: Path) -> None:
    file.write([bar(0)], NOW)
    _execute(path, f"PRAGMA user_version = {VERSION + 1}")
    second = HistoryFile(History(file=str(path)), "UTC")
    with pytest.raises(HistoryFault, match="version"):
        second.open()
    assert aside(path) == []


def test_a_file_that_another_program_has_locked_is_a_fault_and_works_afterwards(
    file: HistoryFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.close()
    monkeypatch.setattr("ticker.history.database.HISTORY_BUSY_SECONDS", 0.05)
    file = opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryFault, match="locked") as found:
        file.write([bar(0)], NOW)
    assert found.value.cause is FaultCause.LOCKED
    other.execute("COMMIT")
    other.close()
    file.write([bar(0)], NOW)
    assert starts(file) == [0]
    file.close()


def test_at_its_limit_the_oldest_bars_go(path: Path) -> None:
    path.parent.mkdir()
    limit = 2**20
    file = opened(path, max_bytes=limit)
    batch: list[ChangedBar] = []
    for number in range(60_000):
        batch.append(bar(60 * number))
        if len(batch) == 2_000:
            file.write(batch, 60 * number)
            assert path.stat().st_size <= limit
            batch.clear()
    kept = [row[0] for bars in file.latest(file.series(), 100_000) for row in bars.rows]
    assert kept == [60 * number for number in range(60_000 - len(kept), 60_000)]
    file.close()


def test_a_limit_that_was_lowered_gives_room_back_to_the_disk(path: Path) -> None:
    path.parent.mkdir()
    file = opened(path, max_bytes=2**24)
    file.write([bar(60 * number) for number in range(100_000)], 6_000_000)
    file.close()
    assert path.stat().st_size > 2**21
    file = opened(path, max_bytes=2**20)
    file.prune(6_000_000)
    file.close()
    assert path.stat().st_size <= 2**20


def test_a_disk_that_is_full_is_a_fault_and_nothing_is_lost(file: HistoryFile, path: Path) -> None:
    file.write([bar(0)], NOW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 65_536, before[1]))
    try:
        with pytest.raises(HistoryFault) as found:
            file.write([bar(60 * number) for number in range(10_000)], NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.value.cause in {FaultCause.FULL, FaultCause.UNUSABLE}
    assert starts(file) == [0]
    file.write([bar(60)], NOW)
    assert starts(file) == [0, 60]


def test_a_folder_in_its_place_and_a_folder_that_is_missing_are_faults(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "history.sqlite"):
        file = HistoryFile(History(file=str(path)), "UTC")
        with pytest.raises(HistoryFault, match=str(path)) as found:
            file.open()
        assert found.value.cause is FaultCause.UNUSABLE
        file.close()


def test_a_data_folder_that_others_may_write_to_is_not_used(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    file = HistoryFile(History(), "UTC")
    with pytest.raises(HistoryFault, match="others may write"):
        file.open()
    home.chmod(0o700)
    assert file.open() == home / "history.sqlite"
    file.close()

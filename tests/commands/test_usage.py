"""ticker/commands/usage.py: sums as a table, CSV and JSON; a service that is killed; damage; texts of any kind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.commands.conftest import RunTicker
from tests.tokens import key_file, token
from tests.usage.harness import START, Clock, Service, files
from ticker import connect
from ticker.client.events import Connected, Event
from ticker.usage.lines import file_name

HOUR = 3_600_000_000
END = 1_796_083_200_000_000
"""The first moment of December 2026."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two months: alice with two connections, somebody without a token."""
    service = Service(tmp_path / "usage", Clock())
    service.declare("A", "B")
    service.clock.now = END - 2 * HOUR
    first, second = service.connect("s1", "alice"), service.connect("s2", "alice")
    service.subscribe(first, ["A", "A book:10", "B book:25", "B trades:10"])
    service.subscribe(second, ["A candles:1m:10"])
    other = service.connect("s3", None, "192.0.2.7")
    service.subscribe(other, ["*"])
    service.clock.now += HOUR
    service.disconnect(second)
    service.clock.now = END + HOUR
    service.stop()
    return tmp_path / "usage"


def test_a_table_for_people_has_a_row_for_each_subject_and_month(folder: Path, run_ticker: RunTicker) -> None:
    done = run_ticker("usage", folder)
    assert (done.code, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["2026-11", "data", "connections", "most", "hours", "instruments", "quotes", "book", "trades", "candles"],
        ["192.0.2.7", "(no", "token)", "real-time", "1", "1", "2.00", "2", "2", "0", "0", "0"],
        ["alice", "real-time", "2", "2", "3.00", "2", "1", "2", "1", "1"],
        ["2", "subjects", "real-time", "3", "3", "5.00"],
        [],
        ["2026-12", "data", "connections", "most", "hours", "instruments", "quotes", "book", "trades", "candles"],
        ["192.0.2.7", "(no", "token)", "real-time", "1", "1", "1.00", "2", "2", "0", "0", "0"],
        ["alice", "real-time", "1", "1", "1.00", "2", "1", "2", "1", "0"],
        ["2", "subjects", "real-time", "2", "2", "2.00"],
        [],
    ]


def test_json_has_a_line_for_each_month(folder: Path, run_ticker: RunTicker) -> None:
    done = run_ticker("usage", folder, "--json", "--month", "2026-12")
    (line,) = done.stdout.splitlines()
    one = {"connections": 1, "most": 1, "hours": 1.0}
    assert json.loads(line) == {
        "month": "2026-12",
        "real_time": {"subjects": 2, "connections": 2, "most": 2, "hours": 2.0},
        "delayed": {"subjects": 0, "connections": 0, "most": 0, "hours": 0.0},
        "subjects": [
            {"subject": None, "address": "192.0.2.7", "delayed": False, **one}
            | {"instruments": 2, "quotes": 2, "book": 0, "trades": 0, "candles": 0},
            {"subject": "alice", "address": None, "delayed": False, **one}
            | {"instruments": 2, "quotes": 1, "book": 2, "trades": 1, "candles": 0},
        ],
    }


def test_csv_has_the_same_and_flags_choose_a_subject(folder: Path, run_ticker: RunTicker) -> None:
    done = run_ticker("usage", folder, "--csv", "--subject", "alice")
    assert done.stdout == (
        "month,subject,address,data,connections,most,hours,instruments,quotes,book,trades,candles\n"
        "2026-11,alice,,real-time,2,2,3.0,2,1,2,1,1\n"
        "2026-12,alice,,real-time,1,1,1.0,2,1,2,1,0\n"
    )
    assert "192.0.2.7 (no token)" in run_ticker("usage", folder, "--subject", "192.0.2.7").stdout
    assert run_ticker("usage", folder, "--subject", "bob") == (0, "", "")
    assert "subjects" not in run_ticker("usage", folder, "--subject", "alice").stdout


def test_delayed_data_is_a_row_of_its_own(tmp_path: Path, run_ticker: RunTicker) -> None:
    """As a later version will write it."""
    at = '"at":"2026-11-18T11:06:40Z"'
    later = '"at":"2026-11-18T12:06:40Z"'
    texts = [
        f'{{"type":"file",{at},"format":1,"run":"a","part":1}}',
        f'{{"type":"view",{at},"view":1,"names":["A"],"later":"a key of a later version"}}',
        *(
            f'{{"type":"open",{at},"session":"{each}","subject":"{each}","address":"::1","agent":"","transport":"http"}}'
            for each in ("both", "free")
        ),
        f'{{"type":"sees",{at},"session":"both","view":1,"delayed":true}}',
        f'{{"type":"sees",{at},"session":"free","view":1,"delayed":true}}',
        f'{{"type":"sees",{later},"session":"both","view":1,"delayed":false}}',
        '{"type":"stop","at":"2026-11-18T14:06:40Z"}',
    ]
    (tmp_path / file_name(START, 16 * "a", 1)).write_text("\n".join(texts) + "\n")
    done = run_ticker("usage", tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert [line.split()[:5] for line in done.stdout.splitlines()[1:-1]] == [
        ["both", "real-time", "1", "1", "2.00"],
        ["both", "delayed", "1", "1", "1.00"],
        ["free", "delayed", "1", "1", "3.00"],
        ["1", "subject", "real-time", "1", "1"],
        ["1", "subject", "only", "delayed", "2"],
    ]


def test_texts_of_others_are_shown_as_text(tmp_path: Path, run_ticker: RunTicker) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    for number, subject in enumerate(("\x1b[31mred\n", "=cmd()")):
        service.subscribe(service.connect(f"s{number}", subject), ["A"])
    service.clock.now += HOUR
    service.stop()
    assert "\\x1b[31mred\\n" in run_ticker("usage", tmp_path).stdout
    rows = list(csv.reader(run_ticker("usage", tmp_path, "--csv").stdout.splitlines()))
    assert [row[1] for row in rows[1:]] == ["\\x1b[31mred\\n", "'=cmd()"]


def test_damage_is_a_line_on_stderr_and_an_exit_code(tmp_path: Path, run_ticker: RunTicker) -> None:
    service = Service(tmp_path, Clock())
    service.declare("A")
    service.subscribe(service.connect("s", "alice"), ["A"])
    service.clock.now += HOUR
    service.stop()
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes() + 30 * b"rubbish\n")
    done = run_ticker("usage", tmp_path)
    assert done.code == 1
    assert "alice" in done.stdout
    shown = done.stderr.splitlines()
    assert len(shown) == 21
    assert shown[0].startswith(f"ticker: {path}:7: no line of a usage log (")
    assert shown[-1] == "ticker: 10 further problems"


def test_what_was_lost_is_said(tmp_path: Path, run_ticker: RunTicker, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(tmp_path, Clock())
    monkeypatch.setattr("ticker.usage.writer.USAGE_QUEUE_BYTES", 0)
    service.connect("s", "alice")
    monkeypatch.undo()
    service.clock.now += HOUR
    service.usage._begin_file()
    service.stop()
    done = run_ticker("usage", tmp_path)
    assert done.code == 1
    assert "1 events between 2026-11-18 11:06:40 and 2026-11-18 12:06:40 UTC are in no file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--json", "--csv"], "usage: give --json or --csv, not both"),
        (["--month", "2026-13"], "--month 2026-13: give a month such as 20"),
        (["--month", "last"], "--month last: give a month such as 20"),
    ],
)
def test_arguments_that_cannot_be_are_refused(
    arguments: list[str], error: str, folder: Path, run_ticker: RunTicker
) -> None:
    done = run_ticker("usage", folder, *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ticker: {error}")


def test_a_folder_without_a_log_is_refused(tmp_path: Path, run_ticker: RunTicker) -> None:
    done = run_ticker("usage", tmp_path)
    assert done.code == 2
    assert done.stderr.startswith(f"ticker: {tmp_path}: no files of a usage log there, such as usage-1970")
    done = run_ticker("usage", tmp_path / "none")
    assert done.stderr == f"ticker: {tmp_path}/none: No such file or directory; name the folder of `usage.folder`\n"


def test_on_a_terminal_the_number_of_files_is_shown(folder: Path) -> None:
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "ticker", "usage", str(folder), "--csv"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
        assert os.read(ours, 100) == b"\r1 of 1 files\r\x1b[K\r\x1b[K\r\x1b[K"
    finally:
        os.close(ours)
        os.close(theirs)
    assert len(done.stdout.splitlines()) == 5


# A service of its own


async def _watch(url: str, authority: str, subject: str, seen: trio.Event) -> None:
    events: list[Event] = []
    async with connect(url, token=token(sub=subject), ca=authority, on_event=events.append) as client:
        await anext(client.subscribe("COUNT"))
        assert isinstance(events[0], Connected)
        seen.set()
        await trio.sleep_forever()


def test_a_service_that_is_killed_has_said_who_was_there(tmp_path: Path, home: Path, run_ticker: RunTicker) -> None:
    config = tmp_path / "ticker.toml"
    config.write_text(f'[usage]\nfolder = "{tmp_path}/usage"\n[tokens]\nkey = "{key_file(tmp_path)}"\n')
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", "--config", str(config)]
    command += ["--feed", "tests.feeds_for_tests:Counting", "--no-history"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TICKER_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]

            async def use() -> None:
                async with trio.open_nursery() as nursery:
                    for subject in ("alice", "bob"):
                        seen = trio.Event()
                        nursery.start_soon(_watch, url, str(home / "ca.pem"), subject, seen)
                        with trio.fail_after(HANG_SECONDS):
                            await seen.wait()
                    while b'"sees"' not in files(tmp_path / "usage")[0].read_bytes().splitlines()[-1]:
                        await trio.sleep(0.01)
                    process.send_signal(signal.SIGKILL)
                    process.wait(HANG_SECONDS)
                    nursery.cancel_scope.cancel()

            trio.run(use)
        finally:
            process.kill()
    month: dict[str, Any] = json.loads(run_ticker("usage", tmp_path / "usage", "--json").stdout.splitlines()[-1])
    assert [row["subject"] for row in month["subjects"]] == ["alice", "bob"]
    assert month["real_time"]["most"] == 2
    assert time.strftime("%Y-%m", time.gmtime()) == month["month"]

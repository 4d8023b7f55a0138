"""ticker/commands/history.py: candles as CSV and Parquet, whole, in part, and while they are written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from tests.history.test_bar_store import bar
from ticker.config import History
from ticker.history.history_file import HistoryFile

TICKER = [sys.executable, "-m", "ticker"]
MINUTE = 60


@pytest.fixture
def file(home: Path) -> Iterator[HistoryFile]:
    """A history in the data folder that a service writes."""
    made = HistoryFile(History(), "UTC")
    made.open()
    made.write([bar(0, 101), bar(60, 102), bar(0, symbol="B", period="1h", scales=(3, 2))], 0)
    made.write([("=B", "1d", 0, 0, [86_400, "12345678901234567890.5", 7, 7, 7, None, 2])], 0)
    assert made.writes
    assert home.exists()
    yield made
    made.close()


def test_a_csv_has_a_row_for_each_candle_while_the_service_writes(
    file: HistoryFile, run_ticker: RunTicker, tmp_path: Path
) -> None:
    out = tmp_path / "bars.csv"
    assert run_ticker("history", "export", "--csv", str(out)) == (0, "", f"4 rows in {out}\n")
    assert out.read_text() == (
        "symbol,period,start,open,high,low,close,volume,count\n"
        "'=B,1d,1970-01-02T00:00:00Z,12345678901234567890.5,7,7,7,,2\n"
        "A,1m,1970-01-01T00:00:00Z,1.00,1.10,0.90,1.01,7,3\n"
        "A,1m,1970-01-01T00:01:00Z,1.00,1.10,0.90,1.02,7,3\n"
        "B,1h,1970-01-01T00:00:00Z,0.100,0.110,0.090,0.100,0.07,3\n"
    )
    file.write([bar(120)], 0)
    assert run_ticker("history", "export", "--csv", str(out), "--force").code == 0
    assert "1970-01-01T00:02:00Z" in out.read_text()


def test_flags_choose_symbols_periods_and_times(file: HistoryFile, run_ticker: RunTicker, tmp_path: Path) -> None:
    assert file.writes

    def starts(*flags: str) -> list[str]:
        out = tmp_path / "bars.csv"
        assert run_ticker("history", "export", "--csv", str(out), "--force", *flags).code == 0
        return [",".join(line.split(",")[:3]) for line in out.read_text().splitlines()[1:]]

    assert starts("--symbols", "B") == ["B,1h,1970-01-01T00:00:00Z"]
    assert starts("--symbols", "A*", "--symbols", "B") == [
        "A,1m,1970-01-01T00:00:00Z", "A,1m,1970-01-01T00:01:00Z", "B,1h,1970-01-01T00:00:00Z"
    ]  # fmt: skip
    assert starts("--period", "1h", "--period", "1d") == ["'=B,1d,1970-01-02T00:00:00Z", "B,1h,1970-01-01T00:00:00Z"]
    assert starts("--from", "1970-01-01T00:01") == ["'=B,1d,1970-01-02T00:00:00Z", "A,1m,1970-01-01T00:01:00Z"]
    assert starts("--to", "1970-01-01T01:01+01:00") == ["A,1m,1970-01-01T00:00:00Z", "B,1h,1970-01-01T00:00:00Z"]
    assert starts("--from", "2020-01-01") == []


def test_stdout_takes_a_table(file: HistoryFile) -> None:
    assert file.writes
    done = subprocess.run(
        [*TICKER, "history", "export", "--csv", "-", "--period", "1h"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["B,1h,1970-01-01T00:00:00Z,0.100,0.110,0.090,0.100,0.07,3"]
    assert done.stderr == "1 rows in stdout\n"


def test_a_reader_that_goes_away_ends_it_without_a_word(file: HistoryFile) -> None:
    file.write([bar(60 * number) for number in range(20_000)], 0)
    shell = 'exec "$@" | head -n 1'
    command = ["sh", "-c", shell, "sh", *TICKER, "history", "export", "--csv", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_a_parquet_file_has_exact_decimals(file: HistoryFile, run_ticker: RunTicker, tmp_path: Path) -> None:
    assert file.writes
    out = tmp_path / "bars.parquet"
    assert run_ticker("history", "export", "--parquet", str(out), "--symbols", "[AB]").code == 0
    table = import_module("pyarrow.parquet").read_table(out).to_pylist()
    epoch = datetime.fromtimestamp(0, UTC)
    assert [(row["symbol"], row["start"] - epoch) for row in table] == [
        ("A", timedelta(0)), ("A", timedelta(minutes=1)), ("B", timedelta(0))
    ]  # fmt: skip
    assert [row["close"] for row in table] == [Decimal("1.010"), Decimal("1.020"), Decimal("0.100")]
    assert [(row["volume"], row["count"]) for row in table] == [(7, 3), (7, 3), (Decimal("0.07"), 3)]
    assert str(table[0]["close"]) == "1.010"


def test_numbers_that_no_decimal_of_parquet_holds_are_texts(
    file: HistoryFile, run_ticker: RunTicker, tmp_path: Path
) -> None:
    assert file.writes
    out = tmp_path / "bars.parquet"
    assert run_ticker("history", "export", "--parquet", str(out)).code == 0
    table = import_module("pyarrow.parquet").read_table(out).to_pylist()
    assert [row["open"] for row in table] == ["12345678901234567890.5", "1.00", "1.00", "0.100"]
    assert [row["volume"] for row in table] == [None, "7", "7", "0.07"]


def test_more_rows_than_a_group_are_written_in_order(
    file: HistoryFile, run_ticker: RunTicker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticker.commands.history.ROWS", 7)
    file.write([bar(60 * number, symbol="MANY") for number in range(35)], 0)
    csv, parquet = tmp_path / "bars.csv", tmp_path / "bars.parquet"
    both = ["--csv", str(csv), "--parquet", str(parquet)]
    code, _, errors = run_ticker("history", "export", *both, "--symbols", "MANY")
    assert (code, errors) == (0, f"35 rows in {parquet}\n35 rows in {csv}\n")
    times = [datetime.fromisoformat(line.split(",")[2]) for line in csv.read_text().splitlines()[1:]]
    assert times == [datetime.fromtimestamp(60 * number, UTC) for number in range(35)]
    assert import_module("pyarrow.parquet").read_table(parquet).column("start").to_pylist() == times


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ([], "give --parquet FILE or --csv FILE"),
        (["--csv", "-", "--period", "2m"], "--period 2m: the history has 1d, 1h, 1m"),
        (["--csv", "-", "--symbols", "NOPE"], "--symbols NOPE: the history has no candles of it"),
        (["--csv", "-", "--symbols", "A B"], "--symbols A B: neither a symbol nor a pattern"),
        (
            ["--csv", "-", "--symbols", "A,B"],
            "--symbols A,B: neither a symbol nor a pattern; for more than one, repeat",
        ),
        (["--csv", "-", "--from", "yesterday"], "--from yesterday: give a time such as 2026-11-28 or"),
        (["--csv", "-", "--from", "2026-01-02", "--to", "2026-01-02"], "--from is not before --to"),
        (
            ["--csv", "-", "--file", "/nowhere"],
            "/nowhere: no history there; name the file of `history.file` with --file",
        ),
        (["--csv", "/nowhere/bars.csv"], "/nowhere/bars.csv: cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    flags: list[str], error: str, file: HistoryFile, run_ticker: RunTicker
) -> None:
    assert file.writes
    code, out, errors = run_ticker("history", "export", *flags)
    assert (code, out) == (2, "")
    assert error in errors
    assert errors.count("\n") == 1


def test_a_file_that_is_none_is_said_in_one_line(run_ticker: RunTicker, home: Path, tmp_path: Path) -> None:
    code, _, errors = run_ticker("history", "export", "--csv", "-")
    assert (code, errors.count("\n")) == (2, 1)
    assert f"{home / 'history.sqlite'}: no history there" in errors
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database" * 1_000)
    code, _, errors = run_ticker("history", "export", "--csv", "-", "--file", str(damaged))
    assert (code, errors) == (2, f"ticker: {damaged}: file is not a database\n")


def test_an_existing_file_is_replaced_only_with_force(file: HistoryFile, run_ticker: RunTicker, tmp_path: Path) -> None:
    assert file.writes
    out = tmp_path / "bars.csv"
    out.write_text("mine")
    code, _, errors = run_ticker("history", "export", "--csv", str(out))
    assert (code, errors) == (2, f"ticker: {out}: exists already; give --force to replace it\n")
    assert out.read_text() == "mine"


def test_an_interrupted_export_leaves_no_file(file: HistoryFile, tmp_path: Path) -> None:
    for at in range(0, 200_000, 20_000):
        file.write([bar(60 * number) for number in range(at, at + 20_000)], 0)
    out = tmp_path / "bars.csv"
    process = subprocess.Popen([*TICKER, "history", "export", "--csv", str(out)], stderr=subprocess.PIPE)
    with process:
        while not list(tmp_path.glob("*.part")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert (process.returncode, errors) == (130, b"")
    assert list(tmp_path.glob("bars*")) == []

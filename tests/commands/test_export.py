"""ticker/commands/export.py: recordings as CSV and Parquet."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from tests.bounds import HANG_SECONDS
from tests.commands.conftest import RunTicker
from tests.support import update
from ticker.commands import export
from ticker.commands.export import Column, export_csv, export_parquet
from ticker.errors import ConfigError
from ticker.market import Instrument, Levels, Publication, Trade, Value, Withdrawal
from ticker_feeds.recordings import Capture, CaptureWriter, Moment, Recording, Row

TICKER = [sys.executable, "-m", "ticker"]
SECOND = 1_000_000
GOLD = Instrument("GOLD", price_scale=2, metadata={"venue": "X"})
DAY = [
    Moment(5 * SECOND, [GOLD, update("GOLD", bid="0.00001306", bid_size=7, time=3 * SECOND)]),
    Moment(6 * SECOND, []),
    Moment(6 * SECOND, [update("GOLD", bid="123456.5", note="a, b"), update("EUR/USD", trade_count=3)]),
]


def recorded(tmp_path: Path, *moments: Moment) -> Capture:
    writer = CaptureWriter(tmp_path / "day")
    writer.write(moments)
    writer.close()
    return Capture(str(tmp_path / "day"))


def test_a_csv_has_a_row_for_each_update_and_a_column_for_each_field(tmp_path: Path) -> None:
    out = tmp_path / "day.csv"
    assert export_csv(recorded(tmp_path, *DAY), out) == 3
    assert out.read_text() == (
        "time,symbol,exchange_time,bid,bid_size,note,trade_count,withdrawn\n"
        "5000000,GOLD,3000000,0.00001306,7,,,\n"
        '6000000,GOLD,,123456.5,,"a, b",,\n'
        "6000000,EUR/USD,,,,,3,\n"
    )


TRADED = Moment(
    7 * SECOND,
    [
        Levels("GOLD", [(1, 1)], [(2, 1)], complete=True),
        Trade("GOLD", "1.50", "0.25", "buy", 6 * SECOND, "=x"),
        Trade("GOLD", 2, 3),
        Trade("EUR/USD", "1.1", 0, "sell", 5 * SECOND, 7),
    ],
)


def test_trades_are_exported_as_a_table_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "trades.csv"
    assert export_csv(recorded(tmp_path, *DAY, TRADED), out, trades=True) == 3
    assert out.read_text() == (
        "time,symbol,exchange_time,price,size,side,id\n"
        "7000000,GOLD,6000000,1.50,0.25,buy,'=x\n"
        "7000000,GOLD,,2,3,,\n"
        "7000000,EUR/USD,5000000,1.1,0,sell,7\n"
    )


def test_in_the_table_of_updates_a_trade_is_the_fields_that_it_changed(tmp_path: Path) -> None:
    out = tmp_path / "day.csv"
    capture = recorded(tmp_path, Moment(SECOND, [GOLD]), TRADED, Moment(8 * SECOND, [update("GOLD", bid="1.4")]))
    assert export_csv(capture, out) == 3
    header, first, second, *_ = out.read_text().splitlines()
    assert header == "time,symbol,exchange_time,last,last_size,bid,withdrawn"
    assert first == "7000000,GOLD,6000000,1.50,0.25,,"
    assert second == "7000000,GOLD,,2,3,,"


def test_trades_are_exported_to_parquet_with_exact_decimals(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "trades.parquet"
    assert export_parquet(recorded(tmp_path, *DAY, TRADED), out, trades=True) == 3
    table = import_module("pyarrow.parquet").read_table(out)
    assert table.column_names == ["time", "symbol", "exchange_time", "price", "size", "side", "id"]
    assert table["price"].to_pylist() == [Decimal("1.50"), Decimal("2.00"), Decimal("1.10")]
    assert table["id"].to_pylist() == ["=x", None, "7"]
    assert table["exchange_time"][0].as_py() == datetime.fromtimestamp(6, UTC)


def test_what_was_withdrawn_has_a_column(tmp_path: Path) -> None:
    more: list[Publication] = [update("GOLD", bid=None, note=None, ask=None), Withdrawal("GOLD"), Withdrawal("GOLD")]
    out = tmp_path / "day.csv"
    assert export_csv(recorded(tmp_path, *DAY, Moment(7 * SECOND, more)), out) == 5
    *_, partly, wholly = out.read_text().splitlines()
    assert partly == "7000000,GOLD,,,,,,bid note", "what had no value did not change"
    assert wholly == "7000000,GOLD,,,,,,time bid_size"


def test_an_exported_csv_can_be_replayed(tmp_path: Path) -> None:
    out = tmp_path / "day.csv"
    export_csv(recorded(tmp_path, *DAY), out)
    rows = [row for chunk in Recording(str(out)).chunks() for row in chunk]
    assert rows[0] == Row(5 * SECOND, rows[0].update)
    assert rows[0].update.fields["bid"] == "0.00001306"
    assert [row.update.symbol for row in rows] == ["GOLD", "GOLD", "EUR/USD"]


def test_a_parquet_file_has_exact_decimals_and_times(tmp_path: Path) -> None:
    out = tmp_path / "day.parquet"
    assert export_parquet(recorded(tmp_path, *DAY), out) == 3
    table = import_module("pyarrow.parquet").read_table(out)
    fields = ["bid", "bid_size", "note", "trade_count"]
    assert table.column_names == ["time", "symbol", "exchange_time", *fields, "withdrawn"]
    assert table.to_pydict() == {
        "time": [datetime.fromtimestamp(at, UTC) for at in (5, 6, 6)],
        "symbol": ["GOLD", "GOLD", "EUR/USD"],
        "bid": [Decimal("0.00001306"), Decimal("123456.5"), None],
        "bid_size": [Decimal(7), None, None],
        "exchange_time": [datetime.fromtimestamp(3, UTC), None, None],
        "note": [None, "a, b", None],
        "trade_count": [None, None, 3],
        "withdrawn": [None, None, None],
    }
    assert str(table.schema.field("bid").type) == "decimal128(14, 8)"
    described = json.loads(table.schema.metadata[b"instruments"])
    assert described == [
        {"symbol": "GOLD", "price_scale": 2, "size_scale": 0, "metadata": {"venue": "X"}},
        {"symbol": "EUR/USD", "price_scale": 0, "size_scale": 0, "metadata": {}},
    ]


def test_a_field_that_changes_its_kind_has_a_column_for_each(tmp_path: Path) -> None:
    odd = [update("A", own=1), update("A", own="1"), update("A", own=Decimal("1.50"))]
    out = tmp_path / "day.parquet"
    export_parquet(recorded(tmp_path, Moment(1, odd)), out)
    table = import_module("pyarrow.parquet").read_table(out)
    assert {name: str(table.schema.field(name).type) for name in table.column_names if name.startswith("own")} == {
        "own.integer": "int64",
        "own": "string",
        "own.decimal": "decimal128(2, 1)",
    }


def test_numbers_that_no_decimal_type_holds_are_texts(tmp_path: Path) -> None:
    large = [update("A", last="1" * 30), update("A", last="0." + "1" * 20)]
    out = tmp_path / "day.parquet"
    export_parquet(recorded(tmp_path, Moment(1, large)), out)
    table = import_module("pyarrow.parquet").read_table(out)
    assert table["last"].to_pylist() == ["1" * 30, "0." + "1" * 20]


def test_many_rows_are_written_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS", 100)
    out = tmp_path / "day.parquet"
    moments = [Moment(at, [update("A", last=at)]) for at in range(250)]
    assert export_parquet(recorded(tmp_path, *moments), out) == 250
    file = import_module("pyarrow.parquet").ParquetFile(out)
    assert [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)] == [100, 100, 50]
    assert file.read()["last"].to_pylist() == list(range(250))


def test_an_empty_recording_makes_an_empty_table(tmp_path: Path) -> None:
    capture = recorded(tmp_path, Moment(1, []))
    assert export_csv(capture, tmp_path / "day.csv") == 0
    assert (tmp_path / "day.csv").read_text() == "time,symbol,exchange_time,withdrawn\n"
    assert export_parquet(capture, tmp_path / "day.parquet") == 0
    assert import_module("pyarrow.parquet").read_table(tmp_path / "day.parquet").num_rows == 0


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = recorded(tmp_path, *DAY)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'ticker-push\[parquet\]'"):
        export_parquet(capture, tmp_path / "day.parquet")
    assert not (tmp_path / "day.parquet").exists()
    assert export_csv(capture, tmp_path / "day.csv") == 3


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    capture = recorded(tmp_path, *DAY)
    for write in (export_csv, export_parquet):
        with pytest.raises(ConfigError, match="no folder/day: cannot be written"):
            write(capture, tmp_path / "no folder" / "day")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="taken: cannot be written"):
        export_csv(capture, tmp_path / "taken")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["day", "taken"]


def test_the_command_writes_both_formats_and_reports_the_rows(
    run_ticker: RunTicker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, Moment(1, [GOLD, update("GOLD", bid="1.5")]))
    monkeypatch.chdir(tmp_path)
    outcome = run_ticker("export", "day", "--csv", "day.csv", "--parquet", "day.parquet")
    assert outcome == (0, "", "1 rows in day.parquet\n1 rows in day.csv\n")
    assert (tmp_path / "day.csv").read_text() == "time,symbol,exchange_time,bid,withdrawn\n1,GOLD,,1.5,\n"
    assert import_module("pyarrow.parquet").read_table(tmp_path / "day.parquet").num_rows == 1


def test_the_command_needs_a_format(run_ticker: RunTicker, tmp_path: Path) -> None:
    outcome = run_ticker("export", tmp_path / "day")
    assert outcome == (2, "", "ticker: export: give --parquet FILE or --csv FILE\n")


def test_a_file_that_exists_is_replaced_only_by_force(run_ticker: RunTicker, tmp_path: Path) -> None:
    recorded(tmp_path, *DAY)
    out = tmp_path / "day.csv"
    out.write_text("precious")
    outcome = run_ticker("export", tmp_path / "day", "--csv", out)
    assert outcome == (2, "", f"ticker: {out}: exists already; give --force to replace it\n")
    assert out.read_text() == "precious"
    assert run_ticker("export", tmp_path / "day", "--csv", out, "--force").code == 0
    assert out.read_text().startswith("time,symbol,")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["day", "day.csv"]


@pytest.mark.untraced
def test_both_formats_go_to_stdout_and_to_pipes(tmp_path: Path) -> None:
    recorded(tmp_path, *DAY)
    files: dict[str, bytes] = {}
    for option in ("--csv", "--parquet"):
        out = tmp_path / f"table{option}"
        subprocess.run([*TICKER, "export", tmp_path / "day", option, out], check=True, capture_output=True)
        files[option] = out.read_bytes()
        for place, redirection in (("-", ""), ("/dev/fd/3", "3>&1"), ("/dev/stdout", "")):
            shell = f'exec "$@" {redirection} | cat'
            command = ["sh", "-c", shell, "sh", *TICKER, "export", str(tmp_path / "day"), option, place]
            done = subprocess.run(command, check=True, capture_output=True)
            assert done.stdout == files[option], place
            assert b"3 rows in " in done.stderr
    assert files["--parquet"].startswith(b"PAR1")


def test_a_reader_of_stdout_may_go(tmp_path: Path) -> None:
    recorded(tmp_path, *(Moment(at, [update("A", last=at)]) for at in range(8_000)))
    shell = 'exec "$@" | head -n 1'
    command = ["sh", "-c", shell, "sh", *TICKER, "export", str(tmp_path / "day"), "--csv", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "time,symbol,exchange_time,last,withdrawn\n"
    assert done.stderr == ""


@pytest.mark.parametrize("delay", [0.0, *(pytest.param(each, marks=pytest.mark.untraced) for each in (0.02, 0.1))])
def test_ctrl_c_leaves_no_part_of_a_file(tmp_path: Path, delay: float) -> None:
    recorded(tmp_path, *(Moment(at, [update("A", last=at, note=str(at))]) for at in range(15_000)))
    with subprocess.Popen(
        [*TICKER, "export", tmp_path / "day", "--csv", tmp_path / "day.csv"], stderr=subprocess.PIPE
    ) as process:
        while not list(tmp_path.glob("*.part")):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(HANG_SECONDS) == 130
    assert [each.name for each in tmp_path.iterdir()] == ["day"]


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("bid", ["1.25", "100"], "<Column bid: decimal(3, 2)>"),
        ("bid", ["-7"], "<Column bid: decimal(1, 0)>"),
        ("own", [Decimal("0.5")], "<Column own: decimal(1, 1)>"),
        ("own", [1], "<Column own: int>"),
        ("own", ["two"], "<Column own: str>"),
    ],
)
def test_a_column_holds_all_its_values(name: str, values: list[Value], shown: str) -> None:
    column = Column(name, values[0])
    for value in values:
        column.add(value)
    assert repr(column) == shown

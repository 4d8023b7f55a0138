"""ticker_feeds/recordings/parquet_files.py: tables of other programs in Parquet (exported ones: tests/commands)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ticker.errors import ConfigError
from ticker.market import Update, Value
from ticker_feeds.loading import load_feed
from ticker_feeds.recordings.parquet_files import CHUNK_ROWS, ParquetRecording
from ticker_feeds.recordings.row_layout import Row, TableOptions

NOON = 1_399_550_400_000_000
"""2014-05-08T12:00:00Z in microseconds."""


def written(path: Path, **columns: list[Any] | tuple[list[Any], Any]) -> str:
    """The path of a Parquet file with these columns: values, or values and a type."""
    arrow = import_module("pyarrow")
    arrays = {
        name: arrow.array(*each) if isinstance(each, tuple) else arrow.array(each) for name, each in columns.items()
    }
    import_module("pyarrow.parquet").write_table(arrow.table(arrays), path)
    return str(path)


def rows(path: str, **options: str) -> list[Row]:
    return [row for chunk in ParquetRecording(path, TableOptions.of(**options)).chunks() for row in chunk]


def test_columns_are_found_by_their_names_and_values_keep_their_types(tmp_path: Path) -> None:
    path = written(
        tmp_path / "day.parquet",
        Timestamp=[datetime.fromtimestamp(NOON / 1e6, UTC)],
        ticker=["BRK B"],
        bid_price=[Decimal("1.5000")],
        ask_price=["1.60"],
        qty=[0.1],
        trades=[7],
        mark=[Decimal("2.50")],
        flag=["x"],
        own=[3],
    )
    fields: dict[str, Value] = {
        "time": NOON,
        "bid": Decimal("1.5"),
        "ask": "1.60",
        "last_size": Decimal("0.1"),
        "trade_count": 7,
    }
    own: dict[str, Value] = {"mark": Decimal("2.5"), "flag": "x", "own": 3}
    assert rows(path) == [Row(NOON, Update("BRK%20B", {**fields, **own}))]


def test_no_value_is_no_change_and_an_unreadable_one_costs_only_itself(tmp_path: Path) -> None:
    path = written(
        tmp_path / "day.parquet",
        time=[1, 2, 3],
        symbol=["A", "A", "A"],
        bid=[1.5, float("nan"), None],
        ask=["NaN", "-", "2"],
        data=[b"1", None, None],
    )
    recording = ParquetRecording(path, TableOptions())
    assert [row.update.fields for chunk in recording.chunks() for row in chunk] == [
        {"time": 1, "bid": Decimal("1.5"), "data": None},
        {"time": 2},
        {"time": 3, "ask": "2"},
    ]
    assert recording.skipped == {"bad value": 1}


@pytest.mark.parametrize(
    ("times", "unit", "zone", "options"),
    [
        ([NOON // 1_000_000], None, None, {"time_unit": "s"}),
        ([NOON / 1e6], None, None, {"time_unit": "s"}),
        ([NOON * 1_000], "ns", "UTC", {}),
        ([NOON // 1_000], "ms", "Europe/Berlin", {"time_unit": "s"}),
        ([NOON // 1_000 + 7_200_000], "ms", None, {"time_zone": "+02:00"}),
        (["2014-05-08T14:00:00+02:00"], None, None, {}),
    ],
)
def test_times_can_be_of_any_type(
    tmp_path: Path, times: list[Any], unit: str | None, zone: str | None, options: dict[str, str]
) -> None:
    kind = import_module("pyarrow").timestamp(unit, tz=zone) if unit is not None else None
    path = written(tmp_path / "day.parquet", time=(times, kind), symbol=["A"], bid=["1"])
    assert [row.time for row in rows(path, **options)] == [NOON]


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "day.parquet", time=["1", "noon", "3"], symbol=["A", "A", "A*"], bid=["1", "2", "3"])
    recording = ParquetRecording(path, TableOptions())
    assert [row.time for chunk in recording.chunks() for row in chunk] == [1]
    assert recording.skipped == {"bad time": 1, "bad symbol": 1}


def test_rows_come_in_chunks_of_bounded_length(tmp_path: Path) -> None:
    path = written(tmp_path / "day.parquet", time=list(range(CHUNK_ROWS + 7)), bid=["1"] * (CHUNK_ROWS + 7))
    assert [len(chunk) for chunk in ParquetRecording(path, TableOptions("A")).chunks()] == [CHUNK_ROWS, 7]


def test_what_cannot_be_played_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = written(tmp_path / "day.parquet", time=[NOON // 1_000_000], symbol=["A"], bid=["1"])
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(Path(path).read_bytes()[:-20])
    for spec, why in (
        (f"{path}", "it looks like seconds: give time_unit=s"),
        (f"{path}&delimiter=tab", "delimiter and decimal are options of CSV files"),
        (f"{path}&columns=bid:ask", "there is no column 'ask'"),
        (f"{torn}", "cannot be read as Parquet"),
        (f"{tmp_path}/missing&format=parquet", "cannot be read as Parquet"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_feed(f"replay?path={spec}")
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "day.parquet", time=[1], symbol=["A"], bid=["1"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"Parquet needs pyarrow: pip install 'ticker-push\[parquet\]'"):
        load_feed(f"replay?path={path}")

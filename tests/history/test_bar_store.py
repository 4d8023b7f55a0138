"""ticker/history/bar_store.py: bars written, replaced, read back at one scale, and deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticker.history.bar_store import Bars, BarStore, ChangedBar, all_series, find_series, latest_bars
from ticker.history.database import number, open_to_write
from ticker.market import Cell

MEGABYTE = 1_048_576


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_to_write(tmp_path / "history.sqlite", MEGABYTE)
    yield opened
    opened.close()


def bar(
    start: int, close: Cell = 100, *, symbol: str = "A", period: str = "1m", scales: tuple[int, int] = (2, 0)
) -> ChangedBar:
    return (symbol, period, *scales, [start, 100, 110, 90, close, 7, 3])


def read(connection: sqlite3.Connection, most: int = 100, before: int = 2**53 - 1, *, period: str = "1m") -> Bars:
    series = find_series(connection, "A", period, "UTC")
    assert series is not None
    return latest_bars(connection, series.number, most, before)


def starts(connection: sqlite3.Connection, most: int = 100, before: int = 2**53 - 1) -> list[Cell]:
    return [row[0] for row in read(connection, most, before).rows]


def count(connection: sqlite3.Connection, table: str) -> int:
    return number(connection, f"SELECT count(*) FROM {table}")  # noqa: S608


def test_bars_are_read_as_they_were_written_the_open_one_last(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    assert store.write([bar(60), bar(0), bar(120, 105)]) == 3
    assert read(connection) == Bars(
        2, 0, [[0, 100, 110, 90, 100, 7, 3], [60, 100, 110, 90, 100, 7, 3], [120, 100, 110, 90, 105, 7, 3]]
    )


def test_only_the_open_bar_is_written_again_until_it_closes(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    for close in (101, 102, 103):
        store.write([bar(60, close)])
    assert (count(connection, "bars"), count(connection, "open_bars")) == (0, 1)
    store.write([bar(60, 104), bar(120)])
    assert (count(connection, "bars"), count(connection, "open_bars")) == (1, 1)
    assert [row[4] for row in read(connection).rows] == [104, 100]
    store.write([bar(180)])
    assert starts(connection) == [60, 120, 180]


def test_a_late_print_amends_a_closed_bar_and_nothing_else(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    store.write([bar(0), bar(60), bar(120)])
    store.write([bar(0, 93)])
    store.write([bar(-60, 92), bar(120, 94)])
    assert [(row[0], row[4]) for row in read(connection).rows] == [(-60, 92), (0, 93), (60, 100), (120, 94)]


def test_a_store_that_is_opened_again_goes_on_with_the_open_bar(connection: sqlite3.Connection) -> None:
    BarStore(connection, "UTC").write([bar(0), bar(60, 101)])
    again = BarStore(connection, "UTC")
    again.write([bar(60, 102)])
    again.write([bar(120)])
    assert [(row[0], row[4]) for row in read(connection).rows] == [(0, 100), (60, 102), (120, 100)]


def test_the_latest_before_a_time_are_read_ascending(connection: sqlite3.Connection) -> None:
    BarStore(connection, "UTC").write([bar(60 * number) for number in range(10)])
    assert starts(connection, 3) == [420, 480, 540]
    assert starts(connection, 3, before=540) == [360, 420, 480]
    assert starts(connection, 3, before=541) == [420, 480, 540]
    assert starts(connection, 3, before=0) == []


def test_bars_of_several_scales_are_read_at_the_finest(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    store.write([bar(0, 101), bar(60, "12345678901234567.891")])
    store.write([("A", "1m", 4, 3, [120, 10001, 10001, 10001, 10001, 1, None])])
    assert read(connection) == Bars(
        4,
        3,
        [
            [0, 10000, 11000, 9000, 10100, 7000, 3],
            [60, 10000, 11000, 9000, "12345678901234567.891", 7000, 3],
            [120, 10001, 10001, 10001, 10001, 1, None],
        ],
    )


def test_days_that_begin_elsewhere_are_other_bars(connection: sqlite3.Connection) -> None:
    BarStore(connection, "UTC").write([bar(0, period="1d"), bar(0)])
    BarStore(connection, "America/New_York 17:00").write([bar(79_200, period="1d"), bar(60)])
    assert [row[0] for row in read(connection, period="1d").rows] == [0]
    found = [(each.period, each.day) for each in all_series(connection)]
    assert found == [("1d", "America/New_York 17:00"), ("1d", "UTC"), ("1m", "")]
    assert starts(connection) == [0, 60]


def test_values_that_are_none_are_left_out(connection: sqlite3.Connection) -> None:
    BarStore(connection, "UTC").write([bar(0), bar(60)])
    made = "INSERT INTO bars SELECT series, {}, {}, 0, {}, 1, 1, {}, 1, {} FROM open_bars"
    for start, values in enumerate(
        (("2", "'12e5'", "1", "1"), ("2", "1", "1.5", "1"), ("99", "1", "1", "1"), ("2", "1", "1", "'x'"))
    ):
        connection.execute(made.format(start + 100, *values))
    made = "INSERT INTO bars SELECT series, {}, 2, 0, 1, 1, 1, 1, {}, {} FROM open_bars"
    for start, sums in enumerate((("-1", "1"), ("1", "-1"), ("1", str(2**53 - 1)), ("NULL", "-1"))):
        connection.execute(made.format(start + 1, *sums))
    assert starts(connection) == [0, 60]


def test_what_is_older_than_the_retention_is_deleted_and_so_are_series_without_bars(
    connection: sqlite3.Connection,
) -> None:
    store = BarStore(connection, "UTC")
    store.write([bar(60 * number) for number in range(10)] + [bar(0, symbol="GONE")] + [bar(0, period="1h")])
    assert store.prune(600, 5) == 6
    assert starts(connection) == [300, 360, 420, 480, 540]
    assert [each.symbol for each in all_series(connection)] == ["A", "A"]
    store.write([bar(600, symbol="GONE")])
    assert len(all_series(connection)) == 3


def test_a_write_that_fails_changes_nothing_and_the_next_one_works(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    store.write([bar(0)])
    with pytest.raises(OverflowError):
        store.write([bar(60), bar(0, symbol="NEW"), bar(120, 2**70)])
    assert (starts(connection), len(all_series(connection))) == ([0], 1)
    store.write([bar(60), bar(0, symbol="NEW")])
    assert (starts(connection), len(all_series(connection))) == ([0, 60], 2)


def test_at_the_limit_the_oldest_bars_make_room(connection: sqlite3.Connection) -> None:
    store = BarStore(connection, "UTC")
    now = 60 * 40_000
    for at in range(0, 40_000, 4_000):
        store.write([bar(60 * number) for number in range(at, at + 4_000)])
        store.make_room(now, 50_000, MEGABYTE)
    assert store.used_bytes <= MEGABYTE
    kept = starts(connection, 50_000)
    assert kept == [60 * number for number in range(40_000 - len(kept), 40_000)]
    assert len(kept) > 5_000
    store.vacuum()
    assert store.used_bytes <= MEGABYTE

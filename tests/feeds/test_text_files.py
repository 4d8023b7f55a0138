"""ticker_feeds/recordings/text_files.py: reading recorded files."""

from __future__ import annotations

import gzip
import logging
import os
import zipfile
from pathlib import Path

import pytest

from ticker.errors import ConfigError
from ticker.market import Instrument, Update
from ticker_feeds.parsing import guessed_instrument
from ticker_feeds.recordings import Row
from ticker_feeds.recordings.text_files import CHUNK_LINES, Recording

TABLE = "symbol,time,bid\nA,1,1.5\nB,2,2.5\n"
ROWS = [Row(1, Update("A", {"time": 1, "bid": "1.5"})), Row(2, Update("B", {"time": 2, "bid": "2.5"}))]
RECORDINGS = os.environ.get("TICKER_RECORDINGS")


def written(path: Path, text: str) -> str:
    """The path of a file with this text, packed as its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"folder/{path.stem}.csv", text)
            archive.writestr(f"__MACOSX/{path.stem}.csv", "what some packers add")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


def rows(recording: Recording) -> list[Row]:
    return [row for chunk in recording.chunks() for row in chunk]


def refusal(path: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        Recording(str(path))
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["day.csv", "day.txt", "day.zip", "day.csv.gz", "DAY.csv"])
def test_a_table_can_be_plain_or_packed(tmp_path: Path, name: str) -> None:
    recording = Recording(written(tmp_path / name, TABLE))
    assert rows(recording) == ROWS
    assert rows(recording) == ROWS, "and it can be read again"


def test_quotes_in_a_zip_are_named_by_the_file_inside(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "20140508_eurusd_tick_quote.zip", "0,1.1,1.2\r\n86400000,1.3,1.4"))
    assert [row.update.symbol for row in rows(recording)] == ["EURUSD", "EURUSD"]


def test_a_byte_order_mark_and_empty_lines_are_no_rows(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "day.csv", "\ufeff" + TABLE.replace("\n", "\r\n") + "\n  \n"))
    assert rows(recording) == ROWS
    assert not recording.skipped


def test_rows_come_in_chunks_of_bounded_length(tmp_path: Path) -> None:
    lines = "".join(f"A,{at},{at}\n" for at in range(CHUNK_LINES + 7))
    recording = Recording(written(tmp_path / "day.csv", "symbol,time,bid\n" + lines))
    assert [len(chunk) for chunk in recording.chunks()] == [CHUNK_LINES, 7]


def test_bad_rows_are_counted_by_cause_and_logged_once_for_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "day.csv", TABLE + "A,3\nA,x,1\nA,y,1\na*,4,1\nA,5,1.5\n")
    recording = Recording(path)
    assert [row.time for row in rows(recording)] == [1, 2, 5]
    assert recording.skipped == {"wrong number of cells": 1, "bad time": 2, "bad symbol": 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert caplog.messages[1].startswith(f"{path}, line 5: bad time ('x'")


def test_bytes_that_are_not_utf_8_cost_one_row(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(TABLE.encode() + b"A,3,\xff\nA,4,1\n")
    recording = Recording(str(path))
    assert [row.time for row in rows(recording)] == [1, 2, 4]
    assert recording.skipped == {"not UTF-8": 1}


def test_a_stray_quote_costs_one_row(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "day.csv", TABLE + 'A,3,"1\nA,4,1\n'))
    assert [row.time for row in rows(recording)] == [1, 2, 4]
    assert recording.skipped == {"bad quoting": 1}


def test_a_file_that_breaks_off_is_played_up_to_there(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "day.csv.gz", TABLE + "".join(f"A,{at},{at}\n" for at in range(3, 50_000))))
    path.write_bytes(path.read_bytes()[:-2_000])
    recording = Recording(str(path))
    played = rows(recording)
    assert [row.time for row in played] == list(range(1, len(played) + 1))
    assert len(played) > 10_000
    assert recording.skipped == {"breaks off": 1}


def test_a_file_that_is_gone_when_it_is_played_is_an_error(tmp_path: Path) -> None:
    recording = Recording(written(tmp_path / "day.csv", TABLE))
    (tmp_path / "day.csv").unlink()
    with pytest.raises(FileNotFoundError):
        rows(recording)


def test_what_cannot_be_read_is_refused_with_path_and_remedy(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "missing.csv")
    assert "there is no such file" in refusal("nul\0.csv")
    assert "is not a file" in refusal(tmp_path)
    assert "is empty" in refusal(written(tmp_path / "empty.csv", ""))
    assert "is empty" in refusal(written(tmp_path / "blank.csv", "\n" + TABLE))
    for name in ("text.zip", "text.csv.gz"):
        (tmp_path / name).write_text(TABLE)
        assert "give a CSV file, alone or in a .zip or .gz" in refusal(tmp_path / name)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "day.zip", TABLE * 1_000))
    packed = bytearray(path.read_bytes())
    packed[60:80] = b"\xff" * 20
    path.write_bytes(packed)
    assert "cannot be read" in refusal(path)


def test_a_zip_holds_exactly_one_csv(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TABLE)
        archive.writestr("b.csv", TABLE)
    assert "holds 2 .csv files" in refusal(path)


def test_a_first_line_in_no_layout_is_refused(tmp_path: Path) -> None:
    assert "'24h'" in refusal(written(tmp_path / "day.csv", "symbol,time,24h\n"))
    assert "date and symbol" in refusal(written(tmp_path / "quotes.csv", "0,1.1,1.2\n"))
    assert "20141399" in refusal(written(tmp_path / "20141399_eurusd_quote.csv", "0,1.1,1.2\n"))
    (tmp_path / "picture.csv").write_bytes(bytes(range(128, 256)) * 10)
    assert "not UTF-8" in refusal(tmp_path / "picture.csv")


def test_an_instrument_is_declared_as_finely_as_its_first_values_are_written() -> None:
    first = Update("X", {"time": 1, "bid": "1.3910", "ask": "1.4", "bid_size": "0.50", "note": "1.23456", "high": None})
    assert guessed_instrument(first) == Instrument("X", price_scale=4, size_scale=2)
    assert guessed_instrument(Update("X", {"last": "0." + "1" * 20})) == Instrument("X", price_scale=15, size_scale=0)


@pytest.mark.untraced
@pytest.mark.skipif(RECORDINGS is None, reason="TICKER_RECORDINGS does not name a folder of recordings")
@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("eurusd", 87_833, 1_399_507_208_715_000, 1_399_593_589_008_000),
        ("nzdusd", 49_874, 1_399_507_200_036_000, 1_399_593_598_220_000),
        ("xauusd", 199_123, 1_399_507_200_042_431, 1_399_593_599_341_445),
    ],
)
def test_a_recorded_day_is_read_to_the_last_row(name: str, count: int, first: int, last: int) -> None:
    recording = Recording(f"{RECORDINGS}/ticks/oanda-{name}-20140508_quote.zip")
    played = rows(recording)
    assert len(played) == count
    assert (played[0].time, played[-1].time) == (first, last)
    assert {row.update.symbol for row in played} == {name.upper()}
    assert not recording.skipped

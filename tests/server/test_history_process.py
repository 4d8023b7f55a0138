"""Candles over the death of a real process: ticker/server/bar_history.py, ticker/history/."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.bounds import HANG_SECONDS
from ticker.errors import HistoryFault
from ticker.history.reading import read_bars
from ticker.net.devcert import development_certificate

pytestmark = pytest.mark.untraced

ROOT = Path(__file__).parents[2]
MINUTE = int(time.time()) // 60 * 60
"""The minute of the last prints; those before it are over."""


class Service:
    """`ticker serve` in a process of its own, and the file that its feed reads."""

    def __init__(self, folder: Path, number: int = 1, *flags: str) -> None:
        self.home = folder / "home"
        self.history = self.home / "history.sqlite"
        self.prints = folder / f"prints{number}"
        self.log = folder / f"log{number}"
        self.prints.touch()
        self._authority = development_certificate(self.home).authority
        feed = f"tests.feeds_for_tests:Prints?path={self.prints}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ticker", "serve", "--feed", feed, "--listen", "127.0.0.1:0", *flags],
                cwd=ROOT,
                env={**os.environ, "TICKER_HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self._url = self.process.stdout.readline().split()[1].replace("wss:", "https:").removesuffix("/v1/stream")

    def print(self, symbol: str, *rows: tuple[float, str, str]) -> None:
        """Have the feed publish prints: time in seconds, price and size."""
        with self.prints.open("a") as file:
            file.writelines(f"{symbol} {at} {price} {size}\n" for at, price, size in rows)

    def get(self, target: str) -> Any:  # noqa: ANN401  # a page
        context = ssl.create_default_context(cafile=str(self._authority))
        try:
            with urlopen(f"{self._url}{target}", context=context, timeout=HANG_SECONDS) as answer:  # noqa: S310  # it is https
                return json.load(answer)
        except HTTPError as error:
            return error.code

    def candles(self, symbol: str = "A", more: str = "") -> list[tuple[Any, ...]]:
        content = self.get(f"/v1/candles?symbol={symbol}&period=1m{more}")
        return [] if isinstance(content, int) else [tuple(each.values()) for each in content["candles"]]

    def until_shown(self, wanted: list[tuple[Any, ...]], symbol: str = "A", more: str = "") -> None:
        """Wait until these are the candles that the service shows."""
        _until(lambda: self.candles(symbol, more), wanted)

    def until_kept(self, start: int, close: int) -> None:
        """Wait until the file has this close of a bar."""

        def kept() -> Any:  # noqa: ANN401  # a cell
            try:
                rows = read_bars(self.history, ("A", "1m", "UTC"), start + 1, 1).rows
            except HistoryFault:
                return None
            return rows[0][4] if rows and rows[0][0] == start else None

        _until(kept, close)

    def warnings(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "history" in line and "[warning" in line]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(HANG_SECONDS)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(HANG_SECONDS) == 0


def _until(shown: Any, wanted: object) -> None:  # noqa: ANN401  # a function
    deadline = time.monotonic() + 30
    while (found := shown()) != wanted:
        assert time.monotonic() < deadline, (found, wanted)
        time.sleep(0.05)


@contextmanager
def serving(folder: Path, number: int = 1, *flags: str) -> Iterator[Service]:
    service = Service(folder, number, *flags)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait(HANG_SECONDS)
        assert service.process.stdout is not None
        service.process.stdout.close()


CLOSED = (MINUTE - 60, "10.00", "12.00", "9.00", "11.00", "6", 3)
OPEN = (MINUTE, "11.00", "13.00", "11.00", "13.00", "3", 2)


def feed_two_bars(service: Service) -> None:
    service.print("A", (MINUTE - 59, "10", "1"), (MINUTE - 30, "12", "2"), (MINUTE - 20, "9", "2"))
    service.print("A", (MINUTE - 1, "11", "1"), (MINUTE + 1, "11", "1"), (MINUTE + 2, "13", "2"))


def test_after_a_kill_in_the_middle_of_a_minute_every_closed_bar_and_the_open_one_are_there(tmp_path: Path) -> None:
    closed = (*CLOSED[:-1], 4)
    with serving(tmp_path) as service:
        feed_two_bars(service)
        service.until_shown([closed, OPEN])
        service.until_kept(MINUTE, 1300)
        service.kill()
    with serving(tmp_path, 2) as service:
        service.print("A", (MINUTE + 3, "8.5", "1"))
        goes_on = (MINUTE, "11.00", "13.00", "8.50", "8.50", "4", 3)
        service.until_shown([closed, goes_on])
        service.print("A", (MINUTE + 4, "14", "5"), (MINUTE + 61, "1", "1"))
        last = [(MINUTE, "11.00", "14.00", "8.50", "14.00", "9", 4), (MINUTE + 60, *["1.00"] * 4, "1", 1)]
        service.until_shown([closed, *last])
        service.until_kept(MINUTE + 60, 100)
        service.kill()
    with serving(tmp_path, 3) as service:
        service.print("B", (MINUTE, "1", "1"))
        service.until_shown([(MINUTE, *["1.00"] * 4, "1", 1)], "B")
        assert service.candles() == [], "its instrument was not declared yet"
        service.print("A", (MINUTE + 62, "1", "1"))
        service.until_shown([closed, last[0], (MINUTE + 60, *["1.00"] * 4, "2", 2)])
        service.stop()
        assert service.warnings() == []


def test_a_service_that_is_stopped_has_written_everything(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        feed_two_bars(service)
        service.until_shown([(*CLOSED[:-1], 4), OPEN])
        service.stop()
        assert read_bars(service.history, ("A", "1m", "UTC"), MINUTE + 1, 9).rows == [
            [MINUTE - 60, 1000, 1200, 900, 1100, 6, 4],
            [MINUTE, 1100, 1300, 1100, 1300, 3, 2],
        ]


def _damaged(path: Path) -> None:
    path.write_bytes(b"no database at all " * 1_000)


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(("spoil", "cause"), [(_damaged, "damaged"), (_newer, "newer")])
def test_a_file_that_cannot_be_read_is_moved_aside_and_prices_go_on(spoil: Any, cause: str, tmp_path: Path) -> None:  # noqa: ANN401  # a function
    with serving(tmp_path) as service:
        feed_two_bars(service)
        service.until_kept(MINUTE, 1300)
        service.stop()
    spoil(service.history)
    content = service.history.read_bytes()
    with serving(tmp_path, 2) as service:
        service.print("A", (MINUTE + 2, "13", "2"))
        service.until_shown([(MINUTE, *["13.00"] * 4, "2", 1)])
        service.until_kept(MINUTE, 1300)
        (warning,) = service.warnings()
        assert "a new history was begun" in warning
        (moved,) = service.home.glob(f"history.sqlite.{cause}-*")
        assert str(moved) in warning
        assert moved.read_bytes() == content
        service.stop()


def test_a_folder_that_cannot_be_written_to_costs_only_the_history(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "history.sqlite").mkdir()
    with serving(tmp_path) as service:
        feed_two_bars(service)
        service.until_shown([(*CLOSED[:-1], 4), OPEN])
        (warning,) = service.warnings()
        assert "no history in this run" in warning
        service.stop()


def test_the_history_can_be_elsewhere_or_nowhere(tmp_path: Path) -> None:
    with serving(tmp_path, 1, "--no-history") as service:
        feed_two_bars(service)
        service.until_shown([(*CLOSED[:-1], 4), OPEN])
        service.stop()
        assert not service.history.exists()
    with serving(tmp_path, 2, "--history-file", str(tmp_path / "bars.sqlite")) as service:
        feed_two_bars(service)
        service.until_shown([(*CLOSED[:-1], 4), OPEN])
        service.stop()
        assert not service.history.exists()
    assert len(read_bars(tmp_path / "bars.sqlite", ("A", "1m", "UTC"), MINUTE + 1, 9).rows) == 2


def test_a_day_that_begins_nowhere_is_refused_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "ticker.toml"
    config.write_text('[tables]\nday = "Mars/Olympus"\n')
    ended = subprocess.run(
        [sys.executable, "-m", "ticker", "serve", "--config", str(config), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "ticker: tables.day = 'Mars/Olympus': this system knows no such zone; give" in ended.stderr.splitlines()[-1]


def test_of_two_services_the_second_one_only_reads_and_takes_over_after_the_first(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        feed_two_bars(first)
        first.until_kept(MINUTE, 1300)
        with serving(tmp_path, 2) as second:
            second.print("A", (MINUTE + 5, "15", "1"))
            shown = [(*CLOSED[:-1], 4), (MINUTE, "11.00", "15.00", "11.00", "15.00", "4", 3)]
            second.until_shown(shown)
            (warning,) = second.warnings()
            assert "another service writes the history: this one only reads it" in warning
            first.kill()
            second.print("A", (MINUTE + 6, "16", "1"))
            second.until_kept(MINUTE, 1600)
            second.stop()


def test_older_bars_than_those_in_memory_come_from_the_file(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        starts = [MINUTE - 60 * number for number in range(1_100, -1, -1)]
        service.print("A", *((start + 1, str(number), "1") for number, start in enumerate(starts)))
        service.until_kept(MINUTE, 110_000)

        def page(more: str) -> list[int]:
            return [bar[0] for bar in service.candles(more=more)]

        assert page("&count=3") == starts[-3:]
        assert page(f"&count=2&before={MINUTE}") == starts[-3:-1]
        assert page(f"&count=2000&before={starts[50]}") == starts[:50]
        everything = service.get("/v1/candles?symbol=A&period=1m&count=2000")
        assert [bar["start"] for bar in everything["candles"]] == starts
        assert (everything["more"], everything["from"]) == (False, "trades")
        assert [bar["close"] for bar in everything["candles"]] == [f"{number}.00" for number in range(1_101)]
        assert service.get("/v1/candles?symbol=A&period=1m&count=1100")["more"] is True
        walked: list[int] = []
        before, more = "", True
        while more:
            content = service.get(f"/v1/candles?symbol=A&period=1m&count=300{before}")
            walked[:0] = [bar["start"] for bar in content["candles"]]
            before, more = f"&before={walked[0]}", content["more"]
        assert walked == starts
        service.stop()

"""What README.md shows is run: its Python snippets against a real service, its config file through the real reader."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ticker.commands.settings import load_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@contextmanager
def service(folder: Path, *feeds: str) -> Iterator[str]:
    """A service as its own process in `folder`; gives its URL."""
    flags = [flag for feed in feeds for flag in ("--feed", feed)]
    command = [sys.executable, "-m", "ticker", "serve", "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, url = process.stdout.readline().strip().partition(" ")
            assert ready == "ready"
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TICKER_HOME": str(folder / "home"), "PYTHONUNBUFFERED": "1"}


def first_lines(code: str, folder: Path, count: int) -> list[str]:
    """The first lines that a program prints; it is then interrupted, as with Ctrl-C."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGINT)
        process.wait(20)
    return lines


@pytest.mark.parametrize("at", [0, 1], ids=["the blocking client", "the client for Trio"])
def test_a_client_of_the_readme_prints_prices(at: int, tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        code = blocks("python")[at].replace("wss://localhost:8443", url)
        assert url in code
        lines = first_lines(code, tmp_path, 5)
    assert all(lines)
    assert any("EURUSD" in line or "1.0" in line for line in lines)


def test_the_notebook_of_the_readme_collects_rows(tmp_path: Path) -> None:
    with service(tmp_path, "simulated") as url:
        code = blocks("python")[2].replace("wss://localhost:8443", url)
        assert url in code
        (line,) = first_lines(code, tmp_path, 1)
    assert "rows, the last one: {'at': datetime" in line


def test_the_first_client_of_the_readme_has_six_lines_or_fewer() -> None:
    assert len(blocks("python")[0].strip().splitlines()) <= 6


def test_the_feed_of_the_readme_is_served_and_has_about_fifteen_lines(tmp_path: Path) -> None:
    code = blocks("python")[3]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    (tmp_path / "dice.py").write_text(code)
    with service(tmp_path, "dice:Dice?sides=1") as url:
        watch = [sys.executable, "-m", "ticker", "watch", "DICE", "--json", "--url", url, "--duration", "1"]
        shown = subprocess.run(
            watch, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert '"last": "1"' in shown.stdout


def test_the_config_file_of_the_readme_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "ticker.toml"
    path.write_text(blocks("toml")[0])
    config = load_config(path)
    assert config.limits.max_symbols == 2000
    assert len(config.feeds) == 2


def test_the_tour_names_every_file_of_ticker() -> None:
    tour = README.partition("## Tour of the files")[2]
    named = {Path(name).name for name in re.findall(r"`(ticker/\w+\.py)`", tour)}
    assert named == {path.name for path in (ROOT / "ticker").glob("*.py") if not path.name.startswith("__")}

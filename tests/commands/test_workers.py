"""ticker/commands/workers.py and worker.py: how many workers there are, and values that are no number of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from ticker.commands import workers
from ticker.commands.settings import load_config
from ticker.commands.workers import count_workers, parse_workers
from ticker.config import MAX_WORKERS, Config
from ticker.errors import ConfigError


@pytest.mark.parametrize("value", ["0", "-1", "x", "513", "2.5", "", "٣", "AUTO", "1e2"])
def test_a_value_that_is_no_number_of_workers_is_named_with_the_remedy(value: str, run_ticker: RunTicker) -> None:
    done = run_ticker("serve", "--workers", value)
    assert (done.code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ticker: --workers {value}".rstrip())
    assert line.endswith("give 1 to 512 processes, or auto")


@pytest.mark.parametrize("value", ["0", "-1", '"x"', "513", '"2"'])
def test_so_it_is_in_the_config_file(value: str, tmp_path: Path) -> None:
    (tmp_path / "ticker.toml").write_text(f"workers = {value}")
    with pytest.raises(ConfigError, match=r"ticker\.toml: workers = .*: give 1 to 512 processes, or auto"):
        load_config(tmp_path / "ticker.toml")


@pytest.mark.parametrize("value", ["true", "1.5", "[]"])
def test_a_value_of_another_type_names_the_key(value: str, tmp_path: Path) -> None:
    (tmp_path / "ticker.toml").write_text(f"workers = {value}")
    with pytest.raises(ConfigError, match="workers"):
        load_config(tmp_path / "ticker.toml")


def test_a_number_is_that_many_and_auto_is_one_for_each_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_workers(Config()) == 1
    assert count_workers(Config(workers=MAX_WORKERS)) == MAX_WORKERS
    assert parse_workers("12") == 12
    assert parse_workers("auto") == "auto"
    assert parse_workers(None) is None
    monkeypatch.setattr(workers, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    assert count_workers(Config(workers="auto")) == 6
    for quota, cores in [("max 100000", 6), ("250000 100000", 2), ("5000 100000", 1), ("nonsense", 6), ("1 0", 6)]:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
        assert count_workers(Config(workers="auto")) == cores, quota


def test_a_worker_is_not_started_by_hand(run_ticker: RunTicker) -> None:
    done = run_ticker("worker")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == "ticker: `ticker worker` is started by `ticker serve --workers N`, not by hand\n"
    assert "worker " not in run_ticker("--help").stdout


IMPORTED = """
import sys
from ticker.commands import cli

try:
    cli.main()
finally:
    print(sorted({"cyclopts", "rich"} & sys.modules.keys()))
"""


@pytest.mark.untraced
@pytest.mark.parametrize(("arguments", "imported"), [(["worker"], []), (["serve", "--workers", "0"], ["cyclopts"])])
def test_a_process_of_the_service_starts_without_what_it_does_not_use(
    arguments: list[str], imported: list[str]
) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, f"{imported}\n"), done.stderr

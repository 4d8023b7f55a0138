"""feeds/README.md: its examples run as printed, and its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import ticker_feeds
import ticker_feeds.venues
from ticker.market import FIELDS
from ticker_feeds.kit import RULES
from ticker_feeds.loading import GROUP
from ticker_feeds.simulation import faults

PAGE = (Path(ticker_feeds.__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_tests_of_the_page_pass_as_printed(tmp_path: Path) -> None:
    clock, gold, test_clock, test_venue = blocks("python")
    test_gold = test_clock.replace("clock", "gold").replace("Clock(step=0.001)", "Gold()").replace("Clock", "Gold")
    named = {"clock": clock, "gold": gold, "test_clock": test_clock, "test_gold": test_gold, "test_venue": test_venue}
    for name, text in named.items():
        (tmp_path / f"{name}.py").write_text(text)
    # As its author would run it, and without plugins that only this repository has.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_clock.py",
        "test_gold.py",
        "test_venue.py",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_page_names_all_rules_fields_and_fault_symbols() -> None:
    rules = [rule for row in re.findall(r"^\| ([a-z ,]+) \| ", PAGE, re.MULTILINE) for rule in row.split(", ")]
    assert set(rules) >= RULES.keys()
    assert all(f"`{name}`" in PAGE for name in (*FIELDS, *faults.SYMBOLS))
    assert tomllib.loads(blocks("toml")[0])["project"]["entry-points"].keys() == {GROUP}


def test_the_helpers_that_the_page_names_exist() -> None:
    table = PAGE.partition("| your venue |")[2].partition("\n\n")[0]
    state = set(re.findall(r"self\.state\.(\w+)", table))
    assert state >= {"update", "halt", "resume", "mark_refused", "is_new_trade", "is_new_quote"}
    assert all(hasattr(ticker_feeds.venues.VenueState, name) for name in state)
    functions = set(re.findall(r"\b((?:decode|read)_\w+|decompress|open_connection)\(", PAGE))
    assert functions
    assert functions <= set(ticker_feeds.venues.__all__)


def test_the_page_and_the_module_say_the_same_of_fault_symbols() -> None:
    rows = re.findall(r"^\| `TEST\..*$", PAGE, re.MULTILINE)
    assert len(rows) == len(faults.SYMBOLS)
    assert all(row in (faults.__doc__ or "") for row in rows)

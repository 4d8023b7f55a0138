"""A user's own package called `feeds` in the current folder: Ticker starts beside it, and its feed loads."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from importlib import metadata
from pathlib import Path

import pytest
import trio

import ticker
from tests.bounds import HANG_SECONDS

MINE = """
import trio
from ticker.market import Instrument, Update

from feeds.prices import PRICE

class Mine:
    async def run(self, updates):
        await updates.send([Instrument("MINE"), Update("MINE", {"last": PRICE})])
        await trio.sleep_forever()
"""
TICKER = [sys.executable, "-m", "ticker"]
SCRIPT = Path(sys.executable).parent / "ticker"


@pytest.fixture(params=["regular", "namespace"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the package, with and without an `__init__.py`."""
    package = tmp_path / "feeds"
    package.mkdir()
    (package / "mine.py").write_text(MINE)
    (package / "prices.py").write_text('PRICE = "42.5"\n')
    if request.param == "regular":
        (package / "__init__.py").write_text("")
    return tmp_path


def run(folder: Path, *command: str | Path) -> str:
    """The stdout of a command in that folder, which has to succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_starts_beside_it(folder: Path) -> None:
    assert run(folder, *TICKER, "--version") == f"{metadata.version('ticker-push')}\n"


@pytest.mark.skipif(not SCRIPT.exists(), reason="Ticker is not installed beside this Python: pip install -e .")
def test_its_feed_is_checked_by_the_installed_script(folder: Path) -> None:
    report = run(folder, SCRIPT, "feeds", "check", "feeds.mine:Mine", "--seconds", "0.5")
    assert "updates      1 in" in report


async def test_its_feed_is_served(folder: Path) -> None:
    process = await trio.lowlevel.open_process(
        [*TICKER, "serve", "--feed", "feeds.mine:Mine", "--listen", "127.0.0.1:0"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(HANG_SECONDS):
            ready = b""
            while not ready.endswith(b"\n"):
                ready += await process.stdout.receive_some() or b"ended\n"
            url = ready.decode().removeprefix("ready ").strip()
            async with ticker.connect(url) as client:
                async for _ in client.subscribe("MINE"):
                    break
                assert client.values("MINE")["last"] == Decimal("42.5")
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()

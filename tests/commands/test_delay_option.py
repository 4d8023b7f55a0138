"""`ticker serve --delay`: what does not go together is one line with the remedy; and the claim of tokens for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from ticker.bus.spool import Spool
from ticker.commands.settings import load_config
from ticker.door.key_ring import shared_secret
from ticker.door.tokens import Verifier

ONE = "delay 15m: one process does not delay what its feeds bring; give --workers 2, or give --delay to edges (--bus or"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--delay", "15m"], ONE),
        (["--delay", "15m", "--feed", "simulated"], ONE),
        (["--delay", "15m", "--feed", "simulated", "--bus", "redis://127.0.0.1:9"], "a process with feeds and a bus"),
        (["--delay", "15"], "delay '15': give a number and s, m or h, such as 15m; at most 24 h"),
        (["--delay", "2d", "--workers", "2"], "delay '2d': give a number and s, m or h, such as 15m; at most 24 h"),
    ],
)
def test_what_does_not_go_together_is_one_line_with_the_remedy(
    flags: list[str], problem: str, run_ticker: RunTicker
) -> None:
    done = run_ticker("serve", "--listen", "127.0.0.1:0", *flags)
    (line,) = done.stderr.splitlines()
    assert (done.code, done.stdout) == (2, "")
    assert problem in line


def test_so_it_is_in_the_config_file_where_flags_may_complete_it(tmp_path: Path, run_ticker: RunTicker) -> None:
    file = tmp_path / "ticker.toml"
    file.write_text('delay = "15m"\nlisten = "127.0.0.1:0"')
    assert ONE in run_ticker("serve", "--config", file).stderr
    assert load_config(file).delay_seconds == 900
    file.write_text('delay = "soon"')
    assert f"config {file}: delay 'soon': give a number and s, m or h" in run_ticker("serve", "--config", file).stderr
    file.write_text("delay = 15")
    assert f"config {file}: Expected `str | null`, got `int` - at `$.delay`" in (
        run_ticker("serve", "--config", file).stderr
    )


@pytest.mark.parametrize("flags", [["--follow", "wss://127.0.0.1:9"], ["--workers", "2"]])
def test_two_services_do_not_share_a_spool(flags: list[str], home: Path, run_ticker: RunTicker) -> None:
    spool = Spool(home / "delayed-127.0.0.1_0", "anything", 1)
    spool.open()
    done = run_ticker("serve", "--listen", "127.0.0.1:0", "--delay", "15m", *flags)
    assert (done.code, done.stdout) == (2, "")
    assert f"another delayed service has the spool {home}/delayed-127.0.0.1_0: give each its own" in done.stderr
    assert "Traceback" not in done.stderr
    spool.close()


@pytest.mark.parametrize("flags", [["--follow", "wss://127.0.0.1:9"], ["--workers", "2"]])
def test_a_folder_that_cannot_be_used_is_named(flags: list[str], home: Path, run_ticker: RunTicker) -> None:
    home.mkdir()
    (home / "delayed-127.0.0.1_0").write_text("a file")
    done = run_ticker("serve", "--listen", "127.0.0.1:0", "--delay", "15m", *flags)
    assert (done.code, done.stdout) == (2, "")
    assert f"delay: the spool {home}/delayed-127.0.0.1_0 cannot be used: File exists; set TICKER_HOME" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("flags", "claim"), [([], None), (["--realtime"], True), (["--no-realtime"], False)])
def test_a_token_says_which_market_its_bearer_sees(
    flags: list[str],
    claim: bool | None,  # noqa: FBT001  # a parameter of a test
    run_ticker: RunTicker,
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("0" * 64)
    issued = run_ticker("token", "issue", "--key", tmp_path / "secret", "--subject", "alice", *flags)
    grant = Verifier(shared_secret(b"0" * 64), "ticker").check(issued.stdout.strip(), int(time.time() * 1e6))
    assert grant.realtime is claim

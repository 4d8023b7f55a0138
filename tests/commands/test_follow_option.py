"""`ticker serve --follow`: what does not go together, or is no address, is one line with the remedy, however given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from ticker.commands.settings import load_config
from ticker.config import Config
from ticker.door.key_ring import shared_secret
from ticker.door.tokens import Verifier
from ticker.errors import ConfigError
from ticker.server.exposure import check_addresses
from ticker.server.opening import open_listeners
from ticker.supervisor.supervisor import Supervisor

OTHER = "wss://127.0.0.1:9"
FEEDS = "follow and feeds: the market comes from the ticker that is followed; leave feeds out"


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            ["--follow", "ws://127.0.0.1:9"],
            "follow 'ws://127.0.0.1:9': give wss://HOST:PORT; prices travel over TLS only",
        ),
        (["--follow", "wss://127.0.0.1:99999"], "follow 'wss://127.0.0.1:99999': Port out of range 0-65535"),
        (["--follow", OTHER, "--follow", "elsewhere"], "follow 'elsewhere': give wss://HOST:PORT"),
        (["--follow", OTHER, "--feed", "simulated"], FEEDS),
        (["--follow", OTHER, "--feed", "simulated", "--workers", "2"], FEEDS),
        (["--follow", OTHER, "--bus", "redis://127.0.0.1"], "follow and bus: give one of them"),
        (["--follow-ca", "ca.pem"], "follow_ca: it is for a ticker that is followed, and none is; give follow, too"),
        (["--follow-token-file", "token", "--bus", "redis://127.0.0.1"], "follow_token_file: it is for a ticker that"),
        (["--follow", OTHER, "--follow-ca", "/nowhere.pem"], "cannot take authorities from /nowhere.pem (No such file"),
        (["--follow", OTHER, "--follow-ca", "/nowhere.pem"], "pass --follow-ca with a PEM file of certificates"),
    ],
)
def test_what_cannot_be_followed_is_one_line_with_the_remedy(
    flags: list[str], problem: str, run_ticker: RunTicker
) -> None:
    done = run_ticker("serve", "--listen", "127.0.0.1:0", *flags)
    (line,) = done.stderr.splitlines()
    assert (done.code, done.stdout) == (2, "")
    assert problem in line


def test_so_it_is_in_the_config_file_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker
) -> None:
    file = tmp_path / "ticker.toml"
    file.write_text('follow = "https://other"\nlisten = "127.0.0.1:0"')
    assert "follow 'https://other': give wss://" in run_ticker("serve", "--config", file).stderr
    file.write_text('follow = ["wss://a", "wss://b"]\nfollow_ca = "ca.pem"\nfollow_token_file = "token"')
    config = load_config(file)
    assert config.followed == ["wss://a", "wss://b"]
    assert (config.follow_ca, config.follow_token_file, config.has_feeds) == ("ca.pem", "token", False)
    file.write_text('follow = ["wss://a"]\nfeeds = ["simulated"]')
    with pytest.raises(ConfigError, match="follow and feeds"):
        load_config(file).check_market()
    file.write_text('follow = ""')
    with pytest.raises(ConfigError, match="follow is empty: give wss://HOST:PORT, or leave it out"):
        load_config(file).check_market()
    monkeypatch.setenv("TICKER_FOLLOW", "elsewhere")
    assert "follow 'elsewhere': give " in run_ticker("serve", "--listen", "127.0.0.1:0").stderr
    monkeypatch.setenv("TICKER_FOLLOW", " ")  # a variable that a deployment has nothing for: no other market instead
    done = run_ticker("serve", "--listen", "127.0.0.1:0")
    assert (done.code, done.stdout) == (2, "")
    assert "TICKER_FOLLOW is empty: give wss://HOST:PORT, or do not set it" in done.stderr


async def test_workers_follow_by_themselves_and_have_neither_a_source_nor_a_log() -> None:
    config = replace(Config(follow=OTHER), listen="http://127.0.0.1:0", allow_anyone=True)
    opened = await open_listeners(config, check_addresses(config))
    supervisor = Supervisor(config, 2, opened)
    assert [slot.name for slot in supervisor.pool.slots] == ["1", "2"]
    assert b"ticker_bus_log" not in await supervisor.metrics.page()
    await opened.clients[0].aclose()


def test_the_help_names_the_flags_and_their_variables(run_ticker: RunTicker) -> None:
    text = " ".join(run_ticker("serve", "--help").stdout.replace("│", " ").split())
    for name in ("--follow ", "--follow-ca", "--follow-token-file", "TICKER_FOLLOW", "TICKER_FOLLOW_TOKEN"):
        assert name in text


def test_a_token_lets_its_bearer_follow_only_if_that_was_asked_for(run_ticker: RunTicker, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0" * 64)
    issue = ["token", "issue", "--key", tmp_path / "secret", "--subject", "branch"]
    ring = shared_secret(b"0" * 64)
    for flags in ([], ["--follow"]):
        issued = run_ticker(*issue, *flags)
        assert Verifier(ring, "ticker").check(issued.stdout.strip(), 0).follow == bool(flags)
    for limit in (["--symbols", "A*"], ["--max-symbols", "3"], ["--min-interval", "100"]):
        refused = run_ticker(*issue, "--follow", *limit)
        assert refused.code == 2
        assert "--follow: a follower gets everything; leave --symbols, --max-symbols" in refused.stderr

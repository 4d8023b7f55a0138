"""`ticker serve --bus`: an address that is none is one line with the remedy, whatever it was given by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.commands.conftest import RunTicker
from ticker.commands.settings import load_config
from ticker.config import Config
from ticker.errors import ConfigError
from ticker.server.exposure import check_addresses
from ticker.server.opening import open_listeners
from ticker.supervisor.supervisor import Supervisor

BUS = "redis://127.0.0.1:6379"
NOBODY = "redis://:secret@127.0.0.1:1/0?color=red"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "give redis://HOST:6379, rediss://"),
        ("http://127.0.0.1", "give redis://HOST:6379, rediss://"),
        ("redis://host:99999", "99999"),
        ("redis+sentinel://host", "behind the sentinels stands /SERVICE"),
        (NOBODY, "behind the ? stand name, ca, cert and key"),
        ("rediss://host?ca=/nowhere.pem", "ca=/nowhere.pem: No such file or directory; name a PEM file"),
    ],
)
def test_an_address_that_is_none_names_the_setting_and_the_remedy(
    url: str, problem: str, run_ticker: RunTicker
) -> None:
    done = run_ticker("serve", "--listen", "127.0.0.1:0", "--bus", url)
    (line,) = done.stderr.splitlines()
    assert (done.code, done.stdout) == (2, "")
    assert line.startswith("ticker: bus ")
    assert problem in line
    assert "secret" not in line


def test_so_it_is_in_the_config_file_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_ticker: RunTicker
) -> None:
    (tmp_path / "ticker.toml").write_text('bus = "redis:/nohost"\nlisten = "127.0.0.1:0"')
    done = run_ticker("serve", "--config", tmp_path / "ticker.toml")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("ticker: bus 'redis:/nohost': give redis://")
    (tmp_path / "ticker.toml").write_text("bus = 6379")
    with pytest.raises(ConfigError, match=r"ticker\.toml: Expected `str \| null`, got `int` - at `\$\.bus`"):
        load_config(tmp_path / "ticker.toml")
    monkeypatch.setenv("TICKER_BUS", "redis:/elsewhere")
    assert "ticker: bus 'redis:/elsewhere': give " in run_ticker("serve", "--listen", "127.0.0.1:0").stderr


def test_the_feeds_that_are_named_make_a_source() -> None:
    assert Config().has_feeds
    assert not Config(bus=BUS).has_feeds
    assert Config(bus=BUS, feeds=["simulated"]).has_feeds


@pytest.mark.parametrize(
    ("config", "processes"),
    [
        (Config(), ["source", "1", "2"]),
        (Config(bus=BUS), ["1", "2"]),
        (Config(bus=BUS, feeds=["simulated"]), ["source", "1", "2"]),
    ],
)
async def test_workers_of_an_edge_have_no_source_and_a_log_elsewhere_is_not_counted(
    config: Config, processes: list[str]
) -> None:
    config = replace(config, listen="http://127.0.0.1:0", allow_anyone=True)
    opened = await open_listeners(config, check_addresses(config))
    supervisor = Supervisor(config, 2, opened)
    assert [slot.name for slot in supervisor.pool.slots] == processes
    assert supervisor.status() == "0 clients; 0 of 2 workers ready" + "; no source" * ("source" in processes)
    assert (b"ticker_bus_log" in await supervisor.metrics.page()) is (config.bus is None)
    await opened.clients[0].aclose()


def test_the_help_names_the_flag_and_its_variable(run_ticker: RunTicker) -> None:
    text = " ".join(run_ticker("serve", "--help").stdout.replace("│", " ").split())
    assert "--bus" in text
    assert "With --feed this process is a source" in text
    assert "TICKER_BUS" in text

"""ticker/commands/settings.py: the config file, and its errors."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ticker.commands.settings import load_config
from ticker.config import Config, History, Limits, Tables, TlsFiles
from ticker.errors import ConfigError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "ticker.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(folder: Path, text: str | bytes) -> str:
    """The one line with which a file is refused, after the file's own name."""
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    start = f"config {path}: "
    message = str(caught.value)
    assert message.startswith(start)
    return message.removeprefix(start)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "")) == Config()


def test_every_setting_can_be_given(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        listen = "[::1]:9000"
        feeds = ["simulated?symbols=5", "replay?path=day.csv"]
        interval_ms = 50
        log_format = "json"
        [tls]
        cert = "cert.pem"
        key = "key.pem"
        [limits]
        max_symbols = 7
        stall_seconds = 1.5
        heartbeat_seconds = 3
        [tables]
        depths = [5]
        trades = []
        bars = [100, 300]
        periods = ["1s", "1d"]
        day = "America/New_York 17:00"
        [history]
        enabled = false
        file = "bars.sqlite"
        keep_bars = 1000
        max_bytes = 10000000
        """,
    )
    assert load_config(path) == Config(
        "[::1]:9000",
        ["simulated?symbols=5", "replay?path=day.csv"],
        50,
        "json",
        TlsFiles("cert.pem", "key.pem"),
        limits=Limits(max_symbols=7, stall_seconds=1.5, heartbeat_seconds=3),
        tables=Tables((5,), (), (100, 300), ("1s", "1d"), "America/New_York 17:00"),
        history=History(enabled=False, file="bars.sqlite", keep_bars=1000, max_bytes=10_000_000),
    )


def test_every_limit_can_be_given_by_its_name(tmp_path: Path) -> None:
    lines = [f"{each.name} = {each.default}" for each in fields(Limits)]
    assert load_config(written(tmp_path, "\n".join(["[limits]", *lines]))).limits == Limits()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen", "not TOML: "),
        ("a = 1\na = 2", "not TOML: "),
        (b"listen = '\xff'", "not UTF-8 text: "),
        ("lisen = 'a:1'", "unknown key 'lisen'; did you mean 'listen'?"),
        (
            "xyz = 1",
            "unknown key 'xyz'; there are listen, feeds, interval_ms, log_format, tls, tokens, origins, ",
        ),
        ("[limits]\nmax_symbol = 1", "unknown key 'limits.max_symbol'; did you mean 'max_symbols'?"),
        ("[tables]\ndepths = [25, 10]", "tables.depths = [25, 10]: give numbers from 1 to 5000, ascending, each once"),
        ("[tables]\nperiods = ['1w']", "tables.periods = ['1w']: give each once, a number and s, m, h or d (5m, 1h)"),
        ("[history]\nkeep_bar = 1", "unknown key 'history.keep_bar'; did you mean 'keep_bars'?"),
        ("[history]\nmax_bytes = 5", "history.max_bytes = 5: give 1048576 bytes (1 MiB) or more"),
        ("[tls]\nxyz = 1", "unknown key 'tls.xyz'; there are cert, key"),
        ("listen = 8443", "Expected `str | array`, got `int` - at `$.listen`"),
        ("feeds = 'simulated'", "Expected `array`, got `str` - at `$.feeds`"),
        ("feeds = [1]", "Expected `str`, got `int` - at `$.feeds["),
        ("log_format = 'xml'", "Invalid enum value 'xml' - at `$.log_format`"),
        ("limits = 5", "Expected `object`, got `int` - at `$.limits`"),
        ("[limits]\nmax_symbols = 1.5", "Expected `int`, got `float` - at `$.limits.max_symbols`"),
        ("interval_ms = true", "Expected `int`, got `bool` - at `$.interval_ms`"),
    ],
)
def test_an_unusable_file_is_refused_with_the_key_and_the_remedy(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    assert refused(tmp_path, text).startswith(problem)


@pytest.mark.parametrize(
    "line",
    [
        "interval_ms = -1",
        "interval_ms = 60001",
        "feeds = []",
        *(f"limits.{each.name} = -1" for each in fields(Limits)),
        *(f"limits.{each.name} = nan" for each in fields(Limits) if each.name.endswith("_seconds")),
        "limits.heartbeat_seconds = 0",
        "limits.heartbeat_seconds = inf",
        "limits.snapshot_part = 0",
        f"limits.max_connections = {2**53 + 1}",
        f"history.max_bytes = {10**40}",
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_its_key(tmp_path: Path, line: str) -> None:
    assert line.split(" = ", maxsplit=1)[0].rpartition(".")[2] in refused(tmp_path, line)


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="give a readable file with --config") as caught:
        load_config(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: f"listen = '''{text}'''".encode("utf-8", "replace")),
    )
)
def test_any_file_is_a_config_or_a_config_error_in_one_line(tmp_path: Path, content: bytes) -> None:
    try:
        config = load_config(written(tmp_path, content))
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert isinstance(config, Config)

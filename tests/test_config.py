"""ticker/config.py, bounds.py and bus_bounds.py: options within their ranges, and limits that are in use."""

from __future__ import annotations

import ast
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ticker import bounds, bus_bounds, config
from ticker.config import MAX_INTERVAL_MS, Config, History, Limits, Tables, Tokens
from ticker.errors import ConfigError

TICKER = Path(config.__file__).parent


def names_used(path: Path) -> set[str]:
    """The identifiers and attributes in a module."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_every_limit_has_a_user() -> None:
    own = {TICKER / f"{name}.py" for name in ("config", "bounds", "bus_bounds")}
    used = set[str]().union(*(names_used(path) for path in TICKER.rglob("*.py") if path not in own))
    constants = {
        name for module in (config, bounds, bus_bounds) for name in vars(module) if name.isupper() and name[0] != "_"
    }
    assert len(constants) > 30
    assert constants | {each.name for each in fields(Limits)} <= used


def test_every_limit_says_its_consequence() -> None:
    body = ast.parse((TICKER / "config.py").read_text()).body
    (limits,) = [node for node in body if isinstance(node, ast.ClassDef) and node.name == "Limits"]
    assert undocumented(body) == []
    for name in ("bounds.py", "bus_bounds.py"):
        assert undocumented(ast.parse((TICKER / name).read_text()).body) == []
    assert undocumented(limits.body) == []


def undocumented(body: list[ast.stmt]) -> list[str]:
    """The assignments that no docstring follows."""
    found = []
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        documented = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(node, ast.Assign | ast.AnnAssign) and not documented:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_limit_is_a_finite_number_above_0(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^limits\.{name} = {value}: give a number above 0$"):
        Limits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"interval_ms": 0},
        {"interval_ms": MAX_INTERVAL_MS},
        {"drain_seconds": 0.0},
        {"drain_seconds": 3600.0},
        {"retry_ms": (0, 0)},
        {"retry_ms": (500, 500)},
        {"retry_ms": (0, 3_600_000)},
    ],
)
def test_the_ends_of_a_range_are_in_it(options: dict[str, Any]) -> None:
    made = Config(**options)
    assert {name: getattr(made, name) for name in options} == options


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"interval_ms": -1}, "interval_ms = -1: give 0 to 60000 milliseconds"),
        ({"interval_ms": MAX_INTERVAL_MS + 1}, "interval_ms = 60001: give 0 to 60000 milliseconds"),
        ({"drain_seconds": -0.1}, "drain_seconds = -0.1: give 0 to 3600 seconds"),
        ({"drain_seconds": 3600.1}, "drain_seconds = 3600.1: give 0 to 3600 seconds"),
        ({"retry_ms": (-1, 0)}, "retry_ms = [-1, 0]: give two numbers of milliseconds, the lower one first"),
        ({"retry_ms": (2, 1)}, "retry_ms = [2, 1]: give two numbers of milliseconds, the lower one first"),
        (
            {"retry_ms": (0, 3_600_001)},
            "retry_ms = [0, 3600001]: give two numbers of milliseconds, the lower one first",
        ),
        ({"feeds": []}, "feeds: give at least one feed spec"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**options)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"depths": (10, 5)}, "tables.depths = [10, 5]: give numbers from 1 to 5000, ascending, each once"),
        ({"depths": (0, 5)}, "tables.depths = [0, 5]: give numbers from 1 to 5000, ascending, each once"),
        ({"trades": (5, 5)}, "tables.trades = [5, 5]: give numbers from 1 to 10000, ascending, each once"),
        ({"bars": (10_001,)}, "tables.bars = [10001]: give numbers from 1 to 10000, ascending, each once"),
        (
            {"periods": ("1m", "1w")},
            "tables.periods = ['1m', '1w']: give each once, a number and s, m, h or d (5m, 1h)",
        ),
        (
            {"periods": ("1m", "1m")},
            "tables.periods = ['1m', '1m']: give each once, a number and s, m, h or d (5m, 1h)",
        ),
        ({"max_open": 0}, "tables.max_open = 0: give a number above 0"),
    ],
)
def test_tables_that_cannot_be_are_refused_by_name(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Tables(**options)
    assert str(caught.value) == why


def test_a_service_may_have_no_tables() -> None:
    assert Tables(depths=(), trades=(), bars=(), periods=()).periods == ()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"keep_bars": 0}, "history.keep_bars = 0: give 1 to 100000000 bars"),
        ({"max_bytes": 1_000_000}, "history.max_bytes = 1000000: give 1048576 bytes (1 MiB) or more"),
        ({"file": ""}, "history.file is empty: name a file, or leave it out"),
    ],
)
def test_a_history_that_cannot_be_is_refused_by_name(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        History(**options)
    assert str(caught.value) == why


def test_batches_that_feeds_rely_on_cannot_be_refused() -> None:
    with pytest.raises(ConfigError, match=r"limits\.max_batch = 9999: give 10000 or more; feeds rely on it"):
        Limits(max_batch=9_999)
    assert Limits(max_batch=20_000).max_batch == 20_000


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        (Tokens(), False),
        (Tokens(key="a"), True),
        (Tokens(secret="a"), True),  # noqa: S106  # the name of a file
        (Tokens(jwks="a", algorithm="ES256"), True),
    ],
    ids=["none", "key", "secret", "set"],
)
def test_a_source_of_keys_switches_authentication_on(tokens: Tokens, wanted: bool) -> None:  # noqa: FBT001
    assert tokens.wanted is wanted


@pytest.mark.parametrize(
    "settings",
    [{"key": "a", "secret": "b"}, {"jwks": "a"}, {"key": "a", "algorithm": "ES256"}, {"algorithm": "ES256"}],
    ids=["two", "set without algorithm", "key with algorithm", "algorithm alone"],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="tokens: "):
        Tokens(**settings)

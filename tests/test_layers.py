"""Folders are layers: a module imports only those that its folder may import; pure modules have no I/O and no clock."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TICKER = ROOT / "ticker"
FEEDS = ROOT / "feeds" / "ticker_feeds"

VOCABULARY = {
    f"ticker.{name}" for name in ("market", "numbers", "errors", "bounds", "bus_bounds", "config", "texts", "durations")
}
PURE_DOOR = {
    f"ticker.door.{name}"
    for name in (
        "grants",
        "tokens",
        "origins",
        "key_ring",
        "connection_limits",
        "rate_limit",
        "memory",
        "sender",
        "proxies",
        "callers",
    )
}
_PURE = VOCABULARY | {"ticker.protocol"}
_NET = _PURE | {"ticker.net"}
_DOOR = _NET | {"ticker.door"}

MAY_IMPORT: dict[str, set[str]] = {
    "ticker": {"ticker.client", "ticker.errors", "ticker.aio"},
    "ticker.aio": {"ticker.client"},
    "ticker.__main__": {"ticker.commands"},
    "ticker.market": VOCABULARY,
    "ticker.numbers": VOCABULARY,
    "ticker.errors": VOCABULARY,
    "ticker.bounds": VOCABULARY,
    "ticker.bus_bounds": VOCABULARY,
    "ticker.config": VOCABULARY,
    "ticker.texts": VOCABULARY,
    "ticker.durations": VOCABULARY,
    "ticker.protocol": _PURE,
    "ticker.net": _NET,
    "ticker.door": _DOOR,
    "ticker.core": _PURE | PURE_DOOR | {"ticker.core"},
    "ticker.client": _NET | {"ticker.client"},
    "ticker.history": _NET | {"ticker.history"},
    "ticker.usage": _NET | {"ticker.core.bitmaps", "ticker.usage"},
    "ticker.bus": _NET | {"ticker.bus"},
    "ticker.supervisor": _DOOR | {"ticker.bus", "ticker.supervisor"},
    "ticker.server": _DOOR
    | {"ticker.core", "ticker.history", "ticker.usage", "ticker.bus", "ticker.server"}
    | {"ticker.supervisor.channel", "ticker.supervisor.messages"},
    "ticker.commands": {"ticker", "ticker_feeds"},
}
"""For each folder of `ticker/` and each module beside them, the modules and packages that it may import."""

MEETS_FEEDS = {"ticker.server.service", "ticker.server.feed_runner"}
"""Outside the command line, the only modules that know `ticker_feeds`."""

_SESSION = (
    "session",
    "wanted",
    "requested",
    "received",
    "results",
    "questions",
    "resume",
    "replica",
    "definitions",
    "bounds",
    "features",
)
_TABLES = ("table_state", "given", "rows", "statuses", "bar_times")

PURE = (
    {"ticker.core", "ticker.protocol"}
    | {f"ticker.client.{name}" for name in (*_SESSION, *_TABLES, "events", "arguments")}
    | VOCABULARY
    | PURE_DOOR
)
IMPURE = {
    "trio", "ssl", "socket", "selectors", "time", "datetime", "random", "secrets", "os", "threading", "asyncio",
    "subprocess", "structlog",
}  # fmt: skip

CALENDAR = {"ticker.core.tables.days", "ticker.client.events"}
"""Calculate with dates, or carry them, and take none from a clock."""


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """The dotted name and the path of every module below a package's folder."""
    for path in sorted(package.rglob("*.py")):
        yield ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"), path


def imports(source: str) -> set[str]:
    """The dotted names that a module's source imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


def violations(module: str, source: str) -> list[str]:
    """The imports of a module of `ticker` that its folder forbids."""
    folder = module if module in MAY_IMPORT else ".".join(module.split(".")[:2])
    found = []
    for name in sorted(imports(source)):
        top = name.split(".")[0]
        if top == "ticker" and not within(name, MAY_IMPORT[folder]):
            found.append(f"{module} imports {name}: {folder} may not")
        elif top == "ticker" and within(module, PURE) and not within(name, PURE):
            found.append(f"{module} imports {name}: it is pure, and that is not")
        if top == "ticker_feeds" and not within(name, MAY_IMPORT[folder]) and module not in MEETS_FEEDS:
            found.append(f"{module} imports {name}: only the service and the command line meet the feeds")
        if within(module, PURE) and top in IMPURE and not (top == "datetime" and module in CALENDAR):
            found.append(f"{module} imports {name}: it is pure, without I/O and without a clock")
        if module in VOCABULARY and top not in sys.stdlib_module_names | {"ticker"}:
            found.append(f"{module} imports {name}: the vocabulary needs nothing but the standard library")
    return found


@pytest.mark.parametrize(("module", "path"), list(modules(TICKER)), ids=_name)
def test_a_module_imports_only_what_its_folder_may(module: str, path: Path) -> None:
    assert violations(module, path.read_text()) == []


@pytest.mark.parametrize(("module", "path"), list(modules(FEEDS)), ids=_name)
def test_feeds_know_the_vocabulary_and_nothing_else_of_ticker(module: str, path: Path) -> None:
    known = {name for name in imports(path.read_text()) if name.split(".")[0] == "ticker"}
    allowed = {"ticker.market", "ticker.numbers", "ticker.errors", "ticker.texts"}
    assert all(within(name, allowed) for name in known), module


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("ticker.core.hub", "from ticker.server.connection import Link"),
        ("ticker.core.hub", "import trio"),
        ("ticker.core.session", "from ticker.door.auth import Auth"),
        ("ticker.protocol.wire", "import ticker.core.hub"),
        ("ticker.client.session", "from time import monotonic"),
        ("ticker.client.client", "from ticker.server.pages import Pages"),
        ("ticker.server.pages", "from ticker.commands import cli"),
        ("ticker.server.pages", "from ticker_feeds.loading import load_feed"),
        ("ticker.market", "import msgpack"),
        ("ticker.market", "from ticker.commands.cli import main"),
        ("ticker.errors", "from ticker.client.client import Client"),
        ("ticker.config", "from ticker.protocol.symbols import matcher"),
        ("ticker.client.session", "from ticker.net.tls_stream import TlsStream"),
        ("ticker.client.replica", "from ticker.client.connection import Connection"),
        ("ticker.door.grants", "from ticker.door.auth import Auth"),
        ("ticker.door.tokens", "from ticker.net.tls import server_context"),
        ("ticker.history.history_file", "from ticker.core.last_value import LastValueCache"),
        ("ticker.supervisor.pool", "from ticker.server.worker import Worker"),
        ("ticker.server.worker", "from ticker.supervisor.pool import Pool"),
        ("ticker.usage.writer", "from ticker.core.hub import Hub"),
    ],
)
def test_an_import_that_runs_upwards_is_found(module: str, planted: str) -> None:
    assert len(violations(module, planted)) == 1


def test_every_module_belongs_to_a_layer() -> None:
    beside = {name for name, path in modules(TICKER) if path.parent == TICKER}
    folders = {f"ticker.{path.relative_to(TICKER).parts[0]}" for _, path in modules(TICKER) if path.parent != TICKER}
    assert MAY_IMPORT.keys() == beside | folders

"""The layers hold: a file imports only from its own layer or those below (the tour in README.md is in this order)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS: list[set[str]] = [
    # 1. Vocabulary: standard library only.
    {"market", "errors", "config"},
    # 2. Pure core: no trio, ssl, sockets or clocks.
    {
        "symbols",
        "access",
        "admission",
        "allowance",
        "messages",
        "wire",
        "last_value",
        "audiences",
        "entries",
        "hub",
        "session",
        "replica",
        "client_session",
    },
    # 3. Input and output.
    {
        "clocks",
        "turns",
        "transport",
        "devcert",
        "tls",
        "outlet",
        "publisher",
        "front_door",
        "keys",
        "gate",
        "link",
        "event_stream",
        "files",
        "metrics",
        "pages",
        "tending",
        "websocket",
        "reception",
        "renewal",
        "subscription",
        "dialling",
        "client",
        "blocking",
    },
    # 4. Composition.
    {
        "settings",
        "supervisor",
        "server",
        "logs",
        "memory",
        "screen",
        "token_commands",
        "recorder",
        "export",
        "record_commands",
        "feed_findings",
        "feed_commands",
        "cli",
        "__main__",
        "__init__",
    },
]

IMPURE = {"trio", "ssl", "socket", "time", "datetime", "random", "secrets", "os", "threading", "asyncio", "structlog"}


def imports(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "ticker" else {module}
    return found


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def layer_of(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def test_every_file_of_ticker_has_a_layer_and_every_layer_its_files() -> None:
    assert {path.stem for path in files("ticker")} == set().union(*LAYERS)


@pytest.mark.parametrize("path", files("ticker"), ids=lambda path: path.stem)
def test_a_file_imports_only_from_its_own_layer_or_below(path: Path) -> None:
    layer = layer_of(path.stem)
    for name in imports(path):
        if name == "feeds" or name.startswith("feeds."):
            assert layer == 3, f"{path.name} imports {name}: ticker and feeds meet only in layer 4"
        if name.startswith("ticker."):
            imported = name.split(".")[1]
            assert imported in set().union(*LAYERS[: layer + 1]), f"{path.name} imports {name} from a layer above"
        if layer <= 1:
            assert name.split(".")[0] not in IMPURE, f"{path.name} imports {name}: the core has no I/O and no clock"
        if layer == 0 and not name.startswith("ticker."):
            assert name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}: not for the vocabulary"


@pytest.mark.parametrize("path", files("feeds"), ids=lambda path: path.stem)
def test_feeds_know_the_vocabulary_and_nothing_else_of_ticker(path: Path) -> None:
    allowed = {"ticker.market", "ticker.errors"}
    assert {name for name in imports(path) if name.startswith("ticker")} <= allowed

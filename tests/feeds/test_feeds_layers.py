"""Within ticker_feeds: a folder imports only the folders below it, and the names that its __init__ exports exist."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import ticker_feeds

ROOT = Path(ticker_feeds.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "venues": {"", "venues"},
    "simulation": {"", "simulation"},
    "lines": {"", "lines"},
    "recordings": {"", "venues", "recordings"},
    "kit": {"", "venues", "kit"},
}
"""For each folder, the folders that its modules may import; "" are the modules of the package itself."""


def folder_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else ""


def violations(module: str, source: str) -> list[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            own = folder_of(module)
            if name.split(".")[0] == "ticker_feeds" and folder_of(name) not in MAY_IMPORT[own] | {own}:
                found.add(f"{module} imports {name}")
    return sorted(found)


def modules() -> list[tuple[str, Path]]:
    named = [(".".join(path.relative_to(ROOT.parent).with_suffix("").parts), path) for path in ROOT.rglob("*.py")]
    return sorted((name.removesuffix(".__init__"), path) for name, path in named)


def test_each_folder_imports_only_the_folders_below_it() -> None:
    assert len(modules()) > 20
    assert [each for module, path in modules() for each in violations(module, path.read_text())] == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("ticker_feeds.venues.venue", "from ticker_feeds.recordings import Replay"),
        ("ticker_feeds.parsing", "import ticker_feeds.venues.venue"),
        ("ticker_feeds.lines.udp", "from ticker_feeds import recordings"),
        ("ticker_feeds.recordings.replay", "from ticker_feeds.kit import check_feed"),
        ("ticker_feeds.loading", "from ticker_feeds.venues import Venue"),
    ],
)
def test_a_planted_import_upwards_is_found(module: str, planted: str) -> None:
    assert len(violations(module, planted)) == 1


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT.keys() - {""}))
def test_a_folder_says_what_belongs_there_and_exports_what_exists(folder: str) -> None:
    package = importlib.import_module(f"ticker_feeds.{folder}")
    assert len((package.__doc__ or "").split()) > 15
    assert all(hasattr(package, name) for name in package.__all__)
    assert {path.parent.name for path in ROOT.rglob("*.py")} - {"ticker_feeds"} == MAY_IMPORT.keys() - {""}

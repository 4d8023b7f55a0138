"""The wheel, built from this source tree: its packages, data files and metadata."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
DATA_FILES = ("py.typed", "*.js", "*.html", "*.css", "*.svg", "*.d.ts", "package.json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # a build backend builds the source tree in the current folder (PEP 517)
        name: str = import_module("hatchling.build").build_wheel(str(folder))
    return folder / name


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_top_level_packages_are_ticker_and_ticker_feeds(names: set[str]) -> None:
    top_level = {name.partition("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {"ticker", "ticker_feeds"}
    assert len(top_level) == 3


def test_every_module_is_in_the_wheel_and_nothing_stale(names: set[str]) -> None:
    for package in (ROOT / "ticker", ROOT / "feeds" / "ticker_feeds"):
        modules = {path.relative_to(package.parent).as_posix() for path in package.rglob("*.py")}
        assert {name for name in names if name.startswith(f"{package.name}/") and name.endswith(".py")} == modules
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_both_packages_are_marked_as_typed(names: set[str]) -> None:
    assert {"ticker/py.typed", "ticker_feeds/py.typed"} <= names


def test_the_dashboard_and_the_javascript_client_are_in_the_wheel(names: set[str]) -> None:
    web = ROOT / "ticker" / "web"
    files = {path.relative_to(ROOT).as_posix() for each in DATA_FILES for path in web.rglob(each)}
    served = {name for name in files if "node_modules" not in name}
    assert {"ticker/web/ticker.js", "ticker/web/index.html"} <= served <= names


def test_the_license_is_in_the_metadata(names: set[str]) -> None:
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_command_runs_from_the_wheel_beside_a_package_called_feeds(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "folder"
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    (folder / "feeds").mkdir(parents=True)
    (folder / "feeds" / "__init__.py").write_text("")
    program = "import sys, ticker; print(ticker.__file__); from ticker.commands.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(site / "ticker" / "__init__.py"), wheel.name.split("-")[1]]

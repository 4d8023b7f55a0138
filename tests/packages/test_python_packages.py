"""The wheel and the sdist: built, installed with all they need into an empty environment, and used there."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from email.parser import HeaderParser
from pathlib import Path
from venv import EnvBuilder
from zipfile import ZipFile

import pytest

from tests.test_readme import README, ROOT, blocks, first_lines, service

BUILD = "import sys; from hatchling import build; print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"
"""A build backend builds the source tree in the current folder (PEP 517)."""

MENTIONED = re.compile(r"ticker-push\[([\w,]+)\\?\]")


def build(kind: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-c", BUILD, kind, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return folder / done.stdout.strip()


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sdist, as pip builds it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, folder)


def test_the_sdist_makes_the_wheel_that_the_repository_makes(wheel: Path, tmp_path: Path) -> None:
    assert names(wheel) == names(build("wheel", ROOT, tmp_path))


def test_every_extra_that_a_text_mentions_exists(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    extras = set(metadata.get_all("Provides-Extra", []))
    files = [
        path for folder in ("ticker", "feeds", "deploy", "docs", "examples") for path in (ROOT / folder).rglob("*")
    ]
    texts = [path.read_text() for path in [*files, *ROOT.glob("*.md")] if path.suffix in {".py", ".md"}]
    mentioned = {extra for text in texts for found in MENTIONED.findall(text) for extra in found.split(",")}
    assert {"jwks", "redis", "parquet"} <= mentioned <= extras


def test_an_empty_environment_with_the_wheel_serves_and_prints_prices(wheel: Path, tmp_path: Path) -> None:
    EnvBuilder(with_pip=False).create(tmp_path / "venv")
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with service(tmp_path, "simulated", python=python) as url:
        watch, snapshot = (code.replace("wss://localhost:8443", url) for code in blocks(README, "python")[:2])
        assert all(first_lines(watch, tmp_path, 3, python))
        assert "Level(price=Decimal(" in first_lines(snapshot, tmp_path, 1, python)[0]
    where = [python, "-c", "import ticker; print(ticker.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(tmp_path))

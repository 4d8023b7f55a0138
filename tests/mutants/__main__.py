"""Plant random faults in modules, one at a time, and see whether the tests of their folder catch each.

    python -m tests.mutants ticker/core ticker/server/publisher.py --count 40 --seed 7

Each fault is planted in a copy of the tree, in a temporary folder. It counts as caught if a test of the mirrored folder
(`tests/core` for `ticker/core`) fails, or if they take far longer than without it. The survivors are printed: read each
and write the test that is missing, unless the mutant behaves like the original. Exit code 0 if at least --share of the
mutants were caught, 1 otherwise, 2 if the tests do not pass without a fault.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from tests.mutants.sites import KINDS, Kind, Mutant, mutants

ROOT = Path(__file__).parents[2]
_COPIED = ("ticker", "feeds", "tests", "benchmarks", "pyproject.toml", "README.md", "PROTOCOL.md", "Makefile")
_PATIENCE = 4
"""A run that takes so many times as long as without a fault hangs."""


class Planted(NamedTuple):
    """A mutant and the module that it is planted in, relative to the root."""

    module: str
    mutant: Mutant

    def __str__(self) -> str:
        kind, line, before, after, _ = self.mutant
        return f"{self.module}:{line} {kind}: {before[:100]} -> {after[:100]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="modules, or folders of modules, below ticker/")
    parser.add_argument("--count", type=int, default=20, help="how many mutants (20)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the mutants (0)")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree that work side by side (1)")
    parser.add_argument("--share", type=float, default=0.85, help="the share that has to be caught (0.85)")
    parser.add_argument("--list", action="store_true", help="print the chosen mutants and run nothing")
    options = parser.parse_args()
    modules = _modules(options.paths)
    if not modules:
        parser.error(f"no modules below {', '.join(options.paths)}")
    if any(_tests_of(module) is None for module in modules):
        parser.error("name modules in the folders of ticker/: only these have a folder of tests that mirrors them")
    chosen = choose(modules, options.count, random.Random(options.seed))  # noqa: S311  # repeatable, not secret
    if options.list:
        print(*chosen, sep="\n")
        return 0
    return _judge(chosen, options.jobs, options.share)


def _modules(paths: Sequence[str]) -> list[str]:
    found: list[Path] = []
    for path in paths:
        whole = (ROOT / path).resolve()
        found += [whole] if whole.is_file() else sorted(whole.rglob("*.py"))
    return [str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"]


def _tests_of(module: str) -> str | None:
    parts = Path(module).parts
    return str(Path("tests", parts[1])) if parts[0] == "ticker" and len(parts) > 2 else None


def choose(modules: Sequence[str], count: int, chance: random.Random) -> list[Planted]:
    """So many mutants: first a kind is drawn, then one of all its places, so that rare kinds are not drowned."""
    by_kind: dict[Kind, list[Planted]] = {kind: [] for kind in KINDS}
    for module in modules:
        for mutant in mutants((ROOT / module).read_text()):
            by_kind[mutant.kind].append(Planted(module, mutant))
    chosen: dict[tuple[str, int, str, str], Planted] = {}
    everything = sum(map(len, by_kind.values()))
    while len(chosen) < min(count, everything):
        places = by_kind[chance.choice(KINDS)]
        if places:
            one = chance.choice(places)
            chosen[one.module, one.mutant.line, one.mutant.before, one.mutant.after] = one
    return list(chosen.values())


class Copy:
    """A copy of the tree, in which one fault at a time is planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            elif source.exists():
                shutil.copy(source, folder / name)

    def passes(self, module: str, seconds: float | None = None) -> bool:
        """Whether the tests of a module's folder pass within `seconds`; those of the module itself run first."""
        folder = _tests_of(module)
        assert folder is not None
        first = sorted(str(path.relative_to(self.folder)) for path in self._own_tests(folder, module))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *first, folder]
        paths = os.pathsep.join([str(self.folder), str(self.folder / "feeds")])
        environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                return process.wait(seconds) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, 9)

    def _own_tests(self, folder: str, module: str) -> list[Path]:
        return list((self.folder / folder).glob(f"test_{Path(module).stem}*.py"))

    def catches(self, planted: Planted, seconds: float) -> bool:
        """Whether the tests fail, or hang, with this fault planted."""
        path = self.folder / planted.module
        original = path.read_text()
        path.write_text(planted.mutant.source)
        try:
            return not self.passes(planted.module, seconds)
        finally:
            path.write_text(original)


def _judge(chosen: Sequence[Planted], jobs: int, share: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Copy] = Queue()
        for number in range(jobs):
            copies.put(Copy(Path(folder) / str(number)))
        limits = _baseline(copies, {planted.module for planted in chosen})
        if limits is None:
            return 2

        def catch(planted: Planted) -> bool:
            copy = copies.get()
            try:
                return copy.catches(planted, limits[_tests_of(planted.module)])
            finally:
                copies.put(copy)

        survivors = []
        with ThreadPoolExecutor(jobs) as pool:
            for number, (planted, caught) in enumerate(zip(chosen, pool.map(catch, chosen), strict=True), 1):
                if not caught:
                    survivors.append(planted)
                    print(f"survived  {planted}", flush=True)
                print(f"{number} of {len(chosen)}, {len(survivors)} survived", end="\r", file=sys.stderr, flush=True)
    caught_by_kind = Counter(each.mutant.kind for each in chosen) - Counter(each.mutant.kind for each in survivors)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught:", dict(caught_by_kind))
    return 0 if len(chosen) - len(survivors) >= share * len(chosen) else 1


def _baseline(copies: Queue[Copy], modules: set[str]) -> dict[str | None, float] | None:
    """How long the tests of each folder may take with a fault; None if they fail without one."""
    copy = copies.get()
    limits: dict[str | None, float] = {}
    try:
        for module in sorted(modules):
            tests = _tests_of(module)
            if tests in limits:
                continue
            began = time.monotonic()
            if not copy.passes(module):
                print(f"{tests} fails without any fault: run it by itself first", file=sys.stderr)
                return None
            limits[tests] = 30 + _PATIENCE * (time.monotonic() - began)
            print(f"{tests} passes in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return limits
    finally:
        copies.put(copy)


if __name__ == "__main__":
    sys.exit(main())

"""Clients with one fault each, which the golden frames have to catch.

The faults are mistakes that the author of a client may well make. They stand in `faults/python.diff` and
`faults/javascript.diff`: the name of each, its module, and the lines that are replaced. If the code has changed so that
those lines do not stand there once, the fault has to be planted anew.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import NamedTuple

import ticker.client
from tests.bounds import HANG_SECONDS
from tests.web.javascript import ROOT, SCRIPTS, WEB, node

_PYTHON = Path(ticker.client.__file__).parent
_JAVASCRIPT = WEB / "client"
_HEAD = re.compile(r"(.+): (\w+\.(?:py|js))")


class Fault(NamedTuple):
    """Lines of a module, and the wrong ones in their place."""

    name: str
    module: str
    old: str = ""
    new: str = ""

    def planted(self, folder: Path) -> str:
        """Return the source of the module with the fault in it."""
        source = (folder / self.module).read_text(encoding="utf-8")
        found = f"\n{source}".count(f"\n{self.old}") if self.old else 1
        assert found == 1, f"{self.name}: its lines stand {found} times in {self.module}; plant the fault anew"
        return f"\n{source}".replace(f"\n{self.old}", f"\n{self.new}", 1)[1:]


def faults(language: str) -> list[Fault]:
    """Return the faults of the client in this language, `python` or `javascript`, in the order of the file."""
    text = (Path(__file__).parent / "faults" / f"{language}.diff").read_text(encoding="utf-8")
    return [_parsed(block.splitlines()) for block in text.split("\n\n")]


def _parsed(lines: Sequence[str]) -> Fault:
    head = _HEAD.fullmatch(lines[0])
    assert head is not None, f"{lines[0]!r}: give NAME: MODULE"
    assert all(line[:1] in {"-", "+"} for line in lines[1:]), lines
    old, new = ["".join(f"{line[1:]}\n" for line in lines[1:] if line[0] == sign) for sign in "-+"]
    return Fault(head[1], head[2], old, new)


class _Loader(SourceFileLoader):
    """Loads a module from another source than that of its file."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.get_filename(fullname), "exec")
        return code


class _Finder(MetaPathFinder):
    """Finds the faulty module before the right one."""

    def __init__(self, fault: Fault) -> None:
        self._name = f"ticker.client.{Path(fault.module).stem}"
        self._loader = _Loader(self._name, str(_PYTHON / fault.module), fault.planted(_PYTHON))

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(fullname, loader=self._loader) if fullname == self._name else None


@contextmanager
def faulty_session(fault: Fault) -> Iterator[type]:
    """Yield the class `ClientSession` of the Python client with this fault; the right modules are not touched."""
    finder = _Finder(fault)  # may fail: before anything is taken away
    right = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("ticker.client.")}
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module("ticker.client.session").ClientSession
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith("ticker.client.")]:
            del sys.modules[name]
        sys.modules.update(right)
        for name, module in right.items():
            setattr(ticker.client, name.rpartition(".")[2], module)


def failing_checks(planted: Sequence[Fault], folder: Path) -> list[str | None]:
    """Return for each fault of the JavaScript client the golden check that fails with it; None if all pass."""
    for number, fault in enumerate(planted):
        copy = folder / str(number)
        shutil.copytree(_JAVASCRIPT, copy / "client", ignore=shutil.ignore_patterns("*.d.ts"))
        shutil.copy(WEB / "ticker.js", copy)
        (copy / "package.json").write_text('{"type": "module"}')
        (copy / "client" / fault.module).write_text(fault.planted(_JAVASCRIPT), encoding="utf-8")
    golden = ROOT / "tests" / "golden_frames.json"
    command = [node(), str(SCRIPTS / "wrong.mjs"), str(folder), str(len(planted)), str(golden)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
    assert run.returncode == 0, run.stderr
    found: list[str | None] = json.loads(run.stdout)
    return found

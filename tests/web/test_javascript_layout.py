"""The layout of ticker/web: which module imports which, the pure ones, and the files that users get."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.web.declarations import CLIENT, REACT
from tests.web.javascript import WEB
from ticker.server.files import Files

DASHBOARD = sorted((WEB / "dashboard").glob("*.js"))
PURE = (
    *("errors", "msgpack", "messages", "symbols", "fields", "replica", "session", "admission"),
    *("instruments", "transport_choice", "texts", "vanished", "arguments", "batches", "names", "verdict", "digest"),
    *("tables", "rows", "record", "features", "table_changes", "pending", "given", "bar_times", "wanted"),
)
IMPURE_GLOBALS = re.compile(
    r"\b(setTimeout|setInterval|clearTimeout|queueMicrotask|requestAnimationFrame|fetch|WebSocket|XMLHttpRequest"
    r"|EventSource|Date|performance|document|window|navigator|location|localStorage|globalThis|process|Promise|async"
    r"|await|console|Math\.random|crypto)\b"
)


def code(file: Path) -> str:
    """A module without its comments."""
    return re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", "", file.read_text(), flags=re.DOTALL)


def imports(file: Path) -> set[Path]:
    """The modules that a module imports."""
    found = re.findall(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']""", code(file))
    assert all(each.startswith((".", "/")) for each in found), f"{file.name} imports a package"
    return {(file.parent / each).resolve() for each in found}


@pytest.mark.parametrize("modules", [CLIENT, DASHBOARD], ids=["client", "dashboard"])
def test_no_modules_import_each_other_in_a_circle(modules: list[Path]) -> None:
    assert modules
    tuple(TopologicalSorter({file: imports(file) for file in modules}).static_order())


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_has_no_input_no_output_and_no_clock(name: str) -> None:
    file = WEB / "client" / f"{name}.js"
    assert not IMPURE_GLOBALS.findall(code(file))
    assert {each.stem for each in imports(file)} <= set(PURE)


def test_the_public_module_only_names_what_others_define() -> None:
    lines = [line for line in code(WEB / "ticker.js").splitlines() if line.strip()]
    assert lines
    assert all(re.fullmatch(r'export \{ .* \} from "./client/\w+.js";', line) for line in lines)


def test_the_hooks_for_react_need_react_and_of_the_client_only_types() -> None:
    assert re.findall(r'\bfrom "([^"]+)"', code(REACT)) == ["react"]
    assert "import(" not in code(REACT)


def test_the_dashboard_knows_only_the_public_names_of_the_client() -> None:
    for file in DASHBOARD:
        outside = {each for each in imports(file) if each.parent != file.parent}
        assert outside <= {WEB / "ticker.js"}, file


def test_the_service_serves_every_module_as_javascript() -> None:
    files = Files(WEB)
    for file in [*CLIENT, *DASHBOARD]:
        found = files.find(f"/{file.relative_to(WEB).as_posix()}", {})
        assert found is not None, file
        assert found.content_type == "text/javascript; charset=utf-8"
        assert found.body == file.read_bytes()
        assert found.headers["Cache-Control"] == "no-cache"
        assert found.headers["ETag"]


def test_the_package_for_node_has_every_module_with_its_types() -> None:
    listed = json.loads((WEB / "package.json").read_text())["files"]
    for file in [*CLIENT, REACT]:
        for each in (file, file.with_suffix(".d.ts")):
            name = each.relative_to(WEB).as_posix()
            assert each.exists()
            assert any(name == entry or fnmatchcase(name, f"{entry}/*") for entry in listed), name

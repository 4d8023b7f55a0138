"""One file of many JavaScript modules: a page's first prices wait for one request, not for one after the other.

Each module becomes a function that returns what it exports, called in the order of the imports. Only the forms that our
modules have are known; what is not is an error that names its file and line:

    import { a, b as c } from "./x.js";        export { a } from "./x.js";
    export const a = …, export const [a, b] = …, export function a, export async function a, export class A

Lines of comments are left out, and comments that end a line of code. (A JavaScript parser would be a dependency, and
more code than this page has.)
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from ticker.errors import ConfigError

_COMMENT = re.compile(r"^[ \t]*(?:/\*[^*]*\*+(?:[^/*][^*]*\*+)*/[ \t]*$|//[^\n]*$)", re.MULTILINE)
"""Whole lines of comments."""

_END_OF_LINE = re.compile(r"""[ \t]+// [^\n"'`/]*$""", re.MULTILINE)
"""A comment behind code: with none of these characters in it, it is not in a text or regular expression."""

_NAMES = r"\{\s*([^{}]*?),?\s*\}"
_IMPORT = re.compile(rf'import {_NAMES} from "([^"]+)";')
_PASSED_ON = re.compile(rf'export {_NAMES} from "([^"]+)";')
_EXPORT = re.compile(r"export (?:const (\w+) =|const \[([\w, ]+)\] =|(?:async )?function\*? (\w+)\(|class (\w+) )")
_NAME = re.compile(r"(\w+)(?: as (\w+))?")
_LINKED = re.compile(r"^(?:import|export)\b", re.MULTILINE)
_ELSEWHERE = re.compile(r"\bimport\s*\(|\bimport\.meta\b")
_TYPE_IMPORT = re.compile(r"/\*\*.*?\*/")
"""A comment in a line, which may have the import of a type."""

_FORMS = 'import { a, b as c } from "./x.js"; or export const, function, class, { a } from "./x.js";'


class _Module(NamedTuple):
    imports: Mapping[str, list[str]]
    """What is imported, by path: patterns of names."""
    code: str
    exports: Sequence[str]


def bundle(entry: str, sources: Mapping[str, str]) -> str:
    """Return the module at the path `entry` and all that it imports as one module; `sources` are by path.

    Raises `ConfigError` for what cannot be bundled.
    """
    modules: dict[str, _Module] = {}
    wanted = [entry]
    while wanted:
        path = wanted.pop()
        if path not in modules:
            if path not in sources:
                raise ConfigError(f"{path}: a module of the dashboard imports it, and there is no such file")
            modules[path] = _parse(path, sources[path])
            wanted += modules[path].imports
    try:
        order = list(TopologicalSorter({path: module.imports for path, module in modules.items()}).static_order())
    except CycleError as error:
        circle = ", ".join(error.args[1])
        raise ConfigError(f"{circle}: these modules of the dashboard import each other in a circle") from None
    return "\n".join(_written(path, modules[path]) for path in order)


def _written(path: str, module: _Module) -> str:
    imports = [
        f"const {{ {', '.join(names)} }} = {_variable(imported)};\n" for imported, names in module.imports.items()
    ]
    exported = f"return {{ {', '.join(module.exports)} }};\n" if module.exports else ""
    return f"const {_variable(path)} = (() => {{ // {path}\n{''.join(imports)}{module.code}{exported}}})();\n"


def _variable(path: str) -> str:
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))


def _parse(path: str, text: str) -> _Module:
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    text = _END_OF_LINE.sub("", text)
    imports: dict[str, list[str]] = {}
    exports: list[str] = []
    code, end = [], 0
    for linked in _LINKED.finditer(text):
        start = linked.start()
        code.append(text[end:start])
        if found := _IMPORT.match(text, start) or _PASSED_ON.match(text, start):
            names = _names(path, text, start, found[1])
            patterns = imports.setdefault(posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2])), [])
            patterns += [name if name == own else f"{name}: {own}" for name, own in names]
            exports += [own for _, own in names] if text.startswith("export", start) else []
            end = found.end()
        elif found := _EXPORT.match(text, start):
            exports += [name.strip() for group in found.groups() if group for name in group.split(",")]
            end = start + len("export ")
        else:
            raise _unknown(path, text, start, f"it is not one of {_FORMS}")
    code.append(text[end:])
    return _Module(imports, _checked(path, text, "".join(code)), exports)


def _names(path: str, text: str, start: int, listed: str) -> list[tuple[str, str]]:
    """Return the names in braces: that of the module they come from, and the one that they have here."""
    names = []
    for each in listed.split(","):
        found = _NAME.fullmatch(each.strip())
        if found is None:
            raise _unknown(path, text, start, f"{each.strip()!r} is not a name")
        names.append((found[1], found[2] or found[1]))
    return names


def _checked(path: str, text: str, code: str) -> str:
    """Return the code without empty lines and indents; where a text of several lines could have them, it is refused."""
    for number, line in enumerate(text.split("\n"), 1):
        if "`" not in line and "import" not in line:
            continue
        if line.count("`") % 2:
            raise ConfigError(f"{path}, line {number}: a template literal of several lines cannot be bundled")
        if _ELSEWHERE.search(_TYPE_IMPORT.sub("", line)):
            raise ConfigError(f"{path}, line {number}: import(…) and import.meta cannot be bundled")
    return "".join(f"{stripped}\n" for line in code.split("\n") if (stripped := line.strip()))


def _unknown(path: str, text: str, start: int, why: str) -> ConfigError:
    number = text.count("\n", 0, start) + 1
    return ConfigError(f"{path}, line {number}: {why}: {text[start:].splitlines()[0][:80]}")

"""ticker/server/bundle.py: modules as one file, by Node where what it does matters."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.web.javascript import node
from ticker.errors import ConfigError
from ticker.server.bundle import bundle

MODULES = {
    "page/entry.js": """// The entry.

import { double, Count as Counter } from "./tools.js";
import {
  SEVEN,
  ten,
} from "../all.js";

/** Comments are left out: import("./nothing.js"). */
const counter = new Counter();
counter.add(double(SEVEN)); // import of nothing
const private_ = 1;
const slashes = ["a // b", 'c // d', /[ // ]/]; // a remark
export const shown = `${counter.total} ${ten()} ${private_} // ${slashes.join()}`;
console.log(shown);
""",
    "all.js": 'export { SEVEN, EIGHT } from "./page/numbers.js";\nexport { tenth as ten } from "./page/numbers.js";\n',
    "page/numbers.js": """export const SEVEN = 7;
export const [EIGHT, NINE] = [8, 9];
const private_ = 3;
export function tenth() {
  return EIGHT + NINE - SEVEN * private_ / private_;
}
""",
    "page/tools.js": """import { SEVEN } from "./numbers.js";

export function double(number) {
  return number * 2;
}

/**
 * Counts.
 */
export class Count {
  total = 0;

  add(number) {
    this.total += number * /** @type {import("./numbers.js").Number} */ (SEVEN);
  }
}

export async function* none() {}
export const lambda = () => 1;
""",
    "page/unused.js": "import x from nowhere",
}


def written(**changed: str) -> dict[str, str]:
    return {**MODULES, **{f"page/{name}.js": text for name, text in changed.items()}}


def test_a_bundle_does_what_its_modules_do(tmp_path: Path) -> None:
    for path, text in {**MODULES, "bundle.mjs": bundle("page/entry.js", MODULES)}.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    said = [
        subprocess.run([node(), tmp_path / name], capture_output=True, text=True, check=True, timeout=60).stdout
        for name in ("page/entry.js", "bundle.mjs")
    ]
    assert said == ["98 10 1 // a // b,c // d,/[ // ]/\n"] * 2


def test_each_module_is_in_it_once_before_those_that_import_it() -> None:
    made = bundle("page/entry.js", MODULES)
    assert re.findall(r"// (\S+\.js)$", made, re.MULTILINE)[-1] == "page/entry.js"
    places = [made.index(f"// {path}\n") for path in ("page/numbers.js", "all.js", "page/entry.js")]
    assert places == sorted(places)
    assert made.count("SEVEN = 7") == 1
    assert "Comments" not in made
    assert "a remark" not in made
    assert "unused" not in made


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('import one from "./numbers.js";', 1, "it is not one of import { a, b as c }"),
        ('\nimport * as all from "./numbers.js";', 2, "it is not one of"),
        ('import "./numbers.js";', 1, "it is not one of"),
        ("import { SEVEN } from './numbers.js';", 1, "it is not one of"),
        ('import { SEVEN } from "./numbers.js"', 1, "it is not one of"),
        ('import { "a b" as c } from "./numbers.js";', 1, "'\"a b\" as c' is not a name"),
        ("export default 1;", 1, "it is not one of"),
        ("export let changing = 1;", 1, "it is not one of"),
        ("const a = 1;\n\nexport { a };", 3, "it is not one of"),
        ('export * from "./numbers.js";', 1, "it is not one of"),
        ("export const { a } = {};", 1, "it is not one of"),
        ('/* a\n b */\nconst late = await import("./numbers.js");', 3, "import(…) and import.meta"),
        ("const here = import.meta.url;", 1, "import(…) and import.meta"),
        ("const text = `a\nb`;", 1, "a template literal of several lines"),
    ],
)
def test_what_is_not_known_is_an_error_with_its_place(text: str, line: int, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"page/entry.js, line {line}: {why}")):
        bundle("page/entry.js", written(entry=text))


def test_a_module_that_is_not_there_and_a_circle_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^page/gone\.js: .* no such file"):
        bundle("page/entry.js", written(entry='import { a } from "./gone.js";'))
    circle = written(one='import { a } from "./entry.js";', entry='import { b } from "./one.js";')
    with pytest.raises(ConfigError, match=r"page/(one|entry)\.js.* import each other in a circle"):
        bundle("page/entry.js", circle)

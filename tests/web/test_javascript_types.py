"""The types of ticker/web: its JSDoc, checked by TypeScript, and the declarations that TypeScript makes of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.web.declarations import CLIENT, REACT, declarations, made
from tests.web.javascript import WEB


def test_types_hold_and_the_declarations_are_those_that_typescript_makes(tmp_path: Path) -> None:
    fresh = made(tmp_path)
    assert fresh.keys() == {file.relative_to(WEB).with_suffix(".d.ts").as_posix() for file in [*CLIENT, REACT]}
    assert declarations(WEB) == fresh, "write them anew with `python -m tests.web.declarations`"


def test_no_type_is_left_open() -> None:
    for file in [*CLIENT, REACT]:
        assert not re.search(r"[{<|(,:]\s*any\b\s*[}>|),;=\[]|@ts-(ignore|expect-error|nocheck)", file.read_text()), (
            file
        )
    for file in WEB.rglob("*.d.ts"):
        assert not re.search(r":\s*any\b|<any\b|\bany\[", file.read_text()), file

"""The types of ticker/web: its JSDoc, checked by TypeScript, and the declarations that TypeScript makes of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.web.declarations import CLIENT, declarations, made
from tests.web.javascript import WEB, typescript


def test_types_hold_and_the_declarations_are_those_that_typescript_makes(tmp_path: Path) -> None:
    fresh = made(tmp_path)
    assert fresh.keys() == {file.relative_to(WEB).with_suffix(".d.ts").as_posix() for file in CLIENT}
    assert declarations(WEB) == fresh, "write them anew with `python -m tests.web.declarations`"


def test_no_type_is_left_open() -> None:
    for file in CLIENT:
        assert not re.search(r"[{<|(,:]\s*any\b\s*[}>|),;=\[]|@ts-(ignore|expect-error|nocheck)", file.read_text()), (
            file
        )
    for file in WEB.rglob("*.d.ts"):
        assert not re.search(r":\s*any\b|<any\b|\bany\[", file.read_text()), file


def test_a_strict_program_compiles_against_the_declarations(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "ticker-push-client").symlink_to(WEB, target_is_directory=True)
    program = tmp_path / "user.mts"
    program.write_text((Path(__file__).parent / "user.mts").read_text())
    flags = ["--strict", "--noEmit", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--ignoreConfig"]
    flags += ["--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom,dom.iterable"]
    done = subprocess.run([*typescript(), *flags, str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

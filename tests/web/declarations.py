"""The declarations (`.d.ts`) of the JavaScript client, as TypeScript makes them of its JSDoc.

.venv/bin/python -m tests.web.declarations      writes them anew
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.web.javascript import WEB, react_types, typescript

CONFIG = Path(__file__).parent / "tsconfig.json"
CLIENT = [WEB / "ticker.js", *sorted((WEB / "client").glob("*.js"))]
REACT = WEB / "react.js"
"""The hooks for React: the only module that imports a package."""


def declarations(folder: Path) -> dict[str, str]:
    """The declarations in a folder, by their paths in it."""
    files = [*folder.glob("*.d.ts"), *(folder / "client").glob("*.d.ts")]
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


def made(folder: Path) -> dict[str, str]:
    """Check the types of the client, and return its declarations. Raises RuntimeError with the errors of types.

    This is done on a copy in `folder`: beside a declaration, TypeScript does not look at the module itself.
    """
    for file in [*CLIENT, REACT]:
        copy = folder / file.relative_to(WEB)
        copy.parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(file, copy)
    shutil.copy(CONFIG, folder)
    (folder / "node_modules").symlink_to(react_types(), target_is_directory=True)
    done = subprocess.run([*typescript(), "--project", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)
    return declarations(folder)


def main() -> None:
    """Write the declarations beside the modules."""
    for name in declarations(WEB):
        (WEB / name).unlink()
    with TemporaryDirectory() as folder:
        for name, text in made(Path(folder)).items():
            (WEB / name).write_text(text)


if __name__ == "__main__":
    main()

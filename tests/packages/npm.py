"""The package for npm, as `npm pack` makes it, and a folder of a user who installed it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.programs import NPM, require
from tests.web.javascript import ROOT, TYPESCRIPT, WEB, npm_install, packages

REACT = ("react@19.3.1", "react-dom@19.3.1", "@types/react@19.3.0", "@types/react-dom@19.3.0")
ESBUILD = "esbuild@0.28.2"
WATCHLIST = ROOT / "examples" / "react-watchlist"


def packed(folder: Path) -> Path:
    """The archive that `npm publish` would send."""
    command = [require(NPM), "pack", "--json", "--pack-destination", str(folder), str(WEB)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    (archive,) = told.values() if isinstance(told, dict) else told  # a list until npm 11
    return folder / str(archive["filename"])


def installed(folder: Path, archive: Path) -> Path:
    """An empty folder with the package and nothing else in `node_modules`."""
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    npm_install(folder, str(archive), "--offline")
    return folder


def watchlist(folder: Path, archive: Path) -> Path:
    """The example for React, with the package in place of the folder of this repository, checked and bundled."""
    shutil.copytree(WATCHLIST, folder, ignore=shutil.ignore_patterns("node_modules"))
    _put(packages(*REACT, ESBUILD, f"typescript@{TYPESCRIPT}"), folder / "node_modules")
    client = installed(folder.parent / "client", archive) / "node_modules" / "ticker-push-client"
    _put(client, folder / "node_modules" / "ticker-push-client")
    for script in ("check", "build"):
        done = subprocess.run(
            [require(NPM), "run", "--silent", script], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def bundled(folder: Path, page: Path, user: Path) -> Path:
    """A page of its own with a script for React, which uses the package that `user` installed."""
    _put(packages(*REACT, ESBUILD), folder / "node_modules")
    _put(user / "node_modules" / "ticker-push-client", folder / "node_modules" / "ticker-push-client")
    shutil.copy(page, folder)
    (folder / "index.html").write_text('<main id="root"></main><script type="module" src="main.js"></script>')
    bundle = [str(folder / "node_modules" / ".bin" / "esbuild"), page.name, "--bundle", "--jsx=automatic"]
    subprocess.run([*bundle, "--outfile=main.js", "--format=esm", "--log-level=warning"], cwd=folder, check=True)
    return folder


def _put(packages: Path, folder: Path) -> None:
    """Put packages into a folder, as hard links where that is possible."""
    shutil.copytree(packages, folder, symlinks=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

"""Folders that only this user may enter, for as long as something runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from ticker.net.devcert import data_folder


@asynccontextmanager
async def private_folder() -> AsyncIterator[Path]:
    """A new folder with a short path, as Unix sockets need; it is removed at the end. Raises `OSError`."""
    folder = await trio.to_thread.run_sync(_make)
    try:
        yield folder
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


def _make() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="ticker-"))
    except FileNotFoundError:  # no folder for temporary files can be written to, as in a container that is read-only
        folder = data_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="bus-", dir=folder))

"""Engines for tests: the log of this process behind a Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from ticker.bus.local import LocalEngine
from ticker.bus.log import Log, serve_log_at


@asynccontextmanager
async def local_engine(folder: Path, log: Log | None = None) -> AsyncIterator[LocalEngine]:
    path = str(folder / "bus.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_log_at, Log() if log is None else log, path))
        yield LocalEngine(path)
        nursery.cancel_scope.cancel()

"""Every engine, fresh, for the tests that all of them pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.bus.engines import local_engine
from ticker.bus.engine import Engine


@pytest.fixture(params=["local"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    kinds = {"local": local_engine}
    with trio.fail_after(120):
        async with kinds[request.param](tmp_path) as engine:
            yield engine

"""A bus in memory."""

from __future__ import annotations

import pytest
import trio

from tests.storm.memory import Bus


@pytest.fixture
async def bus(nursery: trio.Nursery) -> Bus:
    return Bus(nursery)

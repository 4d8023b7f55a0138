"""A bus in memory, and a Redis of one test."""

from __future__ import annotations

import pytest
import trio

from tests.bus.conftest import redis
from tests.storm.memory import Bus

__all__ = ["bus", "redis"]


@pytest.fixture
async def bus(nursery: trio.Nursery) -> Bus:
    return Bus(nursery)

"""ticker/net/clocks.py: the two clocks in microseconds."""

from __future__ import annotations

import time

import pytest
from trio.testing import MockClock

from ticker.net.clocks import hub_time, wall_clock


async def test_the_hubs_time_is_trios_in_microseconds(mock_clock: MockClock) -> None:
    before = hub_time()
    mock_clock.jump(2.5)
    assert hub_time() - before == 2_500_000


def test_the_wall_clock_is_the_systems_in_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert abs(wall_clock() - time.time() * 1e6) < 60e6
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    assert wall_clock() == 1_700_000_000_123_456

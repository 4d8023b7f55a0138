"""Fixtures of the tests of feeds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from trio.testing import MockClock

from ticker_feeds.file_thread import FileThread


@pytest.fixture
def autojump_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """Trio's clock, which jumps to the next deadline when all tasks wait, but not while a thread reads a file."""
    clock = MockClock(autojump_threshold=0)
    call_in_thread, reading = FileThread.call, 0

    async def call(thread: FileThread, function: Callable[..., object], *arguments: object) -> object:
        nonlocal reading
        reading += 1
        clock.autojump_threshold = math.inf
        try:
            return await call_in_thread(thread, function, *arguments)
        finally:
            reading -= 1
            clock.autojump_threshold = math.inf if reading else 0

    monkeypatch.setattr(FileThread, "call", call)
    return clock

"""All randomness of a run, drawn from its seed: the same seed is the same run, byte by byte."""

from __future__ import annotations

import itertools
import os
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import MockClock

_LOOK = 1e-7
"""Seconds by which the clock advances at each reading."""


@contextmanager
def drawn_from(seed: int) -> Iterator[random.Random]:
    """Draw all randomness of the block from this seed; yield the generator of the script."""
    before, scheduling = random.getstate(), trio._core._run._r.getstate()
    entropy = random.Random(f"entropy {seed}")  # noqa: S311  # it has to be reproducible
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Trio shuffles runnable tasks; under Hypothesis, with a generator that can be seeded.
            patch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
            # The WebSocket's keys and masks; names of sessions.
            patch.setattr(os, "urandom", entropy.randbytes)
            patch.setattr(secrets, "token_hex", lambda size: entropy.randbytes(size).hex())
            trio._core._run._r.seed(f"scheduling {seed}")
            random.seed(f"waits {seed}")
            yield random.Random(f"script {seed}")  # noqa: S311  # likewise
    finally:
        random.setstate(before)
        trio._core._run._r.setstate(scheduling)


def ticking_clock() -> MockClock:
    """Simulated time, which jumps when all tasks wait, and advances a little at each reading.

    With a clock that stood still in between, a loop that wakes a rounding error too early and reads the clock again
    would never end.
    """
    clock = MockClock(autojump_threshold=0)
    looks = itertools.count(1)
    clock._real_clock = lambda: next(looks) * _LOOK
    clock.rate = 1.0
    return clock

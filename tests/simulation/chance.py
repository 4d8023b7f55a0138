"""Whatever is left to chance in a run, drawn from its seed: the same seed is the same run, byte by byte."""

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
"""How far time goes on each time somebody looks at the clock, in seconds."""


@contextmanager
def drawn_from(seed: int) -> Iterator[random.Random]:
    """While the block runs, all chance comes from this seed; yields the script's own share of it."""
    before, scheduling = random.getstate(), trio._core._run._r.getstate()
    entropy = random.Random(f"entropy {seed}")  # noqa: S311  # it is to be foreseen
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Trio shuffles what is ready to run. Under Hypothesis it takes that from a generator that can be seeded.
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
    """Simulated time, which jumps when nobody has anything to do, and goes on a little whenever it is looked at.

    A clock that stood still in between would be one that no machine has: who finds that it is a rounding error too
    early, and looks again, would look for ever.
    """
    clock = MockClock(autojump_threshold=0)
    looks = itertools.count(1)
    clock._real_clock = lambda: next(looks) * _LOOK
    clock.rate = 1.0
    return clock

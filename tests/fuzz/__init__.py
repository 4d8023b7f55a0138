"""Fuzzers: whatever comes from outside is understood or refused, and harms nobody else.

The suite runs each for a moment (tests/hostile/test_fuzz.py). `python -m tests.fuzz --minutes 60` runs them for long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy


class Target(NamedTuple):
    """Something that takes what others send."""

    about: str
    cases: SearchStrategy[Any]
    check: Callable[[Any], None]
    """Fails for a case in which something does not hold."""

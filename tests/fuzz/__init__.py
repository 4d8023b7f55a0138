"""Fuzzers: any input from outside is understood or refused, and harms no other client.

The suite runs a few hundred cases of each (tests/hostile/test_fuzz.py); `python -m tests.fuzz --minutes 60` an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy


class Target(NamedTuple):
    """A parser of input from outside."""

    about: str
    cases: SearchStrategy[Any]
    check: Callable[[Any], None]
    """Raises if an invariant fails for a case."""

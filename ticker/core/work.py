"""Work in steps: a generator yields between steps of bounded work, and their cost is counted."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from ticker.core.hub import Hub

Result = TypeVar("Result")


def metered(hub: Hub, steps: Generator[None, None, Result]) -> Generator[None, None, tuple[Result, float]]:
    """Run steps; return their result and the work that they made for the hub, in simple requests.

    Work of others between two steps does not count.
    """
    work = 0.0
    while True:
        before = hub.work
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result, work + hub.work - before
        work += hub.work - before
        yield


def at_once(steps: Generator[None, None, Result]) -> Result:
    """Run steps without a pause; return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result

"""Work in steps, each in a turn of the fair queue."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from ticker.net.fair_queue import FairQueue

Result = TypeVar("Result")


async def in_turns(fair_queue: FairQueue, steps: Generator[None, None, Result]) -> Result:
    """Run steps, the first of them now and each further one in its turn; return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result
        await fair_queue.take_another()

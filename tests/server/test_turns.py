"""ticker/server/turns.py: work in steps."""

from __future__ import annotations

from collections.abc import Generator

import trio

from ticker.net.fair_queue import FairQueue
from ticker.server.turns import in_turns


async def test_between_two_steps_of_one_task_others_run_even_if_turns_are_free() -> None:
    rounds, seen = 0, list[int]()
    fair_queue = FairQueue()

    def steps() -> Generator[None, None, str]:
        for _ in range(30):
            seen.append(rounds)
            yield
        return "done"

    async def other() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fair_queue.hand_out)
        nursery.start_soon(other)
        for _ in range(20):  # in short rounds, several turns are free at once
            await fair_queue.take()
            await trio.lowlevel.checkpoint()
        assert await in_turns(fair_queue, steps()) == "done"
        nursery.cancel_scope.cancel()
    # The tasks of a round run in any order: one step may be the last of its round, and the next the first of its own.
    assert all(before < after for before, after in zip(seen, seen[2:], strict=False))

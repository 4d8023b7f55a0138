"""A fair queue: work that many connections cause at once is done in turns, a few in each round of Trio's loop.

A peer's bytes (a step of a handshake, a request) take up to a millisecond of CPU, and so does the end of a connection.
Trio runs every ready task once in a round, so if thousands connect, ask or are cut off at once, the publisher would
wait for all of them. Therefore a task takes a turn before such work. Turns are given in the order of the requests, as
many in a round as keep it short: one of long turns, some of short ones.

The queue is at most as long as there are connections: each of them waits for one turn, or two.
"""

from __future__ import annotations

from typing import Never

import trio

from ticker.bounds import MAX_TURNS_PER_ROUND, TURNS_ROUND_SECONDS


class FairQueue:
    """The turns of one service: tasks `take` them, and one task runs `hand_out`."""

    def __init__(self) -> None:
        self._waiting = trio.lowlevel.ParkingLot()
        self._per_round = 1
        """Turns of a round; `_left` of them are not taken yet."""
        self._left = 1
        self._round_seconds = TURNS_ROUND_SECONDS
        """Moving average of the rounds' lengths; the latest one counts half."""
        self._wanted = trio.Event()

    def __repr__(self) -> str:
        return f"<FairQueue: {self.waiting} waiting, {self._per_round} per round>"

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for a turn."""
        return len(self._waiting)

    async def take(self) -> None:
        """Wait for a turn, which lasts until the caller waits for anything else.

        No checkpoint if a turn is free.
        """
        self._wanted.set()
        if self._left:
            self._left -= 1
        else:
            await self._waiting.park()

    async def take_another(self) -> None:
        """End the turn of a task that has more to do, and wait for its next one: other tasks run in between."""
        await trio.lowlevel.checkpoint()
        await self.take()

    async def hand_out(self) -> Never:
        """Hand out turns, round after round, until cancelled. One task of a service does that."""
        while True:
            if self._left == self._per_round:  # none was taken in this round
                self._wanted = trio.Event()
                await self._wanted.wait()
            began = trio.current_time()
            await trio.lowlevel.checkpoint()
            self._adapt(trio.current_time() - began)
            self._left = self._per_round - len(self._waiting.unpark(count=self._per_round))

    def _adapt(self, seconds: float) -> None:
        """Adapt to the time between this task's steps in two rounds.

        Trio runs the tasks of a round in any order, so the work of one round may be measured in its neighbour.
        """
        self._round_seconds = (self._round_seconds + seconds) / 2
        if self._round_seconds > 2 * TURNS_ROUND_SECONDS:
            self._per_round = max(1, self._per_round // 2)
        elif self._round_seconds < TURNS_ROUND_SECONDS:
            self._per_round = min(MAX_TURNS_PER_ROUND, 2 * self._per_round)

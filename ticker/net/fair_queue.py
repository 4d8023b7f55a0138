"""Turns: of what many connections bring about at once, only so much is dealt with in a round of Trio's loop.

What a peer's bytes bring about (a step of a handshake, a request) takes up to a millisecond of CPU, and so does what
follows the end of a connection. Trio runs whoever can run once in a round, so if thousands connect, ask or are cut off
at once, the publisher would come after all of them. Therefore whoever is to deal with such a thing first takes a turn.
Turns are handed out in the order in which they were asked for, as many in a round as keep it short: one where each
takes long, some where they are small.

The line is as long as connections are many, at most: each of them waits for one turn, or two.
"""

from __future__ import annotations

from typing import Never

import trio

from ticker.config import MAX_TURNS_PER_ROUND, TURNS_ROUND_SECONDS


class FairQueue:
    """The turns of one service."""

    def __init__(self) -> None:
        self._line = trio.lowlevel.ParkingLot()
        self._each = 1
        """So many are handed out in a round; `_left` of them have not been taken."""
        self._left = 1
        self._round = TURNS_ROUND_SECONDS
        """How long the last rounds took, the latest one counting half."""
        self._wanted = trio.Event()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    async def take(self) -> None:
        """Wait for a turn: it is what the caller does from then on, until it waits for something else.

        No checkpoint if there is a turn to be had at once.
        """
        self._wanted.set()
        if self._left:
            self._left -= 1
        else:
            await self._line.park()

    async def hand_out(self) -> Never:
        """Hand out turns, round after round, until cancelled. One task of a service does that."""
        while True:
            if self._left == self._each:  # nobody took one in this round
                self._wanted = trio.Event()
                await self._wanted.wait()
            began = trio.current_time()
            await trio.lowlevel.checkpoint()
            self._adapt(trio.current_time() - began)
            self._left = self._each - len(self._line.unpark(count=self._each))

    def _adapt(self, seconds: float) -> None:
        """So long it took from this task's step in the last round to its step in this one.

        Trio runs the tasks of a round in any order: what belongs to one of them may seem to belong to its neighbour.
        """
        self._round = (self._round + seconds) / 2
        if self._round > 2 * TURNS_ROUND_SECONDS:
            self._each = max(1, self._each // 2)
        elif self._round < TURNS_ROUND_SECONDS:
            self._each = min(MAX_TURNS_PER_ROUND, 2 * self._each)

"""Passes over all clients, in one task, so that order needs no locks.

Each pass folds the messages that wait into the cache and has the hub send what has changed. Meanwhile messages wait:
under load cuts grow by themselves, and the service sends fewer and fuller frames. Between two groups of audiences a
long pass folds in new messages, too. Groups that had their turn get those in the next pass, which follows at once, so
no price waits longer than one pass over all clients takes.

Idle clients get a heartbeat from here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import trio

from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.net.clocks import hub_time

M = TypeVar("M")

_CHECKS_PER_HEARTBEAT = 4
"""Idle clients are looked for so often in a heartbeat interval: a heartbeat is late by at most a quarter of it."""


class DelayHistogram:
    """Numbers of delays up to each bound, in seconds; the last number is those beyond all bounds."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<DelayHistogram: {sum(self.counts)} delays, {self.total:.6f} s in all>"

    def add(self, seconds: float) -> None:
        """Count a delay."""
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.total += seconds


class Passes(ABC, Generic[M]):
    """The one task that writes to the cache and sends data."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self._hub = hub
        self._limits = limits
        self._received: int | None = None
        """Receipt of the oldest message that was not yet written to every ready client, on the hub's clock."""
        self.applied = 0
        """Number of publications applied, and of those refused. Each feed counts the causes."""
        self.refused = 0
        self.delays = DelayHistogram()
        """From the receipt of a cut's first message until it was written to the last ready client."""

    def __repr__(self) -> str:
        cut = self._hub.cache.wire_cut(self._hub.cache.cut)
        return f"<{type(self).__name__} at cut {cut}: {self.applied} applied, {self.refused} refused>"

    async def run(self, messages: trio.MemoryReceiveChannel[M]) -> None:
        """Publish until cancelled, or until every sender has closed the channel and all is sent."""
        hub, idle_us = self._hub, int(self._limits.heartbeat_seconds * 1_000_000)
        next_beat = hub_time() + idle_us
        refresh = partial(self._fold_waiting, messages)
        while True:
            if self._received is not None:
                await trio.lowlevel.checkpoint()  # other tasks run between two passes, even if nothing was written
                refresh()
            else:
                due = min(next_beat, hub.next_due() or next_beat)
                with trio.move_on_at(due / 1_000_000):
                    try:
                        self._fold(messages, await messages.receive())
                    except trio.EndOfChannel:
                        if hub.next_due() is None:
                            return
                        await trio.sleep(math.inf)
            now = hub_time()
            if now >= next_beat:
                self._close_cut()  # a crossed book becomes stale although nothing comes
            received, self._received = self._received, None
            await _yield_between(hub.publish(now, refresh))
            if received is not None:
                self.delays.add((hub_time() - received) / 1_000_000)
            if now >= next_beat:
                next_beat = now + idle_us // _CHECKS_PER_HEARTBEAT
                await _yield_between(hub.heartbeat(now, idle_us))

    def _fold_waiting(self, messages: trio.MemoryReceiveChannel[M]) -> None:
        """Fold the waiting messages, if there are any, into one cut."""
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            self._fold(messages, messages.receive_nowait())

    @abstractmethod
    def _fold(self, messages: trio.MemoryReceiveChannel[M], message: M) -> None:
        """Fold this message and those that wait behind it into one cut."""

    @abstractmethod
    def _close_cut(self) -> None:
        """Close a cut, although there is no message."""


async def _yield_between(steps: Iterator[None]) -> None:
    """Let other tasks run between the hub's bursts of writes."""
    for _ in steps:
        await trio.lowlevel.checkpoint()

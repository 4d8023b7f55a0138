"""The feed of the workload `source`, by itself: what it publishes is thrown away. Argument: SYMBOLS."""

from __future__ import annotations

import sys

import trio

from benchmarks.feed import Batches
from ticker.market import FeedItem


class Nobody(trio.abc.SendChannel[FeedItem]):
    """Takes everything."""

    async def send(self, value: FeedItem) -> None:  # noqa: ARG002  # that is the purpose
        """Let others run, as a channel does."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Do nothing."""


print("ready", flush=True)
trio.run(Batches(symbols=int(sys.argv[1])).run, Nobody())

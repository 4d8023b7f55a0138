"""From the bus to the clients of an edge."""

from __future__ import annotations

from contextlib import suppress

import trio

from ticker.config import Limits
from ticker.core.hub import Hub
from ticker.net.clocks import hub_time
from ticker.server.bus_entries import Cut
from ticker.server.follower import Follower
from ticker.server.passes import Passes
from ticker.server.source_state import SourceState


class FollowedCuts(Passes[Cut]):
    """Applies the cuts that were followed, and has them sent."""

    def __init__(self, hub: Hub, limits: Limits, follower: Follower, source: SourceState) -> None:
        super().__init__(hub, limits)
        self._follower = follower
        self._source = source

    def _fold(self, messages: trio.MemoryReceiveChannel[Cut], message: Cut) -> None:
        """Apply this cut and those that wait behind it. Raises `Lost`."""
        self._received = self._received or hub_time()
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self._follower.apply(message)
                self.applied += 1
                message = messages.receive_nowait()
        self._source.advance()

    def _close_cut(self) -> None:
        """Nothing: the source closes them."""

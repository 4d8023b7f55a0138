"""Connections that are kept open between two requests: for a time, and not beyond the end of the service."""

from __future__ import annotations

import trio

from ticker.bounds import KEEP_ALIVE_SECONDS
from ticker.net.transport import PushStream


class KeptConnections:
    """Those of one service that wait for their next request."""

    def __init__(self) -> None:
        self._waits: set[trio.CancelScope] = set()
        self.ended = False
        """No more are kept."""

    def __repr__(self) -> str:
        return f"<KeptConnections: {len(self)} waiting>"

    def __len__(self) -> int:
        return len(self._waits)

    async def next_bytes(self, stream: PushStream, max_bytes: int) -> bytes:
        """Return the first bytes of the next request; empty if the connection is to be closed."""
        if self.ended:
            return b""
        with trio.move_on_after(KEEP_ALIVE_SECONDS) as wait:
            self._waits.add(wait)
            try:
                return await stream.receive_some(max_bytes)
            finally:
                self._waits.discard(wait)
        return b""

    def end(self) -> None:
        """Have those that wait closed, and keep no more: the service stops."""
        self.ended = True
        for wait in self._waits:
            wait.cancel()

"""The wait for the comparison of the copy with the server's."""

from __future__ import annotations

from ticker.client.received import Received
from ticker.client.wake import Wake
from ticker.errors import TickerError


class Verification:
    """The outcome of the next comparison, for all who wait for it."""

    def __init__(self) -> None:
        self._next = _Outcome()

    async def outcome(self) -> bool:
        """Wait for the next comparison, and return whether the copies are equal. Raises the error of `fail`."""
        awaited = self._next
        await awaited.known.wait()
        if awaited.error is not None:
            raise awaited.error
        return awaited.equal

    def process(self, received: Received) -> None:
        """Take note of a message, which may bring the outcome."""
        if received.unverified is not None:
            self.fail(TickerError(f"verify: {received.unverified}"))
        elif received.verified is not None:
            self._next.equal = received.verified
            self._finish()

    def fail(self, error: TickerError) -> None:
        """There will be no outcome."""
        self._next.error = error
        self._finish()

    def _finish(self) -> None:
        self._next.known.set()
        self._next = _Outcome()


class _Outcome:
    """That of one comparison."""

    def __init__(self) -> None:
        self.known = Wake()
        self.equal = False
        self.error: TickerError | None = None

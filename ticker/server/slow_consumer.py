"""A client that cannot keep up: its socket did not take everything, so delivery to it is paused.

Nothing is queued for it but the rest of one frame. One task waits until the socket has taken that, and has the hub send
one merged delta since the client's cursor; then the client is a member of its audience again. A client whose socket
takes nothing for `stall_seconds` is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
import trio

from ticker.bounds import SLOW_CONSUMER_LOG_SECONDS
from ticker.config import Limits
from ticker.core.audiences import Subscriber
from ticker.core.hub import Hub
from ticker.net.fair_queue import FairQueue
from ticker.net.transport import PushStream

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.slow_consumer")


class SlowConsumer:
    """One client while its delivery is paused."""

    __slots__ = ("_began", "_cursor", "_hub", "_limits", "_progress", "_stream", "_subscriber", "_who", "stalled")

    def __init__(
        self, stream: PushStream, subscriber: Subscriber, hub: Hub, limits: Limits, who: Mapping[str, str]
    ) -> None:
        """`who` identifies the client in logs: its session and address."""
        self._stream = stream
        self._subscriber = subscriber
        self._hub = hub
        self._limits = limits
        self._who = who
        self._began = trio.current_time()
        self._cursor = subscriber.cursor
        self._progress: trio.Event | None = None
        self.stalled = False
        """Whether its socket took nothing for `stall_seconds`."""

    def __repr__(self) -> str:
        return f"<SlowConsumer {self._who['session']}: {self._stream.unsent} bytes unsent, since cut {self._cursor}>"

    @property
    def seconds(self) -> float:
        """Seconds since delivery was paused."""
        return trio.current_time() - self._began

    async def progress(self) -> None:
        """Wait until the socket has taken everything and the hub was asked for more, or until there is no more hope."""
        self._progress = self._progress or trio.Event()
        await self._progress.wait()

    async def catch_up(self, fair_queue: FairQueue, goes_on: Callable[[], bool]) -> bool:
        """Bring the client up to date; return False if it is lost and to be dropped.

        `goes_on` is asked before each frame whether there is to be another.
        """
        try:
            while True:
                await self._stream.drain(self._limits.stall_seconds)
                if not goes_on() or self._hub.catch_up(self._subscriber):
                    break
                self._notify()
                await fair_queue.take_another()
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            if isinstance(error, trio.TooSlowError):
                self.stalled = True
                self._log_stall()
            await fair_queue.take()
            return False
        finally:
            self._notify()
        if self.seconds >= SLOW_CONSUMER_LOG_SECONDS:
            cuts = self._subscriber.cursor - self._cursor
            _log.info("client caught up", **self._who, seconds=round(self.seconds, 3), cuts=cuts)
        return True

    def _notify(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _log_stall(self) -> None:
        _log.warning(
            "client dropped: its socket took nothing",
            **self._who,
            seconds=self._limits.stall_seconds,
            unsent_bytes=self._stream.unsent,
            cuts_behind=self._hub.cache.cut - self._cursor,
        )

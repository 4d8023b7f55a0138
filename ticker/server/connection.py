"""The way to one client, whatever it is made of: pushes, falls behind, and catches up. It is the hub's sink.

A task of its own exists only while the client is behind: it waits for the socket, and then for the hub to bring the
client up to date.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import structlog
import trio

from ticker.config import Limits
from ticker.core.audiences import Subscriber
from ticker.core.hub import Hub, Traffic
from ticker.core.session import Answer, ServerSession, Terms
from ticker.door.auth import Auth
from ticker.door.grants import Grant
from ticker.net.clocks import hub_time
from ticker.net.fair_queue import FairQueue
from ticker.net.transport import PushStream
from ticker.protocol.wire import Encoding

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.connection")


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What all connections share."""

    hub: Hub
    limits: Limits
    floor_ms: int
    """The least interval a client may have."""
    auth: Auth
    connections: set[ClientConnection] = field(default_factory=set)
    """All clients that are sent data."""
    fair_queue: FairQueue = field(default_factory=FairQueue)
    """At what takes long. Somebody has to hand them out."""


class ClientConnection(ABC):
    """One client, from its admission to the end of its connection."""

    __slots__ = (
        "_behind_since",
        "_catching_up",
        "_context",
        "_longest_behind",
        "_nursery",
        "_progress",
        "_session",
        "_stream",
        "_subscriber",
        "_warned_expiry",
        "closing",
        "over",
        "push",
        "slowed",
    )

    def __init__(
        self, stream: PushStream, encoding: Encoding, grant: Grant, context: ServerContext, nursery: trio.Nursery
    ) -> None:
        self._stream = stream
        self.push = stream.push
        self._context = context
        self._nursery = nursery
        self.closing = False
        """Nothing is to be sent any more."""
        self.over = False
        """It was let go of; somebody may still be about to say goodbye to it."""
        self.slowed = 0
        """How often it was not read for a while, because it had asked for too much."""
        self._warned_expiry: int | None = None
        self._behind_since: float | None = None
        self._longest_behind = 0.0
        self._catching_up = False
        self._progress: trio.Event | None = None
        """If anybody waits for it: to be set when the socket has taken everything and the hub was asked for more."""
        self._subscriber = context.hub.connect(self, encoding, hub_time())
        terms = Terms(context.limits, context.floor_ms, grant, context.auth.check_token, self._connection_stats)
        self._session = ServerSession(context.hub, self._subscriber, secrets.token_hex(8), terms)

    @abstractmethod
    async def send_goodbye(self, retry_ms: int) -> None:
        """Say GOODBYE and close, because the server stops; the client is to come back after `retry_ms`."""

    @abstractmethod
    async def close_with(self, answer: Answer) -> None:
        """Say why, close, and see to it that it ends."""

    def check_timeouts(self, now: float, time: int) -> None:  # noqa: ARG002  # `now` is for those who look for silence
        """Look after what no event tells of: called about once a second.

        `now` is Trio's time, and `time` microseconds since 1970 UTC.
        """
        expires = self._session.grant.expires if not self.closing else None
        if expires is None:
            return
        if time >= expires:
            _log.info("client's token has expired", session=self._session.name)
            self._nursery.start_soon(self.close_with, self._session.expired())
        elif time >= expires - self._context.limits.expiry_warning_seconds * 1e6 and self._warned_expiry != expires:
            self._warned_expiry = expires
            self.send_control(self._session.expiring())

    @property
    def behind(self) -> bool:
        """Whether its socket has not taken all it was to be sent."""
        return self._behind_since is not None

    @property
    def was_slow(self) -> bool:
        """Whether that ever happened."""
        return self._subscriber.slow_consumer_events > 0

    @property
    def subscriber(self) -> Subscriber:
        """The client as the hub knows it."""
        return self._subscriber

    def traffic(self) -> Traffic:
        """What it was sent so far."""
        return self._context.hub.traffic(self._subscriber)

    def end(self) -> None:
        """The connection is over: the hub is to forget it."""
        self.closing = True
        self._context.hub.disconnect(self._subscriber)

    def release(self) -> None:
        """All of it is over: let go of everything, so that nothing waits in cycles for the garbage collector."""
        self.over = True
        del self._subscriber, self._session, self._nursery, self._stream, self.push

    def send_control(self, frame: bytes) -> None:
        """Send something besides the data."""
        if not self.closing and not self.push(frame):
            self._context.hub.pause_delivery(self._subscriber)

    async def wait_delivered(self, cut: int) -> None:
        """Wait until the client was sent everything it asked for through this cut, and its socket took all before."""
        subscriber = self._subscriber
        while not subscriber.in_step and not self.closing:
            self.catch_up_later()
            self._progress = self._progress or trio.Event()
            await self._progress.wait()
            if not subscriber.pending_snapshot and subscriber.cursor >= cut:
                return

    def catch_up_later(self) -> None:
        """Have a task bring this client up to date, unless there is one."""
        if not self._catching_up and not self.closing:
            self._catching_up = True
            self._nursery.start_soon(self._catch_up)

    async def _catch_up(self) -> None:
        """Wait for the socket and bring this client up to date, until it is in step or lost."""
        began, cursor = trio.current_time(), self._subscriber.cursor
        self._behind_since = began
        try:
            while True:
                await self._stream.drain(self._context.limits.stall_seconds)
                if self.closing or self._context.hub.catch_up(self._subscriber):
                    break
                self._notify_progress()
                await self._context.fair_queue.take()
        except trio.TooSlowError:
            _log.warning(
                "client dropped: its socket took nothing",
                session=self._session.name,
                seconds=self._context.limits.stall_seconds,
                unsent_bytes=self._stream.unsent,
                cuts_behind=self._context.hub.cache.cut - cursor,
            )
            await self._context.fair_queue.take()
            self._cancel()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._context.fair_queue.take()
            self._cancel()
        else:
            seconds = trio.current_time() - began
            if seconds >= 1.0:
                _log.info(
                    "client caught up",
                    session=self._session.name,
                    seconds=round(seconds, 3),
                    cuts=self._subscriber.cursor - cursor,
                )
        finally:
            self._catching_up = False
            self._behind_since = None
            self._longest_behind = max(self._longest_behind, trio.current_time() - began)
            self._notify_progress()

    def _connection_stats(self) -> dict[str, int]:
        """What `stats` tells about the connection."""
        behind = trio.current_time() - self._behind_since if self._behind_since is not None else 0.0
        return {
            "behind_us": int(behind * 1e6),
            "longest_behind_us": int(max(behind, self._longest_behind) * 1e6),
            "unsent_bytes": self._stream.unsent,
            "slowed": self.slowed,
        }

    def _notify_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    def _cancel(self) -> None:
        self.closing = True
        if not self.over:
            self._nursery.cancel_scope.cancel()

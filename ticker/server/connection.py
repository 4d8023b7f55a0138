"""The server's connection to one client, over any transport, and the state that all connections share.

`ClientConnection` is the hub's sink. It sends data and control frames, ends the connection when its token expires, and
hands a client that cannot keep up to `slow_consumer`.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import ClassVar, TypeAlias

import structlog
import trio

from ticker.bounds import TOKEN_LEEWAY_US
from ticker.bus.engine import Engine
from ticker.bus_bounds import IDLE_RETRY_SECONDS
from ticker.config import Limits, most_opened
from ticker.core.audiences import Subscriber
from ticker.core.hub import Hub
from ticker.core.session import Answer, ServerSession, Terms
from ticker.core.table_index import Opener
from ticker.core.traffic import Traffic
from ticker.door.auth import Auth
from ticker.door.grants import Grant
from ticker.door.sender import Sender
from ticker.errors import DropCause, RefusalCause
from ticker.net.clocks import hub_time
from ticker.net.failures import FailureLog
from ticker.net.fair_queue import FairQueue
from ticker.net.http1 import Refusal, Response
from ticker.net.records import RecordRate
from ticker.net.transport import PushStream
from ticker.protocol.wire import Encoding
from ticker.server.followers import Followers
from ticker.server.kept_connections import KeptConnections
from ticker.server.query import Query
from ticker.server.slow_consumer import SlowConsumer
from ticker.server.source_state import SourceState
from ticker.server.turns import in_turns
from ticker.server.usage_log import UsageLog

Route: TypeAlias = Callable[[Query, Grant, str], Awaitable[Response]]
"""A page of a market: it takes the query, and the grant and the address of its sender, which pays for it."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.connection")


@dataclass(frozen=True, slots=True)
class ServerContext:
    """State that all connections share."""

    hub: Hub
    limits: Limits
    min_interval_ms: int
    """The shortest interval that any client may have."""
    auth: Auth
    connections: set[ClientConnection] = field(default_factory=set, repr=False)
    """All clients that are sent data."""
    fair_queue: FairQueue = field(default_factory=FairQueue)
    """Turns for long work. The service runs its `hand_out`."""
    failures: FailureLog = field(default_factory=partial(FailureLog, _log), repr=False)
    """Faults of code that ended a connection."""
    dropped: Counter[DropCause] = field(default_factory=Counter)
    """Numbers of clients that were dropped, by cause."""
    record_rate: RecordRate = field(default_factory=RecordRate)
    """The rate at which TLS records of a connection are read."""
    path_prefix: str = ""
    """What stands before every path."""
    usage: UsageLog | None = None
    source: SourceState = field(default_factory=SourceState)
    idle: str | None = None
    """Why there are no clients, if there can be none."""
    relay: Engine | None = None
    """What those that follow this process are given."""
    followers: Followers = field(default_factory=Followers)
    beside: Beside | None = None
    """The market of clients that may not see this one, if there is another."""
    kept: KeptConnections = field(default_factory=KeptConnections)

    def market_of(self, grant: Grant) -> ServerContext:
        """Return the market that a client may see. Raises `Refusal` as long as there is nothing to see of it."""
        if self.beside is None or self.auth.sees_real_time(grant):
            context, idle = self, self.idle
        else:
            context, idle = self.beside.context or self, self.beside.idle
        if idle is not None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, idle, Retry_After=str(IDLE_RETRY_SECONDS))
        return context


class Beside:
    """The delayed market of a process that serves it in real time, too."""

    def __init__(self) -> None:
        self.context: ServerContext | None = None
        self.routes: Mapping[str, Route] = {}
        """Its pages by path."""
        self.idle: str | None = "there are no delayed data yet"
        """Why there is none, as long as that is so."""
        self._streams: set[trio.CancelScope] = set()

    def __repr__(self) -> str:
        return f"<Beside: {self.context or self.idle}>"

    def begin(self, context: ServerContext, routes: Mapping[str, Route]) -> None:
        """Have its clients served."""
        self.context, self.routes, self.idle = context, routes, None

    def end(self) -> None:
        """Serve no more of them, until it begins again."""
        self.context, self.routes, self.idle = None, {}, "there are no delayed data at present"

    @contextmanager
    def serving(self, context: ServerContext) -> Iterator[None]:
        """A stream of its market is served, which may have ended since the stream was let in: then at once no more."""
        with trio.CancelScope() as scope:
            if context is not self.context:
                scope.cancel()
            self._streams.add(scope)
            try:
                yield
            finally:
                self._streams.discard(scope)

    def cut_off(self) -> None:
        """End all streams that are left of a market that has ended: nothing checks and feeds them any more."""
        for scope in self._streams:
            scope.cancel()


class ClientConnection(ABC):
    """One client, from its admission to the end of its connection."""

    __slots__ = (
        "_account",
        "_context",
        "_longest_behind",
        "_nursery",
        "_sender",
        "_session",
        "_slow_consumer",
        "_stream",
        "_subscriber",
        "_warned_expiry",
        "closing",
        "over",
        "push",
        "slowed",
    )

    TRANSPORT: ClassVar[str]
    """Its name in the usage log."""

    def __init__(
        self,
        stream: PushStream,
        encoding: Encoding,
        sender: Sender,
        context: ServerContext,
        nursery: trio.Nursery,
        limits: Limits | None = None,
    ) -> None:
        """`limits` are those of this client alone, if it has any."""
        self._stream = stream
        self.push = stream.push
        self._context = context
        self._nursery = nursery
        self.closing = False
        """Nothing more is sent."""
        self.over = False
        """It was released; a task of the service may still hold it to send a goodbye."""
        self.slowed = 0
        """Number of pauses in reading, because the client asked for too much."""
        self._warned_expiry: int | None = None
        self._longest_behind = 0.0
        self._slow_consumer: SlowConsumer | None = None
        """Present while delivery is paused."""
        self._sender = sender
        self._account = context.auth.memory.account(sender.address)
        self._subscriber = context.hub.connect(self, encoding, hub_time())
        terms = Terms(
            limits or context.limits,
            context.min_interval_ms,
            sender.grant,
            context.auth.check_renewal,
            self._connection_stats,
            Opener(sender.payer, most_opened(context.limits, context.hub.cache.tables.config)),
        )
        self._session = ServerSession(context.hub, self._subscriber, secrets.token_hex(8), terms)
        if context.usage is not None:
            context.usage.opened(self._subscriber, self._session.name, sender, self.TRANSPORT)

    def __repr__(self) -> str:
        if self.over:
            return f"<{type(self).__name__} (over)>"
        state = "closing" if self.closing else "behind" if self.behind else "up to date"
        return f"<{type(self).__name__} {self._session.name} at cut {self._subscriber.cursor}, {state}>"

    @abstractmethod
    async def send_goodbye(self, retry_ms: int) -> None:
        """Send GOODBYE and close, because the server stops; the client should come back after `retry_ms`."""

    @abstractmethod
    async def close_with(self, answer: Answer) -> None:
        """Send this last answer, close, and end the connection in any case."""

    def check_timeouts(self, now: float, time: int) -> None:  # noqa: ARG002  # `now` is for transports with pings
        """Act on time limits; called about once a second.

        `now` is Trio's time, and `time` microseconds since 1970 UTC.
        """
        expires = self._session.grant.expires if not self.closing else None
        if expires is None:
            return
        if time >= expires + TOKEN_LEEWAY_US:
            _log.info("client's token has expired", **self._who)
            self._nursery.start_soon(self.close_with, self._session.expired())
        elif time >= expires - self._context.limits.expiry_warning_seconds * 1e6 and self._warned_expiry != expires:
            self._warned_expiry = expires
            self.send_control(self._session.expiring())

    @property
    def _who(self) -> dict[str, str]:
        """What log lines about this client name."""
        return {"session": self._session.name, "peer": self._sender.address}

    @property
    def behind(self) -> bool:
        """Whether delivery is paused, because the socket has not taken everything."""
        return self._slow_consumer is not None

    @property
    def was_slow(self) -> bool:
        """Whether delivery was ever paused."""
        return self._subscriber.slow_consumer_events > 0

    @property
    def subscriber(self) -> Subscriber:
        """The client as the hub knows it."""
        return self._subscriber

    def traffic(self) -> Traffic:
        """Return the counts of data sent so far."""
        return self._context.hub.traffic(self._subscriber)

    def end(self) -> None:
        """Leave the hub: the connection is over."""
        self.closing = True
        self._account.close()
        if self._context.usage is not None:
            self._context.usage.closed(self._subscriber)
        self._context.hub.disconnect(self._subscriber)

    def release(self) -> None:
        """Let go of everything, so that no reference cycle waits for the garbage collector."""
        self.over = True
        del self._subscriber, self._session, self._nursery, self._stream, self.push

    def send_control(self, frame: bytes) -> None:
        """Send a frame that is not data."""
        if not self.closing and not self.push(frame):
            self._context.hub.pause_delivery(self._subscriber)

    def tell_of_source(self) -> None:
        """Tell the client that the source of the data is silent, or is heard again."""
        self.send_control(self._subscriber.encoding.frame(self._context.source.message()))

    async def wait_delivered(self, cut: int) -> None:
        """Wait until the socket has taken all subscribed data through this cut, and everything before it."""
        subscriber = self._subscriber
        while not subscriber.is_member and not self.closing:
            await self._start_catching_up().progress()
            if not subscriber.pending_snapshot and subscriber.cursor >= cut:
                return

    def catch_up_later(self) -> None:
        """Have a task bring this client up to date."""
        if not self.closing:
            self._start_catching_up()

    def _start_catching_up(self) -> SlowConsumer:
        """Return the slow consumer that a task brings up to date; start that task unless it runs."""
        if self._slow_consumer is None:
            context = self._context
            slow_consumer = SlowConsumer(self._stream, self._subscriber, context.hub, context.limits, self._who)
            self._slow_consumer = slow_consumer
            self.count_kept()
            self._nursery.start_soon(self._catch_up, slow_consumer)
        return self._slow_consumer

    async def _catch_up(self, slow_consumer: SlowConsumer) -> None:
        try:
            if not await slow_consumer.catch_up(self._context.fair_queue, self._goes_on):
                self._context.dropped[DropCause.STALLED] += slow_consumer.stalled
                self._cancel()
        finally:
            if not self.closing:
                self.count_kept()
            self._slow_consumer = None
            self._longest_behind = max(self._longest_behind, slow_consumer.seconds)

    @property
    def kept(self) -> int:
        """The bytes that were counted for this client."""
        return self._account.held

    def count_kept(self, answer: int = 0) -> bool:
        """Count the bytes kept for this client, with an answer of so many bytes. Beyond a limit, drop it: False."""
        if self._account.hold(self._session.held + self._stream.unsent + answer):
            return True
        self._context.auth.connection_limits.refusals[RefusalCause.MEMORY] += 1
        self._context.dropped[DropCause.MEMORY] += 1
        self._cancel()
        return False

    def _goes_on(self) -> bool:
        """Return whether delivery goes on, after another frame for a slow client."""
        return not self.closing and self.count_kept()

    def charge(self, cost: float) -> float:
        """Count the cost of a request for all streams of the sender; return the seconds that they have to wait."""
        return self._context.auth.spend_shared(self._sender, cost - 1) if cost > 1 else 0.0

    async def _in_turns(self, steps: Generator[None, None, Answer]) -> Answer:
        """Carry out a request in turns; give it up, with an empty answer, once the connection is closing.

        Nothing may follow the close frame, such as the data that a request brings.
        """
        return await in_turns(self._context.fair_queue, self._while_open(steps))

    def _while_open(self, steps: Generator[None, None, Answer]) -> Generator[None, None, Answer]:
        while not self.closing:
            try:
                next(steps)
            except StopIteration as done:
                answer: Answer = done.value
                return answer
            yield
        steps.close()
        return Answer(b"")

    def _connection_stats(self) -> dict[str, int]:
        """Return the connection's part of the answer to `stats`."""
        behind = self._slow_consumer.seconds if self._slow_consumer is not None else 0.0
        return {
            "behind_us": int(behind * 1e6),
            "longest_behind_us": int(max(behind, self._longest_behind) * 1e6),
            "unsent_bytes": self._stream.unsent,
            "slowed": self.slowed,
        }

    def _cancel(self) -> None:
        self.closing = True
        if not self.over:
            self._nursery.cancel_scope.cancel()

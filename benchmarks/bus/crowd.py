"""A crowd of light clients in one loop: each keeps its copy through the ends of its connections, as our client does.

What a message means is decided by that client's own state machine (`ticker.client.session`), and when to come back by
its own rules (`ticker.client.reconnect`). Only the sockets are those of the benchmarks: a thousand clients of
`ticker.connect`, with tasks and streams of their own, want more than the core that there is for them.
"""

from __future__ import annotations

import errno
import heapq
import select
import ssl
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.client import Client
from benchmarks.process import START_SECONDS
from benchmarks.readers import Price, Reader
from benchmarks.sample import percentiles
from benchmarks.servers import SERVERS
from ticker.client.received import Received
from ticker.client.reconnect import LOST, NOT_COMPLETED, Backoff, ConnectionEnd
from ticker.client.session import ClientSession
from ticker.errors import ProtocolError
from ticker.protocol.wire import MSGPACK

SYMBOL = "TIME"
"""Its `last` is when it was published, in microseconds since 1970 UTC (`benchmarks.bus.feed`)."""

CONNECT_SECONDS = 20.0
"""A connection on which nothing was received for so long is given up, as Ticker's client does."""

BEGINNING = 32
"""Clients that begin at once, each as another one is there; later they come when they may."""

LOOK_SECONDS = 0.1
"""Time between two looks at the state of other processes."""


class Taken(NamedTuple):
    """What has come to a crowd for a while; percentiles in milliseconds."""

    ages: dict[str, float]
    """Of prices at clients that were there."""
    away: dict[str, float]
    """Of the time from the end of a connection until all is there on the next one."""
    load: float
    """Share of a core that the crowd took."""


class Member(Reader):
    """A client: its session, and the reader of its present connection."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self._crowd = crowd
        self.session = ClientSession(MSGPACK)
        self.session.add_names([SYMBOL])
        self.client: Client | None = None
        self.left_at: float | None = None
        """When it was there for the last time; None before the first time, and while it is there."""
        self.verified: bool | None = None
        self._backoff = Backoff()
        self._begun = self._resuming = self._said_goodbye = False
        self._end = LOST

    def connect(self, port: int, context: ssl.SSLContext) -> Client:
        """Begin a connection."""
        self.client = Client(SERVERS["ticker"], port, context, [])
        self.client.reader = self
        self.subscribed = self._begun = self._said_goodbye = False
        self._end = LOST
        self.client.begin()
        return self.client

    def subscription_payloads(self, numbers: Sequence[int]) -> list[bytes]:  # noqa: ARG002
        """Return nothing: requests follow the WELCOME."""
        return []

    def read(self, payloads: Sequence[bytes]) -> list[Price]:
        """Take messages; the answers are in `replies`. Raises `ProtocolError`."""
        for payload in payloads:
            if not self._begun:
                self.session.begin(payload)
                self._begun, self._resuming = True, self.session.replica.resuming
                self.ask()
            else:
                self._take(self.session.receive(payload))
        return []

    def ask(self) -> None:
        """Have the requests of the session sent."""
        self.replies += [payload for payload in self.session.requests() if isinstance(payload, bytes)]

    def leave(self, end: ConnectionEnd | None) -> tuple[str, float]:
        """The connection has ended: return why, and the seconds until the next one."""
        if self.client is not None:
            if self._said_goodbye:
                with suppress(OSError):
                    self.client.send_close()
            self.client.close()
        self.client = None
        end = self._end if end is None or self._said_goodbye else end
        if self.subscribed:
            self._backoff.reset()
        if self.subscribed:
            self.left_at = time.monotonic()
        return end.reason, self._backoff.next_wait(end.retry_seconds, end.spread_seconds)

    def _take(self, received: Received) -> None:
        crowd = self._crowd
        if received.changes is not None and self.subscribed:
            published = received.changes.get(SYMBOL, {}).get("last")
            if published is not None:
                crowd.note_age(int(published))
        if received.goodbye is not None:
            self._said_goodbye = True
            self._end = self._end.after_goodbye(received.goodbye)
        if received.source:
            crowd.happened["source silent" if self.session.source_silent_since else "source heard again"] += 1
        if received.error is not None:
            crowd.happened[f"error {received.error.code}: {received.error.text}"] += 1
            self._resuming = False
            self.ask()
        if received.verified is not None:
            self.verified = received.verified
        elif received.unverified is not None:
            self.session.verify()
            self.ask()
        if received.replied and not self.subscribed:
            self.subscribed = True
            crowd.note_there(self, resumed=self._resuming)


class Crowd:
    """The clients, with what happened to all of them."""

    def __init__(self, port: int, authority: Path, size: int) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(authority))
        self.members = [Member(self) for _ in range(size)]
        self.happened: Counter[str] = Counter()
        self.there = 0
        """Number of clients that have all that they asked for."""
        self.returns: Counter[int] = Counter()
        """How many were there again in each second of a monotonic clock."""
        self._ages, self._away = array("d"), array("d")
        self._poll = select.epoll()
        self._connected: dict[int, Member] = {}
        self._order = count()
        self._due: list[tuple[float, int, Member]] = []
        self._impatient: deque[tuple[float, Member, Client]] = deque()
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._not_begun = list(self.members)
        for _ in range(BEGINNING):
            self._begin_another()

    def __repr__(self) -> str:
        return f"<Crowd: {self.there} of {len(self.members)} clients there>"

    # What happened

    def note_age(self, published: int) -> None:
        """A client that is there got a price that was published then."""
        self._ages.append(time.time() - published / 1e6)

    def note_there(self, member: Member, *, resumed: bool) -> None:
        """A client has all that it asked for."""
        self.there += 1
        self.happened["resumed" if resumed else "begun from nothing"] += 1
        if member.left_at is not None:
            now = time.monotonic()
            self._away.append(now - member.left_at)
            self.returns[int(now)] += 1
            member.left_at = None
        else:
            self._begin_another()

    def take(self) -> Taken:
        """Return what has come since the last call."""
        now, cpu = time.monotonic(), time.process_time()
        load = (cpu - self._cpu) / (now - self._began)
        found = Taken(percentiles(self._ages), percentiles(self._away), load)
        self._ages, self._away, self._began, self._cpu = array("d"), array("d"), now, cpu
        return found

    # Running

    def rest(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._step(min(left, LOOK_SECONDS))

    def until(self, condition: Callable[[], bool], wanted: str, seconds: float = START_SECONDS) -> None:
        """Go on until this holds; end the program with a line if it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"after {seconds:g} s there was not: {wanted} ({self!r}: {dict(self.happened)})")
            self.rest(LOOK_SECONDS)

    def all_there(self) -> bool:
        """Return whether every client has all that it asked for."""
        return self.there == len(self.members)

    def with_prices(self) -> int:
        """Return how many clients have a price in their copies."""
        found = [member.session.replica.find(SYMBOL) for member in self.members]
        return sum(state is not None and state.present().get("last") is not None for state in found)

    def wrong(self) -> int:
        """Have all copies compared with the service's by their checksums; return the number of those that differ."""
        for member in self.members:
            member.verified = None
            member.session.verify()
            member.ask()
            if member.client is not None:
                member.client.decode(b"")  # sends what it asks for
        self.until(lambda: all(member.verified is not None for member in self.members), "the checksums of all copies")
        return sum(not member.verified for member in self.members)

    def close(self) -> None:
        """End all connections."""
        for member in self.members:
            if member.client is not None:
                member.client.close()
        self._poll.close()

    def _step(self, seconds: float) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            self._connect(heapq.heappop(self._due)[2], now)
        while self._impatient and self._impatient[0][0] <= now:
            _, member, client = self._impatient.popleft()
            if member.client is client and not client.ready:
                self._left(member, NOT_COMPLETED)
        if self._due:
            seconds = min(seconds, max(0.0, self._due[0][0] - now))
        for number, event in self._poll.poll(seconds, 256):
            if event & select.EPOLLOUT:
                self._poll.modify(number, select.EPOLLIN)
            self._advance(self._connected[number])

    def _begin_another(self) -> None:
        if self._not_begun:
            self._later(self._not_begun.pop(), 0.0)

    def _later(self, member: Member, seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), member))

    def _connect(self, member: Member, now: float) -> None:
        client = member.connect(self._port, self._context)
        self._connected[client.socket.fileno()] = member
        self._poll.register(client.socket, select.EPOLLOUT)
        self._impatient.append((now + CONNECT_SECONDS, member, client))

    def _advance(self, member: Member) -> None:
        assert member.client is not None
        try:
            member.client.advance()
        except ProtocolError as error:
            self._left(member, ConnectionEnd(f"broken protocol: {error}"))
        except OSError as error:
            self._left(member, ConnectionEnd(_reason(error)))

    def _left(self, member: Member, end: ConnectionEnd) -> None:
        assert member.client is not None
        number = member.client.socket.fileno()
        self._poll.unregister(number)
        del self._connected[number]
        self.there -= member.subscribed
        reason, seconds = member.leave(end)
        self.happened[f"left: {reason}"] += 1
        self._later(member, seconds)


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionResetError):
        return "RESET"
    if error.errno in {errno.ECONNREFUSED, errno.ENOTCONN}:
        return "nobody listened"
    return error.strerror or str(error)


def summary(taken: Taken) -> str:
    """Return what was taken as a line."""
    ages, away = taken.ages, {name: milliseconds / 1000 for name, milliseconds in taken.away.items()}
    text = f"age p50 {ages['p50']:.1f} ms, p99 {ages['p99']:.1f} ms, max {ages['max']:.0f} ms"
    if away:
        text += f"; away p50 {away['p50']:.1f} s, p99 {away['p99']:.1f} s, max {away['max']:.1f} s"
    return f"{text}; the clients took {taken.load:.0%} of their core"

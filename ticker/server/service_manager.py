"""What a service manager such as systemd is told of the service (sd_notify(3)), if one has started it.

    READY=1       the service listens, and again after each reload
    RELOADING=1   on SIGHUP, with the time (MONOTONIC_USEC)
    STOPPING=1    with the time that clients and the history may take (EXTEND_TIMEOUT_USEC)
    WATCHDOG=1    a message has gone through the channel of the feeds and the publisher; sent if WATCHDOG_USEC is set
    STATUS=       clients and feeds, for `systemctl status`

If Trio's loop or the publisher is blocked, no WATCHDOG=1 goes out, and the manager restarts the service. (A feed that
blocks the loop is interrupted long before: `blocked_loop`.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from itertools import islice

import structlog
import trio

from ticker.bounds import NOTIFY_FEEDS_NAMED, STATUS_SECONDS
from ticker.net.notify_socket import NotifySocket
from ticker.server.connection import ClientConnection
from ticker.server.feed_channel import FeedSink, FeedState, MarkStale
from ticker.texts import shown

_BEATS = 3
"""Signs of life in the time after which the manager acts."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.server.service_manager")


class ServiceManager:
    """The manager of this process; without one, nothing is sent and nothing runs."""

    watches_files = False
    """It says when certificates and keys are to be read anew, so nobody else has to look."""

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        """`address` is that of its socket; `watchdog_seconds` the time without a sign of life after which it acts."""
        self._socket = NotifySocket(address) if address else None
        self.watchdog_seconds = watchdog_seconds if address else None
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> ServiceManager:
        """Return the manager that the environment names, and remove it there: no program of a feed speaks for us."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds, pid = environment.pop("WATCHDOG_USEC", None), environment.pop("WATCHDOG_PID", None)
        if not address or microseconds is None or pid not in {None, str(os.getpid())}:
            return cls(address)
        if not (microseconds.isascii() and microseconds.isdecimal() and int(microseconds)):
            text = "the service manager's watchdog is not served: WATCHDOG_USEC has to be a number of microseconds"
            _log.warning(text, watchdog_usec=shown(microseconds))
            return cls(address)
        return cls(address, int(microseconds) / 1e6)

    def __repr__(self) -> str:
        return f"<ServiceManager at {self._socket!r}, watchdog {self.watchdog_seconds} s>"

    async def ready(self) -> None:
        """Say that the service listens, or has reloaded its files."""
        await self._send("READY=1")

    async def reloading(self) -> None:
        """Say that the service reads its files anew; `ready` has to follow."""
        await self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    async def stopping(self, seconds: float) -> None:
        """Say that the service ends, and needs so many seconds for it."""
        await self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    async def keep_informed(self, messages: FeedSink, status: Callable[[], str]) -> None:
        """Say that the service listens; then send signs of life and the status, if it has changed, until cancelled.

        `messages` goes to the publisher.
        """

        async def take_turn() -> None:
            turn = MarkStale("", symbols=())  # of no instrument: it only asks for a turn of the publisher
            await messages.send((_FEED, turn))
            await turn.done.wait()

        await self.keep_reporting(take_turn, status)

    async def keep_reporting(self, take_turn: Callable[[], Awaitable[None]], status: Callable[[], str]) -> None:
        """The same, with a sign of life whenever `take_turn` has returned."""
        if self._socket is None:
            return
        await self.ready()
        beat = ["WATCHDOG=1"] if self.watchdog_seconds else []
        period = min(STATUS_SECONDS, self.watchdog_seconds / _BEATS) if self.watchdog_seconds else STATUS_SECONDS
        while True:
            await take_turn()
            news = status()
            changed = [f"STATUS={news}"] if news != self._status else []
            self._status = news
            await self._send(*beat, *changed)
            await trio.sleep(period)

    async def _send(self, *assignments: str) -> None:
        if self._socket is not None and assignments:
            await self._socket.send(*assignments)


NO_MANAGER = ServiceManager()

_FEED = FeedState("service manager")
"""The sender of what only asks for a turn."""


def status_line(connections: Iterable[ClientConnection], feed_states: Sequence[FeedState]) -> str:
    """Return clients and feeds in a line: `12 clients, 1 behind; 1 of 2 feeds live: kraken down`."""
    behind = [connection.behind for connection in connections]
    clients = f"{len(behind)} clients, {sum(behind)} behind"
    conditions = {each.label: each.condition for each in feed_states}
    others = [f"{label} {condition}" for label, condition in conditions.items() if condition != "live"]
    named = list(islice(others, NOTIFY_FEEDS_NAMED))
    if len(others) > len(named):
        named.append(f"{len(others) - len(named)} more")
    feeds = f"{len(conditions) - len(others)} of {len(conditions)} feeds live"
    return f"{clients}; {feeds}{': ' if named else ''}{', '.join(named)}"

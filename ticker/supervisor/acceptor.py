"""Accepting connections, and handing each to the worker that has the fewest."""

from __future__ import annotations

import errno
import math
import os
import socket

import structlog
import trio

from ticker.bounds import ACCEPT_RETRY_SECONDS, EXHAUSTION_LOG_SECONDS
from ticker.bus_bounds import ACCEPTED_PER_TURN, HAND_OVER_RETRY_SECONDS, HAND_OVER_SECONDS
from ticker.door.proxies import UNIX
from ticker.net.listeners import Listener
from ticker.supervisor.child import Child
from ticker.supervisor.messages import Kind
from ticker.supervisor.places import Places
from ticker.supervisor.pool import Pool

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""Errors of a system that has nothing left for a connection (accept(2))."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("ticker.supervisor.acceptor")


class Acceptor:
    """Accepts the connections of the whole service."""

    def __init__(self, pool: Pool, places: Places) -> None:
        self._pool = pool
        self._places = places
        self._logged_at = -math.inf
        self.not_handed_over = 0
        """Connections that no worker took in time."""

    def __repr__(self) -> str:
        return f"<Acceptor: {self._places!r}>"

    async def accept(self, listener: Listener, kind: Kind) -> None:
        """Accept connections, and hand them over one by one, until cancelled. Further ones wait in the kernel."""
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:  # Trio's costs several times as much
            listening.settimeout(0)
            while True:
                for _ in range(ACCEPTED_PER_TURN):
                    try:
                        sock, address = listening.accept()
                    except OSError as error:
                        await self._wait(error, listening)
                        break
                    with sock:
                        await self._place(sock, UNIX if sock.family == socket.AF_UNIX else address[0], kind)
                await trio.lowlevel.checkpoint()

    async def _wait(self, error: OSError, listening: socket.socket) -> None:
        """Wait until the next attempt to accept, after this one's error."""
        if isinstance(error, BlockingIOError):
            await trio.lowlevel.wait_readable(listening)
        elif error.errno in _EXHAUSTED:
            self._places.limits.accept_failures += 1
            self._complain("no connection can be accepted now; new clients wait", cause=error.strerror)
            await trio.sleep(ACCEPT_RETRY_SECONDS)
        # All others are of this one connection (accept(2)).

    async def _place(self, sock: socket.socket, address: str, kind: Kind) -> None:
        if kind == "metrics":  # its connections stand in none of the limits
            await self._hand_over(0, sock, kind)
            return
        number = self._places.open(address)
        if number is None:
            return
        child = None
        try:
            child = await self._hand_over(number, sock, kind)
        finally:
            if child is None:
                self._places.close(number)

    async def _hand_over(self, number: int, sock: socket.socket, kind: Kind) -> Child | None:
        """Return the worker that has it; None if none could take it."""
        deadline = trio.current_time() + HAND_OVER_SECONDS
        while True:
            for child in sorted(self._pool.workers, key=last_to_be_given):
                if child.give(kind, number, sock.fileno()):
                    if number:
                        child.connections.add(number)
                    return child
            if trio.current_time() > deadline:
                self.not_handed_over += 1
                self._complain("a connection was closed: no worker took it", workers=len(self._pool.children))
                return None
            await trio.sleep(HAND_OVER_RETRY_SECONDS)

    def _complain(self, text: str, **more: object) -> None:
        now = trio.current_time()
        if now - self._logged_at >= EXHAUSTION_LOG_SECONDS:
            self._logged_at = now
            _log.error(text, connections=self._places.limits.open, **more)


def last_to_be_given(child: Child) -> tuple[bool, bool, int]:
    """Order workers: those that are late, or not ready, get a connection only if all others are so, too."""
    return child.late, not child.ready, len(child.connections)

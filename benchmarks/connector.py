"""Connect many clients concurrently: TLS, upgrade, subscription and its confirmation."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence

from benchmarks.client import Client

STARTS = 20
"""Connections started per step. Each takes some 20 µs, and connected clients must not wait for thousands of them."""


class Connector:
    """Connects clients, `at_once` of them at a time; `step` continues with a few."""

    def __init__(self, clients: Sequence[Client], *, at_once: int, price: Callable[[], int] = lambda: 0) -> None:
        """`price` returns the next price to be sent: the first one that a client that is ready now must receive."""
        self._waiting = list(reversed(clients))
        self._room = at_once
        self._price = price
        self._poll = select.epoll()
        self._connecting: dict[int, Client] = {}
        self.began = self.ended = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether all clients are ready."""
        return not self._waiting and not self._connecting

    @property
    def remaining(self) -> int:
        """Number of clients that are not ready yet."""
        return len(self._waiting) + len(self._connecting)

    def fileno(self) -> int:
        """Return a descriptor that is readable when `step` has work: one `epoll` may watch another."""
        return self._poll.fileno()

    def step(self, most: int = 64, timeout: float = 0.0) -> None:
        """Start a few clients, and continue with at most `most`. Raises `OSError` if one cannot connect."""
        for _ in range(min(STARTS, len(self._waiting), self._room - len(self._connecting))):
            client = self._waiting.pop()
            number = client.begin()
            self._connecting[number] = client
            self._poll.register(number, select.EPOLLOUT)
        for number, event in self._poll.poll(timeout, most):
            client = self._connecting[number]
            if event & select.EPOLLOUT:
                self._poll.modify(number, select.EPOLLIN)
            client.advance()
            if client.ready:
                self._poll.unregister(number)
                del self._connecting[number]
                client.since = 0 if client.reader.sends_snapshot else self._price()
        if self.done:
            self.ended = time.monotonic()
            self._poll.close()

    def finish(self, seconds: float) -> None:
        """Continue until all are ready. Raises `TimeoutError` after `seconds`."""
        while not self.done:
            self.step(timeout=0.1)
            if time.monotonic() - self.began > seconds:
                raise TimeoutError(f"{self.remaining} clients could not connect within {seconds:.0f} s")

"""Many clients connect side by side: TLS, upgrade, subscription and its confirmation, none waiting for another."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence

from benchmarks.client import Client

STARTS = 20
"""A connection starts in some 20 µs; whoever else is to be read must not wait for thousands of them."""


class Connector:
    """Connects clients, `at_once` of them at a time; `step` goes on with a few."""

    def __init__(self, clients: Sequence[Client], *, at_once: int, price: Callable[[], int] = lambda: 0) -> None:
        """`price` tells the next one to be sent: that is the first one that a client which is ready now has to know."""
        self._waiting = list(reversed(clients))
        self._room = at_once
        self._price = price
        self._poll = select.epoll()
        self._connecting: dict[int, Client] = {}
        self.began = self.ended = time.monotonic()

    @property
    def done(self) -> bool:
        """All are ready."""
        return not self._waiting and not self._connecting

    @property
    def left(self) -> int:
        """So many are not."""
        return len(self._waiting) + len(self._connecting)

    def fileno(self) -> int:
        """Readable when `step` has something to do: one `epoll` may watch another."""
        return self._poll.fileno()

    def step(self, most: int = 64, timeout: float = 0.0) -> None:
        """Start a few, and go on with at most so many. Raises `OSError` if one cannot connect."""
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
                client.since = 0 if client.reader.remembers else self._price()
        if self.done:
            self.ended = time.monotonic()
            self._poll.close()

    def finish(self, seconds: float) -> None:
        """Go on until all are ready. Raises `TimeoutError` if that takes longer."""
        while not self.done:
            self.step(timeout=0.1)
            if time.monotonic() - self.began > seconds:
                raise TimeoutError(f"{self.left} clients could not connect within {seconds:.0f} s")

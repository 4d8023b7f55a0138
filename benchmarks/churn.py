"""Churn: clients that connect and leave continuously, beside clients that stay connected."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator

from benchmarks.client import Client
from benchmarks.slow import SMALL_BUFFER

STARTS_PER_SECOND = 20
WATCHED = 5
"""Instruments of a churn client: few, since the load comes from the clients that stay."""
MIN_STAY, MAX_STAY = 5.0, 30.0
MIN_STALL, MAX_STALL = 5.0, 20.0
ABORT_SHARE = 0.15
"""Share that aborts before it has subscribed: during the TLS handshake, the upgrade or the subscription."""
STALL_SHARE = 0.1
"""Share of the subscribed clients that stop reading halfway; half of them leave without reading again."""
READ_SECONDS = 0.1
CONNECT_STEP_SECONDS = 0.005
TIMEOUT_SECONDS = 30.0
"""For connecting, and for the answer to a close frame; beyond it the server has lost the client. (After a stall, TCP
may retry the unsent bytes only 15 s after the client reads again.)"""

Steps = Iterator[float]
"""The life of a client as a generator: each value is the number of seconds to pause before the next step."""


class ChurnClients:
    """`subscribed` holds the clients between subscription and leaving. Times are seconds since the phase's start."""

    def __init__(self, new_client: Callable[[], Client], all_numbers: range) -> None:
        """`all_numbers` are the instruments of clients that stall, so that much data is held back for them."""
        self.started = self.ended = self.stalled = 0
        self.subscribed: set[Client] = set()
        self._connecting_or_leaving: set[Client] = set()
        self._new_client = new_client
        self._all_numbers = all_numbers
        self._schedule: list[tuple[float, int, Steps]] = []
        self._choose = random.Random(11)  # noqa: S311  # the same choices in every run

    def step(self, now: float) -> None:
        """Start the clients that are due, and continue the others. Raises `OSError` if the server fails one."""
        while self.started < now * STARTS_PER_SECOND:
            self.started += 1
            heapq.heappush(self._schedule, (now, self.started, self._steps(self._new_client())))
        while self._schedule and self._schedule[0][0] <= now:
            _, number, steps = heapq.heappop(self._schedule)
            pause = next(steps, None)
            if pause is not None:
                heapq.heappush(self._schedule, (now + pause, number, steps))

    def stop(self) -> None:
        """End the churn: reset the clients that are connecting or leaving; leave subscribed ones open and unread."""
        self._schedule.clear()
        for client in self._connecting_or_leaving:
            client.reset()
        self.ended += len(self._connecting_or_leaving)
        self._connecting_or_leaving.clear()

    def _steps(self, client: Client) -> Steps:
        choose = self._choose
        stalls = choose.random() < STALL_SHARE
        client.numbers = client.numbers[:WATCHED]
        if stalls:
            client.numbers, client.receive_buffer = self._all_numbers, SMALL_BUFFER
        self._connecting_or_leaving.add(client)
        yield from self._connect(client, choose.randint(1, 12) if choose.random() < ABORT_SHARE else 0)
        if not client.ready:
            self._end(client)
            return
        self._connecting_or_leaving.remove(client)
        self.subscribed.add(client)
        yield from self._stay(client, stalls=stalls)
        self.subscribed.remove(client)
        self._connecting_or_leaving.add(client)
        if choose.random() < 0.5:
            yield from self._close_handshake(client)
        self._end(client)

    def _connect(self, client: Client, last_step: int) -> Steps:
        """Connect and subscribe; stop after `last_step` steps, unless it is 0."""
        client.begin()
        for step in range(1, int(TIMEOUT_SECONDS / CONNECT_STEP_SECONDS)):
            yield CONNECT_STEP_SECONDS
            client.advance()
            if client.ready or step == last_step:
                return
        raise TimeoutError(f"a churn client could not connect within {TIMEOUT_SECONDS:.0f} s")

    def _stay(self, client: Client, *, stalls: bool) -> Steps:
        seconds = self._choose.uniform(MIN_STAY, MAX_STAY)
        if stalls:
            yield from self._read(client, seconds / 2)
            self.stalled += 1
            yield self._choose.uniform(MIN_STALL, MAX_STALL)
            if self._choose.random() < 0.5:
                return
            seconds /= 2
        yield from self._read(client, seconds)

    def _read(self, client: Client, seconds: float) -> Steps:
        for _ in range(int(seconds / READ_SECONDS)):
            yield READ_SECONDS
            client.decode(client.receive())
            if client.reader.fault:
                raise ConnectionError(client.reader.fault)

    def _close_handshake(self, client: Client) -> Steps:
        """Send a close frame, and wait until the server has closed the connection."""
        client.send_close()
        for _ in range(int(TIMEOUT_SECONDS / READ_SECONDS)):
            yield READ_SECONDS
            try:
                client.decode(client.receive())
            except OSError:
                client.close()
                return
        raise TimeoutError(f"a close frame had no answer within {TIMEOUT_SECONDS:.0f} s")

    def _end(self, client: Client) -> None:
        """Reset the connection, unless the close handshake has closed it."""
        if client.socket.fileno() >= 0:
            client.reset()
        self._connecting_or_leaving.remove(client)
        self.ended += 1

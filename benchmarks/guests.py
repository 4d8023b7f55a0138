"""Guests that come and go all the time: how each spends its visit, beside clients that stay."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator

from benchmarks.client import Client
from benchmarks.slow import SMALL_BUFFER

PER_SECOND = 20
WATCHED = 5
"""Instruments of a guest: it is about their coming and going, the load comes from the clients that stay."""
SHORTEST_STAY, LONGEST_STAY = 5.0, 30.0
SHORTEST_STALL, LONGEST_STALL = 5.0, 20.0
MIDWAY_SHARE = 0.15
"""So many go before they have come in: in the middle of a TLS handshake, of the upgrade or of the subscription."""
STALL_SHARE = 0.1
"""So many of those who came in stop reading in the middle of their stay; half of them go without reading again."""
READ_SECONDS = 0.1
CONNECT_STEP_SECONDS = 0.005
PATIENCE_SECONDS = 30.0
"""A guest that waits longer to come in, or for the answer to its close frame, was forgotten by the server. (What its
kernel did not take while it stalled may be sent again only 15 s after it reads again.)"""

Visit = Iterator[float]
"""A guest's visit, step by step: for how many seconds it does nothing before it goes on."""


class Guests:
    """`present` are those who have subscribed and have not left. Times are seconds since the phase's start."""

    def __init__(self, invite: Callable[[], Client], everything: range) -> None:
        """`invite` makes a client; `everything` is what those watch who stall, so that much is held back for them."""
        self.came = self.left = self.stalled = 0
        self.present: set[Client] = set()
        self._passing: set[Client] = set()
        """Those on their way in or out."""
        self._invite = invite
        self._everything = everything
        self._visits: list[tuple[float, int, Visit]] = []
        self._choose = random.Random(11)  # noqa: S311  # the same visits in every run

    def step(self, now: float) -> None:
        """Let come who is due, and go on with those whose time it is. Raises `OSError` if the server fails one."""
        while self.came < now * PER_SECOND:
            self.came += 1
            heapq.heappush(self._visits, (now, self.came, self._visit(self._invite())))
        while self._visits and self._visits[0][0] <= now:
            _, number, visit = heapq.heappop(self._visits)
            pause = next(visit, None)
            if pause is not None:
                heapq.heappush(self._visits, (now + pause, number, visit))

    def stop(self) -> None:
        """Nobody comes or goes any more. Those on their way are cut; those who are present stay, and are not read."""
        self._visits.clear()
        for client in self._passing:
            client.reset()
        self.left += len(self._passing)
        self._passing.clear()

    def _visit(self, client: Client) -> Visit:
        choose = self._choose
        stalls = choose.random() < STALL_SHARE
        client.numbers = client.numbers[:WATCHED]
        if stalls:
            client.numbers, client.receive_buffer = self._everything, SMALL_BUFFER
        self._passing.add(client)
        yield from self._enter(client, choose.randint(1, 12) if choose.random() < MIDWAY_SHARE else 0)
        if not client.ready:
            self._end(client)
            return
        self._passing.remove(client)
        self.present.add(client)
        yield from self._stay(client, stalls=stalls)
        self.present.remove(client)
        self._passing.add(client)
        if choose.random() < 0.5:
            yield from self._take_leave(client)
        self._end(client)

    def _enter(self, client: Client, last_step: int) -> Visit:
        """Connect and subscribe, but go no further than that step, unless it is 0."""
        client.begin()
        for step in range(1, int(PATIENCE_SECONDS / CONNECT_STEP_SECONDS)):
            yield CONNECT_STEP_SECONDS
            client.advance()
            if client.ready or step == last_step:
                return
        raise TimeoutError(f"a guest could not come in within {PATIENCE_SECONDS:.0f} s")

    def _stay(self, client: Client, *, stalls: bool) -> Visit:
        seconds = self._choose.uniform(SHORTEST_STAY, LONGEST_STAY)
        if stalls:
            yield from self._read(client, seconds / 2)
            self.stalled += 1
            yield self._choose.uniform(SHORTEST_STALL, LONGEST_STALL)
            if self._choose.random() < 0.5:
                return
            seconds /= 2
        yield from self._read(client, seconds)

    def _read(self, client: Client, seconds: float) -> Visit:
        for _ in range(int(seconds / READ_SECONDS)):
            yield READ_SECONDS
            client.decode(client.receive())
            if client.reader.fault:
                raise ConnectionError(client.reader.fault)

    def _take_leave(self, client: Client) -> Visit:
        """Send a close frame, and wait until the server has ended the connection."""
        client.say_close()
        for _ in range(int(PATIENCE_SECONDS / READ_SECONDS)):
            yield READ_SECONDS
            try:
                client.decode(client.receive())
            except OSError:
                client.close()
                return
        raise TimeoutError(f"a close frame had no answer within {PATIENCE_SECONDS:.0f} s")

    def _end(self, client: Client) -> None:
        """A guest that did not take its leave goes with a reset."""
        if client.socket.fileno() >= 0:
            client.reset()
        self._passing.remove(client)
        self.left += 1

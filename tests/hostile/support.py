"""A service under attack, with a second client that has to be served.

async with attacked() as service:
    peer = await service.dial()
    await peer.send(b"harmless garbage")

When the block is left, a client connected since before the attack gets the right prices in order, a new client does
too, and the log has no warnings or errors.
"""

from __future__ import annotations

import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, Peer, Running, alarms, serving
from tests.support import update
from ticker.market import Instrument, Publication
from ticker.protocol.messages import Delta, Heartbeat, ServerMessage, Snapshot

MARKET: tuple[Publication, ...] = (Instrument("A"), Instrument("B"), update("A", bid="1.00"), update("B", bid="2.00"))


class Bystander:
    """A well-behaved client that expects its prices."""

    def __init__(self, service: Running, peer: Peer, cut: int) -> None:
        self._service = service
        self._peer = peer
        self._price = 100
        self._cursor = cut

    async def is_served(self) -> None:
        """Publish a price and receive it; cuts follow one another without a gap."""
        self._price += 1
        await self._service.publish(update("A", bid=self._price))
        with trio.fail_after(patience()):
            while not self._follow(await self._peer.message()):
                pass

    async def sees_newcomers_served(self, more: str) -> None:
        """A new client receives the same price, and then the next one."""
        peer = await self._service.peer(more=more)
        with trio.fail_after(patience()):
            await peer.ask("subscribe", symbols=["A"])
            snapshot = await peer.until(Snapshot)
            assert snapshot.records[1][1] == 100 * self._price
            await self.is_served()
            assert (await peer.until(Delta)).changes == [0, {1: 100 * self._price}]
            await peer.close()

    def _follow(self, message: ServerMessage) -> bool:
        """Keep the cursor; whether this message brings the price. On a slow machine heartbeats come between prices."""
        if isinstance(message, Heartbeat):
            self._cursor = max(self._cursor, message.cut)
        if not isinstance(message, Delta):
            return False
        assert message.since == self._cursor
        self._cursor = message.cut
        return message.changes == [0, {1: 100 * self._price}]


def patience() -> float:
    """Seconds for an immediate answer; more for tests with a clock that jumps."""
    return 1000 if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock) else HANG_SECONDS


@asynccontextmanager
async def attacked(*, more: str = "", **settings: Any) -> AsyncIterator[Running]:  # noqa: ANN401
    """A service with a second client, which is still served when the block is left.

    `more` are further lines of its request, and `settings` those of `serving`. The attack logs no warning but
    that it was refused.
    """
    logs: Logs
    with structlog.testing.capture_logs() as logs:
        async with serving(*MARKET, **settings) as service:
            peer = await service.peer(more=more)
            await peer.ask("subscribe", symbols=["A"])
            bystander = Bystander(service, peer, (await peer.until(Snapshot)).cut)
            await bystander.is_served()
            yield service
            await bystander.is_served()
            await bystander.sees_newcomers_served(more)
            await bystander.is_served()
    # The service logs the number of refusals every ten seconds, in one line; and pages and proxies that it refused.
    told = {"turned away", "a page was refused", "a proxy's connection was closed"}
    assert [entry for entry in alarms(logs) if entry["event"] not in told] == []


async def dripped(peer: Peer, data: bytes, clock: trio.testing.MockClock) -> int:
    """Send a byte per second until the service ends the connection; the number of bytes sent."""
    sent = 0
    with suppress(trio.BrokenResourceError), trio.fail_after(HANG_SECONDS):
        for byte in data:
            await peer.send(bytes((byte,)))
            sent += 1
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(1)
            await trio.testing.wait_all_tasks_blocked()
    return sent


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Growth:
    """Memory allocated by Python since a moment."""

    def __init__(self) -> None:
        self._before = tracemalloc.get_traced_memory()[0]

    @property
    def bytes(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self._before


@contextmanager
def growth() -> Iterator[Growth]:
    """Measure memory from here on; build the data to send before."""
    tracemalloc.start()
    try:
        yield Growth()
    finally:
        tracemalloc.stop()

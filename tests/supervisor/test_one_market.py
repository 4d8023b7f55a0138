"""All processes of a service have one market: clients resume at any worker, whatever dies, and never begin anew."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import ticker
from tests.supervisor.running import Supervised, supervised
from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Mismatch

pytestmark = pytest.mark.untraced


class Watching:
    """A client of a feed that counts, and what happened to it."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.client: Client | None = None
        self.changes = 0

    async def follow(self, url: str) -> None:
        async with ticker.connect(url, on_event=self.events.append, interval_ms=250) as client:
            self.client = client
            async for change in client.subscribe("*"):
                self.changes += "last" in change.changes.get("COUNT", {})

    @property
    def connected(self) -> list[bool]:
        """Of each connection, whether the copy was resumed."""
        return [event.resumed for event in self.events if isinstance(event, Connected)]

    async def goes_on(self) -> None:
        """Wait until more has come."""
        before = self.changes
        while self.changes < before + 3:
            await trio.sleep(0.02)


@asynccontextmanager
async def watching(service: Supervised, count: int) -> AsyncIterator[list[Watching]]:
    """So many clients, each with data; at the end their copies are the service's."""
    found = [Watching() for _ in range(count)]
    async with trio.open_nursery() as nursery:
        for each in found:
            nursery.start_soon(each.follow, service.url)
        for each in found:
            await each.goes_on()
        yield found
        for each in found:
            assert not any(isinstance(event, Mismatch) for event in each.events)
            assert each.client is not None
            assert await each.client.verify()
        nursery.cancel_scope.cancel()


async def test_clients_of_a_dead_worker_resume_at_another(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        await service.ready()
        async with watching(service, 8) as clients:
            metrics = await service.metrics()
            has = {number: metrics["ticker_clients", number] for number in ("1", "2")}
            most = max(has, key=has.__getitem__)
            os.kill(service.pids()[most], signal.SIGKILL)
            while sum(len(each.connected) > 1 for each in clients) < has[most]:
                await trio.sleep(0.05)
            for each in clients:
                await each.goes_on()
                assert each.connected in ([False], [False, True])
            assert sum(len(each.connected) == 2 for each in clients) == has[most] >= 4


async def test_the_death_of_the_source_ends_no_connection_and_begins_nothing_anew(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service, watching(service, 4) as clients:
        os.kill(service.pids()["source"], signal.SIGKILL)
        await service.until(lambda metrics: metrics["ticker_worker_restarts_total", "source"] == 1)
        for each in clients:
            await each.goes_on()
            assert not any(isinstance(event, Disconnected) for event in each.events)


async def test_replacing_all_processes_costs_no_client_more_than_a_reconnect(tmp_path: Path) -> None:
    async with supervised(tmp_path, seconds=400) as service, watching(service, 40) as clients:
        service.process.send_signal(signal.SIGUSR2)
        await service.until_logged("all processes are replaced")
        for each in clients:
            while len(each.connected) < 2:
                await trio.sleep(0.05)
            await each.goes_on()
            assert each.connected == [False] + [True] * (len(each.connected) - 1)

"""ticker/server/service_manager.py: what a service manager hears from a real service, on a real socket."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs, alarms, serving
from tests.support import hangups, update
from ticker.market import Instrument
from ticker.server.feed_channel import FeedMessage, FeedState
from ticker.server.service_manager import ServiceManager, status_line


class Manager:
    """A service manager's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    async def open(self) -> None:
        await self._socket.bind(str(self.path))

    def close(self) -> None:
        self._socket.close()

    def has_mail(self) -> bool:
        return bool(select.select([self._socket.fileno()], [], [], 0)[0])

    async def receive(self) -> list[str]:
        with trio.fail_after(HANG_SECONDS):
            return (await self._socket.recv(4096)).decode().split("\n")

    async def until(self, start: str) -> list[str]:
        """The next datagram whose first line starts so."""
        while not (lines := await self.receive())[0].startswith(start):
            pass
        return lines

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "PATH": "/bin", **more}


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    manager = Manager(tmp_path / "notify")
    await manager.open()
    yield manager
    manager.close()


@pytest.fixture(autouse=True)
def quick_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticker.server.service_manager.STATUS_SECONDS", 0.02)


async def test_a_manager_hears_of_the_start_of_clients_of_reloads_and_of_the_stop(manager: Manager) -> None:
    environment = manager.environment()
    async with hangups() as (send, receive):
        async with serving(
            Instrument("A"),
            update("A", last="1"),
            hangups=receive,
            manager=ServiceManager.from_environment(environment),
            drain_seconds=100.0,
        ) as service:
            assert await manager.receive() == ["READY=1"]
            assert (await manager.receive())[0].startswith("STATUS=0 clients, 0 behind; ")
            await service.peer()
            await manager.until("STATUS=1 clients, 0 behind; 1 of 1 feeds live")
            before = time.monotonic_ns() // 1000
            await send.send(None)
            reloading, monotonic = await manager.until("RELOADING=1")
            assert reloading == "RELOADING=1"
            assert before <= int(monotonic.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
            await manager.until("READY=1")
        _, extension = await manager.until("STOPPING=1")
        assert int(extension.removeprefix("EXTEND_TIMEOUT_USEC=")) > 100_000_000
    assert environment == {"PATH": "/bin"}  # programs that a feed starts do not speak for the service


async def test_a_watchdog_hears_signs_of_life_and_an_unchanged_status_once(manager: Manager) -> None:
    environment = manager.environment(WATCHDOG_USEC="60000", WATCHDOG_PID=str(os.getpid()))
    watched = ServiceManager.from_environment(environment)
    assert watched.watchdog_seconds == 0.06
    async with serving(Instrument("A"), update("A", last="1"), manager=watched):
        await manager.until("READY=1")
        seen = [await manager.receive() for _ in range(6)]
    assert all(lines[0] == "WATCHDOG=1" for lines in seen)
    assert [lines for lines in seen if len(lines) == 1]
    statuses = [lines[1] for lines in seen if len(lines) == 2]
    assert len(set(statuses)) == len(statuses)


async def test_a_publisher_that_does_not_turn_gives_no_sign_of_life(manager: Manager) -> None:
    """A channel without a publisher: the loop turns, and yet nothing is published."""
    watched = ServiceManager.from_environment(manager.environment(WATCHDOG_USEC="3000"))
    messages, received = trio.open_memory_channel[FeedMessage](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.keep_informed, messages, lambda: "")
        assert await manager.receive() == ["READY=1"]
        _, turn = await received.receive()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert not manager.has_mail()
        turn.done.set()  # type: ignore[union-attr]  # a `MarkStale`
        assert await manager.receive() == ["WATCHDOG=1"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "30000000"}],
    ids=["nothing", "an empty address", "a watchdog without an address"],
)
async def test_without_a_manager_nothing_is_sent_and_nothing_runs(environment: dict[str, str], logs: Logs) -> None:
    manager = ServiceManager.from_environment(environment)
    assert manager.watchdog_seconds is None
    messages, received = trio.open_memory_channel[FeedMessage](10)
    await manager.keep_informed(messages, lambda: pytest.fail("nobody asked"))
    await manager.ready()
    await manager.stopping(1)
    assert received.statistics().current_buffer_used == 0
    assert not logs


@pytest.mark.parametrize(
    ("variables", "warnings"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 1),
        ({"WATCHDOG_USEC": "0"}, 1),
        ({"WATCHDOG_USEC": "-5"}, 1),
        ({"WATCHDOG_USEC": "1²"}, 1),
    ],
)
async def test_a_watchdog_of_another_process_or_without_a_time_is_left_alone(
    variables: dict[str, str], warnings: int, logs: Logs
) -> None:
    environment = {"NOTIFY_SOCKET": "/somewhere", **variables}
    assert ServiceManager.from_environment(environment).watchdog_seconds is None
    assert len(alarms(logs)) == warnings
    assert not environment


async def test_a_service_goes_on_whose_manager_has_gone(tmp_path: Path, logs: Logs) -> None:
    absent = ServiceManager.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "30000"})
    async with serving(Instrument("A"), update("A", last="1"), manager=absent) as service:
        await service.proves_alive()
    (line,) = alarms(logs)
    assert line["event"].startswith("the service manager cannot be told")


def test_the_status_names_feeds_without_data_and_not_too_many() -> None:
    feeds = [FeedState(f"feed{number}?secret=x", f"feed{number}") for number in range(12)]
    feeds[0].data_at = 1
    names = ", ".join(f"feed{number} waiting" for number in range(1, 11))
    assert status_line([], feeds) == f"0 clients, 0 behind; 1 of 12 feeds live: {names}, 1 more"
    assert status_line([], feeds[:1]) == "0 clients, 0 behind; 1 of 1 feeds live"

"""ticker/supervisor: workers that hang, do not start, or take nothing; the supervisor in this process, workers real."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import Logs
from tests.supervisor.running import COUNTING
from ticker.config import Config, History, Limits, TlsFiles
from ticker.errors import ConfigError
from ticker.net.devcert import data_folder
from ticker.server.exposure import check_addresses
from ticker.server.opening import open_listeners, with_certificate
from ticker.server.service_manager import NO_MANAGER
from ticker.supervisor import acceptor, channel, child, pool, supervisor, supervisor_metrics
from ticker.supervisor.acceptor import Acceptor
from ticker.supervisor.child import Child
from ticker.supervisor.places import Places
from ticker.supervisor.pool import Pool, Slot
from ticker.supervisor.supervisor import Requests, Supervisor

ROOT = Path(__file__).parents[2]
CONFIG = Config(listen="127.0.0.1:0", feeds=[COUNTING], history=History(enabled=False))


def never(*_: object) -> NoReturn:
    pytest.fail("there is no process")


class Run:
    """A supervisor that runs in this process."""

    def __init__(self, of: Supervisor, port: int, rolls: trio.MemorySendChannel[object]) -> None:
        self.supervisor = of
        self.port = port
        self._rolls = rolls

    def worker(self, number: int) -> Child:
        """The present process of a slot."""
        found = next(slot.child for slot in self.supervisor.pool.slots if slot.name == str(number))
        assert found is not None
        return found

    def signal(self, number: int, sent: signal.Signals) -> None:
        pid = self.worker(number).pid
        assert pid is not None
        os.kill(pid, sent)

    async def roll(self) -> None:
        await self._rolls.send(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await trio.sleep(0.02)


@asynccontextmanager
async def run(config: Config = CONFIG, workers: int = 1) -> AsyncIterator[Run]:
    """A service; all of its processes have ended when the block is left."""
    config = with_certificate(config)
    opened = await open_listeners(config, check_addresses(config))
    port = opened.clients[0].socket.getsockname()[1]
    rolls_in, rolls = trio.open_memory_channel[object](1)
    reloads_in, reloads = trio.open_memory_channel[object](0)
    made = Supervisor(config, workers, opened)
    with rolls_in, rolls, reloads_in, reloads, trio.fail_after(HANG_SECONDS):
        requests = Requests(trio.Event(), reloads, rolls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.run, requests, NO_MANAGER)
            try:
                await made.pool.serving.wait()
                yield Run(made, port, rolls_in)
            finally:
                requests.stop.set()
    assert not made.pool.children


def events(logs: Logs) -> list[str]:
    return [entry["event"] for entry in logs]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


async def test_a_worker_that_hangs_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    monkeypatch.setattr(child, "WORKER_SILENT_SECONDS", 3.0)
    monkeypatch.setattr(child, "_ABORT_SECONDS", 0.5)
    async with run() as service:
        before = service.worker(1)
        service.signal(1, signal.SIGSTOP)
        await service.until(lambda: service.worker(1) is not before and service.worker(1).serving.is_set())
        assert "a worker gives no sign of life; it is aborted" in events(logs)
        assert service.supervisor.pool.slots[1].restarts == 1


async def test_workers_give_signs_of_life_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source, and those that follow it."""
    async with run(workers=2) as service:
        await service.until(lambda: all(service.worker(number).ready for number in (1, 2)))
        everybody = list(service.supervisor.pool.children)
        for _ in range(3):
            seen = [each.beat_at for each in everybody]
            await service.until(lambda: all(each.beat_at > at for each, at in zip(everybody, seen, strict=True)))  # noqa: B023
        monkeypatch.setattr(child, "WORKER_LATE_SECONDS", -1.0)
        assert all(each.late for each in everybody)
        assert len(everybody) == 3


async def test_a_worker_that_is_late_gets_no_connections_while_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run(workers=2) as service:
        await service.until(lambda: all(service.worker(number).takes_connections for number in (1, 2)))
        late = {"1"}
        monkeypatch.setattr(Child, "late", property(lambda each: each.name in late))
        streams = [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(5)]
        await service.until(lambda: len(service.worker(2).connections) == 5)
        late.clear()
        streams += [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(5)]
        await service.until(lambda: len(service.worker(1).connections) == 5)
        late |= {"1", "2"}  # if all are late, one is as good as another
        streams += [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(2)]
        await service.until(lambda: sum(len(service.worker(number).connections) for number in (1, 2)) == 12)
        for stream in streams:
            await stream.aclose()


async def test_a_worker_that_is_aborted_says_in_the_log_where_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    async with run() as service:
        before = service.worker(1)
        service.signal(1, signal.SIGABRT)
        await service.until(before.ended.is_set)
    assert "Fatal Python error: Aborted" in capfd.readouterr().err


async def test_workers_that_do_not_start_are_killed_and_tried_again_more_and_more_seldom(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    waits: list[int] = []
    backoff = pool._backoff

    def noted(short_lives: int) -> float:
        waits.append(short_lives)
        return min(backoff(short_lives), 0.1)

    monkeypatch.setattr(pool, "_backoff", noted)
    async with run() as service:
        monkeypatch.setattr(child, "WORKER_START_SECONDS", -1.0)
        monkeypatch.setattr(child, "_CHECK_SECONDS", 0.05)
        service.signal(1, signal.SIGKILL)
        await service.until(lambda: len(waits) >= 3)
        assert waits[:3] == [1, 2, 3]
        assert "a worker did not start in time; it is killed" in events(logs)
        monkeypatch.undo()
        monkeypatch.chdir(ROOT)
        await service.until(lambda: service.worker(1).takes_connections)
    assert backoff(0) == 0
    assert 0.25 <= backoff(1) <= 0.5
    assert 15 <= backoff(1_000) <= 30


async def test_a_worker_whose_messages_find_no_room_is_killed(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    async with run() as service:
        with monkeypatch.context() as patch:
            patch.setattr(channel, "CHANNEL_QUEUE_BYTES", 10)
            before = service.worker(1)
            service.signal(1, signal.SIGKILL)
            await service.until(lambda: service.worker(1) is not before)
            second = service.worker(1)
            await service.until(second.ended.is_set)
        assert "a worker does not read what it is told; it is killed" in events(logs)


async def test_a_new_worker_that_cannot_serve_replaces_none(tmp_path: Path, logs: Logs) -> None:
    files = TlsFiles(str(tmp_path / "server.pem"), str(tmp_path / "server-key.pem"))
    for name in ("server.pem", "server-key.pem"):
        (tmp_path / name).write_bytes((data_folder() / name).read_bytes())
    async with run(replace(CONFIG, tls=files), 2) as service:
        await service.until(lambda: all(service.worker(number).ready for number in (1, 2)))
        before = [service.worker(number) for number in (1, 2)]
        (tmp_path / "server-key.pem").write_text("no key any more")
        await service.roll()
        await service.until(lambda: service.supervisor.pool.rolls_failed == 1)
        assert [service.worker(number) for number in (1, 2)] == before
        assert all(each.takes_connections for each in before)
        (entry,) = [entry for entry in logs if "did not become ready" in entry["event"]]
        assert "server-key.pem" in entry["cause"]


async def test_metrics_are_there_while_a_worker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_metrics, "WORKER_METRICS_SECONDS", 0.3)
    async with run(workers=2) as service:
        await service.until(lambda: all(service.worker(number).takes_connections for number in (1, 2)))
        service.signal(2, signal.SIGSTOP)
        page = await service.supervisor.metrics.page()
        service.signal(2, signal.SIGCONT)
        assert b'\nticker_worker_up{worker="1"} 1.0\nticker_worker_up{worker="2"} 0.0\n' in page
        assert b'ticker_ready{worker="1"}' in page
        assert b'ticker_ready{worker="2"}' not in page
        monkeypatch.setattr(supervisor_metrics, "WORKER_METRICS_SECONDS", 60)
        assert b'\nticker_worker_up{worker="1"} 1.0\nticker_worker_up{worker="2"} 1.0\n' in (
            await service.supervisor.metrics.page()
        )


async def test_metrics_say_which_worker_gets_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_metrics, "WORKER_METRICS_SECONDS", 0.3)
    async with run(workers=2) as service:

        async def until_preferred(one: int, two: int) -> None:
            wanted = f'\nticker_worker_preferred{{worker="1"}} {one}.0\nticker_worker_preferred{{worker="2"}} {two}.0\n'
            while wanted.encode() not in await service.supervisor.metrics.page():
                await trio.sleep(0.05)

        await until_preferred(1, 1)
        service.signal(2, signal.SIGSTOP)
        await until_preferred(1, 0)
        service.signal(2, signal.SIGCONT)
        await until_preferred(1, 1)


async def test_a_worker_that_ends_is_not_waited_for_by_who_wants_metrics() -> None:
    async with run(workers=2) as service:
        await service.until(lambda: all(service.worker(number).takes_connections for number in (1, 2)))
        service.signal(2, signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.supervisor.metrics.page)
            await trio.testing.wait_all_tasks_blocked()
            service.signal(2, signal.SIGKILL)


async def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    monkeypatch.setattr(supervisor, "end_seconds", lambda _config: 0.5)
    async with run() as service:
        service.signal(1, signal.SIGSTOP)
    assert "a worker did not end in time; it is killed" in events(logs)


async def test_a_connection_that_no_worker_takes_is_closed_and_counted(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(acceptor, "HAND_OVER_SECONDS", 0.2)
    opened = await open_listeners(CONFIG, check_addresses(CONFIG))
    (listener,) = opened.clients
    places = Places(CONFIG)

    nobody = Pool([Slot("1", ("tls",))], never, never, never, 1.0)
    accepting = Acceptor(nobody, places)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accepting.accept, listener, "tls")
        with trio.fail_after(HANG_SECONDS):
            for number in (1, 2):
                stream = await trio.open_tcp_stream(*listener.socket.getsockname())
                async with stream:
                    assert await stream.receive_some() == b""
                assert accepting.not_handed_over == number
        nursery.cancel_scope.cancel()
    await listener.aclose()
    assert places.limits.open == 0
    assert events(logs) == ["a connection was closed: no worker took it"], "not one for each"


async def test_an_address_with_too_many_connections_is_closed_before_any_worker_has_to_do_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticker.door.connection_limits.MAX_PENDING_CONNECTIONS", 1)
    async with run(replace(CONFIG, limits=Limits(max_per_address=2))) as service:
        streams = [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(4)]
        with trio.fail_after(HANG_SECONDS):
            assert await streams[3].receive_some() == b""
        assert service.worker(1).connections == {1, 2, 3}
        for stream in streams:
            await stream.aclose()
        await service.until(lambda: not service.worker(1).connections)
        assert service.supervisor.places.limits.open == 0


async def test_a_worker_that_cannot_be_started_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    pair = socket.socketpair

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    async with run() as service:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_backoff", lambda _: 0.1)
            patch.setattr(socket, "socketpair", refuse)
            service.signal(1, signal.SIGKILL)
            await service.until(lambda: "a worker cannot be started" in events(logs))
        assert socket.socketpair is pair
        await service.until(lambda: service.worker(1).takes_connections)


async def test_settings_that_a_worker_cannot_use_are_the_services_own_error() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with run(replace(CONFIG, feeds=["tests.feeds_for_tests:Picky?price=7"])):
            pytest.fail("it serves")
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, ConfigError)
    assert "it never suits" in str(error)


def test_every_object_says_what_it_is() -> None:
    places = Places(CONFIG)
    slots = [Slot("1", ("tls",))]

    of = Pool(slots, never, never, never, 1.0)
    for each in (places, of, slots[0], Acceptor(of, places), Child("1", never)):
        assert repr(each).isprintable()

"""`--workers 2 --delay`: one spool for all workers; whatever dies, clients go on; tokens choose at every worker."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
import trio

from tests.conftest import Running
from tests.server.delayed import DELAY, page, said_delay, welcome
from tests.supervisor.running import supervised
from tests.supervisor.test_one_market import watching
from tests.tokens import bearer, key_file, token
from ticker.protocol.messages import Reply

LATE = ("--delay", f"{DELAY}s")


@pytest.fixture(autouse=True)
def _own_home(home: Path) -> None:
    """Each test has a spool of its own."""


@pytest.mark.untraced
async def test_clients_of_a_dead_worker_go_on_at_another_and_the_death_of_the_source_begins_nothing_anew(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path, *LATE) as service:
        await service.ready()
        async with watching(service, 4) as clients:
            assert {each.client.delay_seconds for each in clients if each.client is not None} == {DELAY}
            epoch = (await page(service, "/v1/snapshot?symbols=*")).json["epoch"]
            os.kill(service.pids()["1"], signal.SIGKILL)
            os.kill(service.pids()["source"], signal.SIGKILL)
            await service.until(lambda metrics: metrics["ticker_worker_restarts_total", "source"] == 1)
            await service.until(lambda metrics: metrics["ticker_worker_restarts_total", "1"] == 1)
            for each in clients:
                await each.goes_on()
                assert all(each.connected[1:])
            assert (await page(service, "/v1/snapshot?symbols=*")).json["epoch"] == epoch
            metrics = await service.metrics()
            assert metrics["ticker_delay_seconds", ""] == DELAY
            assert metrics["ticker_delay_entries_dropped_total", ""] == 0


async def test_tokens_choose_at_every_worker(tmp_path: Path) -> None:
    arguments = (*LATE, "--token-key", key_file(tmp_path))
    real, late = bearer(token(sub="a", realtime=True)), bearer(token(sub="b"))
    async with supervised(tmp_path, *arguments) as service:
        service.authorization = (bearer(token(sub="operator", metrics=True)).strip(),)
        await service.ready()
        for _ in range(4):
            assert said_delay(await service.watcher("*", more=real)) == 0
            assert said_delay(await service.watcher("*", more=late)) == DELAY
            cuts = [await cut(service, line) for line in (late, real, late)]
            assert cuts[0] < cuts[1] > cuts[2]


async def cut(service: Running, line: str) -> int:
    got = await page(service, "/v1/snapshot?symbols=*", line.strip())
    return int(got.json["cut"])


@pytest.mark.untraced
async def test_a_restart_of_the_whole_goes_on_with_the_same_market(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    async with supervised(tmp_path, *LATE, listen=listen) as service:
        await service.ready()
        before = welcome(await service.watcher("*"))
    async with supervised(tmp_path, *LATE, listen=listen) as service:
        await service.ready()
        peer = await service.peer()
        assert isinstance(await peer.answer("resume", epoch=before.epoch, cursor=before.cut, symbols=["*"]), Reply)


@pytest.mark.untraced
async def test_after_kill_9_of_everything_what_was_before_is_shown_first_and_then_the_new_market(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    delay = ("--delay", "15s")  # longer than a start of the processes takes
    async with supervised(tmp_path, *delay, listen=listen) as service:
        before = (await page(service, "/v1/snapshot?symbols=*")).json["epoch"]
        for pid in [service.process.pid, *service.pids().values()]:
            os.kill(pid, signal.SIGKILL)
    epochs: list[str] = []
    async with supervised(tmp_path, *delay, listen=listen) as service:
        while not epochs or epochs[-1] == before:
            epochs.append((await page(service, "/v1/snapshot?symbols=*")).json["epoch"])
            await trio.sleep(0.1)
    assert epochs[0] == before

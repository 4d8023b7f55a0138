"""`ticker serve --workers N` as processes: what clients and operators see when parts die, are replaced, or stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.bounds import HANG_SECONDS
from tests.conftest import MSGPACK, Peer, upgrade
from tests.programs import PROMTOOL, require
from tests.server.test_pages import ask
from tests.supervisor.running import Supervised, arguments_of, ends, environment_of, supervised
from tests.tokens import bearer, key_file, token
from ticker.net.devcert import AUTHORITY_FILE, data_folder
from ticker.net.tls import client_context
from ticker.protocol.messages import Reply
from ticker.protocol.wire import ENCODINGS
from ticker.supervisor.channel import socket_pair

pytestmark = pytest.mark.untraced


async def watchers(service: Supervised, count: int) -> list[Peer]:
    """So many clients that watch everything, connected at once."""
    found: list[Peer] = []

    async def connect() -> None:
        found.append(await service.watcher())

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(connect)
    return found


@asynccontextmanager
async def reading(peers: list[Peer]) -> AsyncIterator[list[bool]]:
    """Of each of them that has ended by now, whether it was told so."""
    told: list[bool] = []

    async def read(peer: Peer) -> None:
        told.append(await ends(peer))

    async with trio.open_nursery() as nursery:
        for peer in peers:
            nursery.start_soon(read, peer)
        yield told
        nursery.cancel_scope.cancel()


async def until_ended(told: list[bool], count: float) -> None:
    """Wait until so many have ended."""
    while len(told) < count:
        await trio.sleep(0.05)


async def still_served(peers: list[Peer]) -> None:
    """Each gets an answer, and so is connected."""
    for peer in peers:
        assert isinstance(await peer.answer("ping"), Reply)


async def test_each_worker_gets_as_many_connections_and_the_death_of_one_is_noticed_by_its_own_alone(
    tmp_path: Path,
) -> None:
    async with supervised(tmp_path, workers=3) as service:
        await service.ready(workers=3)
        await service.until(lambda metrics: metrics["ticker_places_open", ""] == 1)  # who asks
        peers = await watchers(service, 30)
        metrics = await service.metrics()
        clients = [metrics["ticker_clients", str(number)] for number in (1, 2, 3)]
        assert min(clients) >= 9, "each has as many, but for one that asked for metrics"
        assert metrics["ticker_places_admitted", ""] == 30

        os.kill(service.pids()["2"], signal.SIGKILL)
        async with reading(peers) as lost:
            await until_ended(lost, clients[1])
            await service.ready(workers=3)
        assert len(lost) == clients[1]
        await watchers(service, len(lost))
        metrics = await service.until(lambda metrics: metrics["ticker_places_admitted", ""] == 30)
        assert all(9 <= metrics["ticker_clients", str(number)] <= 11 for number in (1, 2, 3)), "and who asks for these"
        assert metrics["ticker_worker_restarts_total", "2"] == 1
        assert "a worker has ended, and is replaced" in service.log.read_text()
        assert "signal 9" in service.log.read_text()


async def test_sigusr2_replaces_every_process_and_resets_nobody(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        await service.ready()
        peers, before = await watchers(service, 100), service.pids()
        goodbyes = Counter[bool]()

        async def come_back(peer: Peer) -> None:
            goodbyes[await ends(peer)] += 1
            again = await service.watcher()
            await still_served([again])

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(come_back, peer)
            service.process.send_signal(signal.SIGUSR2)
            await service.until_logged("all processes are replaced")
        assert goodbyes == {True: 100}
        after = service.pids()
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        metrics = await service.metrics()
        assert metrics["ticker_rolls_total", ""] == 1
        assert metrics["ticker_rolls_failed_total", ""] == 0
        assert sum(metrics["ticker_worker_restarts_total", number] for number in ("1", "2")) == 0


async def test_connections_that_arrive_while_workers_are_replaced_are_all_answered(tmp_path: Path) -> None:
    """Those that the old worker was just given, too."""
    async with supervised(tmp_path) as service:
        answered = 0
        over = trio.Event()

        async def ask_again_and_again() -> None:
            nonlocal answered
            while not over.is_set():
                assert (await ask(service, "/healthz")).status == 200
                answered += 1

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ask_again_and_again)
            service.process.send_signal(signal.SIGUSR2)
            await service.until_logged("all processes are replaced")
            over.set()
        assert answered > 10


async def answer(service: Supervised, more: str = "") -> bytes:
    """The first line of the answer to a client that asks for a stream."""
    peer = await service.dial()
    await peer.send(upgrade(more=more))
    return (await peer.head()).partition(b"\r\n")[0]


async def test_the_limit_of_an_address_holds_for_all_workers_together(tmp_path: Path) -> None:
    async with supervised(tmp_path, toml="[limits]\nmax_per_address = 20\n") as service:
        await service.ready()
        admitted = 0
        while await answer(service) == b"HTTP/1.1 101 Switching Protocols":
            admitted += 1
        assert 10 < admitted <= 20, "those that have asked for pages may not have gone yet"
        assert (await ask(service, "/healthz")).status == 200


async def test_the_limit_of_a_subject_holds_for_all_workers_and_a_dead_one_has_no_places(tmp_path: Path) -> None:
    toml = f'[tokens]\nkey = "{key_file(tmp_path)}"\n[limits]\nmax_per_subject = 3\n'
    alice, operator = bearer(token(sub="alice")), bearer(token(sub="operator", metrics=True)).strip()
    async with supervised(tmp_path, toml=toml) as service:
        service.authorization = (operator,)
        await service.ready()
        peers = [await service.peer(more=alice) for _ in range(3)]
        assert await answer(service, alice) == b"HTTP/1.1 429 Too Many Requests"
        assert await answer(service, bearer(token(sub="bob"))) == b"HTTP/1.1 101 Switching Protocols"
        pids = service.pids()
        for number in ("1", "2"):
            os.kill(pids[number], signal.SIGKILL)
        await service.until_logged("a worker has ended, and is replaced", 2)
        for peer in peers:
            await ends(peer)
        await service.ready()
        for _ in range(3):
            await service.peer(more=alice)
        assert await answer(service, alice) == b"HTTP/1.1 429 Too Many Requests"


async def test_clients_behind_a_proxy_are_counted_by_their_own_addresses_whatever_worker_they_are_at(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    toml = '[proxies]\nproxy_protocol = ["127.0.0.1"]\n[limits]\nmax_per_address = 4\n'
    more = ["--insecure-allow-anyone", "--metrics-listen", f"127.0.0.1:{port}"]
    async with supervised(tmp_path, *more, toml=toml) as service:
        apart = Supervised(f"wss://127.0.0.1:{port}/v1/stream", service.process, service.log)
        apart.peers = service.peers
        await apart.ready()

        async def answer_to(address: str) -> bytes:
            transport = await trio.open_tcp_stream("127.0.0.1", service.port)
            await transport.send_all(f"PROXY TCP4 {address} 10.0.0.1 51234 443\r\n".encode())
            context = client_context("127.0.0.1", data_folder() / AUTHORITY_FILE)
            stream = trio.SSLStream(transport, context, server_hostname="127.0.0.1", https_compatible=True)
            peer = Peer(stream, ENCODINGS[MSGPACK])
            service.peers.append(peer)
            await peer.send(upgrade())
            return (await peer.head()).partition(b"\r\n")[0]

        answers = [await answer_to("203.0.113.7") for _ in range(6)]
        assert answers == [b"HTTP/1.1 101 Switching Protocols"] * 4 + [b"HTTP/1.1 429 Too Many Requests"] * 2
        assert await answer_to("203.0.113.8") == b"HTTP/1.1 101 Switching Protocols"
        metrics = await apart.metrics()
        clients = [metrics["ticker_clients", number] for number in ("1", "2")]
        assert min(clients) > 0
        assert sum(clients) == 5


async def test_certificates_are_read_anew_by_all_workers_on_sighup(tmp_path: Path) -> None:
    home = data_folder()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes((home / "server.pem").read_bytes())
    key.write_bytes((home / "server-key.pem").read_bytes())
    async with supervised(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key)) as service:
        await service.ready()
        service.process.send_signal(signal.SIGHUP)
        await service.until_logged("reloaded", 2)
        key.write_text("no key")  # noticed without a signal, and refused
        await service.until_logged("not reloaded; what was in use stays", 2)
        await service.watcher()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])  # the latter as a terminal sends it
async def test_a_stop_says_goodbye_to_all_and_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        peers, pids = await watchers(service, 10), service.pids()
        async with reading(peers) as told:
            assert await service.stopped(number) == 0
            await until_ended(told, 10)
        assert told == [True] * 10
        assert not any(map(arguments_of, pids.values()))
        assert "Traceback" not in service.log.read_text()


def test_a_stop_before_anybody_serves_is_an_end_in_order_as_well(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_WORKERS)
    started = tmp_path / "started"
    command = [sys.executable, "-m", "ticker", "serve", "--workers", "2", "--listen", "127.0.0.1:0", "--no-history"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "STARTED": str(started)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        _, log = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, log
    assert "Traceback" not in log


SLOW_WORKERS = """
import os, sys, time
if "worker" in sys.orig_argv:
    open(os.environ["STARTED"], "w").close()
    time.sleep(3)
"""
"""Python's own hook at the start of each process."""


async def test_workers_say_goodbye_and_end_when_their_supervisor_dies(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        (peer,), pids = await watchers(service, 1), service.pids()
        service.process.kill()
        assert await ends(peer)
        while any(map(arguments_of, pids.values())):
            await trio.sleep(0.05)
        assert "the supervisor has gone" in service.log.read_text()


async def test_a_worker_that_gets_a_signal_leaves_in_order_and_is_replaced(tmp_path: Path) -> None:
    async with supervised(tmp_path) as service:
        await service.ready()
        peers, before = await watchers(service, 4), service.pids()
        clients = (await service.metrics())["ticker_clients", "1"]
        async with reading(peers) as told:
            os.kill(before["1"], signal.SIGTERM)
            await service.until(lambda metrics: metrics["ticker_worker_restarts_total", "1"] == 1)
            await service.ready()
            await until_ended(told, clients)
        assert service.pids()["2"] == before["2"]
        assert told == [True] * int(clients)


async def test_one_address_for_metrics_has_those_of_all_processes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = f"{tmp_path}/t.sock"
    toml = f'[tokens]\nkey = "{key_file(tmp_path)}"\n'
    more = ["--metrics-listen", f"127.0.0.1:{port}", "--listen", f"http://unix:{path}"]
    async with supervised(tmp_path, *more, toml=toml) as service:
        apart = Supervised(f"wss://127.0.0.1:{port}/v1/stream", service.process, service.log)
        apart.peers = service.peers
        metrics = await apart.until(lambda found: found["ticker_worker_up", "1"] + found["ticker_worker_up", "2"] == 2)
        assert {worker for _, worker in metrics if worker} == {"1", "2", "source", "supervisor"}
        plain = await service.dial_plain(path)
        await plain.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await plain.head()).startswith(b"HTTP/1.1 200 ")
        samples = [(name, tuple(sorted(labels.items()))) for name, labels, _ in await apart.samples()]
        assert len(samples) == len(set(samples)), "no sample is there twice"
        checked = await trio.run_process(
            [require(PROMTOOL), "check", "metrics"],
            stdin=(await ask(apart, "/metrics")).body,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, b"")


async def test_settings_that_only_the_workers_can_judge_end_the_service_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        async with supervised(tmp_path, feed="simulated?nonsense=1"):
            pass
    assert "ticker: feed 'simulated?nonsense=1'" in str(caught.value)
    assert str(caught.value).count("nonsense") <= 2


async def test_a_service_manager_hears_from_the_supervisor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "600000")

        async def until(start: str) -> str:
            while not (text := (await manager.recv(4096)).decode()).startswith(start):
                pass
            return text

        async with supervised(tmp_path) as service:
            assert (await manager.recv(4096)) == b"READY=1"
            text = await until("WATCHDOG=1\nSTATUS=")
            assert " of 2 workers ready" in text
            service.process.send_signal(signal.SIGHUP)
            await until("RELOADING=1")
            await until("READY=1")
            service.process.send_signal(signal.SIGTERM)
            await until("STOPPING=1")


async def test_settings_are_seen_in_no_list_of_processes(tmp_path: Path) -> None:
    feed = "tests.feeds_for_tests:Keyed?api_key=do-not-show"
    async with supervised(tmp_path, feed=feed) as service:
        for pid in service.pids().values():
            assert b"do-not-show" not in arguments_of(pid)
            assert b"do-not-show" not in environment_of(pid)


def test_the_pair_of_sockets_is_for_this_process_alone() -> None:
    one, two = socket_pair()
    with one, two:
        assert not one.get_inheritable()
        assert not two.get_inheritable()

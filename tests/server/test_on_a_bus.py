"""A service on a bus, as operators see it: what is wrong with the engine is a line, /readyz, and over once mended."""

from __future__ import annotations

import json
import re
from contextlib import AbstractAsyncContextManager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
import trustme

from tests.bus.servers import Server, started
from tests.conftest import Logs, Running, running
from tests.net.certificates import save
from tests.server.test_operator_pages import measures
from tests.server.test_pages import Unanswered, ask
from tests.server.test_service_manager import Manager, manager
from ticker.bus.engine import Keyframe, Position
from ticker.config import Config, History
from ticker.server import leader
from ticker.server.bus_entries import VERSION
from ticker.server.service_manager import NO_MANAGER, ServiceManager

__all__ = ["manager"]

LOG = "ticker:main:log"


def on_bus(
    url: str,
    *,
    feeds: bool = False,
    manager: ServiceManager = NO_MANAGER,
    **settings: Any,  # noqa: ANN401
) -> AbstractAsyncContextManager[Running]:
    """A service on this bus: a source, if it has feeds, or else an edge."""
    named: dict[str, Any] = {"feeds": ["simulated?symbols=3&rate=50"]} if feeds else {}
    config = Config("127.0.0.1:0", bus=url, history=History(enabled=False), keep_state=False, **named, **settings)
    return running(config, manager=manager)


async def readiness(service: Running) -> tuple[int, dict[str, Any]]:
    """Whether it is ready, and what it says about that; as a market begins anew, connections may end unanswered."""
    while True:
        with suppress(Unanswered):
            got = await ask(service, "/readyz")
            assert (await ask(service, "/healthz")).status == 200
            return got.status, json.loads(got.body)


async def becomes_ready(service: Running) -> None:
    while (await readiness(service))[0] != 200:
        await trio.sleep(0.1)


async def is_not_ready(service: Running, cause: str) -> None:
    """Wait until it is not ready, for this cause."""
    while True:
        status, body = await readiness(service)
        if status == 503 and (re.search(cause, body["message"]) or cause in body["message"]):
            return
        await trio.sleep(0.1)


async def stays_so(service: Running, server: Server, error: str, times: int = 4) -> None:
    """Check that it is not ready again before the engine has answered so many times with this error."""
    refused = 0
    while refused < times:
        assert (await readiness(service))[0] == 503
        found = re.search(f"errorstat_{error}:count=([0-9]+)", await server.run("INFO", "errorstats"))
        refused = int(found[1]) if found is not None else 0


def lines(logs: Logs, cause: str) -> int:
    """How many lines of the log name this cause."""
    return sum(cause in str(entry.get("cause", "")) for entry in logs)


async def test_an_engine_that_cannot_be_reached_yet_and_what_a_manager_hears_meanwhile(
    tmp_path: Path, logs: Logs, manager: Manager
) -> None:
    server = Server(tmp_path)
    url, cause = f"redis://{server.address}", "it cannot be reached: Connection refused; is it running"
    watched = ServiceManager.from_environment(manager.environment(WATCHDOG_USEC="100000"))
    async with on_bus(url, feeds=True) as source, on_bus(url, manager=watched) as edge:
        await is_not_ready(source, f"the bus cannot be used: the bus at {url}/0: {cause}")
        await is_not_ready(edge, cause)
        refused = await ask(edge, "/v1/snapshot?symbols=*")
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert "nothing is heard of the source" in refused.json["message"]
        await manager.until("READY=1")
        for _ in range(2):
            await manager.until("WATCHDOG=1")  # it lives, although there is nothing to serve
        assert lines(logs, cause) == 2, "one line of each process, however often it tries"
        with started(server):
            await becomes_ready(edge)
            await becomes_ready(source)
            assert (await ask(edge, "/v1/snapshot?symbols=*")).status == 200
            for _ in range(2):
                await manager.until("WATCHDOG=1")


async def test_a_certificate_that_does_not_fit_until_its_authority_is_named(tmp_path: Path, logs: Logs) -> None:
    authority = trustme.CA()
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    cert, key = save(tmp_path / "server", authority.issue_cert("127.0.0.1"))
    files = ["--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(tmp_path / "ca.pem")]
    server = Server(tmp_path, *files, "--tls-auth-clients", "no", tls=True)
    with started(server):
        await server.ready()
        async with on_bus(f"rediss://{server.address}?ca={tmp_path / 'ca.pem'}", feeds=True) as source:
            await is_not_ready(source, r"its certificate does not fit: .*; name its authority \(\?ca=FILE\)")
            assert lines(logs, "its certificate does not fit") == 1
            authority.cert_pem.write_to_path(tmp_path / "ca.pem")
            await becomes_ready(source)


async def test_a_log_of_another_version_until_it_is_deleted(tmp_path: Path, logs: Logs) -> None:
    server = Server(tmp_path)
    foreign = msgpack.packb([VERSION + 1, ["epoch", 1, "run"], 0, 1, 0, [], []])
    with started(server):
        await server.ready()
        async with server.engine().connect() as connection:
            await connection.append(Position(1), foreign)
            await connection.put_part(1, 0, foreign)
            await connection.finish_keyframe(Keyframe(1, 1))
        async with on_bus(f"redis://{server.address}") as edge:
            cause = f"its source writes version {VERSION + 1} of entries, this is {VERSION}: run the same release"
            await is_not_ready(edge, cause)
            while not lines(logs, cause):
                await trio.sleep(0.05)
            await server.run("FLUSHALL")
            async with on_bus(f"redis://{server.address}", feeds=True):
                await becomes_ready(edge)
        assert lines(logs, cause) == 1


async def test_a_source_beside_one_of_another_version_says_so_once_and_leads_when_that_has_gone(
    tmp_path: Path, logs: Logs
) -> None:
    server = Server(tmp_path)
    cause = f"its source writes version {VERSION + 1} of entries, this is {VERSION}: run the same release"

    writing = trio.CancelScope()

    async def write() -> None:
        foreign = msgpack.packb([VERSION + 1, ["epoch", 1, "run"], 0, 1, 0, [], []])
        with writing:
            async with server.engine().connect() as connection:
                await connection.append(Position(1), foreign)
                await connection.put_part(1, 0, foreign)
                await connection.finish_keyframe(Keyframe(1, 1))
                for beat in count(1):
                    await connection.append(Position(1, beat), foreign)
                    await trio.sleep(0.2)

    with started(server):
        await server.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            while "stream" not in await server.run("TYPE", LOG):
                await trio.sleep(0.02)
            async with on_bus(f"redis://{server.address}", feeds=True) as source:
                await is_not_ready(source, f"it stands by: another source leads, or may come back, and .*: {cause}")
                await trio.sleep(3)  # it tries on
                assert lines(logs, cause) == 1
                writing.cancel()
                await becomes_ready(source)


BROKEN = [
    ("the password is another", ["ACL SETUSER ticker resetpass >other"], ["ACL SETUSER ticker resetpass >pw"]),
    ("its user ticker may not do what is needed", ["ACL SETUSER ticker -info"], ["ACL SETUSER ticker +info"]),
    (
        "its maxmemory-policy is allkeys-lru, so it may delete the log: set maxmemory-policy noeviction",
        ["CONFIG SET maxmemory-policy allkeys-lru"],
        ["CONFIG SET maxmemory-policy noeviction"],
    ),
    ("it is a read-only replica of 127.0.0.1:1: name that one", ["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    (
        f"the key {LOG} is a string, not a stream: another program uses it; delete it",
        [f"SET {LOG} theirs"],
        [f"DEL {LOG}"],
    ),
]


async def test_whatever_befalls_an_engine_is_said_by_all_and_over_when_it_is_mended(tmp_path: Path, logs: Logs) -> None:
    server = Server(tmp_path)
    url = f"redis://ticker:pw@{server.address}"
    with started(server):
        await server.ready()
        await server.run("ACL", "SETUSER", "ticker", "on", ">pw", "~ticker:*", "+@all")
        async with on_bus(url, feeds=True) as source, on_bus(url) as edge:
            await becomes_ready(edge)
            epoch = (await ask(edge, "/v1/snapshot?symbols=*")).json["epoch"]
            for cause, faults, remedies in BROKEN:
                text = cause.replace("the password is another", "the user or the password is wrong: redis://USER:PASS")
                for command in faults:
                    await server.run(*command.split())
                await server.run("CLIENT", "KILL", "USER", "ticker", "SKIPME", "yes")
                await is_not_ready(source, text)
                await is_not_ready(edge, text)
                assert (await measures(edge))["ticker_bus_up"] == 0
                for command in remedies:
                    await server.run(*command.split())
                await becomes_ready(source)
                await becomes_ready(edge)
                assert lines(logs, text) == 2, "one line of each process"
            assert (await ask(edge, "/v1/snapshot?symbols=*")).json["epoch"] == epoch


async def test_an_engine_that_can_be_read_and_not_written_to_is_not_there_again_at_each_attempt(
    tmp_path: Path, logs: Logs
) -> None:
    server = Server(tmp_path)
    with started(server):
        await server.ready()
        await server.run("ACL", "SETUSER", "ticker", "on", ">pw", "~ticker:*", "+@all")
        async with on_bus(f"redis://ticker:pw@{server.address}", feeds=True) as source:
            await becomes_ready(source)
            for fault, remedy, error, cause in (
                ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM", "it is out of memory"),
                ("ACL SETUSER ticker -xadd", "ACL SETUSER ticker +xadd", "NOPERM", "its user ticker may not do"),
            ):
                await server.run(*fault.split())
                await is_not_ready(source, cause)
                await stays_so(source, server, error)
                await server.run(*remedy.split())
                await becomes_ready(source)
                assert lines(logs, cause) == 1


async def test_an_engine_whose_log_may_not_be_read_is_not_there_again_at_each_attempt(
    tmp_path: Path, logs: Logs
) -> None:
    server = Server(tmp_path)
    with started(server):
        await server.ready()
        await server.run("ACL", "SETUSER", "edge", "on", ">pw", "~ticker:*", "+@all")
        async with (
            on_bus(f"redis://{server.address}", feeds=True) as source,
            on_bus(f"redis://edge:pw@{server.address}") as edge,
        ):
            await becomes_ready(source)
            await becomes_ready(edge)
            await server.run("ACL", "SETUSER", "edge", "-xread")
            await is_not_ready(edge, "its user edge may not do")
            await stays_so(edge, server, "NOPERM")
            await server.run("ACL", "SETUSER", "edge", "+xread")
            await becomes_ready(edge)
            assert lines(logs, "its user edge may not do") == 1


@pytest.mark.parametrize("command", ["xread", "hgetall"])
async def test_what_may_not_be_read_from_the_start_is_said_once_by_an_edge_and_by_a_source_that_stands_by(
    tmp_path: Path, logs: Logs, command: str
) -> None:
    server = Server(tmp_path)
    url = f"redis://second:pw@{server.address}"
    with started(server):
        await server.ready()
        await server.run("ACL", "SETUSER", "second", "on", ">pw", "~ticker:*", "+@all", f"-{command}")
        async with on_bus(f"redis://{server.address}", feeds=True) as source:
            await becomes_ready(source)
            async with on_bus(url, feeds=True) as standby, on_bus(url) as edge:
                for service in (standby, edge):
                    await is_not_ready(service, "its user second may not do")
                    await stays_so(service, server, "NOPERM", times=8)
                assert lines(logs, "its user second may not do") == 2, "one line of each process"
                await server.run("ACL", "SETUSER", "second", f"+{command}")
                await is_not_ready(standby, "it stands by: another source leads, or may come back")
                await becomes_ready(edge)
                assert lines(logs, "its user second may not do") == 2


async def test_of_a_log_that_is_gone_only_the_latest_cuts_are_written_again(
    tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "KEPT_CUTS", 5)
    server = Server(tmp_path)

    async def market(edge: Running) -> dict[str, Any]:
        while (got := await ask(edge, "/v1/snapshot?symbols=*")).status == 503:  # it lacked more than was written again
            await trio.sleep(0.1)
        found: dict[str, Any] = got.json
        return found

    with started(server):
        await server.ready()
        async with (
            on_bus(f"redis://{server.address}", feeds=True) as source,
            on_bus(f"redis://{server.address}") as edge,
        ):
            await becomes_ready(edge)
            while (before := await market(edge))["cut"] < 20:
                await trio.sleep(0.1)
            await server.run("FLUSHALL")
            while not (repairs := [entry["cuts"] for entry in logs if "has lost cuts" in entry["event"]]):
                await trio.sleep(0.1)
            await becomes_ready(source)
            while (after := await market(edge))["cut"] < before["cut"] + 20:
                await trio.sleep(0.1)
            assert repairs == [5]
            assert after["epoch"] == before["epoch"]


async def test_metrics_say_what_each_process_is_and_does(tmp_path: Path, logs: Logs) -> None:
    del logs
    server = Server(tmp_path)
    url = f"redis://{server.address}"
    with started(server):
        await server.ready()
        async with on_bus(url, feeds=True) as source:
            await becomes_ready(source)
            async with on_bus(url, feeds=True) as standby, on_bus(url) as edge:
                await becomes_ready(edge)
                while not (await measures(standby))["ticker_bus_cuts_followed_total"]:
                    await trio.sleep(0.1)
                await is_not_ready(standby, "it stands by: another source leads")
                found = {
                    name: await measures(each)
                    for name, each in [("source", source), ("standby", standby), ("edge", edge)]
                }
                check_pages(found)
                source.stop.set()
                await source.done.wait()
                await becomes_ready(standby)
                after = await measures(standby)
                assert after["ticker_bus_role{role=source}"] == 1
                assert after["ticker_bus_term"] == 2
                assert after["ticker_bus_cuts_committed_total"] > 0


def check_pages(found: dict[str, dict[str, float]]) -> None:
    for name, each in found.items():
        roles = {role: each[f"ticker_bus_role{{role={role}}}"] for role in found}
        assert roles == {role: float(role == name) for role in found}
        assert (each["ticker_bus_up"], each["ticker_bus_term"]) == (1, 1)
        assert each["ticker_bus_source_silent_seconds"] == 0
        assert (each["ticker_bus_cuts_committed_total"] > 0) is (name == "source")
        assert (each["ticker_bus_cuts_followed_total"] > 0) is (name != "source")
        assert [each[f"ticker_bus_begun_anew_total{{cause={cause}}}"] for cause in ("deposed", "lost", "silent")] == [
            0
        ] * 3
    assert found["source"]["ticker_bus_keyframes_total"] > 0

"""Sources, edges and a Redis as processes that are killed and stopped: a client keeps its copy through all of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

import ticker
from tests.bounds import HANG_SECONDS
from tests.bus.servers import Server, started, watched_servers
from tests.supervisor.running import COUNTING, ROOT
from ticker.bus.engine import Entry, Unavailable
from ticker.bus_bounds import FOLLOW_SECONDS, SILENT_READS
from ticker.client.client import Client
from ticker.client.events import Connected, Event, Mismatch
from ticker.errors import ConnectionFailed
from ticker.server.bus_entries import Stamp, read_entry

pytestmark = pytest.mark.untraced


class Program:
    """`ticker serve --bus`, as often as it is started."""

    def __init__(self, folder: Path, name: str, bus: str, *arguments: str) -> None:
        self.log = folder / f"{name}.log"
        config = folder / "ticker.toml"
        config.write_text("keep_state = false\n[history]\nenabled = false\n")
        self._command = [sys.executable, "-m", "ticker", "serve", "--config", str(config), *arguments]
        self._command += ["--bus", bus]
        self._listen = "127.0.0.1:0"
        self._process: trio.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it, where it was before, and wait until it listens."""
        with self.log.open("ab") as stderr:
            process = await trio.lowlevel.open_process(
                [*self._command, "--listen", self._listen],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self._process = process
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            more = await process.stdout.receive_some()
            assert more, self.log.read_text()
            line += more
        self.url = line.decode().split()[1]
        self._listen = self.url.split("/")[2]

    async def has_data(self) -> None:
        """Wait until it serves clients: it listens before that."""
        while True:
            try:
                async with ticker.connect(self.url):
                    return
            except ConnectionFailed:
                await trio.sleep(0.1)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                assert process.stdout is not None
                await process.stdout.aclose()


class Watched:
    """A client of all edges."""

    def __init__(self, client: Client, events: list[Event]) -> None:
        self.client = client
        self.events = events
        self.changes = 0

    async def follow(self) -> None:
        async for change in self.client.subscribe("*"):
            self.changes += "last" in change.changes.get("COUNT", {})

    async def goes_on(self) -> None:
        """Wait until more has come; the copy is then that of its edge, and was never begun anew."""
        before = self.changes
        while self.changes < before + 5:
            await trio.sleep(0.02)
        assert await self.client.verify()
        assert not any(isinstance(event, Mismatch) for event in self.events)
        assert [event.resumed for event in self.events if isinstance(event, Connected)][1:].count(False) == 0


@asynccontextmanager
async def running(source: Program, *standbys: Program, edges: Sequence[Program]) -> AsyncIterator[Watched]:
    """A source, and a client of these edges that has data; the others are started by the test."""
    async with AsyncExitStack() as stack:
        for program in (source, *standbys, *edges):
            stack.push_async_callback(program.kill)
        with trio.fail_after(2 * HANG_SECONDS):
            await source.start()
            async with trio.open_nursery() as nursery:
                for program in edges:
                    nursery.start_soon(program.start)
            events: list[Event] = []
            for program in edges:
                await program.has_data()
            async with ticker.connect([each.url for each in edges], on_event=events.append) as client:
                watched = Watched(client, events)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(watched.follow)
                    await watched.goes_on()
                    yield watched
                    nursery.cancel_scope.cancel()


async def stamp(redis: Server) -> Stamp:
    """The stamp of the log's last entry."""
    while True:
        try:
            async with redis.engine().connect() as connection:
                last = await connection.last()
                data = await connection.entry(last)
                if data is not None:
                    return read_entry(Entry(last, data)).stamp
        except Unavailable:
            pass
        await trio.sleep(0.05)


async def taken_over(redis: Server, term: int) -> None:
    """Wait until the source with this term leads."""
    while (await stamp(redis)).term < term:
        await trio.sleep(0.05)


async def test_edges_and_sources_die_and_are_stopped_and_the_copy_goes_on(redis: Server, tmp_path: Path) -> None:
    bus = f"redis://{redis.address}"
    sources = [Program(tmp_path, f"source{number}", bus, "--feed", COUNTING) for number in (1, 2)]
    edges = [Program(tmp_path, f"edge{number}", bus) for number in (1, 2)]
    async with running(*sources, edges=edges) as watched:
        await sources[1].start()
        epoch = (await stamp(redis)).epoch
        its = next(each for each in edges if each.url == watched.client.url)
        await its.kill()
        await watched.goes_on()
        await its.start()

        await sources[0].kill()
        await taken_over(redis, 2)
        await watched.goes_on()

        await sources[0].start()
        sources[0].send(signal.SIGSTOP)  # it stands by: what it finds when it wakes is a source that lives
        await trio.sleep(FOLLOW_SECONDS * (SILENT_READS + 1))
        sources[0].send(signal.SIGCONT)
        await watched.goes_on()
        assert (await stamp(redis)).term == 2

        sources[1].send(signal.SIGSTOP)
        await taken_over(redis, 3)
        await watched.goes_on()
        sources[1].send(signal.SIGCONT)
        while "it leads, and this one stands by" not in sources[1].log.read_text():
            await trio.sleep(0.05)
        await watched.goes_on()
        assert (await stamp(redis))[:2] == (epoch, 3)


@pytest.mark.parametrize("settings", [(), ("--appendonly", "yes")], ids=["nothing on its disk", "appendonly"])
async def test_redis_dies_and_is_stopped_and_so_does_the_only_source(tmp_path: Path, settings: tuple[str, ...]) -> None:
    redis = Server(tmp_path, *settings)
    bus = f"redis://{redis.address}"
    source = Program(tmp_path, "source", bus, "--feed", COUNTING)
    edges = [Program(tmp_path, "edge", bus)]
    with started(redis):
        await redis.ready()
        async with running(source, edges=edges) as watched:
            epoch = (await stamp(redis)).epoch
            redis.kill()
            redis.start()
            await watched.goes_on()
            redis.send(signal.SIGSTOP)
            await trio.sleep(1)
            redis.send(signal.SIGCONT)
            await watched.goes_on()
            assert (await stamp(redis))[:2] == (epoch, 1)
            await source.kill()
            await source.start()
            await taken_over(redis, 2)
            await watched.goes_on()
            assert (await stamp(redis))[:2] == (epoch, 2)


async def test_a_failover_to_a_replica_that_lacks_cuts_is_repaired(tmp_path: Path) -> None:
    async with watched_servers(tmp_path) as redis:
        await redis.replicated()
        bus = f"redis+sentinel://{redis.sentinel.address}/main"
        source = Program(tmp_path, "source", bus, "--feed", COUNTING)
        edges = [Program(tmp_path, f"edge{number}", bus) for number in (1, 2)]
        async with running(source, edges=edges) as watched:
            epoch = (await stamp(redis.primary)).epoch
            await redis.primary.run("ACL", "SETUSER", "default", "-psync", "-sync")
            await redis.primary.run("CLIENT", "KILL", "TYPE", "replica")  # the primary goes on alone
            await watched.goes_on()
            redis.primary.kill()
            while "they are written again" not in source.log.read_text():
                await trio.sleep(0.05)
            await watched.goes_on()
            assert (await stamp(redis.replica))[:2] == (epoch, 1)

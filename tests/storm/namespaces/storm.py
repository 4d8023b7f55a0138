"""The storm: what happens when, drawn from a seed, and what all clients say meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import trio

from tests.bounds import HANG_SECONDS
from tests.storm.namespaces.crowd import Key, Report
from tests.storm.namespaces.network import Host, Network, network
from tests.storm.namespaces.parts import PORT, ROOT, Part, edge, redis, source, write_files

FEED = "simulated?symbols=12&rate=60&depth=25&past=5"
CROWDS = 4
"""Processes of clients, where there are enough of these."""


class Storm:
    """One run."""

    def __init__(self, folder: Path, net: Network, clients: int, seed: int, note: Callable[[str], None]) -> None:
        self._net = net
        self._clients = clients
        self._chance = Random(seed)  # noqa: S311  # it has to be reproducible
        self._note = note
        self._began = time.monotonic()
        bus, *hosts = [net.host(name) for name in ("redis", "source1", "source2", "edge1", "edge2")]
        write_files(folder, hosts[2:])
        self.redis = redis(bus, folder)
        self.sources = [source(host, folder, bus, FEED) for host in hosts[:2]]
        self.edges = [edge(host, folder, bus) for host in hosts[2:]]
        self._people = net.host("clients")
        self._ca = str(folder / "ca.pem")
        self._busy: set[str] = set()
        """Hosts to which something is happening."""
        self._reports: dict[int, Report] = {}
        self._copies: dict[Key, int] = {}
        self.wrong: list[str] = []
        self.events: Counter[str] = Counter()

    @property
    def parts(self) -> Sequence[Part]:
        return [self.redis, *self.sources, *self.edges]

    def counts(self) -> Counter[str]:
        """Return the counts of all clients, since the start."""
        counts: Counter[str] = Counter()
        for report in self._reports.values():
            counts.update(report.counts)
            counts["connected"] += report.connected
            counts["complete"] += report.complete
        counts["epochs"] = len({epoch for report in self._reports.values() for epoch in report.epochs})
        counts["different"] = len(self.wrong)
        return counts

    def say(self, text: str) -> None:
        names = ("complete", "verified", "compared", "mismatches", "different", "resumes", "snapshots", "epochs")
        counts = self.counts()
        figures = " ".join(f"{name}={counts[name]}" for name in names)
        self._note(f"{time.monotonic() - self._began:7.1f} s  {text:44} {figures}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All parts and clients run, until the block is left."""
        try:
            self.redis.start()
            await self.redis.said("Ready to accept connections")
            for part in (*self.sources, *self.edges):
                part.start()
            for part in self.edges:
                await part.said("wss://")
            async with trio.open_nursery() as nursery:
                for number in range(min(CROWDS, self._clients)):
                    await nursery.start(self._run_crowd, number)
                await self.calm("all are there")
                yield
                nursery.cancel_scope.cancel()
        finally:
            for part in self.parts:
                part.kill()

    async def blow(self, seconds: float) -> None:
        """Let things happen, every few seconds, for so long."""
        end = trio.current_time() + seconds
        async with trio.open_nursery() as nursery:
            while trio.current_time() < end:
                happen, part = self._chance.choice(self._possible()), self._chance.choice(self.parts)
                if part.host.name not in self._busy:
                    nursery.start_soon(self._happen, happen, part)
                for each in self.parts:
                    if each.host.name not in self._busy:
                        each.check()
                await trio.sleep(self._chance.uniform(2, 5))
        self.say("all is well again")

    async def calm(self, text: str) -> None:
        """Wait until every client has all that it wants, of one epoch, and its copy was compared since. Raises
        `TimeoutError`."""
        before = self.counts()["verified"]
        with trio.move_on_after(HANG_SECONDS):
            while True:
                counts = self.counts()
                if counts["complete"] == self._clients and counts["verified"] >= before + self._clients:
                    self.say(text)
                    return
                await trio.sleep(0.5)
        self.say("not all have come back")
        raise TimeoutError(f"{self.counts()['complete']} of {self._clients} clients are up to date")

    # Faults

    def _possible(self) -> list[Callable[[Part], Awaitable[None]]]:
        return [self._kill, self._stop, self._cut, self._slow_down]

    async def _happen(self, happen: Callable[[Part], Awaitable[None]], part: Part) -> None:
        name = part.host.name
        self._busy.add(name)
        self.events[happen.__name__.strip("_").replace("_", " ")] += 1
        await happen(part)
        self._busy.discard(name)

    async def _kill(self, part: Part) -> None:
        self.say(f"kill -9 {part}")
        part.kill()
        await trio.sleep(self._chance.uniform(0, 4))
        part.start()
        self.say(f"{part} is started again")

    async def _stop(self, part: Part) -> None:
        seconds = self._chance.uniform(0.5, 6)
        self.say(f"kill -STOP {part}, for {seconds:.1f} s")
        part.stop()
        await trio.sleep(seconds)
        part.go_on()

    async def _cut(self, part: Part) -> None:
        seconds = self._chance.uniform(0.5, 7)
        self.say(f"the link of {part} is cut, for {seconds:.1f} s")
        await self._run(self._net.cut, part.host)
        await trio.sleep(seconds)
        await self._run(self._net.mend, part.host)

    async def _slow_down(self, part: Part) -> None:
        seconds = self._chance.uniform(2, 8)
        self.say(f"the link of {part} is slow, for {seconds:.1f} s")
        await self._run(self._net.slow_down, part.host)
        await trio.sleep(seconds)
        await self._run(self._net.speed_up, part.host)

    async def _run(self, function: Callable[[Host], None], host: Host) -> None:
        await trio.to_thread.run_sync(partial(function, host))

    # Clients

    async def _run_crowd(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        crowds = min(CROWDS, self._clients)
        count = self._clients // crowds + (number < self._clients % crowds)
        urls = [f"wss://{part.host.address}:{PORT}" for part in self.edges]
        words = [sys.executable, "-m", "tests.storm.namespaces.crowd", "--clients", str(count), "--seed", str(number)]
        command = self._people.command(*words, "--ca", self._ca, *urls)
        process = await trio.lowlevel.open_process(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None
        )
        try:
            assert process.stdout is not None
            task_status.started()
            rest = b""
            async for data in process.stdout:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._take(number, msgspec.json.decode(line, type=Report))
            raise RuntimeError(f"the clients of process {number} have ended")
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()

    def _take(self, number: int, report: Report) -> None:
        """Compare the copies of one process with those of the others."""
        before = self._reports.get(number)
        self._reports[number] = report
        wrong = list(report.wrong)
        for key, checksum in report.copies:
            if self._copies.setdefault(key, checksum) != checksum:
                wrong.append(f"clients of two processes have other copies at cut {key[2]} of epoch {key[1]}")
        if report.counts.get("mismatches", 0) > (before.counts.get("mismatches", 0) if before is not None else 0):
            wrong.append("a copy has another checksum than its server's")
        self.wrong += wrong
        for text in wrong:
            self.say(f"WRONG: {text}")


async def blow(folder: Path, *, clients: int, seconds: float, seed: int, note: Callable[[str], None]) -> Storm:
    """Have a storm, and return it. Raises `NotPossible`, and `TimeoutError` if clients do not come back."""
    with network() as net:
        storm = Storm(folder, net, clients, seed, note)
        async with storm.running():
            await storm.blow(seconds)
            await storm.calm("all have the present market")
        return storm

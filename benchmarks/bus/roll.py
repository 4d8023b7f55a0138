"""`python -m benchmarks.bus.roll`: what a rolling restart of all workers costs a thousand clients.

`ticker serve --workers 2` runs on one core, the clients on another. After a while without incidents SIGUSR2 replaces
the source and both workers. A price tells when it was published, so each client knows how old it is.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import trio

import ticker
from benchmarks.bus.processes import children, running, serve, until
from benchmarks.peers.on_redis import answers
from benchmarks.process import LOAD_CORE, SERVER_CORE, free_port
from benchmarks.sample import percentiles
from ticker.client.client import Client
from ticker.client.events import Connected, Disconnected, Mismatch
from ticker.net.devcert import development_certificate

LIMIT = 3.0
AFTER_SECONDS = 10.0
"""So long after the last worker was replaced ages count as those of the restart: clients have come back by then."""


class Crowd:
    """The clients, with what happened to all of them."""

    def __init__(self, url: str, ca: Path, count: int) -> None:
        self._url, self._ca, self._count = url, ca, count
        self.ages = array("d")
        """Of each price at each client, in seconds."""
        self.clients: list[Client] = []
        self.happened: Counter[str] = Counter()
        self.with_data = 0

    async def run(self) -> None:
        """Connect them a few at a time, and follow the time."""
        async with trio.open_nursery() as nursery:
            for number in range(self._count):
                nursery.start_soon(self._follow)
                if number % 20 == 19:
                    await trio.sleep(0.2)

    async def _follow(self) -> None:
        first = True
        async with ticker.connect(self._url, ca=self._ca, on_event=self._note) as client:
            self.clients.append(client)
            async for change in client.subscribe("TIME"):
                published = change.changes.get("TIME", {}).get("last")
                if published is not None and not first:
                    self.ages.append(time.time() - int(published) / 1e6)
                self.with_data += first
                first = False

    def _note(self, event: object) -> None:
        match event:
            case Connected():
                self.happened["resumed" if event.resumed else "begun from nothing"] += 1
            case Disconnected():
                self.happened[f"left: {event.reason}"] += 1
            case Mismatch():
                self.happened["wrong"] += 1
            case _:
                pass

    def take(self) -> dict[str, float]:
        """Return p50, p99 and more of the ages since the last call, in milliseconds."""
        ages, self.ages = self.ages, array("d")
        return percentiles(ages)


async def measure(folder: Path, clients: int, rate: int, seconds: float) -> int:
    """Replace all workers once; return the exit code."""
    port, logs = free_port(), folder / "logs"
    logs.mkdir()
    made = development_certificate(folder / "certificate")
    flags = ["--listen", f"127.0.0.1:{port}", "--tls-cert", str(made.cert), "--tls-key", str(made.key)]
    os.sched_setaffinity(0, {SERVER_CORE})
    command = serve(*flags, "--workers", "2", "--feed", f"benchmarks.bus.feed:Clock?rate={rate}")
    with running(logs, command) as service:
        os.sched_setaffinity(0, {LOAD_CORE})
        await until(partial(answers, port), "a service that listens")
        crowd = Crowd(f"wss://127.0.0.1:{port}", made.authority, clients)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.run)
            await until(lambda: crowd.with_data == clients, f"{clients} clients with data")
            await trio.sleep(2)
            crowd.take()
            await trio.sleep(seconds)
            usual = crowd.take()
            before = children(service.pid)
            began = time.monotonic()
            service.send_signal(signal.SIGUSR2)
            await until(lambda: _is_new(before, children(service.pid)), "new workers in place of all")
            took = time.monotonic() - began
            await until(lambda: crowd.happened["resumed"] >= clients, "all clients resumed")
            await trio.sleep(AFTER_SECONDS)
            rolled = crowd.take()
            wrong = crowd.happened["wrong"] + sum([not await client.verify() for client in crowd.clients])
            nursery.cancel_scope.cancel()
    return _report(crowd, clients, (usual, rolled), took, wrong)


def _is_new(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return now.keys() == before.keys() and not set(now.values()) & set(before.values())


def _report(
    crowd: Crowd, clients: int, ages: tuple[dict[str, float], dict[str, float]], took: float, wrong: int
) -> int:
    usual, rolled = ages
    share = rolled["p99"] / usual["p99"]
    print(f"all workers replaced after {took:.1f} s")
    for name, found in (("usual", usual), ("meanwhile", rolled)):
        print(f"age of prices, {name}: p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms, max {found['max']:.0f} ms")
    print(f"p99 {share:.1f} times the usual (below {LIMIT:g}: {'met' if share < LIMIT else 'missed'})")
    for text, count in sorted(crowd.happened.items()):
        print(f"{count:6} {text}")
    begun = crowd.happened["begun from nothing"] - clients
    print(f"snapshots: {begun}, wrong: {wrong}")
    return 1 if wrong or begun else 0


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.roll", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000, metavar="N", help="how many clients (1000)")
    parser.add_argument("--rate", type=int, default=4, metavar="N", help="prices a second (4)")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="how long before the restart (20)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            return trio.run(measure, Path(folder), arguments.clients, arguments.rate, arguments.seconds)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
